"""How far and how fast a number of replicas may move: stabilization, rates, and the bounds.

Called by ``engine.replicas`` with what the metrics propose. Without ``behavior`` the HPA's older rules hold; with one, its own. What is
remembered for that is a ``History``, a value: whoever calls keeps the new one.
"""

from typing import Final, NamedTuple

import msgspec

from burster.engine.autoscale.arithmetic import REPLICAS_MAX, ceil_div
from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms
from burster.model.scaling import Behavior, Direction, Step


#: --horizontal-pod-autoscaler-downscale-stabilization: how long recommendations hold a number up where there is no ``behavior``
STABILIZATION_MS: Final = 300_000
#: from few replicas, the older rules let it grow to this many at once
_FREE_GROWTH: Final = 4


class Sample(msgspec.Struct, frozen=True):
    """A number at a time: a recommendation, or a change."""

    at_ms: int
    replicas: int


class History(msgspec.Struct, frozen=True):
    """What the limits remember, oldest first; no older than the longest window that looks at it."""

    recommendations: tuple[Sample, ...] = ()
    added: tuple[Sample, ...] = ()
    removed: tuple[Sample, ...] = ()


class Bounds(NamedTuple):
    """The smallest and the largest number."""

    minimum: int
    maximum: int


class Limited(NamedTuple):
    """What is left of a proposal, why, and the new memory. ``reasons``: stabilization first, then the rate or the bound."""

    replicas: int
    reasons: tuple[Reason, ...]
    history: History


def begin(history: History, current: int, now_ms: int) -> History:
    """Return a history that has begun: the first recommendation is the number that is there."""
    if history.recommendations:
        return history
    return msgspec.structs.replace(history, recommendations=(Sample(now_ms, current),))


def limit(
    proposed: int, *, current: int, bounds: Bounds, behavior: Behavior | None, history: History, now_ms: int
) -> Limited:
    """Return how far a proposal may be followed now."""
    if behavior is None:
        return _limit_by_older_rules(proposed, current, bounds, history, now_ms)
    return _limit_by_behavior(proposed, current, bounds, behavior, history, now_ms)


def note_change(history: History, behavior: Behavior | None, *, old: int, new: int, now_ms: int) -> History:
    """Return the history after a change of the number. Without ``behavior`` nobody looks at changes."""
    if behavior is None or old == new:
        return history
    kept = msgspec.structs.replace(
        history,
        added=_since(history.added, now_ms - _longest_ms(behavior.scale_up, behavior.scale_down)),
        removed=_since(history.removed, now_ms - _longest_ms(behavior.scale_up, behavior.scale_down)),
    )
    if new > old:
        return msgspec.structs.replace(kept, added=(*kept.added, Sample(now_ms, new - old)))
    return msgspec.structs.replace(kept, removed=(*kept.removed, Sample(now_ms, old - new)))


def _limit_by_older_rules(proposed: int, current: int, bounds: Bounds, history: History, now_ms: int) -> Limited:
    recent = [one for one in history.recommendations if one.at_ms >= now_ms - STABILIZATION_MS]
    stable = max([proposed, *(one.replicas for one in recent)])
    history = msgspec.structs.replace(history, recommendations=(*recent, Sample(now_ms, proposed)))
    reasons = (_stabilized("ScaleDownStabilized", proposed, stable, STABILIZATION_MS),) if stable != proposed else ()
    growth = max(2 * current, _FREE_GROWTH)
    if stable < bounds.minimum:
        return Limited(bounds.minimum, (*reasons, _too_few(stable, bounds.minimum)), history)
    if stable > min(bounds.maximum, growth):
        if bounds.maximum > growth:
            return Limited(growth, (*reasons, _growing_too_fast(stable, growth)), history)
        return Limited(bounds.maximum, (*reasons, _too_many(stable, bounds.maximum)), history)
    return Limited(stable, reasons or (_within(stable),), history)


