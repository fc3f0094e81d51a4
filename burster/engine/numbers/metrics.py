"""What the triggers say: takes readings in, and answers what each trigger is worth now.

Called by ``step`` for each reading, by ``replicas`` for the number, by ``condition_view`` for ``when``. A value that failed, is stale, or
was never read is *missing*: it is no zero, and must never buy nor give up anything.
"""

from typing import Final, NamedTuple

from msgspec.structs import replace

from burster.engine.autoscale.arithmetic import MILLI, VALUE_MAX, Tolerance
from burster.engine.autoscale.resources import Goal, Measured, measure
from burster.engine.numbers.scaler import Reading
from burster.engine.offers.offerings import could_hold
from burster.engine.shapes import excluded_by
from burster.engine.state import PolicyEntry, State
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import MetricFailed, MetricRead, ResourceRead, WorkloadGone, WorkloadSeen
from burster.model.triggers import CronTrigger, MetricType, PendingPodsTrigger, ResourceTrigger, Trigger
from burster.model.windows import Window
from burster.policy.windows import is_open, next_change_ms


_MESSAGE_MAX: Final = 300


class Fact(NamedTuple):
    """What one trigger is worth now. ``value_milli`` None: missing, ``missing`` says why.

    ``wants``: for a measured workload, the replicas that it lacks; its value is its average use.
    """

    name: str
    target_milli: int
    metric_type: MetricType
    value_milli: int | None
    active: bool
    wants: int | None = None
    missing: str = ""
    failures: int = 0


# --- taking in ---------------------------------------------------------------------------------------------------------


def metric_read(state: State, stimulus: MetricRead) -> None:
    """Take a value in."""
    reading = _reading_for(state, stimulus.policy, stimulus.trigger, stimulus.at_ms)
    if reading is not None:
        reading.value_milli, reading.use = min(max(0, stimulus.value_milli), VALUE_MAX), None
        reading.failures, reading.message = 0, ""


def resource_read(state: State, stimulus: ResourceRead) -> None:
    """Take the use of a measured workload in."""
    reading = _reading_for(state, stimulus.policy, stimulus.trigger, stimulus.at_ms)
    if reading is not None:
        reading.value_milli, reading.use = None, stimulus
        reading.failures, reading.message = 0, ""


def metric_failed(state: State, stimulus: MetricFailed) -> None:
    """Note that a value could not be read: what it was before counts no more."""
    entry = state.policies.get(stimulus.policy)
    known = None if entry is None else entry.readings.get(stimulus.trigger)
    if known is not None and known.failures and known.at_ms == stimulus.at_ms:
        return  # told twice
    reading = _reading_for(state, stimulus.policy, stimulus.trigger, stimulus.at_ms)
    if reading is not None:
        reading.value_milli = reading.use = None
        reading.failures += 1
        reading.failed_since_poll = True
        reading.message = stimulus.message[:_MESSAGE_MAX]


def _reading_for(state: State, policy: str, trigger_name: str, at_ms: int) -> Reading | None:
    """Return the reading to write to; None for what nobody asked about, and for an older word than the latest."""
    entry = state.policies.get(policy)
    trigger = None if entry is None else _trigger(entry.policy, trigger_name)
    if entry is None or trigger is None:
        return None
    reading = entry.readings.get(trigger_name)
    if reading is None or reading.trigger != trigger:
        reading = entry.readings[trigger_name] = Reading(trigger=trigger)
    if reading.at_ms is not None and at_ms < reading.at_ms:
        return None
    reading.at_ms = min(at_ms, state.now_ms)
    state.scaling_open.add(policy)
    return reading


def _trigger(policy: Policy, name: str) -> Trigger | None:
    return next((one for one in policy.triggers if one.name == name), None)


def workload_key(namespace: str, kind: str, name: str) -> str:
    """Return the key of ``state.workloads``."""
    return f"{namespace}/{kind}/{name}"


def workload_seen(state: State, stimulus: WorkloadSeen) -> None:
    """Take in what a workload that policies name is like now; what was read before burster's own number was set is no news."""
    key = workload_key(stimulus.namespace, stimulus.kind, stimulus.name)
    known = state.workloads.get(key)
    if known is not None and stimulus.version and stimulus.version < known.version:
        return
    state.workloads[key] = stimulus
    state.workloads_absent.discard(key)
    if known is None or known != replace(stimulus, version=known.version):
        state.workloads_changed.add(key)


