"""When a policy is in force: recurring and dated windows in IANA time zones, right across every change of the clocks.

Called at load by the policy language (``check_window``, ``from_days``) and by ``burster.engine.eligibility`` at every decision, so an
answer is remembered until the instant of the next change. Reads no clock: the time is an argument.

A window is open where the next ``end`` is no later than the next ``start``, as KEDA's cron trigger has it. Times are those on the wall:
one that the clocks jump over happens when they have jumped, one that they show twice happens the first time. Where two of them fall on
one instant by a jump, they keep the order that they have on the wall. Days have 23, 24 or 25 hours, and begin at the first instant of
their date.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from burster.model.windows import Window
from burster.policy.window_rules import check_window, from_days, plain_cron, zone_of


__all__ = ["InForce", "check_window", "from_days", "in_force", "is_open", "next_change_ms", "zone_of"]

_CACHE_MAX: Final = 4096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What Python's calendar can hold with room to search on both sides.
_FIRST_MS: Final = -62_000_000_000_000
_LAST_MS: Final = 250_000_000_000_000
#: How many spans between two events are looked through for a change; what changes later is said to be looked at then.
_SPANS_MAX: Final = 512
#: A wall time at which nothing ever happens.
_NEVER: Final = datetime.max  # noqa: DTZ901 - a wall time has no zone
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class InForce:
    """Whether a policy is in force, by what, and when that may change.

    ``window`` is the one that decided: the blackout or window that is open; None where no window is, or none is asked for.
    ``until_ms`` is the next change; None where nothing ever changes again.
    """

    open: bool
    window: Window | None
    blackout: bool
    until_ms: int | None


# --- one window -------------------------------------------------------------------------------------------------------


def is_open(window: Window, now_ms: int) -> bool:
    """Say whether a window is open."""
    return _schedule(window).span(now_ms).open


def next_change_ms(window: Window, now_ms: int) -> int | None:
    """Return the first instant after ``now_ms`` at which the window opens or closes, or None where it never does again.

    Of a window with several hundred events that change nothing, the instant at which it is to be asked again.
    """
    schedule = _schedule(window)
    span = schedule.span(now_ms)
    now_open, until = span.open, span.until_ms
    for _ in range(_SPANS_MAX):
        if until is None:
            return None
        span = schedule.span(until)
        if span.open != now_open:
            return until
        until = span.until_ms
    return until


@dataclass(slots=True)
class _Span:
    """From ``from_ms`` on, and before ``until_ms``, nothing changes."""

    from_ms: int
    until_ms: int | None
    open: bool

    def holds_at(self, now_ms: int) -> bool:
        return self.from_ms <= now_ms and (self.until_ms is None or now_ms < self.until_ms)


class _Schedule:
    """A window made ready; remembers the last span it was asked about."""

    __slots__ = ("_end", "_first_ms", "_last_ms", "_span", "_start", "_zone")

    def __init__(self, window: Window) -> None:
        self._zone = zone_of(window.timezone)
        self._start, self._end = plain_cron(window.start), plain_cron(window.end)
        self._first_ms = _midnight_ms(window.first_day, self._zone, 0) if window.first_day else None
        self._last_ms = _midnight_ms(window.last_day, self._zone, 1) if window.last_day else None
        self._span = _Span(0, 0, open=False)

    def span(self, now_ms: int) -> _Span:
        """Return the span that an instant is in."""
        if not self._span.holds_at(now_ms):
            self._span = self._find(min(max(now_ms, _FIRST_MS), _LAST_MS))
        return self._span

    def _find(self, now_ms: int) -> _Span:
        if self._first_ms is not None and now_ms < self._first_ms:
            return _Span(now_ms, self._first_ms, open=False)
        if self._last_ms is not None and now_ms >= self._last_ms:
            return _Span(now_ms, None, open=False)
        if not self._start:
            return _Span(now_ms, self._last_ms, open=True)
        start, end = (self._next(text, now_ms) for text in (self._start, self._end))
        soonest = min(start, end)
        until = None if soonest == _NEVER else instant_ms(soonest, self._zone)
        if self._last_ms is not None and (until is None or until > self._last_ms):
            until = self._last_ms
        return _Span(now_ms, until, open=end <= start)

    def _next(self, cron: str, now_ms: int) -> datetime:
        """Return the next wall time of a cron expression that is still to come."""
        for wall in _wall_times(cron, _wall(now_ms, self._zone)):
            # In an hour that the clocks show a second time, what they show has happened already.
            if instant_ms(wall, self._zone) > now_ms:
                return wall
        return _NEVER


@lru_cache(maxsize=_CACHE_MAX)
def _schedule(window: Window) -> _Schedule:
    check_window(window)
    return _Schedule(window)


def _wall_times(cron: str, after: datetime) -> Iterator[datetime]:
    try:
        yield from CronSim(cron, after)
    except OverflowError:
        return


# --- wall time and instants -------------------------------------------------------------------------------------------


def _wall(at_ms: int, zone: ZoneInfo) -> datetime:
    """Return what the clocks show, down to the second."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).replace(tzinfo=None, microsecond=0, fold=0)


