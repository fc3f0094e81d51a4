"""Goes through the queue of a policy and starts what may go. Called by ``step`` for every policy, each step.

Most steps have nothing to do here, or one new pod to judge. When something changed that could let any pod go, the policy is reopened and
the whole queue is passed through from its head; a pass that has begun is finished before the next begins, so that its tail is reached
however often the policy reopens. Pods that are alike are judged once: a refusal holds for all of them until something is given back, and
nothing is given back while pods are judged. What one step judges is bounded; who is left is judged by the next.

Policies take turns, each starting one burst in its own, so that the last of what they share is not the first policy's alone.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from burster.engine import demand
from burster.engine import observe_world as world
from burster.engine.answers import Refusal
from burster.engine.bursts.starting import Series, start
from burster.engine.gates import again, judge
from burster.engine.offers import offerings
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, QueueKey, State
from burster.engine.turns import Turns
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.policies import Policy


#: How many judgements one step makes, for all policies together; pods that are alike and refused are one. As many as keep a step
#: over 10,000 pods within a quarter of a second, whatever they are answered.
JUDGEMENTS_MAX: Final = 4_000
#: From how many new pods on a queue may be passed through as a whole.
_MANY: Final = 256
#: Strategies that answer pods by a number of replicas, each pod adding to it.
_BY_NUMBER: Final = frozenset({"Scale", "Signal", "Machine"})
_COUNTED: Final = Refusal(
    verdict="Wait",
    reason=Reason(
        code="CountedForReplicas",
        sentence="It counts towards the number of replicas that the policy asks for; no burst is made for it alone.",
    ),
)
_COUNTED_FOR_MACHINES: Final = Refusal(
    verdict="Wait",
    reason=Reason(
        code="CountedForMachines",
        sentence="It counts towards the number of machines that the policy asks for, and stays where it is; no burst is made for it.",
    ),
)
_SparesKey = tuple[str, str, str]  #: policy, and its workload's kind and name


def counted(rules: Policy) -> Refusal | None:
    """Return what a pod is told that is only counted, by strategies that answer no pod; None by the others."""
    if rules.placement.strategy not in _BY_NUMBER:
        return None
    return _COUNTED if rules.machine is None else _COUNTED_FOR_MACHINES


class _Turn:
    """What one step may still do, and what all policies look up in it."""

    __slots__ = ("left", "spares")

    def __init__(self, state: State) -> None:
        self.left = JUDGEMENTS_MAX
        #: clones that answer nobody, the longest spare last
        self.spares: dict[_SparesKey, list[BurstEntry]] = {}
        for key in sorted(state.spares):
            burst = state.bursts[key]
            ref = burst.burst.spec.workload
            if ref is not None:
                self.spares.setdefault((burst.burst.policy_key, ref.kind, ref.name), []).append(burst)
        for spare in self.spares.values():
            spare.sort(key=lambda burst: (burst.surplus_since_ms or 0, burst.burst.key), reverse=True)


class _Pass:
    """One step's look at one policy's queue, and what it has found out."""

    __slots__ = ("blocked", "counted", "each", "policy", "refusals", "series", "state", "turn")

    def __init__(self, state: State, policy: PolicyEntry, turn: _Turn) -> None:
        self.state, self.policy, self.turn = state, policy, turn
        self.blocked: Refusal | None = None  #: nobody of this policy can go now
        self.counted = counted(policy.policy)
        self.each = _is_told_apart(policy.policy)
        self.refusals: dict[object, Refusal] = {}  #: for pods that are alike
        self.series: dict[object, Series] = {}  #: of bursts for pods that are alike, by the latest grant


def serve(state: State) -> None:
    """Let every policy start what may go: one burst in each turn, in the order of ``turns``."""
    busy = {key: entry for key, entry in state.policies.items() if _has_work(entry)}
    if not busy:
        return
    turn = _Turn(state)
    going = {key: _decide_policy(_Pass(state, entry, turn)) for key, entry in busy.items()}
    if len(going) == 1:
        for alone in going.values():
            for _ in alone:
                pass
        return
    turns = Turns(state, busy)
    while key := turns.next():
        if next(going[key], None) is not None:
            turns.again(key)


def _has_work(policy: PolicyEntry) -> bool:
    return policy.reopened or policy.passing or bool(policy.fresh)


def _decide_policy(now: _Pass) -> Iterator[bool]:
    """Try the queue of one policy: all of it where something changed, else what is new in it. Yields after each start."""
    policy, turn = now.policy, now.turn
    if not policy.passing and (policy.reopened or _are_most(policy)):
        policy.reopened, policy.passing, policy.cursor = False, True, None
        policy.passed_by = len(policy.fresh)
    if policy.passing:
        yield from _go_on_passing(now)
        if policy.passing:
            return
        if now.blocked is None:
            del policy.fresh[: policy.passed_by]  # they were in the queue that was passed through
    if not policy.fresh or (turn.left <= 0 and now.blocked is None):
        return
    new = sorted(policy.queued[key] for key in dict.fromkeys(policy.fresh) if key in policy.queued)
    policy.fresh = []
    for position, place in enumerate(new):
        entry = _waiting(now, place)
        if entry is None:
            continue
        if now.blocked is not None:
            _refuse_unless_spared(now, entry, now.blocked)
        elif turn.left <= 0:
            policy.fresh = [place[3] for place in new[position:]]
            return
        elif _try(now, place[3], entry):
            yield True


def _are_most(policy: PolicyEntry) -> bool:
    """Say whether so much of a queue is new that passing through all of it costs no more than picking the new ones out."""
    return len(policy.fresh) > _MANY and 2 * len(policy.fresh) > len(policy.queued)


def _go_on_passing(now: _Pass) -> Iterator[bool]:
    policy, turn = now.policy, now.turn
    queue = demand.queue_of(policy)  # may be made anew meanwhile: what is passed through is the list as it was
    position = 0 if policy.cursor is None else bisect_right(queue, policy.cursor)
    while position < len(queue) and turn.left > 0:
        place = queue[position]
        position += 1
        entry = _waiting(now, place)
        started = entry is not None and _try(now, place[3], entry)
        if now.blocked is not None:
            break
        policy.cursor = place
        if started:
            yield True
    policy.passing = position < len(queue) and now.blocked is None


def _waiting(now: _Pass, place: QueueKey) -> PodEntry | None:
    key = place[3]
    return now.state.pods.get(key) if now.policy.queued.get(key) == place else None


def _try(now: _Pass, key: str, entry: PodEntry) -> bool:
    """Judge one pod, and start its burst where it may go. Say whether one was started."""
    state, policy = now.state, now.policy
    spare = _spare_clone(now, entry) if now.turn.spares else None
    if spare is not None:
        world.cover(state, spare, entry)
        return False
    likeness = key if now.each else entry.shape
    known = now.refusals.get(likeness)
    if known is not None:
        demand.say(state, entry, known.verdict, known.reason, known.others)
        return False
    now.turn.left -= 1
    answer = _start(now, key, entry, likeness)
    if answer is None:
        if now.refusals and _evens_out(policy.policy):
            now.refusals.clear()
            policy.reopened = True
        return True
    if answer.reason.code == "TooFew":
        answer = _why_not_counted(state, entry, policy) or answer
    demand.say(state, entry, answer.verdict, answer.reason, answer.others)
    if answer.again_at_ms is not None:
        state.at(answer.again_at_ms, "reopen", policy.policy.key)
    if answer.whole_policy:
        now.blocked = answer
        policy.too_few = answer.reason.code == "TooFew"
    else:
        now.refusals[likeness] = answer
    if any(one.code.endswith("ProviderShare") for one in (answer.reason, *answer.others)):
        state.share_waits[policy.policy.key] = None
    return False


def _start(now: _Pass, key: str, entry: PodEntry, likeness: object) -> Refusal | None:
    """Start a pod's burst: as the last alike one's where there is room for that, else as it is judged. Or return why not."""
    if now.counted is not None:
        return now.counted
    state, policy = now.state, now.policy
    series = now.series.get(likeness)
    reasons = None if series is None else again(state, entry.pod, series)
    if series is None or reasons is None:
        answer = judge(state, entry, policy)
        if isinstance(answer, Refusal):
            return answer
        series = now.series[likeness] = Series(state, policy, answer, entry.pod)
        reasons = answer.reasons
    demand.leave(policy, entry, key)
    start(state, entry, series, reasons)
    return None


def _why_not_counted(state: State, entry: PodEntry, policy: PolicyEntry) -> Refusal | None:
    """Tell a pod that no offering could hold so, rather than that too few wait: it does not count among them."""
    if offerings.could_hold(state, policy.policy, entry.pod.requests):
        return None
    choice = offerings.why_none_holds(state, policy.policy, entry.pod)
    if choice is None:
        return None
    return Refusal(verdict="Wait" if choice.waits else "Deny", reason=choice.reason, again_at_ms=choice.again_at_ms)


def _evens_out(rules: Policy) -> bool:
    """Say whether one burst may make room for another: where it is the share of a place that was too large."""
    spread = rules.placement.spread
    return bool(rules.limits.provider_shares) or (spread is not None and spread.required)


@lru_cache(maxsize=4_096)
def _tells_pods_apart(when: str) -> bool:
    return re.search(r"\bpod\b", when) is not None


def _is_told_apart(rules: Policy) -> bool:
    """Say whether alike pods may get different answers: a rule reads the pod itself, or weighs how long it has waited."""
    return rules.wait.mode == "BuyOrWait" or _tells_pods_apart(rules.when)


def _refuse_unless_spared(now: _Pass, entry: PodEntry, refusal: Refusal) -> None:
    spare = _spare_clone(now, entry) if now.turn.spares else None
    if spare is None:
        demand.say(now.state, entry, refusal.verdict, refusal.reason, refusal.others)
    else:
        world.cover(now.state, spare, entry)


def _spare_clone(now: _Pass, entry: PodEntry) -> BurstEntry | None:
    """Return a clone of the same workload that answers nobody, the longest spare first."""
    pod: Pod = entry.pod
    if pod.workload is None:
        return None
    spare = now.turn.spares.get((entry.policy, pod.workload.kind, pod.workload.name))
    while spare:
        burst = spare.pop()
        if burst.burst.key in now.state.spares and world.same_workload(burst, pod):
            return burst
    return None
