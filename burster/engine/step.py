"""The whole engine's only entry: take in what happened, then decide, in nine paragraphs.

1. Absorb stimuli: each kind of fact has one handler, which notes it and asks for nothing but what the fact forces (``observe_*``,
   ``outcomes``); then what is due falls due (``timers``).
2. Demand: which policy answers for which pod, and which pods are old enough to wait for it (``demand``).
3. Eligibility: is the policy in force, and may this pod go at all (``eligibility``)?
4. Gates: limits of number, rate, share and money, in the order in which they are told to people (``gates``).
5. Offerings, ranked: the cheapest place that fits, under quota, refusals and spread (``offerings``).
6. Reserve: the worst case is set aside before anything is asked for (``money``).
7. Plan: the Burst is decided, its record asked for (``lifecycle_actions``); policies take turns, one burst each (``queues``).
8. Releases: what is no longer needed comes home (``timers``, ``ending``).
9. Explain: every pending pod has been told one verdict, and every policy's status says what burster makes of it.

3 to 7 are asked once for pods that are alike, and for as many pods as money and limits allow.

``step`` is deterministic: the same state, stimuli and time give the same instructions and decisions, byte for byte. The state is
moved on in place and returned; nobody else moves it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from burster.engine import demand, eligibility, pauses, policy_events, policy_status, queues, target_status
from burster.engine import observe_rules as rules
from burster.engine import observe_targets as targets
from burster.engine import observe_world as world
from burster.engine.accounting import budgets
from burster.engine.bursts import failures, machines, observe_vms, outcomes
from burster.engine.bursts import observe_bursts as bursts
from burster.engine.bursts import observe_pods as cloud_pods
from burster.engine.bursts.adoption import restore_breaker, resume
from burster.engine.numbers import metrics, replicas
from burster.engine.offers import quotas
from burster.engine.releasing import leaving
from burster.engine.releasing.releases import release
from burster.engine.state import State
from burster.engine.sweeping import compare, deleting
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
    state.turn += 1
    _absorb(state, stimuli)  # 1
    if state.ready:
        _decide(state)  # 2 to 9
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


def _absorb(state: State, stimuli: Sequence[Stimulus]) -> None:
    """Take everything in before anything is decided."""
    for stimulus in stimuli:
        _HANDLERS[type(stimulus)](state, stimulus)
    demand.settle(state)
    if not state.ready and state.synced >= REQUIRED_SOURCES:
        _become_ready(state)


def _decide(state: State) -> None:
    """Let what is due fall due, start what may go, bring home what is not needed, and say why."""
    state.deciding = True
    replicas.take_stock(state)  # what somebody else has started counts before anything is granted
    fire_due(state)  # 2: who has become old enough waits in its policy's queue
    eligibility.hear_metrics(state)
    queues.serve(state)  # 3 to 7
    replicas.serve(state)  # 3 to 7, where demand is a number
    release(state)  # 8
    leaving.serve(state)
    fire_due(state)  # what the decisions above made due at once
    demand.say_unmatched(state)  # 9
    demand.say_ambiguous(state)
    policy_status.explain(state)
    target_status.explain(state)
    policy_events.tell_decided(state)
    state.deciding = False
    state.seen.clear()


def _without_superseded(instructions: list[Instruction]) -> tuple[Instruction, ...]:
    """Leave out status writes that a later one of the same step replaces."""
    latest = {one.key: one for one in instructions if isinstance(one, WriteStatus)}
    if not latest:
        return tuple(instructions)
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
    if state.ready and state.shares_moved:
        return True
    return state.ready and any(policy.reopened or policy.passing or policy.fresh for policy in state.policies.values())


def is_idle(state: State, stimuli: Sequence[Stimulus], now_ms: int) -> bool:
    """Say whether a step would change nothing: ticks alone, nothing due, nobody to look at. A replay does not miss it."""
    if unfinished(state) or (state.ready and state.timers and state.timers[0][0] <= now_ms):
        return False
    return all(isinstance(stimulus, s.Tick) and stimulus.kind != "gc" for stimulus in stimuli)


def _become_ready(state: State) -> None:
    """Every source has spoken: adopt what a predecessor left before anything new is decided."""
    state.ready = True
    state.learned.since_ms = state.now_ms
    for key in sorted(state.bursts):
        entry = state.bursts[key]
        if entry.burst.status.phase != "Released":
            resume(state, entry)
        restore_breaker(state, entry)
    quotas.recount(state, state.targets)


def _synced(state: State, stimulus: s.SourceSynced) -> None:
    state.synced.add(stimulus.source)


def _tick(state: State, stimulus: s.Tick) -> None:
    if stimulus.kind == "gc" and state.ready:
        world.prune(state)
        targets.forget_old(state)
        compare.list_clouds(state)


_HANDLERS: Final[dict[type[Any], Callable[[State, Any], None]]] = {
    s.SourceSynced: _synced,
    s.PolicySeen: world.policy_seen,
    s.PolicyGone: world.policy_gone,
    s.PolicyRefused: rules.policy_refused,
    s.NamespaceSeen: rules.namespace_seen,
    s.NamespaceGone: rules.namespace_gone,
    s.TrusteeHealth: rules.trustee_health,
    s.TargetSeen: targets.target_seen,
    s.TargetRefused: targets.target_refused,
    s.TargetGone: targets.target_gone,
    s.TargetUnread: targets.target_unread,
    s.TargetChecked: targets.target_checked,
    s.OfferingsSeen: targets.offerings_seen,
    s.QuotaSeen: targets.quota_seen,
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
    s.VmsObserved: observe_vms.vms_observed,
    s.MachineLaunched: machines.launched,
    s.MachineDeleted: machines.deleted,
    s.EndpointPublished: machines.endpoint_published,
    s.CloudListed: compare.cloud_listed,
    s.VmDeleted: deleting.vm_deleted,
    s.ResourceDeleted: deleting.resource_deleted,
    s.StatusWritten: outcomes.status_written,
    s.RecordDeleted: outcomes.record_deleted,
    s.PolicyStatusWritten: policy_status.written,
    s.TargetStatusWritten: target_status.written,
    s.PolicyReleased: leaving.released,
    s.WorkloadSeen: metrics.workload_seen,
    s.WorkloadGone: metrics.workload_gone,
    s.MetricRead: metrics.metric_read,
    s.ResourceRead: metrics.resource_read,
    s.MetricFailed: metrics.metric_failed,
    s.ScaleSet: replicas.set_scale_answered,
    s.SignalPublished: replicas.signal_answered,
    s.InstructionFailed: failures.instruction_failed,
    s.LedgerRestored: world.ledger_restored,
    s.LedgerHealth: world.ledger_health,
    s.ClusterLimitsSeen: budgets.cluster_limits_seen,
    s.ClusterStop: pauses.cluster_stop_heard,
    s.DrainRequested: world.drain_requested,
    s.DrainCancelled: world.drain_cancelled,
    s.Tick: _tick,
}