def instant_ms(wall: datetime, zone: ZoneInfo) -> int:
    """Return the first instant at which the clocks show a wall time or, where they jump over it, a later one."""
    aware = wall.replace(tzinfo=zone, fold=0)
    at = aware.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None, fold=0) != wall:
        # Jumped over: with the offset before the jump (fold 0) the instant is past it, by less than the jump is wide.
        jumped = aware.replace(fold=1).utcoffset() or timedelta()
        width = jumped - (aware.utcoffset() or timedelta())
        at = _first_with(jumped, at - width - _SECOND, at, zone)
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _first_with(offset: timedelta, before: datetime, behind: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant of an offset that does not hold at ``before`` and holds at ``behind``."""
    while behind - before > _SECOND:
        middle = (before + (behind - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            behind = middle
        else:
            before = middle
    return behind


def _midnight_ms(day: str, zone: ZoneInfo, days_later: int) -> int:
    first = date.fromisoformat(day)
    wall = datetime(first.year, first.month, first.day)  # noqa: DTZ001 - a wall time has no zone
    return instant_ms(wall + timedelta(days=days_later), zone)


# --- several windows and blackouts ------------------------------------------------------------------------------------


def in_force(windows: tuple[Window, ...], blackouts: tuple[Window, ...], now_ms: int) -> InForce:
    """Say whether a policy is in force: no blackout is open, and any of its windows is, or it has none.

    The first that decides is named.
    """
    return _calendar(windows, blackouts).answer(now_ms)


class _Calendar:
    """The windows and blackouts of a policy; remembers the last answer."""

    __slots__ = ("_answer", "_blackouts", "_from_ms", "_windows")

    def __init__(self, windows: tuple[Window, ...], blackouts: tuple[Window, ...]) -> None:
        self._windows = [(window, _schedule(window)) for window in windows]
        self._blackouts = [(window, _schedule(window)) for window in blackouts]
        self._from_ms = 0
        self._answer: InForce | None = None

    def answer(self, now_ms: int) -> InForce:
        """Return the answer for an instant."""
        known = self._answer
        if known is not None and self._from_ms <= now_ms and (known.until_ms is None or now_ms < known.until_ms):
            return known
        is_in_force, decided, is_blackout, until = self._at(now_ms)
        for _ in range(_SPANS_MAX):
            if until is None:
                break
            later = self._at(until)
            if later[:3] != (is_in_force, decided, is_blackout):
                break
            until = later[3]
        self._from_ms = now_ms
        self._answer = InForce(open=is_in_force, window=decided, blackout=is_blackout, until_ms=until)
        return self._answer

    def _at(self, now_ms: int) -> tuple[bool, Window | None, bool, int | None]:
        blackout, soonest = _first_open(self._blackouts, now_ms)
        window, next_ms = _first_open(self._windows, now_ms)
        ends = [at for at in (soonest, next_ms) if at is not None]
        until = min(ends) if ends else None
        if blackout is not None:
            return False, blackout, True, until
        return window is not None or not self._windows, window, False, until


def _first_open(schedules: list[tuple[Window, _Schedule]], now_ms: int) -> tuple[Window | None, int | None]:
    """Return the first window that is open, and when the first of all of them may change."""
    found: Window | None = None
    soonest: int | None = None
    for window, schedule in schedules:
        span = schedule.span(now_ms)
        if span.open and found is None:
            found = window
        if span.until_ms is not None and (soonest is None or span.until_ms < soonest):
            soonest = span.until_ms
    return found, soonest


@lru_cache(maxsize=_CACHE_MAX)
def _calendar(windows: tuple[Window, ...], blackouts: tuple[Window, ...]) -> _Calendar:
    return _Calendar(windows, blackouts)
