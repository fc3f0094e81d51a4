"""Goes through the queue of a policy and starts what may go. Called by ``step`` for every policy, each step.

Most steps have nothing to do here, or one new pod to judge. When something changed that could let any pod go, the policy is reopened and
the whole queue is passed through from its head, a bounded part in each step; a pass that has begun is finished before the next begins, so
that its tail is reached however often the policy reopens.
"""

from bisect import bisect_right
from typing import Final

from burster.engine import demand
from burster.engine import observe_world as world
from burster.engine.gates import Grant, Refusal, judge
from burster.engine.lifecycle_actions import start
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, QueueKey, State
from burster.model.pods import Resources


#: How many pods of one policy one step judges.
_JUDGED_MAX: Final = 256
#: Two pods that are alike in this get the same refusal until something is given back.
_Likeness = tuple[str, bool, Resources]


class _Pass:
    """What one step has found out about one policy."""

    __slots__ = ("blocked", "judged", "refusals")

    def __init__(self) -> None:
        self.judged = 0
        self.blocked: Refusal | None = None  #: nobody of this policy can go now
        self.refusals: dict[_Likeness, Refusal] = {}


def decide_policy(state: State, policy: PolicyEntry) -> None:
    """Try the queue of one policy: all of it where something changed, else what is new in it."""
    if policy.reopened and not policy.passing:
        policy.reopened, policy.passing, policy.cursor = False, True, None
    if not policy.passing and not policy.fresh:
        return
    found = _Pass()
    if policy.passing:
        _go_on_passing(state, policy, found)
        if policy.passing:
            return
    new = sorted({policy.queued[key] for key in policy.fresh if key in policy.queued})
    policy.fresh = []
    for position, place in enumerate(new):
        entry = _waiting(state, policy, place)
        if entry is None:
            continue
        if found.blocked is not None:
            _refuse_unless_spared(state, entry, found.blocked)
        elif found.judged >= _JUDGED_MAX:
            policy.fresh = [place[3] for place in new[position:]]
            return
        else:
            _try(state, entry, policy, found)


def _go_on_passing(state: State, policy: PolicyEntry, found: _Pass) -> None:
    queue = policy.queue  # may be made anew meanwhile: what is passed through is the list as it was
    position = 0 if policy.cursor is None else bisect_right(queue, policy.cursor)
    while position < len(queue) and found.judged < _JUDGED_MAX:
        place = queue[position]
        position += 1
        entry = _waiting(state, policy, place)
        if entry is not None:
            _try(state, entry, policy, found)
            if found.blocked is not None:
                break
        policy.cursor = place
    policy.passing = position < len(queue) and found.blocked is None


def _waiting(state: State, policy: PolicyEntry, place: QueueKey) -> PodEntry | None:
    if policy.queued.get(place[3]) != place:
        return None
    return state.pods.get(place[3])


def _try(state: State, entry: PodEntry, policy: PolicyEntry, found: _Pass) -> None:
    """Judge one pod, and start its burst where it may go."""
    spare = _spare_clone(state, entry)
    if spare is not None:
        world.cover(state, spare, entry)
        return
    pod = entry.pod
    likeness = (pod.workload.kind if pod.workload else "", pod.owner is None, pod.requests)
    known = found.refusals.get(likeness)
    if known is not None:
        _refuse(state, entry, known)
        return
    found.judged += 1
    answer = judge(state, entry, policy)
    if isinstance(answer, Grant):
        demand.dequeue(state, pod, policy.policy.key)
        start(state, entry, policy, answer)
        return
    _refuse(state, entry, answer)
    if answer.again_at_ms is not None:
        state.at(answer.again_at_ms, "reopen", policy.policy.key)
    if answer.whole_policy:
        found.blocked = answer
        policy.too_few = answer.reason.code == "TooFew"
    else:
        found.refusals[likeness] = answer


def _refuse(state: State, entry: PodEntry, refusal: Refusal) -> None:
    verdict = (refusal.verdict, refusal.reason.code)
    if entry.verdict == verdict:
        return
    entry.verdict = verdict
    state.decide(refusal.verdict, refusal.reason, policy=entry.policy, subject=entry.pod.key)


def _refuse_unless_spared(state: State, entry: PodEntry, refusal: Refusal) -> None:
    spare = _spare_clone(state, entry)
    if spare is None:
        _refuse(state, entry, refusal)
    else:
        world.cover(state, spare, entry)


def _spare_clone(state: State, entry: PodEntry) -> BurstEntry | None:
    """Return a clone of the same workload that answers nobody, the longest spare first."""
    if not state.spares or entry.pod.workload is None:
        return None
    spare = [
        burst
        for burst in (state.bursts[key] for key in state.spares)
        if burst.burst.policy_key == entry.policy and world.same_workload(burst, entry.pod)
    ]
    return min(spare, key=lambda burst: (burst.surplus_since_ms or 0, burst.burst.key), default=None)