def workload_gone(state: State, stimulus: WorkloadGone) -> None:
    """Forget a workload that is not there."""
    key = workload_key(stimulus.namespace, stimulus.kind, stimulus.name)
    state.workloads_absent.add(key)
    if state.workloads.pop(key, None) is not None:
        state.workloads_changed.add(key)


# --- answering ---------------------------------------------------------------------------------------------------------


def values(state: State, policy_key: str) -> dict[str, float]:
    """Return what a policy's triggers are worth now, by name, for its condition; missing ones are left out.

    Of a measured workload it is the average use: percent of the request, or cores or bytes per pod. Pending pods have words of their own.
    """
    entry = state.policies.get(policy_key)
    if entry is None:
        return {}
    found: dict[str, float] = {}
    for trigger in entry.policy.triggers:
        if isinstance(trigger, PendingPodsTrigger):
            continue
        fact = fact_of(state, entry, trigger)
        if fact.value_milli is not None:
            found[trigger.name] = fact.value_milli / MILLI
    return found


def facts(state: State, entry: PolicyEntry) -> dict[str, Fact]:
    """Return what each trigger of a policy is worth now, in the order in which they are written."""
    return {trigger.name: fact_of(state, entry, trigger) for trigger in entry.policy.triggers}


def fact_of(state: State, entry: PolicyEntry, trigger: Trigger) -> Fact:
    """Return what one trigger is worth now."""
    if isinstance(trigger, PendingPodsTrigger):
        return _valued(trigger, MILLI * pending_pods(state, entry, trigger))
    if isinstance(trigger, CronTrigger):
        opened = is_open(window_of(trigger), state.now_ms)
        value_milli = trigger.desired_replicas * MILLI if opened else 0
        return Fact(trigger.name, MILLI, "AverageValue", value_milli, active=opened)
    reading = entry.readings.get(trigger.name)
    if reading is None or reading.trigger != trigger:
        return _missing(trigger, f"{trigger.name} was never read.")
    missing = _why_missing(state, entry.policy, reading)
    if missing:
        return _missing(trigger, missing, reading.failures)
    if isinstance(trigger, ResourceTrigger):
        return _measured(state, entry.policy, trigger, reading)
    return _valued(trigger, reading.value_milli or 0)


def note_poll(state: State, entry: PolicyEntry) -> None:
    """Count a poll at which a value that was there before is missing as a failure, where its source has not said so itself."""
    for trigger in entry.policy.triggers:
        reading = entry.readings.get(trigger.name)
        if reading is None or reading.trigger != trigger:
            continue
        if not reading.failed_since_poll and _why_missing(state, entry.policy, reading):
            reading.failures += 1
        reading.failed_since_poll = False


def next_cron_change_ms(state: State, policy: Policy) -> int | None:
    """Return when a cron trigger of a policy opens or closes next."""
    changes = [next_change_ms(window_of(one), state.now_ms) for one in policy.triggers if isinstance(one, CronTrigger)]
    return min((at_ms for at_ms in changes if at_ms is not None), default=None)


def window_of(trigger: CronTrigger) -> Window:
    """Return the window that a cron trigger is active in."""
    return Window(timezone=trigger.timezone, start=trigger.start, end=trigger.end)


def _valued(trigger: Trigger, value_milli: int) -> Fact:
    active = value_milli > trigger.activation_milli
    return Fact(trigger.name, trigger.threshold_milli, trigger.metric_type, value_milli, active)


def _missing(trigger: Trigger, why: str, failures: int = 0) -> Fact:
    return Fact(
        trigger.name,
        trigger.threshold_milli,
        trigger.metric_type,
        None,
        active=False,
        missing=why,
        failures=failures,
    )


def _why_missing(state: State, policy: Policy, reading: Reading) -> str:
    """Return why a reading is no value now; empty where it is one."""
    name = reading.trigger.name
    if reading.value_milli is None and reading.use is None:
        return f"{name} could not be read: {reading.message}"
    age_ms = state.now_ms - (reading.at_ms or 0)
    if age_ms > policy.scaling.stale_after_ms:
        return f"{name} was last read {format_duration_ms(age_ms)} ago."
    return ""