def _limit_by_behavior(
    proposed: int, current: int, bounds: Bounds, behavior: Behavior, history: History, now_ms: int
) -> Limited:
    up_ms, down_ms = behavior.scale_up.stabilization_ms, behavior.scale_down.stabilization_ms
    floor = min([proposed, *(one.replicas for one in history.recommendations if one.at_ms > now_ms - up_ms)])
    ceiling = max([proposed, *(one.replicas for one in history.recommendations if one.at_ms > now_ms - down_ms)])
    stable = min(max(current, floor), ceiling)
    recent = _since(history.recommendations, now_ms - max(up_ms, down_ms))
    history = msgspec.structs.replace(history, recommendations=(*recent, Sample(now_ms, proposed)))
    reasons: tuple[Reason, ...] = ()
    if stable != proposed and proposed >= current:
        reasons = (_stabilized("ScaleUpStabilized", proposed, stable, up_ms),)
    elif stable != proposed:
        reasons = (_stabilized("ScaleDownStabilized", proposed, stable, down_ms),)
    if stable > current:
        allowed = max(current, grown_at_most(behavior.scale_up, current, history, now_ms))
        if stable > min(bounds.maximum, allowed):
            if bounds.maximum > allowed:
                return Limited(allowed, (*reasons, _growing_too_fast(stable, allowed)), history)
            return Limited(bounds.maximum, (*reasons, _too_many(stable, bounds.maximum)), history)
    elif stable < current:
        allowed = min(current, shrunk_at_least(behavior.scale_down, current, history, now_ms))
        if stable < max(bounds.minimum, allowed):
            if bounds.minimum < allowed:
                return Limited(allowed, (*reasons, _shrinking_too_fast(stable, allowed)), history)
            return Limited(bounds.minimum, (*reasons, _too_few(stable, bounds.minimum)), history)
    return Limited(stable, reasons or (_within(stable),), history)


def grown_at_most(rules: Direction, current: int, history: History, now_ms: int) -> int:
    """Return the largest number that the rules for growing allow now; percents round up, so that every number can grow."""
    if rules.select == "Disabled":
        return current
    limits = [_grown(step, _at_start(step, current, history, now_ms)) for step in rules.steps]
    if rules.select == "Min":
        return min(limits, default=REPLICAS_MAX)
    return max(limits, default=current)


def shrunk_at_least(rules: Direction, current: int, history: History, now_ms: int) -> int:
    """Return the smallest number that the rules for shrinking allow now; percents round down, so that every number can shrink."""
    if rules.select == "Disabled":
        return current
    limits = [_shrunk(step, _at_start(step, current, history, now_ms)) for step in rules.steps]
    if rules.select == "Min":
        return max(limits, default=0)
    return min(limits, default=current)


def _grown(step: Step, start: int) -> int:
    if step.type == "Pods":
        return start + step.value
    return ceil_div(start * (100 + step.value), 100)


def _shrunk(step: Step, start: int) -> int:
    if step.type == "Pods":
        return start - step.value
    left = start * (100 - step.value)
    return left // 100 if left >= 0 else -(-left // 100)  # towards zero, as an integer conversion does


def _at_start(step: Step, current: int, history: History, now_ms: int) -> int:
    """Return the number at the start of a step's period: what changed within it is undone."""
    since = now_ms - step.period_ms
    added = sum(one.replicas for one in history.added if one.at_ms > since)
    removed = sum(one.replicas for one in history.removed if one.at_ms > since)
    return current - added + removed


def _longest_ms(*rules: Direction) -> int:
    return max((step.period_ms for one in rules for step in one.steps), default=0)


def _since(samples: tuple[Sample, ...], at_ms: int) -> tuple[Sample, ...]:
    return tuple(one for one in samples if one.at_ms > at_ms)


def _stabilized(code: str, proposed: int, stable: int, window_ms: int) -> Reason:
    way = "more" if code == "ScaleDownStabilized" else "fewer"
    window = format_duration_ms(window_ms)
    return Reason(
        code=code,
        sentence=f"{proposed} are proposed now; within the last {window} it was {way}, so {stable} are kept to.",
        numbers={"proposed": proposed, "stabilized": stable, "window_ms": window_ms},
    )


def _growing_too_fast(wanted: int, allowed: int) -> Reason:
    return Reason(
        code="ScaleUpLimit",
        sentence=f"{wanted} are wanted; the rules for growing allow {allowed} now.",
        numbers={"wanted": wanted, "allowed": allowed},
    )


def _shrinking_too_fast(wanted: int, allowed: int) -> Reason:
    return Reason(
        code="ScaleDownLimit",
        sentence=f"{wanted} are wanted; the rules for shrinking allow no fewer than {allowed} now.",
        numbers={"wanted": wanted, "allowed": allowed},
    )


def _too_many(wanted: int, maximum: int) -> Reason:
    return Reason(
        code="TooManyReplicas",
        sentence=f"{wanted} are wanted; maxReplicaCount is {maximum}.",
        numbers={"wanted": wanted, "maximum": maximum},
    )


def _too_few(wanted: int, minimum: int) -> Reason:
    return Reason(
        code="TooFewReplicas",
        sentence=f"{wanted} are wanted; it may not be fewer than {minimum}.",
        numbers={"wanted": wanted, "minimum": minimum},
    )


def _within(replicas: int) -> Reason:
    return Reason(
        code="DesiredWithinRange",
        sentence=f"{replicas} are wanted, and nothing limits that.",
        numbers={"wanted": replicas},
    )
