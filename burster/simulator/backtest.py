"""When would a policy's metric triggers have fired? The policy's own arithmetic over what a real Prometheus remembers.

Called by `burster policy backtest`. At each step of the range every prometheus and cron trigger has a value or is missing, as it would
have been for the engine: an empty answer is 0 where the trigger says so and Prometheus was there at all; where it was not, the value is
missing, which neither starts nor ends anything. What can't be known afterwards (pending pods, use of cpu, ``when``) is left out and said.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from burster.engine.autoscale import activity, arithmetic, limits
from burster.model.errors import InputError
from burster.model.policies import Policy
from burster.model.scaling import Scaling
from burster.model.triggers import CronTrigger, PrometheusTrigger, Trigger
from burster.model.windows import Window
from burster.policy.formula import compile_formula
from burster.policy.windows import in_force, is_open
from burster.simulator.backtest_series import Readings, read_presence, read_trigger
from burster.simulator.traces.record import PrometheusServer, Range, check_question


STEPS_MAX: Final = 2_000_000
#: the value of a cron trigger is its number against a target of 1
_CRON_TARGET_MILLI: Final = 1_000


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The values in milli-units (None: missing), whether a trigger fired, and the replicas that were asked for, for a step from then on.

    The last one, at the end of the range, stands for no time: what came after is nobody's question.
    """

    at_ms: int
    values: tuple[int | None, ...]
    active: bool
    in_force: bool
    replicas: int

    @property
    def missing(self) -> bool:
        """Whether any value was missing."""
        return any(value is None for value in self.values)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """From the first moment at which the policy asked for replicas to the first at which it no longer did."""

    start_ms: int
    end_ms: int
    trigger: str  #: the first that was above its activation value
    peaks_milli: tuple[int | None, ...]  #: the largest value of each trigger
    replicas: int  #: the largest number
    missing_ms: int


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """What came out."""

    policy: str
    span: Range
    triggers: tuple[str, ...]
    left_out: tuple[str, ...]
    moments: tuple[Moment, ...]
    spans: tuple[Span, ...]

    @property
    def active_ms(self) -> int:
        """How long replicas were asked for."""
        return sum(one.replicas > 0 for one in self.moments[:-1]) * self.span.step_ms

    @property
    def missing_ms(self) -> int:
        """How long a value was missing."""
        return sum(one.missing for one in self.moments[:-1]) * self.span.step_ms

    @property
    def replica_ms(self) -> int:
        """Replicas times time."""
        return sum(one.replicas for one in self.moments[:-1]) * self.span.step_ms

    @property
    def peak(self) -> int:
        """The largest number of replicas."""
        return max((one.replicas for one in self.moments), default=0)


def backtest(
    policy: Policy, url: str, span: Range, *, token: str = "", progress: Callable[[int, int], None] | None = None
) -> Backtest:
    """Ask a Prometheus and return when the policy would have fired. ``progress`` is told of pieces done and pieces in all.

    Raises InputError where the policy has nothing to ask for, or the answers can't be used.
    """
    check_question(url, span)
    steps = (span.end_ms - span.start_ms) // span.step_ms + 1
    if steps > STEPS_MAX:
        raise InputError(f"{steps} steps are more than {STEPS_MAX}: choose fewer days or a longer step")
    used = [one for one in policy.triggers if isinstance(one, PrometheusTrigger | CronTrigger)]
    queries = [one for one in used if isinstance(one, PrometheusTrigger)]
    if not queries:
        raise InputError(f"policy {policy.key} has no prometheus trigger, so there is nothing to ask a Prometheus for")
    total = len(queries) + 1
    with PrometheusServer(url, token) as server:
        presence = read_presence(server, span)
        readings: dict[str, Readings] = {}
        for done, trigger in enumerate(queries, start=1):
            if progress is not None:
                progress(done, total)
            readings[trigger.name] = read_trigger(server, trigger, span, presence)
    if progress is not None:
        progress(total, total)
    moments = tuple(_replay(policy, used, readings, span))
    return Backtest(
        policy=policy.key,
        span=span,
        triggers=tuple(one.name for one in used),
        left_out=tuple(_left_out(policy)),
        moments=moments,
        spans=tuple(_spans(moments, used, span)),
    )


def _left_out(policy: Policy) -> Iterator[str]:
    for trigger in policy.triggers:
        if not isinstance(trigger, PrometheusTrigger | CronTrigger):
            yield f"trigger {trigger.name}: what it counted then is not on record"
    if policy.when:
        yield "when: what it depends on is not on record, so it is taken to hold"
    if policy.scaling.fallback is not None:
        yield "fallback: missing values are taken for gaps in the record, not for failed polls"


def _replay(
    policy: Policy, triggers: Sequence[PrometheusTrigger | CronTrigger], readings: dict[str, Readings], span: Range
) -> Iterator[Moment]:
    """Yield what the policy would have done at each step, from nothing on."""
    scaler = _Scaler(policy.scaling, triggers)
    for index, at_ms in enumerate(range(span.start_ms, span.end_ms + 1, span.step_ms)):
        values = tuple(
            readings[one.name].milli[index] if isinstance(one, PrometheusTrigger) else _cron_milli(one, at_ms)
            for one in triggers
        )
        allowed = in_force(policy.windows, policy.blackouts, at_ms).open
        active = scaler.step(values, at_ms, allowed=allowed)
        yield Moment(at_ms=at_ms, values=values, active=active, in_force=allowed, replicas=scaler.current)


def _cron_milli(trigger: CronTrigger, at_ms: int) -> int:
    window = Window(timezone=trigger.timezone, start=trigger.start, end=trigger.end)
    return trigger.desired_replicas * 1000 if is_open(window, at_ms) else 0