def _measured(state: State, policy: Policy, trigger: ResourceTrigger, reading: Reading) -> Fact:
    """Return what a measured workload lacks: the replicas that the HPA would want of it, less those that it has."""
    use = reading.use
    found = Measured(None, None)
    if use is not None:
        goal = Goal(
            trigger.resource,
            utilization=trigger.metric_type == "Utilization",
            target_milli=trigger.threshold_milli,
            tolerance=tolerance_of(policy),
        )
        found = measure(use.pods, goal, replicas=use.replicas, now_ms=state.now_ms)
    if use is None or found.replicas is None:
        why = f"{trigger.name}: the pods of {trigger.source.kind} {trigger.source.name} have no metrics that tell."
        return _missing(trigger, why, reading.failures)
    lacking = max(0, found.replicas - use.replicas)
    return Fact(
        trigger.name,
        trigger.threshold_milli,
        trigger.metric_type,
        found.average_milli,
        active=lacking * MILLI > trigger.activation_milli,
        wants=lacking,
    )


def tolerance_of(policy: Policy) -> Tolerance:
    """Return how far a ratio may be from 1 before a policy's number moves."""
    behavior = policy.scaling.behavior
    if behavior is None:
        return Tolerance()
    return Tolerance(behavior.scale_down.tolerance_milli, behavior.scale_up.tolerance_milli)


# --- pending pods ------------------------------------------------------------------------------------------------------


def pending_pods(state: State, entry: PolicyEntry, trigger: PendingPodsTrigger) -> int:
    """Return how many pending pods count for a policy's number.

    Its own that wait or are answered by its bursts, and those of the namespaces that the trigger names; never those that burster or the
    scaled workload made, as their number would feed itself.
    """
    policy = entry.policy
    count = sum(
        alike
        for shape, alike in entry.shapes.items()
        if not _is_own(state, policy, shape.runtime_class, (shape.namespace, shape.kind, shape.workload))
        and could_hold(state, policy, shape.requests)
    )
    if policy.placement.strategy not in {"Scale", "Signal", "Machine"}:
        count += answered(state, policy.key)
    elsewhere = frozenset(trigger.namespaces) - {policy.namespace}
    if elsewhere and policy.placement.strategy in {"Scale", "Signal"}:
        count += sum(
            _counts_elsewhere(state, policy, trigger, one.pod)
            for one in state.pods.values()
            if one.pod.namespace in elsewhere and not one.burst
        )
    return count if count >= trigger.min_count else 0


def answered(state: State, policy_key: str) -> int:
    """Return how many pending pods the bursts of a policy answer."""
    return sum(
        one.covers in state.pods and one.burst.policy_key == policy_key
        for one in state.bursts.values()
        if one.covers and one.burst.spec.strategy == "Clone"
    )


def _counts_elsewhere(state: State, policy: Policy, trigger: PendingPodsTrigger, pod: Pod) -> bool:
    if not pod.unschedulable or (pod.unschedulable_since_ms or 0) + policy.pending_for_ms > state.now_ms:
        return False
    kind, name = ("", "") if pod.workload is None else (pod.workload.kind, pod.workload.name)
    return (
        policy.workload.matches(pod)
        and not excluded_by(trigger, pod)
        and not _is_own(state, policy, pod.runtime_class, (pod.namespace, kind, name))
        and could_hold(state, policy, pod.requests)
    )


def _is_own(state: State, policy: Policy, runtime_class: str, workload: tuple[str, str, str]) -> bool:
    """Say whether a pod is a peer pod already, or one of the workload that the policy scales."""
    scaled = policy.scaling.target
    by_number = policy.placement.strategy in {"Scale", "Signal"}
    if by_number and scaled is not None and workload == (policy.namespace, scaled.kind, scaled.name):
        return True
    if not runtime_class:
        return False
    targets = (state.targets.get(name) for name in policy.placement.targets)
    return any(one is not None and one.target.runtime_class == runtime_class for one in targets)
