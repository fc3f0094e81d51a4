"""The whole engine's only entry: observe what happened, let what is due fall due, then decide.

``step`` is deterministic: the same state, stimuli and time give the same instructions and decisions, byte for byte. The state is
moved on in place and returned; nobody else moves it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from burster.engine import demand
from burster.engine import observe_bursts as bursts
from burster.engine import observe_world as world
from burster.engine.gates import Grant, Refusal, judge
from burster.engine.lifecycle_actions import start
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, State
from burster.engine.timers import fire_due
from burster.model import stimuli as s
from burster.model.decisions import Decision
from burster.model.instructions import Instruction, ListCloud
from burster.model.stimuli import Spend, Stimulus


#: Nothing is decided before each of these has said all it knew at start.
REQUIRED_SOURCES: Final = frozenset({"pods", "policies", "targets", "bursts", "cloud-pods"})
#: How many queued pods one step looks at when a policy reopens; the rest follow in the next steps.
_SCAN_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one step gives: the state moved on, what is to be done, what was decided, and what was finally spent."""

    state: State
    instructions: tuple[Instruction, ...]
    decisions: tuple[Decision, ...]
    spends: tuple[Spend, ...]


def initial_state() -> State:
    """Return the state of an engine that knows nothing yet."""
    return State()


def step(state: State, stimuli: Sequence[Stimulus], now_ms: int) -> StepResult:
    """Take facts in and return what follows from them. ``now_ms`` never runs backwards: an earlier time counts as the last one."""
    state.now_ms = max(state.now_ms, now_ms)
    for stimulus in stimuli:
        _HANDLERS[type(stimulus)](state, stimulus)
    if not state.ready and state.synced >= REQUIRED_SOURCES:
        _become_ready(state)
    if state.ready:
        fire_due(state)
        for key in sorted(state.policies):
            _decide_policy(state, state.policies[key])
        fire_due(state)
    result = StepResult(
        state=state,
        instructions=tuple(state.instructions),
        decisions=tuple(state.decisions),
        spends=tuple(state.spends),
    )
    state.instructions.clear()
    state.decisions.clear()
    state.spends.clear()
    return result


def next_due_ms(state: State) -> int | None:
    """Return when a step without stimuli would do something, or None where only the world can."""
    if not state.ready:
        return None
    if any(policy.reopened or policy.fresh for policy in state.policies.values()):
        return state.now_ms
    return state.timers[0][0] if state.timers else None


def _become_ready(state: State) -> None:
    """Every source has spoken: adopt what a predecessor left before anything new is decided."""
    state.ready = True
    for key in sorted(state.bursts):
        entry = state.bursts[key]
        if entry.burst.status.phase != "Released":
            bursts.resume(state, entry)


def _synced(state: State, stimulus: s.SourceSynced) -> None:
    state.synced.add(stimulus.source)


def _tick(state: State, stimulus: s.Tick) -> None:
    if stimulus.kind == "gc":
        world.prune(state)
        for name in sorted(state.targets):
            state.instructions.append(ListCloud(key=f"list/{name}", target=name, deadline_ms=60_000))


def _decide_policy(state: State, policy: PolicyEntry) -> None:
    """Try the queue of one policy: all of it where something changed, else what is new in it."""
    new = dict.fromkeys(policy.fresh)
    if policy.reopened:
        keys = [item[3] for item in policy.queue if item[3] in policy.queued]
    elif new:
        keys = list(new)
    else:
        return
    policy.reopened = False
    policy.fresh = []
    blocked: Refusal | None = None
    tried = 0
    for position, key in enumerate(keys):
        entry = state.pods.get(key)
        if entry is None or key not in policy.queued:
            continue
        if blocked is not None:
            # Nobody of this policy can go now; who is new is told so, who was told something before is not told again.
            if key in new or entry.verdict is None:
                _refuse(state, entry, blocked)
            continue
        if tried >= _SCAN_MAX:
            policy.fresh.extend(keys[position:])
            return
        tried += 1
        blocked = _try(state, entry, policy)


def _try(state: State, entry: PodEntry, policy: PolicyEntry) -> Refusal | None:
    """Judge one pod; return the refusal where it holds for the whole policy."""
    spare = _spare_clone(state, entry)
    if spare is not None:
        world.cover(state, spare, entry)
        return None
    answer = judge(state, entry, policy)
    if isinstance(answer, Grant):
        demand.dequeue(state, entry.pod, policy.policy.key)
        start(state, entry, policy, answer)
        return None
    _refuse(state, entry, answer)
    if answer.again_at_ms is not None:
        state.at(answer.again_at_ms, "reopen", policy.policy.key)
    return answer if answer.whole_policy else None


def _refuse(state: State, entry: PodEntry, refusal: Refusal) -> None:
    verdict = (refusal.verdict, refusal.reason.code)
    if entry.verdict == verdict:
        return
    entry.verdict = verdict
    state.decide(refusal.verdict, refusal.reason, policy=entry.policy, subject=entry.pod.key)


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


_HANDLERS: Final[dict[type[Any], Callable[[State, Any], None]]] = {
    s.SourceSynced: _synced,
    s.PolicySeen: world.policy_seen,
    s.PolicyGone: world.policy_gone,
    s.TargetSeen: world.target_seen,
    s.TargetGone: world.target_gone,
    s.OfferingsSeen: world.offerings_seen,
    s.QuotaSeen: world.quota_seen,
    s.PodSeen: world.pod_seen,
    s.PodLeft: world.pod_left,
    s.CapacitySeen: world.capacity_seen,
    s.BurstSeen: bursts.burst_seen,
    s.BurstGone: bursts.burst_gone,
    s.CloudPodSeen: bursts.cloud_pod_seen,
    s.CloudPodGone: bursts.cloud_pod_gone,
    s.SandboxFailed: bursts.sandbox_failed,
    s.BurstRecorded: bursts.burst_recorded,
    s.PodPlaced: bursts.pod_placed,
    s.PodDeleted: bursts.pod_deleted,
    s.PodReturned: bursts.pod_returned,
    s.VmsObserved: bursts.vms_observed,
    s.CloudListed: bursts.cloud_listed,
    s.VmDeleted: bursts.vm_deleted,
    s.StatusWritten: bursts.status_written,
    s.RecordDeleted: bursts.record_deleted,
    s.InstructionFailed: bursts.instruction_failed,
    s.LedgerRestored: world.ledger_restored,
    s.LedgerHealth: world.ledger_health,
    s.DrainRequested: world.drain_requested,
    s.DrainCancelled: world.drain_cancelled,
    s.Tick: _tick,
}
