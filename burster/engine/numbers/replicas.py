"""Policies whose demand is a number: KEDA's poll and the HPA's sync in virtual time, from what the triggers say to what is done.

Called by ``step`` in each step. A poll takes a number from zero (or the idle number) and back, a sync moves it in between; a reading
that activates is answered at once, as KEDA answers a push. What the number is held to by gates, limits and money, and who carries it out,
is for ``replica_scale`` (SetScale), ``replica_signals`` (PublishSignal), ``replica_clones`` and ``replica_machines`` (bursts). While a
value is missing nothing is bought and nothing is given up because of it.
"""

from typing import Final

from burster.engine import pauses
from burster.engine.autoscale.activity import Poll, poll, rest_number
from burster.engine.autoscale.limits import Bounds, begin, limit, note_change
from burster.engine.numbers import (
    metrics,
    proposing,
    replica_answers,
    replica_clones,
    replica_machines,
    replica_scale,
    replica_signals,
)
from burster.engine.numbers.proposing import Replicas, Weighed
from burster.engine.numbers.scaler import Scaler
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import PublishSignal, SetScale
from burster.model.scaling import Behavior, Direction
from burster.model.stimuli import InstructionFailed, ScaleSet, SignalPublished


#: What KEDA's own HPA does to a published number is not done twice: without rules of its own, Signal publishes what is proposed.
_UNLIMITED: Final = Behavior(
    scale_up=Direction(stabilization_ms=0, select="Min", steps=()),
    scale_down=Direction(stabilization_ms=0, select="Min", steps=()),
)


def serve(state: State) -> None:
    """Look at every policy whose demand is a number, as far as something is due or has changed."""
    for key in sorted(state.policies):
        entry = state.policies[key]
        if key in state.leaving:
            continue
        if entry.policy.numeric:
            _serve(state, entry)
            continue
        state.shares_moved.discard(key)
        if entry.scaler is not None and entry.scaler.strategy:
            replica_signals.withdraw(state, key, entry.scaler)
            entry.scaler = None  # its rules were about a number, and are no longer
    replica_scale.look_after(state)
    state.shares_moved.intersection_update(state.policies)
    state.scaling_open.clear()
    state.workloads_changed.clear()


def take_stock(state: State) -> None:
    """Count what is there already, before anybody is served."""
    replica_scale.take_stock(state)


def set_scale_answered(state: State, stimulus: ScaleSet) -> None:
    """A workload's number was set."""
    replica_answers.confirmed(state, stimulus)


def signal_answered(state: State, stimulus: SignalPublished) -> None:
    """A policy's number was published."""
    replica_signals.confirmed(state, stimulus)


def failed(state: State, stimulus: InstructionFailed) -> None:
    """A number could not be set or published: it is asked for again, as it is by then."""
    if stimulus.instruction == SetScale.__name__:
        replica_answers.failed(state, stimulus)
    elif stimulus.instruction == PublishSignal.__name__:
        replica_signals.failed(state, stimulus)


def _serve(state: State, entry: PolicyEntry) -> None:
    scaler = entry.scaler
    if scaler is None or scaler.strategy != entry.policy.placement.strategy:
        scaler = _begin(state, entry)
    now_ms, key = state.now_ms, entry.policy.key
    heard = key in state.scaling_open
    pods = len(entry.queued)
    news = replica_scale.has_news(state, entry) or replica_clones.has_news(entry)
    woken = not scaler.active_value and (heard or news or pods != scaler.pods_counted)
    polls, syncs = now_ms >= scaler.poll_due_ms, now_ms >= scaler.sync_due_ms
    moved = key in state.shares_moved
    if not (polls or syncs or woken or news or moved):
        return
    state.shares_moved.discard(key)
    replicas = replicas_of(state, entry)
    if replicas is not None:
        replica_scale.follow(state, entry, scaler)
        begun = scaler.number
        if polls or woken:
            _poll(state, entry, scaler, replicas, counted=polls)
            scaler.pods_counted = pods
        if syncs and scaler.number == begun:
            _sync(state, entry, scaler, replicas)
    if polls:
        scaler.poll_due_ms = now_ms + entry.policy.scaling.polling_ms
    if syncs:
        scaler.sync_due_ms = now_ms + entry.policy.scaling.sync_ms
    _wake(state, entry, scaler)
    _carry_out(state, entry, scaler)


def _begin(state: State, entry: PolicyEntry) -> Scaler:
    """Take a policy up: the number that is there is the one to go on from, whoever has set it."""
    scaling = entry.policy.scaling
    replica_signals.withdraw(state, entry.policy.key, entry.scaler)
    scaler = entry.scaler = Scaler(
        created_at_ms=state.now_ms,
        strategy=entry.policy.placement.strategy,
        poll_due_ms=state.now_ms,
        sync_due_ms=state.now_ms + scaling.sync_ms,
    )
    if entry.policy.placement.strategy == "Signal":
        scaler.number = scaler.granted = replica_signals.adopted(state, entry)
    elif entry.policy.placement.strategy == "Scale":
        found = replica_scale.replicas_of(state, entry)
        scaler.number = 0 if found is None else found.spec
    else:
        scaler.number = replica_clones.adopted(state, entry)
    return scaler


