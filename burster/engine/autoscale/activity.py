"""From nothing to something and back: what KEDA's poll does, which the HPA never does.

Called by ``engine.replicas`` at each poll, and at once when a value activates. Between 1 (or the minimum) and the maximum the number
belongs to the HPA's rules; here it only leaves zero (or the idle number) and returns there.
"""

from typing import NamedTuple

from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms
from burster.model.scaling import Fallback, Scaling


class Poll(NamedTuple):
    """What a poll found. Times are epoch ms."""

    current: int
    active: bool  #: a trigger is above its activation value, or its fallback stands for it
    failed: bool  #: a trigger gave no value
    last_active_at_ms: int | None
    created_at_ms: int
    now_ms: int


class Polled(NamedTuple):
    """What follows. ``replicas`` None: the poll changes nothing."""

    replicas: int | None
    reason: Reason
    last_active_at_ms: int | None


def poll(found: Poll, scaling: Scaling) -> Polled:
    """Return what KEDA's executor would do after a poll."""
    if found.active:
        return _active(found, scaling)
    fallback = scaling.fallback
    if found.failed and (fallback is None or fallback.replicas):
        return Polled(None, _unknown(fallback), found.last_active_at_ms)
    if _above_rest(found.current, scaling):
        return _to_rest(found, scaling)
    if found.current < scaling.min_replicas and scaling.idle_replicas is None:
        reason = Reason(
            code="BelowMinimum",
            sentence=f"{found.current} are there; minReplicaCount is {scaling.min_replicas}.",
            numbers={"current": found.current, "minimum": scaling.min_replicas},
        )
        return Polled(scaling.min_replicas, reason, found.last_active_at_ms)
    return Polled(None, _not_active(), found.last_active_at_ms)


def first_number(scaling: Scaling) -> int:
    """Return the number that activation gives: the minimum, or 1; never what the values ask for, which is the next sync's."""
    return max(1, scaling.min_replicas)


def rest_number(scaling: Scaling) -> int:
    """Return the number that is kept while nothing is active: the idle number, else the minimum."""
    return scaling.min_replicas if scaling.idle_replicas is None else scaling.idle_replicas


def _active(found: Poll, scaling: Scaling) -> Polled:
    first = first_number(scaling)
    leaves_idle = scaling.idle_replicas is not None and found.current < scaling.min_replicas
    if leaves_idle or found.current == 0:
        reason = Reason(
            code="ScaleTargetActivated",
            sentence=f"A trigger is above its activation value: from {found.current} to {first}; the next sync counts on from there.",
            numbers={"current": found.current, "wanted": first},
        )
        return Polled(first, reason, found.now_ms)
    reason = Reason(code="ScalerActive", sentence="A trigger is above its activation value.")
    return Polled(None, reason, found.last_active_at_ms if found.failed else found.now_ms)


def _above_rest(current: int, scaling: Scaling) -> bool:
    if scaling.idle_replicas is not None:
        return current > scaling.idle_replicas
    return current > 0 and scaling.min_replicas == 0


def _to_rest(found: Poll, scaling: Scaling) -> Polled:
    if found.last_active_at_ms is None:
        due_ms, since = found.created_at_ms + scaling.initial_cooldown_ms, scaling.initial_cooldown_ms
    else:
        due_ms, since = found.last_active_at_ms + scaling.cooldown_ms, scaling.cooldown_ms
    rest = rest_number(scaling)
    if found.now_ms <= due_ms:
        reason = Reason(
            code="ScalerCooldown",
            sentence=f"No trigger is active; after {format_duration_ms(since)} without one it goes from {found.current} to {rest}.",
            numbers={"current": found.current, "wanted": rest, "due_ms": due_ms},
        )
        return Polled(None, reason, found.last_active_at_ms)
    reason = Reason(
        code="ScaleTargetDeactivated",
        sentence=f"No trigger has been active for more than {format_duration_ms(since)}: from {found.current} to {rest}.",
        numbers={"current": found.current, "wanted": rest},
    )
    return Polled(rest, reason, found.last_active_at_ms)


def _not_active() -> Reason:
    return Reason(code="ScalerNotActive", sentence="No trigger is above its activation value.")


def _unknown(fallback: Fallback | None) -> Reason:
    how = "no fallback is declared" if fallback is None else "its fallback does not stand for it yet"
    sentence = f"A trigger has no value and {how}: nothing is bought and nothing is given up because of it."
    return Reason(code="TriggerError", sentence=sentence)
