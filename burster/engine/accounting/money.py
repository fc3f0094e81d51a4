"""Money is reserved before it is spent: windows of time, and one account for each scope (``scopes``).

At any moment, what is settled in a window plus everything still outstanding may not exceed the window's limit. Outstanding
reservations count in full in every window they are open in, so the bound holds over window borders too. All amounts are micro-USD.

A window is an hour, day or month as the clocks of a time zone show it. What is settled is kept by quarters of an hour of UTC: for decades
every zone's offset has been a whole number of them (Kathmandu's and the Chatham Islands' are the odd ones), so the sum over a window is
exact in any zone, also when a policy changes its zone. A quarter over a border, which only older times can have, counts on both sides.
Kept are 32 to 33 days, at most 3,169 amounts an account: no month is longer, whatever the clocks do in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from burster.model.limits import Budget
from burster.model.quantities import cost_micro_usd


WindowKind = Literal["hour", "day", "month"]
_QUARTER_MS: Final = 900_000
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_QUARTERS_PER_DAY: Final = _DAY_MS // _QUARTER_MS
_KEPT_QUARTERS: Final = 32 * _QUARTERS_PER_DAY
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def window_of(kind: WindowKind, at_ms: int, timezone: str = "UTC") -> tuple[int, int]:
    """Return when the window that holds ``at_ms`` begins and ends (epoch ms); the end is the next one's beginning.

    Days and months begin with the first instant of their date, so they have 23 or 25 hours where the clocks change. Hours are cut where
    the clocks jump by a part of an hour, so that every instant is in exactly one.
    """
    if timezone == "UTC" and kind != "month":
        length = _HOUR_MS if kind == "hour" else _DAY_MS
        start = at_ms // length * length
        return start, start + length
    zone = ZoneInfo(timezone)
    if kind == "hour":
        return _hour(zone, at_ms)
    today = _local(zone, at_ms).date()
    first = today if kind == "day" else today.replace(day=1)
    following = _next(kind, first)
    border = _begin(zone, following)
    if at_ms >= border:
        # The clocks were put back over midnight: the date of before is shown again, in a window that has ended.
        return border, _begin(zone, _next(kind, following))
    return _begin(zone, first), border


def _next(kind: WindowKind, first: date) -> date:
    return first + timedelta(days=1) if kind == "day" else (first + timedelta(days=31)).replace(day=1)


def _local(zone: ZoneInfo, at_ms: int) -> datetime:
    return (_EPOCH + at_ms * _MS).astimezone(zone)


def _offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    return (_local(zone, at_ms).utcoffset() or timedelta()) // _MS


def _hour(zone: ZoneInfo, at_ms: int) -> tuple[int, int]:
    offset = _offset_ms(zone, at_ms)
    start = (at_ms + offset) // _HOUR_MS * _HOUR_MS - offset
    end = start + _HOUR_MS
    if _offset_ms(zone, start) != offset:
        start = _jump(zone, start, at_ms)
    if _offset_ms(zone, end - 1) != offset:
        end = _jump(zone, at_ms, end - 1)
    return start, end


def _jump(zone: ZoneInfo, before_ms: int, after_ms: int) -> int:
    """Return the first instant of the offset that holds at ``after_ms``, where another one holds at ``before_ms``."""
    offset = _offset_ms(zone, after_ms)
    while after_ms - before_ms > 1:
        middle = (before_ms + after_ms) // 2
        if _offset_ms(zone, middle) == offset:
            after_ms = middle
        else:
            before_ms = middle
    return after_ms


def _begin(zone: ZoneInfo, day: date) -> int:
    """Return the first instant of a date; of one that the clocks skip, the instant of the jump."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    at_ms = (midnight - _EPOCH) // _MS
    if _local(zone, at_ms).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return at_ms
    return _jump(zone, at_ms - _DAY_MS, at_ms)


def limits_of(budget: Budget) -> Iterator[tuple[WindowKind, int]]:
    """Yield the windows that have a limit, the shortest first."""
    if budget.per_hour_micro_usd is not None:
        yield "hour", budget.per_hour_micro_usd
    if budget.per_day_micro_usd is not None:
        yield "day", budget.per_day_micro_usd
    if budget.per_month_micro_usd is not None:
        yield "month", budget.per_month_micro_usd


