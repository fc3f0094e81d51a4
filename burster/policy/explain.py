"""A policy or target in plain sentences, with the numbers it resolves to.

Made from the compiled values, so that what is told is what the engine evaluates. Called by ``burster policy explain``.
"""

from collections.abc import Mapping, Sequence

from burster.model.limits import Limits
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.targets import Target
from burster.model.triggers import PendingPodsTrigger


_STRATEGIES = {
    "Clone": "Each burst is a further replica, made from the workload's template; the pending pod keeps its place on-prem.",
    "Move": "Each burst is the pending pod itself: it leaves the on-prem queue and runs in the cloud until it ends.",
    "Auto": "Pods of Deployments are cloned (a further replica); all other pods move (the pending pod itself goes).",
}


def explain_policy(policy: Policy, targets: Mapping[str, Target] | None = None) -> list[str]:
    """Return what a policy does, one sentence an item; ``targets`` are those known by name."""
    trigger, placement, confidential = policy.pending or PendingPodsTrigger(), policy.placement, policy.confidential
    sentences = [f"Policy {policy.key} is about {_workload(policy.workload)} in namespace {policy.namespace}."]
    if policy.paused:
        sentences.append("It is paused: nothing new starts until the annotation burster.dev/paused is removed.")
    pods = "one such pod has" if trigger.min_count == 1 else f"{trigger.min_count} such pods have"
    sentences.append(
        f"It acts as soon as {pods} been unschedulable for {format_duration_ms(trigger.pending_for_ms)} (trigger {trigger.name})."
    )
    sentences.append(_STRATEGIES[placement.strategy])
    sizes = f", on {_any(placement.sizes)}" if placement.sizes else ", on any size the target allows"
    sentences.append(f"It goes to {_in_order(placement.targets)}{sizes}.")
    boot = "booted by secure boot" if confidential.secure_boot else "with or without secure boot"
    sentences.append(f"Only a confidential VM will do: {_any(confidential.tees)}, {boot}.")
    sentences += _limits(policy.limits, "It uses", "It spends")
    sentences += _times(policy)
    sentences += [
        _worst_case(placement, (targets or {})[name]) for name in placement.targets if name in (targets or {})
    ]
    sentences.append(
        f"Where several policies match a pod, the one with the highest priority takes it; this one has {policy.priority}."
    )
    return sentences


def explain_target(target: Target) -> list[str]:
    """Return what a target allows, one sentence an item."""
    namespaces = target.allowed_namespaces
    if "*" in namespaces:
        who = "Every namespace may burst here."
    elif namespaces:
        who = f"Only namespaces {', '.join(namespaces)} may burst here."
    else:
        who = "No namespace may burst here until allowedNamespaces names one."
    assumed = target.assumed_price_micro_usd_per_hour
    price = (
        "A size of unknown price is refused."
        if assumed is None
        else f"A size of unknown price is taken to cost {format_micro_usd(assumed)} per hour."
    )
    sweep = "only reported" if target.sweep == "Report" else "deleted"
    return [
        (
            f"Target {target.name} is {target.provider} region {target.region}, subscription {target.subscription},"
            f" resource group {target.resource_group}."
        ),
        f"Pods run under RuntimeClass {target.runtime_class} on {_any(target.sizes)}, with {_any(target.tees)}.",
        who,
        *_limits(target.limits, "All policies together use", "Together they spend"),
        price,
        (
            f"A VM must be there {format_duration_ms(target.launch_deadline_ms)} after its pod was placed, and the pod must run on the"
            f" verified VM after {format_duration_ms(target.ready_deadline_ms)}; otherwise the burst has failed."
        ),
        f"VMs older than {format_duration_ms(target.sweep_grace_ms)} that no record claims are {sweep}.",
    ]


def _workload(selector: WorkloadSelector) -> str:
    parts: list[str] = []
    if selector.kind:
        parts.append("bare pods" if selector.kind == "Pod" else f"pods of a {selector.kind}")
    else:
        parts.append("pods")
    conditions: list[str] = []
    if selector.name_pattern:
        whose = "whose" if selector.kind == "Pod" else "whose workload's"
        conditions.append(f"{whose} whole name matches {selector.name_pattern}")
    if selector.pod_name_pattern:
        conditions.append(f"whose own whole name matches {selector.pod_name_pattern}")
    if selector.match_labels:
        conditions.append(
            "that carry " + ", ".join(f"{key}={value}" for key, value in sorted(selector.match_labels.items()))
        )
    return " ".join([*parts, " and ".join(conditions)]).strip()


def _limits(limits: Limits, uses: str, spends: str) -> list[str]:
    counts = [
        f"{limit} {what}"
        for limit, what in ((limits.max_bursts, "cloud pods"), (limits.max_vcpus, "vCPUs"))
        if limit is not None
    ]
    budget = limits.budget
    amounts = [
        f"{format_micro_usd(amount)} per {window}"
        for amount, window in (
            (budget.per_hour_micro_usd, "hour"),
            (budget.per_day_micro_usd, "day"),
            (budget.per_month_micro_usd, "month"),
        )
        if amount is not None
    ]
    return [
        f"{uses} at most {' and '.join(counts)} at one time."
        if counts
        else f"{uses} any number of cloud pods: there is no limit.",
        f"{spends} at most {', '.join(amounts)} (UTC), worst cases counted before anything starts."
        if amounts
        else f"{spends} without a limit of its own.",
    ]


def _times(policy: Policy) -> list[str]:
    placement = policy.placement
    lease, drain = format_duration_ms(placement.lease_ms), format_duration_ms(placement.drain_ms)
    sentences = [
        f"A cloud pod lives on leases of {lease}, each reserved before it begins, and has {drain} to finish when it must go."
    ]
    if placement.strategy != "Move":
        sentences.append(
            f"A clone goes {format_duration_ms(policy.scaling.cooldown_ms)} after the demand for it has ended."
        )
    return sentences


def _worst_case(placement: Placement, target: Target) -> str:
    parts = (target.launch_deadline_ms, placement.lease_ms, placement.drain_ms)
    shown = " + ".join(map(format_duration_ms, parts))
    return (
        f"Before a burst starts at {target.name}, the price of {format_duration_ms(sum(parts))} is set aside ({shown})."
    )


def _any(options: Sequence[str]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def _in_order(targets: Sequence[str]) -> str:
    return (
        f"target {targets[0]}"
        if len(targets) == 1
        else "the first of these targets that has room: " + ", ".join(targets)
    )
