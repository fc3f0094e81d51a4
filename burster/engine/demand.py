"""Which policy answers for a pod, and which pods wait for it.

Called by ``observe`` (a pod came, changed, left; a policy changed). Says nothing about whether a pod may burst: that is ``gates``.
"""

from bisect import insort

from burster.engine.state import PodEntry, PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms


def responsible_policy(state: State, pod: Pod) -> str:
    """Return the key of the policy that answers for a pod, or "": highest priority, then most specific, then first by name."""
    best: tuple[int, int, str] | None = None
    found = ""
    for key, entry in state.policies.items():
        policy = entry.policy
        if policy.namespace != pod.namespace or not policy.workload.matches(pod):
            continue
        rank = (-policy.priority, -_specificity(policy), key)
        if best is None or rank < best:
            best, found = rank, key
    return found


def _specificity(policy: Policy) -> int:
    selector = policy.workload
    named = bool(selector.kind) + bool(selector.name_pattern) + bool(selector.pod_name_pattern)
    return named + len(selector.match_labels)


def queue_key(pod: Pod) -> tuple[int, int, int, str]:
    """Return the order in which pods are tried: priority first, then who has waited longest."""
    return (-pod.priority, pod.unschedulable_since_ms or 0, pod.created_at_ms, pod.key)


def admit(state: State, entry: PodEntry) -> None:
    """Put a pending pod where it belongs: behind its age, or into its policy's queue."""
    pod = entry.pod
    policy = state.policies.get(entry.policy)
    if policy is None or entry.burst or not pod.unschedulable:
        return
    since = pod.unschedulable_since_ms or 0
    due = max(since + policy.policy.trigger.pending_for_ms, state.parked.get(pod.key, (0, 0))[0])
    if due > state.now_ms:
        if entry.verdict is None:
            entry.verdict = ("Wait", "TooYoung")
            state.decide(
                "Wait",
                Reason(
                    code="TooYoung",
                    sentence=(
                        f"Pending for {format_duration_ms(max(0, state.now_ms - since))}; the policy waits for "
                        f"{format_duration_ms(policy.policy.trigger.pending_for_ms)}."
                    ),
                    numbers={"pending_for_ms": policy.policy.trigger.pending_for_ms, "due_ms": due},
                ),
                policy=entry.policy,
                subject=pod.key,
            )
        state.at(due, "age", pod.key)
        return
    enqueue(policy, pod)


def enqueue(policy: PolicyEntry, pod: Pod) -> None:
    """Add an aged pod to its policy's queue, once."""
    if pod.key in policy.queued:
        return
    policy.queued.add(pod.key)
    insort(policy.queue, queue_key(pod))
    policy.fresh.append(pod.key)


def dequeue(state: State, pod: Pod, policy_key: str) -> None:
    """Take a pod out of its policy's queue."""
    policy = state.policies.get(policy_key)
    if policy is None or pod.key not in policy.queued:
        return
    policy.queued.discard(pod.key)
    # the list entry stays and is skipped; it is rebuilt when most of it is stale, so that a pod's leaving costs nothing
    if len(policy.queue) > 2 * len(policy.queued) + 64:
        policy.queue = [item for item in policy.queue if item[3] in policy.queued]


def reassign_all(state: State) -> None:
    """Ask for every pod anew which policy answers for it: a policy came, changed or went."""
    for entry in state.pods.values():
        new = responsible_policy(state, entry.pod)
        if new != entry.policy:
            dequeue(state, entry.pod, entry.policy)
            entry.policy = new
            entry.verdict = None
        admit(state, entry)
