"""Money is reserved before it is spent: accounts per scope, windows per UTC hour, day and month.

A scope is a policy or a target. At any moment, what is settled in a window plus everything still outstanding may not exceed the
window's limit. Outstanding reservations count in full in every window they are open in, so the bound holds over window borders too.
All amounts are micro-USD.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from burster.model.limits import Budget
from burster.model.quantities import cost_micro_usd


WindowKind = Literal["hour", "day", "month"]
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000


def window_index(kind: WindowKind, at_ms: int) -> int:
    """Return the number of the UTC window that holds ``at_ms``; months count as year x 12 + month - 1."""
    if kind == "hour":
        return at_ms // _HOUR_MS
    if kind == "day":
        return at_ms // _DAY_MS
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.year * 12 + moment.month - 1


def window_end_ms(kind: WindowKind, at_ms: int) -> int:
    """Return when the window that holds ``at_ms`` ends (epoch ms)."""
    if kind == "hour":
        return (at_ms // _HOUR_MS + 1) * _HOUR_MS
    if kind == "day":
        return (at_ms // _DAY_MS + 1) * _DAY_MS
    year, month = divmod(window_index("month", at_ms) + 1, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


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
class Account:
    """One scope's money."""

    #: settled per window; windows older than the current month are dropped when a new one opens
    settled: dict[tuple[WindowKind, int], int] = field(default_factory=dict[tuple[WindowKind, int], int])
    outstanding_micro_usd: int = 0
    settled_total_micro_usd: int = 0

    def used_micro_usd(self, kind: WindowKind, now_ms: int) -> int:
        """Return what counts against a window's limit now."""
        return self.settled.get((kind, window_index(kind, now_ms)), 0) + self.outstanding_micro_usd

    def shortfall(self, budget: Budget, wanted_micro_usd: int, now_ms: int) -> Shortfall | None:
        """Return the first window that refuses, or None where every one has room."""
        for kind, limit in limits_of(budget):
            used = self.used_micro_usd(kind, now_ms)
            if used + wanted_micro_usd > limit:
                return Shortfall(
                    window=kind,
                    limit_micro_usd=limit,
                    used_micro_usd=used,
                    wanted_micro_usd=wanted_micro_usd,
                    again_at_ms=window_end_ms(kind, now_ms),
                )
        return None

    def reserve(self, micro_usd: int) -> None:
        """Set money aside; the caller has asked ``shortfall`` first."""
        self.outstanding_micro_usd += micro_usd

    def release(self, micro_usd: int) -> None:
        """Give a reservation back."""
        self.outstanding_micro_usd -= micro_usd

    def settle(self, micro_usd: int, at_ms: int) -> None:
        """Book what was really spent."""
        self.settled_total_micro_usd += micro_usd
        kinds: tuple[WindowKind, ...] = ("hour", "day", "month")
        for kind in kinds:
            key = (kind, window_index(kind, at_ms))
            if key not in self.settled:
                newest = max((index for other, index in self.settled if other == kind), default=key[1])
                self.settled = {k: v for k, v in self.settled.items() if k[0] != kind or k[1] >= newest - 1}
            self.settled[key] = self.settled.get(key, 0) + micro_usd
