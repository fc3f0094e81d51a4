"""Hours, days and months as the clocks of a zone show them, and what is settled in them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.engine.accounting.money import (
    Account,
    BookedWindow,
    WindowKind,
    limits_of,
    window_of,
    worst_case_micro_usd,
)
from burster.model.limits import Budget


HOUR = 3_600_000
QUARTER = 900_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Cairo",
    "Pacific/Apia",
    "Pacific/Kiritimati",
)
KINDS: tuple[WindowKind, ...] = ("hour", "day", "month")
T2000, T2040 = 946_684_800_000, 2_208_988_800_000


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    ("kind", "zone", "moment", "want_start", "want_end", "want_hours"),
    [
        pytest.param("hour", "UTC", "2026-01-05T08:59:59.999", "2026-01-05T08:00", "2026-01-05T09:00", 1, id="an hour"),
        pytest.param("day", "UTC", "2026-01-05T00:00", "2026-01-05T00:00", "2026-01-06T00:00", 24, id="a day"),
        pytest.param("month", "UTC", "2026-01-31T23:59:59.999", "2026-01-01T00:00", "2026-02-01T00:00", 744, id="31"),
        pytest.param("month", "UTC", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00", 696, id="a leap year"),
        pytest.param("month", "UTC", "2026-12-31T12:00", "2026-12-01T00:00", "2027-01-01T00:00", 744, id="year's end"),
        pytest.param(
            "day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00", 23, id="forward"
        ),
        pytest.param("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:00", "2026-10-26T00:00", 25, id="back"),
        pytest.param(
            "month",
            "Europe/Berlin",
            "2026-03-05T12:00",
            "2026-03-01T00:00",
            "2026-04-01T00:00",
            743,
            id="a short month",
        ),
        pytest.param(
            "month", "Europe/Berlin", "2026-10-05T12:00", "2026-10-01T00:00", "2026-11-01T00:00", 745, id="the longest"
        ),
        pytest.param(
            "hour", "Asia/Kolkata", "2026-01-05T08:15", "2026-01-05T08:00", "2026-01-05T09:00", 1, id="half past in UTC"
        ),
        pytest.param(
            "hour", "Pacific/Chatham", "2026-01-05T08:15", "2026-01-05T08:00", "2026-01-05T09:00", 1, id="a quarter"
        ),
        pytest.param(
            "day", "Africa/Cairo", "2026-04-24T12:00", "2026-04-24T01:00", "2026-04-25T00:00", 23, id="no midnight"
        ),
        pytest.param(
            "day", "America/Havana", "2026-11-01T12:00", "2026-11-01T00:00", "2026-11-02T00:00", 25, id="two midnights"
        ),
        pytest.param(
            "day", "Pacific/Apia", "2011-12-29T12:00", "2011-12-29T00:00", "2011-12-31T00:00", 24, id="a day left out"
        ),
        pytest.param(
            "hour", "Australia/Lord_Howe", "2026-10-04T02:45", "2026-10-04T02:30", "2026-10-04T03:00", 0.5, id="half"
        ),
        pytest.param(
            "day", "America/St_Johns", "2009-10-31T23:30", "2009-10-31T00:00", "2009-11-01T00:00", 24, id="before it"
        ),
    ],
)
def test_a_window_is_as_the_clocks_show_it(
    kind: WindowKind, zone: str, moment: str, want_start: str, want_end: str, want_hours: float
) -> None:
    start, end = window_of(kind, ms(moment, zone), zone)
    assert (start, end) == (ms(want_start, zone), ms(want_end, zone))
    assert (end - start) / HOUR == want_hours


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    zone = "Europe/Berlin"
    first, second = ms("2026-10-25T02:30", zone), ms("2026-10-25T02:30", zone, fold=1)
    assert second - first == HOUR
    assert window_of("hour", first, zone)[1] == window_of("hour", second, zone)[0] == ms("2026-10-25T01:00")


def test_an_hour_that_the_clocks_cut_short_ends_at_the_jump() -> None:
    zone = "Australia/Lord_Howe"
    jump = ms("2026-04-04T15:00")
    assert window_of("hour", jump - 1, zone) == (jump - HOUR, jump)
    assert window_of("hour", jump, zone) == (jump, jump + HOUR // 2)


def test_a_date_that_is_shown_again_after_midnight_has_ended() -> None:
    zone = "America/St_Johns"  # 00:01 on 1 November 2009 became 23:01 on 31 October
    shown_again = ms("2009-10-31T23:30", zone, fold=1)
    start, end = window_of("day", shown_again, zone)
    assert start < shown_again < end
    assert start == ms("2009-11-01T00:00", zone)
    assert end == ms("2009-11-02T00:00", zone)


@given(st.sampled_from(ZONES), st.sampled_from(KINDS), st.integers(T2000, T2040))
def test_every_instant_is_in_exactly_one_window(zone: str, kind: WindowKind, at: int) -> None:
    start, end = window_of(kind, at, zone)
    assert start <= at < end
    assert window_of(kind, start, zone) == window_of(kind, end - 1, zone) == (start, end)
    assert window_of(kind, end, zone)[0] == end
    assert window_of(kind, start - 1, zone)[1] == start
    assert start % QUARTER == end % QUARTER == 0, "so that quarters of an hour add up to it"
    shown = datetime.fromtimestamp(at // 1000, ZoneInfo(zone)), datetime.fromtimestamp(start // 1000, ZoneInfo(zone))
    if kind == "day":
        assert shown[0].date() == shown[1].date()
    if kind == "month":
        assert (shown[0].year, shown[0].month) == (shown[1].year, shown[1].month)
    if kind == "hour":
        assert end - start <= HOUR
        assert shown[0].hour == shown[1].hour


@given(st.sampled_from(ZONES), st.lists(st.tuples(st.integers(0, 40 * 24 * HOUR), st.integers(1, 10**9)), max_size=20))
def test_what_is_settled_is_right_in_every_zone_whenever_it_was_booked(
    zone: str, entries: list[tuple[int, int]]
) -> None:
    t0 = ms("2026-10-01T00:00")
    now = t0 + 40 * 24 * HOUR
    account = Account()
    for after, amount in sorted(entries):
        account.settle(amount, t0 + after)
        for kind in KINDS:
            account.window(kind, t0 + after, "UTC")  # was asked for in another zone before
    for kind in KINDS:
        start, end = window_of(kind, now, zone)
        want = sum(amount for after, amount in entries if start <= t0 + after < end)
        assert account.window(kind, now, zone).settled_micro_usd == want
        assert account.used_micro_usd(kind, now, zone) == want
    assert account.settled_total_micro_usd == sum(amount for _, amount in entries)


def test_an_account_keeps_a_whole_month_and_no_more_than_33_days() -> None:
    account = Account()
    t0 = ms("2026-01-01T00:00")
    for quarter in range(90 * 96):
        account.settle(1, t0 + quarter * QUARTER)
        assert len(account.settled) <= 33 * 96
    assert account.used_micro_usd("month", ms("2026-03-31T23:59:59.999")) == 31 * 96
    assert account.used_micro_usd("month", ms("2026-04-01T00:00")) == 0
    assert account.recent_micro_usd == sum(account.settled.values())
    assert account.settled_total_micro_usd == 90 * 96


def test_what_is_older_than_any_month_is_only_in_the_total() -> None:
    account = Account()
    now = ms("2026-06-15T00:00")
    account.settle(5, now)
    account.settle(7, now - 32 * 24 * HOUR)
    account.settle(11, now - 32 * 24 * HOUR - 1)
    assert account.settled_total_micro_usd == 23
    assert account.recent_micro_usd == 12
    assert sorted(account.settled.values()) == [5, 7]


@pytest.mark.parametrize(
    ("amount", "since", "until", "want"),
    [
        pytest.param(90, 0, 3 * QUARTER, [30, 30, 30], id="three quarters"),
        pytest.param(100, QUARTER // 2, QUARTER // 2 + QUARTER, [50, 50], id="half of each"),
        pytest.param(10, 0, 3 * QUARTER, [3, 3, 4], id="what does not divide, in the end"),
        pytest.param(1, 0, 2 * QUARTER, [1], id="too little to share"),
        pytest.param(7, QUARTER, QUARTER, [7], id="at once"),
        pytest.param(7, QUARTER + 1, QUARTER, [7], id="backwards"),
        pytest.param(0, 0, QUARTER, [], id="nothing"),
    ],
)
def test_what_was_spent_over_a_time_is_booked_for_that_time(
    amount: int, since: int, until: int, want: list[int]
) -> None:
    account = Account()
    t0 = ms("2026-01-05T08:00")
    account.settle(amount, t0 + until, t0 + since)
    assert [account.settled[quarter] for quarter in sorted(account.settled)] == want
    assert account.recent_micro_usd == account.settled_total_micro_usd == amount


def test_what_was_spent_over_a_border_counts_on_both_sides_by_its_time() -> None:
    account = Account()
    midnight = ms("2026-01-06T00:00")
    account.window("day", midnight - 1)
    account.settle(300, midnight + HOUR, midnight - 2 * HOUR)
    assert account.window("day", midnight).settled_micro_usd == 100
    assert account.window("day", midnight - 1).settled_micro_usd == 200


def test_the_window_that_is_open_learns_of_what_is_settled_in_it() -> None:
    account = Account()
    now = ms("2026-01-05T08:30")
    window = account.window("hour", now)
    assert window == BookedWindow(ms("2026-01-05T08:00"), ms("2026-01-05T09:00"), 0)
    account.settle(10, now)
    account.settle(20, ms("2026-01-05T08:00"))
    account.settle(40, ms("2026-01-05T08:59:59.999"))
    account.settle(80, ms("2026-01-05T07:59:59.999"))
    account.settle(160, ms("2026-01-05T09:00"))
    assert account.window("hour", now) is window
    assert window.settled_micro_usd == 70
    assert account.window("hour", window.end_ms).settled_micro_usd == 160
    assert account.window("hour", now).settled_micro_usd == 70, "also when the clock is asked backwards"


def test_another_zone_sees_the_same_money_in_other_windows() -> None:
    account = Account()
    account.settle(100, ms("2026-01-05T23:30"))
    now = ms("2026-01-06T00:30")
    assert account.used_micro_usd("day", now) == 0
    assert account.used_micro_usd("day", now, "Europe/Berlin") == 100
    assert account.used_micro_usd("day", now) == 0


def test_shortfalls_name_the_shortest_window_that_refuses() -> None:
    account = Account()
    account.settle(40, ms("2026-01-31T23:59:59.999"))
    account.reserve(60)
    before, after = ms("2026-01-31T23:59:59.999"), ms("2026-02-01T00:00")
    budget = Budget(per_hour_micro_usd=100, per_day_micro_usd=100, per_month_micro_usd=150)
    short = account.shortfall(budget, 1, before)
    assert short is not None
    assert (short.window, short.limit_micro_usd, short.used_micro_usd) == ("hour", 100, 100)
    assert (short.wanted_micro_usd, short.again_at_ms) == (1, after)
    assert account.shortfall(budget, 0, before) is None
    assert account.shortfall(budget, 40, after) is None
    assert account.shortfall(budget, 41, after) is not None
    account.release(60)
    monthly = account.shortfall(Budget(per_month_micro_usd=150), 111, before)
    assert monthly is not None
    assert (monthly.window, monthly.used_micro_usd, monthly.again_at_ms) == ("month", 40, after)
    assert account.shortfall(Budget(per_month_micro_usd=150), 110, before) is None


def test_a_shortfall_ends_when_the_day_ends_in_the_budgets_zone() -> None:
    account = Account()
    budget = Budget(per_day_micro_usd=1, timezone="Asia/Kolkata")
    short = account.shortfall(budget, 2, ms("2026-01-05T18:29:59.999"))
    assert short is not None
    assert short.again_at_ms == ms("2026-01-05T18:30")


def test_limits_are_listed_shortest_window_first_and_zero_is_one() -> None:
    budget = Budget(per_hour_micro_usd=0, per_day_micro_usd=2, per_month_micro_usd=3)
    assert list(limits_of(budget)) == [("hour", 0), ("day", 2), ("month", 3)]
    assert list(limits_of(Budget())) == []


@pytest.mark.parametrize(
    ("outstanding", "settled_before", "want"),
    [(1, None, False), (0, None, True), (0, timedelta(days=32), False), (0, timedelta(days=32, minutes=15), True)],
)
def test_an_account_is_empty_when_nothing_can_matter_any_more(
    outstanding: int, settled_before: timedelta | None, *, want: bool
) -> None:
    account = Account()
    now = datetime(2026, 6, 15, tzinfo=UTC)
    account.reserve(outstanding)
    if settled_before is not None:
        account.settle(1, int((now - settled_before).timestamp() * 1000))
    assert account.is_empty(int(now.timestamp() * 1000)) is want


def test_the_worst_case_is_price_times_launch_lease_and_drain() -> None:
    worst = worst_case_micro_usd(price_micro_usd_per_hour=3_600_000, launch_ms=1, lease_ms=20, drain_ms=300)
    assert worst == 321
