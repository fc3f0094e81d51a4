"""Which policy answers for a pod, and which pods wait for it.

Called by ``observe_world`` (a pod came, changed, left; a policy changed) and ``timers`` (a pod has aged). Says nothing about whether a
pod may burst: that is ``gates``.
"""

from bisect import insort

from burster.engine.state import PodEntry, PolicyEntry, QueueKey, State
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms


def responsible_policy(state: State, pod: Pod) -> str:
    """Return the key of the policy that answers for a pod, or "": highest priority, then most specific, then first by name."""
    for key in state.policies_in.get(pod.namespace, ()):
        if state.policies[key].policy.workload.matches(pod):
            return key
    return ""


def order_policies(state: State) -> None:
    """Put the policies of each namespace into the order in which they are asked; to be called whenever one came, changed or went."""
    ranked = sorted((_rank(entry.policy), key) for key, entry in state.policies.items())
    state.policies_in = {}
    for _, key in ranked:
        state.policies_in.setdefault(state.policies[key].policy.namespace, []).append(key)


def _rank(policy: Policy) -> tuple[int, int]:
    selector = policy.workload
    named = bool(selector.kind) + bool(selector.name_pattern) + bool(selector.pod_name_pattern)
    return (-policy.priority, -(named + len(selector.match_labels)))


def queue_key(pod: Pod) -> QueueKey:
    """Return the order in which pods are tried: priority first, then who has waited longest."""
    return (-pod.priority, pod.unschedulable_since_ms or 0, pod.created_at_ms, pod.key)


def admit(state: State, entry: PodEntry) -> None:
    """Put a pending pod where it belongs: behind its age, or into its policy's queue."""
    pod = entry.pod
    policy = state.policies.get(entry.policy)
    if policy is None or entry.burst or not pod.unschedulable:
        return
    aged_at = (pod.unschedulable_since_ms or 0) + policy.policy.pending_for_ms
    rested_at, failures = state.parked.get(pod.key, (0, 0))
    due = max(aged_at, rested_at)
    if due <= state.now_ms:
        enqueue(policy, pod)
        return
    if entry.verdict is None and aged_at > state.now_ms:
        _say_too_young(state, entry, policy.policy, due)
    elif failures and entry.verdict != ("Wait", "BackingOff") and rested_at > state.now_ms:
        _say_backing_off(state, entry, failures, due)
    state.at(due, "age", pod.key)


def _say_too_young(state: State, entry: PodEntry, policy: Policy, due_ms: int) -> None:
    since = entry.pod.unschedulable_since_ms or 0
    pending_for_ms = policy.pending_for_ms
    waited = format_duration_ms(max(0, state.now_ms - since))
    entry.verdict = ("Wait", "TooYoung")
    state.decide(
        "Wait",
        Reason(
            code="TooYoung",
            sentence=f"Pending for {waited}; the policy waits for {format_duration_ms(pending_for_ms)}.",
            numbers={"pending_for_ms": pending_for_ms, "due_ms": due_ms},
        ),
        policy=entry.policy,
        subject=entry.pod.key,
    )


def _say_backing_off(state: State, entry: PodEntry, failures: int, due_ms: int) -> None:
    entry.verdict = ("Wait", "BackingOff")
    again = format_duration_ms(due_ms - state.now_ms)
    times = "once" if failures == 1 else f"{failures} times"
    state.decide(
        "Wait",
        Reason(
            code="BackingOff",
            sentence=f"Its burst has failed {times} lately; it is tried again in {again}.",
            numbers={"failures": failures, "due_ms": due_ms},
        ),
        policy=entry.policy,
        subject=entry.pod.key,
    )


def enqueue(policy: PolicyEntry, pod: Pod) -> None:
    """Add an aged pod to its policy's queue, once."""
    if pod.key in policy.queued:
        return
    place = queue_key(pod)
    policy.queued[pod.key] = place
    insort(policy.queue, place)
    policy.fresh.append(pod.key)
    pending = policy.policy.pending
    if policy.too_few and (pending is None or len(policy.queued) + policy.active >= pending.min_count):
        # It is enough now, also for those that waited for this one.
        policy.too_few, policy.reopened = False, True


def dequeue(state: State, pod: Pod, policy_key: str) -> None:
    """Take a pod out of its policy's queue."""
    policy = state.policies.get(policy_key)
    if policy is None or policy.queued.pop(pod.key, None) is None:
        return
    # the list's item stays and is skipped; the list is made anew when most of it is stale, so that a pod's leaving costs nothing
    if len(policy.queue) > 2 * len(policy.queued) + 64:
        policy.queue = sorted(policy.queued.values())


def reassign_all(state: State) -> None:
    """Ask for every pod anew which policy answers for it: a policy came, changed or went."""
    for entry in state.pods.values():
        new = responsible_policy(state, entry.pod)
        if new != entry.policy:
            dequeue(state, entry.pod, entry.policy)
            entry.policy = new
            entry.verdict = None
        admit(state, entry)