class _Goal(NamedTuple):
    """A value (None: missing), what one replica takes of it, above what it is active, and whether it is shared by all replicas."""

    milli: int | None
    target_milli: int
    activation_milli: int
    shared: bool


class _Scaler:
    """KEDA's poll and the HPA's sync, both at every step."""

    def __init__(self, scaling: Scaling, triggers: Sequence[Trigger]) -> None:
        self.current = activity.rest_number(scaling)
        self._scaling, self._triggers = scaling, triggers
        self._history = limits.History()
        self._last_active_at_ms: int | None = None
        self._begun_at_ms: int | None = None
        modifiers = scaling.modifiers
        names = [one.name for one in triggers]
        self._formula = compile_formula(modifiers.formula, names) if modifiers else None

    def step(self, values: tuple[int | None, ...], at_ms: int, *, allowed: bool) -> bool:
        """Take one step and return whether a trigger was above its activation value while the policy was in force."""
        begun = self._begun_at_ms = at_ms if self._begun_at_ms is None else self._begun_at_ms
        goals = self._goals(values)
        active = allowed and any(one.milli is not None and one.milli > one.activation_milli for one in goals)
        found = activity.Poll(
            current=self.current,
            active=active,
            failed=any(one.milli is None for one in goals),
            last_active_at_ms=self._last_active_at_ms,
            created_at_ms=begun,
            now_ms=at_ms,
        )
        polled = activity.poll(found, self._scaling)
        self._last_active_at_ms = polled.last_active_at_ms
        if polled.replicas is not None:
            self._set(polled.replicas, at_ms)
            if not polled.replicas:
                self._history = limits.History()
        elif self.current > 0:
            self._sync(goals if allowed else [one._replace(milli=0) for one in goals], at_ms)
        return active

    def _goals(self, values: tuple[int | None, ...]) -> list[_Goal]:
        """Return the goal of each metric: of the composite one, or one for each trigger."""
        modifiers = self._scaling.modifiers
        if modifiers is None or self._formula is None:
            return [
                _Goal(
                    value,
                    _CRON_TARGET_MILLI if isinstance(one, CronTrigger) else one.threshold_milli,
                    one.activation_milli,
                    one.metric_type != "Value",
                )
                for one, value in zip(self._triggers, values, strict=True)
            ]
        named = {
            one.name: None if value is None else value / 1000 for one, value in zip(self._triggers, values, strict=True)
        }
        composite = arithmetic.milli_of(self._formula.value(named))
        return [_Goal(composite, modifiers.target_milli, modifiers.activation_milli, modifiers.metric_type != "Value")]

    def _sync(self, goals: list[_Goal], at_ms: int) -> None:
        scaling = self._scaling
        tolerance = arithmetic.Tolerance()
        if scaling.behavior is not None:
            tolerance = arithmetic.Tolerance(
                down_milli=scaling.behavior.scale_down.tolerance_milli,
                up_milli=scaling.behavior.scale_up.tolerance_milli,
            )
        proposals = {str(index): self._proposal(goal, tolerance) for index, goal in enumerate(goals)}
        combined = arithmetic.combine(proposals, spec_replicas=self.current)
        if combined.replicas is None:
            return
        self._history = limits.begin(self._history, self.current, at_ms)
        limited = limits.limit(
            combined.replicas,
            current=self.current,
            bounds=limits.Bounds(max(1, scaling.min_replicas), scaling.max_replicas),
            behavior=scaling.behavior,
            history=self._history,
            now_ms=at_ms,
        )
        self._history = limited.history
        self._set(limited.replicas, at_ms)

    def _proposal(self, goal: _Goal, tolerance: arithmetic.Tolerance) -> int | None:
        if goal.milli is None:
            return None
        if goal.shared:
            return arithmetic.propose_average(
                goal.milli, goal.target_milli, status_replicas=self.current, tolerance=tolerance
            )
        return arithmetic.propose_value(
            goal.milli,
            goal.target_milli,
            spec_replicas=self.current,
            ready_replicas=self.current,
            status_replicas=self.current,
            tolerance=tolerance,
        )

    def _set(self, replicas: int, at_ms: int) -> None:
        replicas = min(replicas, self._scaling.max_replicas)
        self._history = limits.note_change(
            self._history, self._scaling.behavior, old=self.current, new=replicas, now_ms=at_ms
        )
        self.current = replicas


def _spans(moments: Sequence[Moment], triggers: Sequence[Trigger], span: Range) -> Iterator[Span]:
    """Yield the spans in which replicas were asked for."""
    run: list[Moment] = []
    for moment in moments:
        if moment.replicas > 0:
            run.append(moment)
        elif run:
            yield _span(run, triggers, span)
            run = []
    if run:
        yield _span(run, triggers, span)


def _span(run: Sequence[Moment], triggers: Sequence[Trigger], span: Range) -> Span:
    end_ms = min(run[-1].at_ms + span.step_ms, span.end_ms)
    peaks = tuple(
        max((value for one in run if (value := one.values[index]) is not None), default=None)
        for index in range(len(triggers))
    )
    first = run[0].values
    above = (
        one.name
        for one, value in zip(triggers, first, strict=True)
        if value is not None and value > one.activation_milli
    )
    return Span(
        start_ms=run[0].at_ms,
        end_ms=end_ms,
        trigger=next(above, ""),
        peaks_milli=peaks,
        replicas=max(one.replicas for one in run),
        missing_ms=sum(one.missing for one in run if one.at_ms < span.end_ms) * span.step_ms,
    )