def worst_case_micro_usd(*, price_micro_usd_per_hour: int, launch_ms: int, lease_ms: int, drain_ms: int) -> int:
    """Return what a burst can cost at most before its first renewal: price x (launch deadline + lease + drain)."""
    return cost_micro_usd(price_micro_usd_per_hour, launch_ms + lease_ms + drain_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Why a reservation is refused."""

    window: WindowKind
    limit_micro_usd: int
    used_micro_usd: int
    wanted_micro_usd: int
    again_at_ms: int


@dataclass(slots=True)
class BookedWindow:
    """The window of one kind that was asked for last, and what is settled in it: kept, so that asking again costs nothing."""

    start_ms: int
    end_ms: int
    settled_micro_usd: int


@dataclass(slots=True)
class Account:
    """One scope's money."""

    #: quarter of an hour since the epoch -> what is settled in it
    settled: dict[int, int] = field(default_factory=dict[int, int])
    outstanding_micro_usd: int = 0
    settled_total_micro_usd: int = 0
    recent_micro_usd: int = 0  #: the sum of ``settled``
    timezone: str = "UTC"  #: of ``windows``
    windows: dict[WindowKind, BookedWindow] = field(default_factory=dict[WindowKind, BookedWindow])
    newest: int = 0  #: the latest quarter in which something was settled
    cleaned: int = 0  #: the latest quarter when old ones were dropped

    def window(self, kind: WindowKind, now_ms: int, timezone: str = "UTC") -> BookedWindow:
        """Return the window that holds ``now_ms``, with what is settled in it."""
        if timezone != self.timezone:
            self.timezone = timezone
            self.windows.clear()
        window = self.windows.get(kind)
        if window is None or not window.start_ms <= now_ms < window.end_ms:
            start_ms, end_ms = window_of(kind, now_ms, timezone)
            window = self.windows[kind] = BookedWindow(start_ms, end_ms, self._sum(start_ms, end_ms))
        return window

    def _sum(self, start_ms: int, end_ms: int) -> int:
        first, end = _quarters(start_ms, end_ms)
        if end - first < len(self.settled):
            return sum(self.settled.get(quarter, 0) for quarter in range(first, end))
        return sum(amount for quarter, amount in self.settled.items() if first <= quarter < end)

    def used_micro_usd(self, kind: WindowKind, now_ms: int, timezone: str = "UTC") -> int:
        """Return what counts against a window's limit now."""
        return self.window(kind, now_ms, timezone).settled_micro_usd + self.outstanding_micro_usd

    def shortfall(self, budget: Budget, wanted_micro_usd: int, now_ms: int) -> Shortfall | None:
        """Return the first window that refuses, or None where every one has room."""
        for kind, limit in limits_of(budget):
            window = self.window(kind, now_ms, budget.timezone)
            used = window.settled_micro_usd + self.outstanding_micro_usd
            if used + wanted_micro_usd > limit:
                return Shortfall(
                    window=kind,
                    limit_micro_usd=limit,
                    used_micro_usd=used,
                    wanted_micro_usd=wanted_micro_usd,
                    again_at_ms=window.end_ms,
                )
        return None

    def reserve(self, micro_usd: int) -> None:
        """Set money aside; the caller has asked ``shortfall`` first."""
        self.outstanding_micro_usd += micro_usd

    def release(self, micro_usd: int) -> None:
        """Give a reservation back."""
        self.outstanding_micro_usd -= micro_usd

    def settle(self, micro_usd: int, at_ms: int, since_ms: int | None = None) -> None:
        """Book what was really spent: evenly from ``since_ms`` to ``at_ms``, or all of it at ``at_ms``."""
        self.settled_total_micro_usd += micro_usd
        last = at_ms // _QUARTER_MS
        self._keep_up(last)
        if since_ms is None or since_ms >= at_ms:
            self._book(last, micro_usd)
            return
        booked = 0
        for quarter in range(since_ms // _QUARTER_MS, last + 1):
            until_ms = min(at_ms, (quarter + 1) * _QUARTER_MS)
            due = micro_usd * (until_ms - since_ms) // (at_ms - since_ms)
            self._book(quarter, due - booked)
            booked = due

    def is_empty(self, now_ms: int) -> bool:
        """Say whether nothing in it can matter to any window any more."""
        return not self.outstanding_micro_usd and self.newest < now_ms // _QUARTER_MS - _KEPT_QUARTERS

    def _keep_up(self, quarter: int) -> None:
        """Drop what no month can hold any more, once a day."""
        self.newest = max(self.newest, quarter)
        if self.newest - self.cleaned < _QUARTERS_PER_DAY:
            return
        self.cleaned = self.newest
        oldest = self.newest - _KEPT_QUARTERS
        self.settled = {quarter: amount for quarter, amount in self.settled.items() if quarter >= oldest}
        self.recent_micro_usd = sum(self.settled.values())

    def _book(self, quarter: int, micro_usd: int) -> None:
        if not micro_usd or quarter < self.newest - _KEPT_QUARTERS:
            return
        self.settled[quarter] = self.settled.get(quarter, 0) + micro_usd
        self.recent_micro_usd += micro_usd
        for window in self.windows.values():
            first, end = _quarters(window.start_ms, window.end_ms)
            if first <= quarter < end:
                window.settled_micro_usd += micro_usd


def _quarters(start_ms: int, end_ms: int) -> tuple[int, int]:
    """Return the first quarter that a window has a part of, and the first that it has none of."""
    return start_ms // _QUARTER_MS, -(-end_ms // _QUARTER_MS)