def _wake(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    key = entry.policy.key
    state.at(scaler.poll_due_ms, "scaling", key)
    state.at(scaler.sync_due_ms, "scaling", key)
    change_ms = metrics.next_cron_change_ms(state, entry.policy)
    if change_ms is not None:
        scaler.poll_due_ms = min(scaler.poll_due_ms, change_ms)
        state.at(change_ms, "scaling", key)


def replicas_of(state: State, entry: PolicyEntry) -> Replicas | None:
    """Return the numbers to count on from; None where the workload is not known."""
    strategy = entry.policy.placement.strategy
    if strategy == "Scale":
        return replica_scale.replicas_of(state, entry)
    if strategy == "Signal":
        return replica_signals.replicas_of(state, entry)
    return replica_clones.replicas_of(state, entry)


def _poll(state: State, entry: PolicyEntry, scaler: Scaler, replicas: Replicas, *, counted: bool) -> None:
    """Do what KEDA's scale loop does; ``counted``: it is its time, not only news."""
    if counted:
        metrics.note_poll(state, entry)
    weighed = _weigh(state, entry, scaler, replicas)
    found = Poll(
        current=replicas.spec,
        active=weighed.active,
        failed=weighed.failed,
        last_active_at_ms=scaler.last_active_at_ms,
        created_at_ms=scaler.created_at_ms,
        now_ms=state.now_ms,
    )
    polled = poll(found, entry.policy.scaling)
    scaler.last_active_at_ms = polled.last_active_at_ms
    if weighed.active or not weighed.failed:
        scaler.active, scaler.known = weighed.active, True
    if polled.replicas is not None and polled.replicas < replicas.spec and pauses.keeps_what_runs(entry.policy):
        _want(scaler, replicas.spec, (pauses.kept(entry.policy, replicas.spec, polled.replicas), polled.reason))
    elif polled.replicas is not None and polled.replicas != replicas.spec:
        _want(scaler, polled.replicas, (polled.reason, *proposing.describe(weighed)))
    elif not weighed.active and replicas.spec <= rest_number(entry.policy.scaling) < scaler.number:
        # what was wanted and could not be had is not wanted any more
        _want(scaler, replicas.spec, (polled.reason, *proposing.describe(weighed)))


def _weigh(state: State, entry: PolicyEntry, scaler: Scaler, replicas: Replicas) -> Weighed:
    weighed = proposing.weigh(entry.policy, metrics.facts(state, entry), replicas)
    scaler.active_value, scaler.fallback = weighed.active, weighed.fallback
    return weighed


def _sync(state: State, entry: PolicyEntry, scaler: Scaler, replicas: Replicas) -> None:
    """Do what the HPA does every 15 s; from zero on it is asleep, that is the poll's."""
    scaling = entry.policy.scaling
    behavior = scaling.behavior
    if behavior is None and entry.policy.placement.strategy == "Signal":
        behavior = _UNLIMITED
    current = replicas.spec
    scaler.history = begin(scaler.history, current, state.now_ms)
    bounds = Bounds(max(1, scaling.min_replicas), max(1, scaling.max_replicas))
    if current == 0:
        return
    wanted, chain = current, scaler.chain
    if current > bounds.maximum:
        wanted, chain = bounds.maximum, (_outside(current, bounds.maximum, "above maxReplicaCount"),)
    elif current < bounds.minimum:
        wanted, chain = bounds.minimum, (_outside(current, bounds.minimum, "below minReplicaCount"),)
    else:
        weighed = _weigh(state, entry, scaler, replicas)
        combined, proposals = proposing.propose(entry.policy, weighed, replicas)
        if combined.replicas is None:
            wanted, chain = current, (_missing(combined.failing, len(weighed.metrics)), *proposals)
        else:
            limited = limit(
                combined.replicas,
                current=current,
                bounds=bounds,
                behavior=behavior,
                history=scaler.history,
                now_ms=state.now_ms,
            )
            scaler.history, wanted = limited.history, limited.replicas
            chain = (limited.reasons[-1], *proposals, *limited.reasons[:-1])
            if wanted < current and pauses.keeps_what_runs(entry.policy):
                wanted, chain = current, (pauses.kept(entry.policy, current, wanted), *chain)
    scaler.history = note_change(scaler.history, behavior, old=current, new=wanted, now_ms=state.now_ms)
    _want(scaler, wanted, chain)


def _want(scaler: Scaler, number: int, chain: tuple[Reason, ...]) -> None:
    scaler.number, scaler.chain = number, chain


def _outside(current: int, bound: int, how: str) -> Reason:
    return Reason(
        code="OutsideBounds",
        sentence=f"{current} are there, which is {how} {bound}.",
        numbers={"current": current, "bound": bound},
    )


def _missing(failing: int, of: int) -> Reason:
    return Reason(
        code="MetricsMissing",
        sentence=f"{failing} of {of} values are missing, so nothing is given up: the number stays.",
        numbers={"missing": failing, "metrics": of},
    )


def _carry_out(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    strategy = entry.policy.placement.strategy
    if strategy == "Scale":
        replica_scale.carry_out(state, entry, scaler)
    elif strategy == "Signal":
        replica_signals.carry_out(state, entry, scaler)
    elif strategy == "Machine":
        replica_machines.carry_out(state, entry, scaler)
    else:
        replica_clones.carry_out(state, entry, scaler)
