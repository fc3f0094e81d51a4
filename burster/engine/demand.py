"""Which policy answers for a pod, and which pods wait for it.

Called by ``observe_world`` (a pod came, changed, left; a policy changed), ``timers`` (a pod has aged) and ``step``. Says nothing about
whether a pod may burst: that is ``gates``. Every pending pod gets a verdict here or there: no policy is about it, the policy's trigger
leaves it out or does not look at pods, it is too young, it backs off, or it is in a queue and ``queues`` tells it the rest.
"""

from bisect import insort
from functools import lru_cache
from typing import Final

from burster.engine.bursts import storms
from burster.engine.matching import Matcher
from burster.engine.offers.offerings import could_hold
from burster.engine.shapes import excluded_by, has_filters, shape_of
from burster.engine.state import PodEntry, PolicyEntry, QueueKey, State
from burster.model.decisions import Reason, Verdict
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms
from burster.model.triggers import PendingPodsTrigger


#: Up to how many new places are put into a queue one by one; more are sorted in at once.
_FEW: Final = 16
NO_POLICY: Final[tuple[Verdict, str]] = ("Deny", "NoPolicy")


def responsible_policy(state: State, pod: Pod) -> str:
    """Return the key of the policy that answers for a pod, or "": highest priority, then most specific, then first by name."""
    matcher = state.matchers.get(pod.namespace)
    if matcher is None:
        rules = [
            (key, entry.policy) for key, entry in state.policies.items() if entry.policy.namespace == pod.namespace
        ]
        matcher = state.matchers[pod.namespace] = Matcher(sorted(rules, key=_rank))
    found = matcher.find(pod)
    if matcher.ties:
        for pair in matcher.ties:
            state.ambiguous.setdefault(pair, False)
        matcher.ties.clear()
    return found


def _rank(one: tuple[str, Policy]) -> tuple[int, int, str]:
    key, policy = one
    return (-policy.priority, -policy.workload.specificity, key)


def reassign(state: State, namespace: str) -> None:
    """Have it asked anew which policy answers for each pod of a namespace: one of its policies came, changed or went."""
    state.matchers.pop(namespace, None)
    state.reassign[namespace] = None


def forget_ambiguity(state: State, policy_key: str) -> None:
    """A policy came, changed or went: whether it takes others' pods is told anew."""
    if state.ambiguous:
        state.ambiguous = {pair: told for pair, told in state.ambiguous.items() if policy_key not in pair}


def say_ambiguous(state: State) -> None:
    """Tell, once, which policies could take the same pod with the same right. Files that are validated together can't come to this."""
    for pair in [pair for pair, told in state.ambiguous.items() if not told]:
        state.ambiguous[pair] = True
        taker, other = pair
        sentence = (
            f"Policies {taker} and {other} both match a pod, with the same priority and just as exactly: {taker} takes it by its name. "
            "Give one of the two a higher priority, or select different workloads."
        )
        state.decide("Warn", Reason(code="AmbiguousPolicies", sentence=sentence), policy=taker, subject=taker)


def settle(state: State) -> None:
    """Ask for every pod whose policies have changed who answers for it now: once a step, however many policies came."""
    if not state.reassign:
        return
    for entry in state.pods.values():
        if entry.pod.namespace not in state.reassign:
            continue
        new = responsible_policy(state, entry.pod)
        if new != entry.policy:
            dequeue(state, entry.pod, entry.policy)
            entry.policy = new
            entry.verdict = None
        admit(state, entry)
    state.reassign.clear()


def queue_key(pod: Pod) -> QueueKey:
    """Return the order in which pods are tried: priority first, then who has waited longest."""
    return (-pod.priority, pod.unschedulable_since_ms or 0, pod.created_at_ms, pod.key)


