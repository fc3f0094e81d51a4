"""The whole engine's only entry: observe what happened, let what is due fall due, then decide.

``step`` is deterministic: the same state, stimuli and time give the same instructions and decisions, byte for byte. The state is
moved on in place and returned; nobody else moves it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from burster.engine import observe_bursts as bursts
from burster.engine import observe_pods as cloud_pods
from burster.engine import observe_world as world
from burster.engine import outcomes, policy_status, sweeping
from burster.engine.adoption import restore_breaker, resume
from burster.engine.queues import decide_policy
from burster.engine.state import State
from burster.engine.timers import fire_due
from burster.model import stimuli as s
from burster.model.decisions import Decision
from burster.model.instructions import Instruction, WriteStatus
from burster.model.stimuli import Spend, Stimulus


#: Nothing is decided before each of these has said all it knew at start.
REQUIRED_SOURCES: Final = frozenset({"pods", "policies", "targets", "bursts", "cloud-pods"})


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
            decide_policy(state, state.policies[key])
        fire_due(state)
        policy_status.explain(state)
    result = StepResult(
        state=state,
        instructions=_without_superseded(state.instructions),
        decisions=tuple(state.decisions),
        spends=tuple(state.spends),
    )
    state.instructions.clear()
    state.decisions.clear()
    state.spends.clear()
    return result


def _without_superseded(instructions: list[Instruction]) -> tuple[Instruction, ...]:
    """Leave out status writes that a later one of the same step replaces."""
    latest = {one.key: one for one in instructions if isinstance(one, WriteStatus)}
    return tuple(one for one in instructions if not isinstance(one, WriteStatus) or latest[one.key] is one)


def next_due_ms(state: State) -> int | None:
    """Return when a step without stimuli would do something, or None where only the world can."""
    if not state.ready:
        return None
    if unfinished(state):
        return state.now_ms
    return state.timers[0][0] if state.timers else None


def unfinished(state: State) -> bool:
    """Say whether the last step left pods to look at: the next one needs no news to go on."""
    return state.ready and any(policy.reopened or policy.passing or policy.fresh for policy in state.policies.values())


def is_idle(state: State, stimuli: Sequence[Stimulus], now_ms: int) -> bool:
    """Say whether a step would change nothing: ticks alone, nothing due, nobody to look at. A replay does not miss it."""
    if unfinished(state) or (state.ready and state.timers and state.timers[0][0] <= now_ms):
        return False
    return all(isinstance(stimulus, s.Tick) and stimulus.kind != "gc" for stimulus in stimuli)


def _become_ready(state: State) -> None:
    """Every source has spoken: adopt what a predecessor left before anything new is decided."""
    state.ready = True
    for key in sorted(state.bursts):
        entry = state.bursts[key]
        if entry.burst.status.phase != "Released":
            resume(state, entry)
        restore_breaker(state, entry)


def _synced(state: State, stimulus: s.SourceSynced) -> None:
    state.synced.add(stimulus.source)


def _tick(state: State, stimulus: s.Tick) -> None:
    if stimulus.kind == "gc" and state.ready:
        world.prune(state)
        sweeping.list_clouds(state)


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
    s.CloudPodSeen: cloud_pods.cloud_pod_seen,
    s.CloudPodGone: cloud_pods.cloud_pod_gone,
    s.SandboxFailed: cloud_pods.sandbox_failed,
    s.BurstRecorded: outcomes.burst_recorded,
    s.PodPlaced: outcomes.pod_placed,
    s.PodDeleted: outcomes.pod_deleted,
    s.PodReturned: outcomes.pod_returned,
    s.VmsObserved: outcomes.vms_observed,
    s.CloudListed: sweeping.cloud_listed,
    s.VmDeleted: sweeping.vm_deleted,
    s.StatusWritten: outcomes.status_written,
    s.RecordDeleted: outcomes.record_deleted,
    s.PolicyStatusWritten: policy_status.written,
    s.InstructionFailed: outcomes.instruction_failed,
    s.LedgerRestored: world.ledger_restored,
    s.LedgerHealth: world.ledger_health,
    s.DrainRequested: world.drain_requested,
    s.DrainCancelled: world.drain_cancelled,
    s.Tick: _tick,
}
