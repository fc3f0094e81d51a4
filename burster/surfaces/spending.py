"""What bursting costs, added up by policy, namespace, target and day: one report for tables, CSV and the controller's HTTP surface.

Pure. Whoever asks gives what was settled (the ledger's entries, each burst once) and what is still open; every micro-USD of both is in
exactly one row, so the rows of any grouping add up to the same total. docs/seeing.md defines the three amounts.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from burster.model.errors import InputError
from burster.model.stimuli import LEAK, Spend


Grouping = Literal["day", "namespace", "policy", "target"]
GROUPINGS: Final[tuple[Grouping, ...]] = get_args(Grouping)  #: in the order of a row's columns
DEFAULT_BY: Final[tuple[Grouping, ...]] = ("policy", "target")
#: in place of a zone: each policy's days are those of its own budget
BUDGET_ZONES: Final = "budget"
ROWS_MAX: Final = 100_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class OpenMoney(msgspec.Struct, frozen=True, kw_only=True):
    """What is not settled yet: one burst, or one replica of a scaled workload."""

    burst: str
    policy: str
    target: str
    reserved_micro_usd: int  #: set aside in the budgets now
    running_micro_usd: int  #: what it has cost so far


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """Sums. ``running`` is what open bursts have cost so far; it is paid from ``reserved``, so the two are never added."""

    bursts: int = 0  #: settlements
    settled_micro_usd: int = 0
    leaked_micro_usd: int = 0  #: of that, what VMs have cost that no record claimed
    open: int = 0  #: bursts and replicas that are not settled
    reserved_micro_usd: int = 0
    running_micro_usd: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Return both together."""
        return Amounts(
            bursts=self.bursts + other.bursts,
            settled_micro_usd=self.settled_micro_usd + other.settled_micro_usd,
            leaked_micro_usd=self.leaked_micro_usd + other.leaked_micro_usd,
            open=self.open + other.open,
            reserved_micro_usd=self.reserved_micro_usd + other.reserved_micro_usd,
            running_micro_usd=self.running_micro_usd + other.running_micro_usd,
        )


class SpendRow(Amounts, frozen=True, kw_only=True):
    """One group; what it is not grouped by is empty."""

    day: str = ""  #: YYYY-MM-DD
    timezone: str = ""  #: whose day that is
    namespace: str = ""
    policy: str = ""  #: namespace/name
    target: str = ""
    dearest_micro_usd: int = 0
    dearest: str = ""  #: the settled burst that cost most


class SpendQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. Days are inclusive; ``since_ms`` and the days choose among settlements, what is open counts as of today."""

    by: tuple[Grouping, ...] = DEFAULT_BY
    timezone: str = "UTC"  #: an IANA zone, or BUDGET_ZONES
    policy: str = ""  #: a key; empty: all
    namespace: str = ""  #: empty: all
    since_ms: int | None = None
    first_day: str = ""
    last_day: str = ""
    limit: int = 1_000


class SpendReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. The rows and ``left_out`` add up to ``total``, in whatever grouping."""

    at_ms: int
    source: str
    by: tuple[Grouping, ...]
    timezone: str
    rows: tuple[SpendRow, ...]
    rows_total: int
    left_out: Amounts  #: the rows beyond the limit
    total: Amounts
    dry_run: bool = False
    complete: bool = True  #: False: only what records are left of was settled, not all that ever was


def check_query(query: SpendQuery) -> None:
    """Raise InputError where a query makes no sense."""
    if query.timezone != BUDGET_ZONES and query.timezone not in available_timezones():
        raise InputError(
            f"{query.timezone!r} is no time zone: expected an IANA name such as Europe/Berlin, or {BUDGET_ZONES} for each policy's own"
        )
    for day in (query.first_day, query.last_day):
        if day and not _is_day(day):
            raise InputError(f"{day!r} is no day: expected YYYY-MM-DD, for example 2026-11-01")
    if not query.by or len(set(query.by)) < len(query.by):
        raise InputError(f"group by one or more of {', '.join(GROUPINGS)}, each once")
    if not 1 <= query.limit <= ROWS_MAX:
        raise InputError(f"the limit must be from 1 to {ROWS_MAX}")


def _is_day(text: str) -> bool:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).strftime("%Y-%m-%d") == text
    except ValueError:
        return False