def admit(state: State, entry: PodEntry) -> None:
    """Put a pending pod where it belongs: behind its age, or into its policy's queue."""
    pod = entry.pod
    if entry.burst or not pod.unschedulable:
        return
    policy = state.policies.get(entry.policy)
    if policy is None:
        if entry.verdict != NO_POLICY:
            state.unmatched.append(pod.key)
        return
    rules = policy.policy
    trigger = rules.pending
    if _is_left_out(state, entry, trigger):
        dequeue(state, pod, entry.policy)
        return
    pending_for_ms = 0 if trigger is None or rules.wait.mode == "AtOnce" else trigger.pending_for_ms
    aged_at = (pod.unschedulable_since_ms or 0) + pending_for_ms
    key = pod.key
    rested_at, failures = state.parked.get(key, (0, 0)) if state.parked else (0, 0)
    due = max(aged_at, rested_at)
    if due <= state.now_ms:
        held = storms.held(state, pod) if state.held_off or state.failing else None
        if held is None:
            _enqueue(state, policy, entry, key)
            return
        dequeue(state, pod, entry.policy)
        say(state, entry, "Wait", held[1])
        state.at(held[0], "age", key)
        return
    if entry.verdict is None and aged_at > state.now_ms:
        _say_too_young(state, entry, pending_for_ms, due)
    elif failures and entry.verdict != ("Wait", "BackingOff") and rested_at > state.now_ms:
        _say_backing_off(state, entry, failures, due)
    elif entry.verdict is None:
        sentence = "It was not as it had been decided on, or its record could not be written: it is looked at anew in a moment."
        say(state, entry, "Wait", Reason(code="ReadAnew", sentence=sentence, numbers={"due_ms": due}))
    state.at(due, "age", key)


def say(state: State, entry: PodEntry, verdict: Verdict, reason: Reason, others: tuple[Reason, ...] = ()) -> None:
    """Tell a pod a verdict, unless it is what it was told last. ``others``: what stands against it elsewhere."""
    known = entry.verdict
    if known is None or known[1] != reason.code or known[0] != verdict:
        entry.verdict = _told(verdict, reason.code)
        state.decide(verdict, reason, *others, policy=entry.policy, subject=entry.pod.key)


@lru_cache(maxsize=256)
def _told(verdict: Verdict, code: str) -> tuple[Verdict, str]:
    """Return the pair that pods remember: one object for all of them."""
    return (verdict, code)


def say_unmatched(state: State) -> None:
    """Tell pods that no policy is about them: once each, when every source has spoken.

    Each is told by itself, so that whoever asks about a pod finds its verdict. All of a namespace share one reason, and the verdict that
    is remembered is one object for all: what 100,000 such pods keep is the pods themselves.
    """
    reasons: dict[str, Reason] = {}
    for key in state.unmatched:
        entry = state.pods.get(key)
        if entry is None or entry.policy or entry.burst or not entry.pod.unschedulable:
            continue
        namespace = entry.pod.namespace
        reason = reasons.get(namespace)
        if reason is None:
            sentence = f"No BurstPolicy of namespace {namespace} is about it."
            reason = reasons[namespace] = Reason(code="NoPolicy", sentence=sentence)
        say(state, entry, "Deny", reason)
    state.unmatched.clear()


def _is_left_out(state: State, entry: PodEntry, trigger: PendingPodsTrigger | None) -> bool:
    """Tell a pod that its policy's trigger leaves it out, if it does: such a pod counts in no number."""
    if trigger is None:
        sentence = "The policy acts on metrics alone: pending pods start nothing by it."
        say(state, entry, "Wait", Reason(code="NotByPods", sentence=sentence))
        return True
    left_out = excluded_by(trigger, entry.pod) if has_filters(trigger) else ""
    if left_out:
        sentence = f"The policy's pending-pods trigger leaves it out by its filter {left_out}."
        reason = Reason(code="FilteredOut", sentence=sentence)
        # The scheduler's message may change by itself; what the pod asks for does not.
        say(state, entry, "Wait" if left_out == "reasons" else "Deny", reason)
    return bool(left_out)


