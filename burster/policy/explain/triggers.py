"""Triggers in sentences: what is counted, what one replica takes of it, and a worked example."""

from collections.abc import Iterator

from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms, format_memory_bytes
from burster.model.triggers import (
    CronTrigger,
    ExternalTrigger,
    HttpAccess,
    KubernetesWorkloadTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    ResourceTrigger,
    Trigger,
)
from burster.policy.explain.words import all_of, any_of, counted, milli


#: an example is more telling where it isn't a whole number of replicas
_EXAMPLE_TENTHS = 25


def trigger_sentences(policy: Policy) -> Iterator[str]:
    """Yield what each trigger does for this policy."""
    for trigger in policy.triggers:
        if isinstance(trigger, PendingPodsTrigger):
            yield from _pending(policy, trigger)
        elif isinstance(trigger, CronTrigger):
            yield (
                f"Trigger {trigger.name} wants {counted(trigger.desired_replicas, 'replica')} from {trigger.start!r} to"
                f" {trigger.end!r} (cron, {trigger.timezone}), and none otherwise."
            )
        elif isinstance(trigger, ResourceTrigger):
            yield from _resource(trigger)
        else:
            yield from _metric(policy, trigger)


def _pending(policy: Policy, trigger: PendingPodsTrigger) -> Iterator[str]:
    if not policy.numeric or policy.placement.strategy == "Auto":
        yield f"It acts as soon as {_pods(policy, trigger)} (trigger {trigger.name})."
    else:
        least = "" if trigger.min_count == 1 else f", once there are {trigger.min_count},"
        since = format_duration_ms(policy.pending_for_ms)
        yield f"Trigger {trigger.name} counts such pods that have been unschedulable for {since}{least} as its value."
        yield from _arithmetic(trigger)
    filters = list(_filters(trigger))
    if filters:
        yield f"Of these pods only those count {all_of(filters)}."
    if trigger.namespaces:
        yield f"Pods of namespaces {', '.join(trigger.namespaces)} are counted too."


def _pods(policy: Policy, trigger: PendingPodsTrigger) -> str:
    one = trigger.min_count == 1
    pods = "one such pod" if one else f"{trigger.min_count} such pods"
    if not policy.pending_for_ms:
        return f"{pods} {'is' if one else 'are'} unschedulable"
    return f"{pods} {'has' if one else 'have'} been unschedulable for {format_duration_ms(policy.pending_for_ms)}"


def _filters(trigger: PendingPodsTrigger) -> Iterator[str]:
    if trigger.reasons:
        yield f"whose scheduler's message has {any_of([repr(one) for one in trigger.reasons])} in it"
    if trigger.resources:
        yield f"that ask for {any_of(trigger.resources)}"
    if trigger.runtime_classes:
        yield f"of RuntimeClass {any_of(trigger.runtime_classes)}"
    yield from _bounds("priority", _text(trigger.min_priority), _text(trigger.max_priority))
    yield from _bounds(
        "cpu request", _unless_zero(trigger.min_cpu_millicores, "m"), _text(trigger.max_cpu_millicores, "m")
    )
    most = trigger.max_memory_bytes
    yield from _bounds(
        "memory request",
        format_memory_bytes(trigger.min_memory_bytes) if trigger.min_memory_bytes else "",
        "" if most is None else format_memory_bytes(most),
    )


def _bounds(what: str, least: str, most: str) -> Iterator[str]:
    limits = [f"at least {least}" if least else "", f"at most {most}" if most else ""]
    if any(limits):
        yield f"whose {what} is {' and '.join(filter(None, limits))}"


def _text(value: int | None, unit: str = "") -> str:
    return "" if value is None else f"{value}{unit}"


def _unless_zero(value: int, unit: str) -> str:
    return f"{value}{unit}" if value else ""


def _resource(trigger: ResourceTrigger) -> Iterator[str]:
    source = f"{trigger.source.kind} {trigger.source.name}"
    whose = f"container {trigger.container} of {source}" if trigger.container else source
    if trigger.metric_type == "Utilization":
        goal = f"{milli(trigger.threshold_milli)} % of its request"
    elif trigger.resource == "cpu":
        goal = f"{trigger.threshold_milli}m of cpu a pod"
    else:
        goal = f"{format_memory_bytes(trigger.threshold_milli // 1000)} of memory a pod"
    yield (
        f"Trigger {trigger.name} measures the {trigger.resource} of {whose}, which stays as it is: where its pods use more than"
        f" {goal}, the cloud gets the replicas that are missing there."
    )
    if trigger.metric_type == "Utilization":
        used = trigger.threshold_milli * 3 // 2
        wanted = -(-4 * used // trigger.threshold_milli) if trigger.threshold_milli > 0 else 0
        yield (
            f"For example, 4 replicas at {milli(used)} % would have to be ceil(4 * {milli(used)} / {milli(trigger.threshold_milli)})"
            f" = {wanted}, so the cloud gets {wanted - 4}."
        )


def _metric(policy: Policy, trigger: Trigger) -> Iterator[str]:
    if isinstance(trigger, PrometheusTrigger):
        empty = "an empty answer is 0" if trigger.ignore_null_values else "an empty answer is an error"
        yield f"Trigger {trigger.name} asks {trigger.server_address} for {trigger.query}; {empty}."
        yield from _access(trigger.access)
    elif isinstance(trigger, MetricsApiTrigger):
        yield f"Trigger {trigger.name} reads {trigger.value_location} of {trigger.url} ({trigger.format})."
        yield from _access(trigger.access)
    elif isinstance(trigger, KubernetesWorkloadTrigger):
        yield f"Trigger {trigger.name} counts the pods of namespace {policy.namespace} that match {trigger.pod_selector}."
    elif isinstance(trigger, ExternalTrigger):
        yield f"Trigger {trigger.name} is {_external(trigger, policy.namespace)}."
    yield from _arithmetic(trigger)


def _external(trigger: ExternalTrigger, namespace: str) -> str:
    if trigger.scaler_address:
        return f"a number that the external scaler at {trigger.scaler_address} gives"
    if not trigger.metric_name:
        return "a number that others push"
    summed = f", summed over the values with {trigger.metric_selector}" if trigger.metric_selector else ""
    return f"the external metric {trigger.metric_name} of namespace {namespace}{summed}"


def _arithmetic(trigger: Trigger) -> Iterator[str]:
    target, least = trigger.threshold_milli, trigger.activation_milli
    active = f"It is active above {milli(least)}, not at it"
    if target <= 0:
        yield f"{active}."
        return
    value = target * _EXAMPLE_TENTHS // 10
    if trigger.metric_type == "Value":
        wanted = -(-2 * value // target)
        yield (
            f"{active}; its target is {milli(target)}: with 2 ready replicas a value of {milli(value)} asks for"
            f" ceil(2 * {milli(value)} / {milli(target)}) = {wanted}."
        )
        return
    wanted = -(-value // target)
    yield (
        f"{active}; one replica takes {milli(target)} of it: a value of {milli(value)} asks for"
        f" ceil({milli(value)} / {milli(target)}) = {counted(wanted, 'replica')}."
    )


def _access(access: HttpAccess) -> Iterator[str]:
    parts: list[str] = []
    if access.auth is not None:
        parts.append(f"with the credentials of {access.auth.kind} {access.auth.name}")
    if access.auth_modes:
        parts.append(f"by {all_of(access.auth_modes)}")
    if access.unsafe_ssl:
        parts.append("without checking who answers")
    if parts:
        yield f"It is reached {' '.join(parts)}, and given up after {format_duration_ms(access.timeout_ms)}."