def day_of(at_ms: int, timezone: str) -> str:
    """Return the date that clocks in a time zone show, ``YYYY-MM-DD``."""
    return (_EPOCH + at_ms * _MS).astimezone(_zone(timezone)).date().isoformat()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def spend_report(  # noqa: PLR0913 - the two kinds of money, the question, and how to answer it
    settled: Iterable[Spend],
    still_open: Iterable[OpenMoney],
    query: SpendQuery,
    *,
    now_ms: int,
    source: str,
    zone_of: Callable[[str], str] = lambda _policy: "UTC",
    dry_run: bool = False,
) -> SpendReport:
    """Add up. ``zone_of`` tells the zone of a policy's budget, for BUDGET_ZONES. Raises InputError."""
    check_query(query)
    sheet = _Sheet(query, zone_of)
    for spend in settled:
        if query.since_ms is None or spend.at_ms >= query.since_ms:
            sheet.settled(spend)
    for money in still_open:
        sheet.open(money, now_ms)
    rows = sheet.rows()
    kept = rows[: query.limit]
    return SpendReport(
        at_ms=now_ms,
        source=source,
        by=tuple(one for one in GROUPINGS if one in query.by),
        timezone=query.timezone,
        rows=tuple(kept),
        rows_total=len(rows),
        left_out=_sum(rows[query.limit :]),
        total=_sum(rows),
        dry_run=dry_run,
    )


def _sum(rows: Sequence[Amounts]) -> Amounts:
    total = Amounts()
    for row in rows:
        total = total.plus(row)
    return total


class _Group(msgspec.Struct):
    bursts: int = 0
    settled: int = 0
    leaked: int = 0
    open: int = 0
    reserved: int = 0
    running: int = 0
    dearest_micro_usd: int = -1
    dearest: str = ""


class _Sheet:
    """The groups while they are added up."""

    def __init__(self, query: SpendQuery, zone_of: Callable[[str], str]) -> None:
        self._query = query
        self._zone_of = zone_of
        self._groups: dict[tuple[str, ...], _Group] = {}

    def settled(self, spend: Spend) -> None:
        group = self._group(spend.policy, spend.target, spend.at_ms)
        if group is None:
            return
        group.settled += spend.micro_usd
        if spend.burst.startswith(LEAK):
            group.leaked += spend.micro_usd
            return
        group.bursts += 1
        if (-spend.micro_usd, spend.burst) < (-group.dearest_micro_usd, group.dearest):
            group.dearest_micro_usd, group.dearest = spend.micro_usd, spend.burst

    def open(self, money: OpenMoney, now_ms: int) -> None:
        group = self._group(money.policy, money.target, now_ms)
        if group is None:
            return
        group.open += 1
        group.reserved += money.reserved_micro_usd
        group.running += money.running_micro_usd

    def _group(self, policy: str, target: str, at_ms: int) -> _Group | None:
        query = self._query
        namespace = policy.partition("/")[0]
        if (query.policy and policy != query.policy) or (query.namespace and namespace != query.namespace):
            return None
        zone = self._zone_of(policy) if query.timezone == BUDGET_ZONES else query.timezone
        needs_day = "day" in query.by or query.first_day or query.last_day
        day = day_of(at_ms, zone) if needs_day else ""
        if (query.first_day and day < query.first_day) or (query.last_day and day > query.last_day):
            return None
        values = {
            "day": day,
            "namespace": namespace,
            "policy": policy,
            "target": target,
        }
        key = (*(values[name] if name in query.by else "" for name in GROUPINGS), zone if "day" in query.by else "")
        return self._groups.setdefault(key, _Group())

    def rows(self) -> list[SpendRow]:
        """Return the groups: by day the oldest day first, and within it, or without days, the dearest first."""
        made = [
            SpendRow(
                day=day,
                namespace=namespace,
                policy=policy,
                target=target,
                timezone=zone,
                bursts=group.bursts,
                settled_micro_usd=group.settled,
                leaked_micro_usd=group.leaked,
                open=group.open,
                reserved_micro_usd=group.reserved,
                running_micro_usd=group.running,
                dearest_micro_usd=max(0, group.dearest_micro_usd),
                dearest=group.dearest,
            )
            for (day, namespace, policy, target, zone), group in self._groups.items()
        ]
        return sorted(
            made,
            key=lambda row: (
                row.day,
                -row.settled_micro_usd,
                -row.reserved_micro_usd,
                row.namespace,
                row.policy,
                row.target,
                row.timezone,
            ),
        )