def _say_too_young(state: State, entry: PodEntry, pending_for_ms: int, due_ms: int) -> None:
    since = entry.pod.unschedulable_since_ms or 0
    waited = format_duration_ms(max(0, state.now_ms - since))
    reason = Reason(
        code="TooYoung",
        sentence=f"Pending for {waited}; the policy waits for {format_duration_ms(pending_for_ms)}.",
        numbers={"pending_for_ms": pending_for_ms, "due_ms": due_ms},
    )
    say(state, entry, "Wait", reason)


def _say_backing_off(state: State, entry: PodEntry, failures: int, due_ms: int) -> None:
    again = format_duration_ms(due_ms - state.now_ms)
    times = "once" if failures == 1 else f"{failures} times"
    reason = Reason(
        code="BackingOff",
        sentence=f"Its burst has failed {times} lately; it is tried again in {again}.",
        numbers={"failures": failures, "due_ms": due_ms},
    )
    say(state, entry, "Wait", reason)


def _enqueue(state: State, policy: PolicyEntry, entry: PodEntry, key: str) -> None:
    """Add an aged pod to its policy's queue, once."""
    pod = entry.pod
    if key in policy.queued:
        return
    place = (-pod.priority, pod.unschedulable_since_ms or 0, pod.created_at_ms, key)
    policy.queued[key] = place
    policy.arrived.append(place)
    policy.fresh.append(key)
    shape = entry.shape = shape_of(pod)
    policy.shapes[shape] = policy.shapes.get(shape, 0) + 1
    if policy.looked.refusal is not None:
        # One more that waits may be what its condition asks for, also for those that came before.
        policy.reopened = True
    if policy.too_few and is_enough(state, policy):
        # It is enough now, also for those that waited for this one.
        policy.too_few, policy.reopened = False, True


def is_enough(state: State, policy: PolicyEntry) -> bool:
    """Say whether a policy has as many pods as it acts from; those that are answered already count.

    One that is activated by force acts from the first pod on.
    """
    trigger = policy.policy.pending
    if trigger is None or trigger.min_count <= 1 or policy.policy.force_activation:
        return True
    return countable(state, policy) + policy.active >= trigger.min_count


def countable(state: State, policy: PolicyEntry) -> int:
    """Return how many pods of a policy's queue count: those that one of its targets could hold."""
    if len(policy.shapes) == 1:
        shape = next(iter(policy.shapes))
        return policy.shapes[shape] if could_hold(state, policy.policy, shape.requests) else 0
    return sum(count for shape, count in policy.shapes.items() if could_hold(state, policy.policy, shape.requests))


def dequeue(state: State, pod: Pod, policy_key: str) -> None:
    """Take a pod out of its policy's queue."""
    policy = state.policies.get(policy_key)
    if policy is None or not policy.queued:
        return
    key = pod.key
    if key in policy.queued:
        leave(policy, state.pods.get(key), key)


def leave(policy: PolicyEntry, entry: PodEntry | None, key: str) -> None:
    """Take a pod that is in a policy's queue out of it."""
    del policy.queued[key]
    if entry is not None and entry.shape is not None:
        left = policy.shapes.get(entry.shape, 0) - 1
        if left > 0:
            policy.shapes[entry.shape] = left
        else:
            policy.shapes.pop(entry.shape, None)
        entry.shape = None
    # the list's item stays and is skipped; the list is made anew when most of it is stale, so that a pod's leaving costs nothing
    if len(policy.queue) + len(policy.arrived) > 2 * len(policy.queued) + 64:
        policy.queue, policy.arrived = sorted(policy.queued.values()), []


def queue_of(policy: PolicyEntry) -> list[QueueKey]:
    """Return a policy's queue with everybody in place; items that ``queued`` does not confirm are stale."""
    if policy.arrived:
        if len(policy.arrived) <= _FEW:
            for place in policy.arrived:
                insort(policy.queue, place)
        else:
            policy.queue += policy.arrived
            policy.queue.sort()
        policy.arrived = []
    return policy.queue
