import itertools
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.model.windows import Window
from burster.policy.windows import InForce, check_window, from_days, in_force, is_open, next_change_ms, zone_of


BERLIN = "Europe/Berlin"
MINUTE = 60_000
HOUR = 60 * MINUTE


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    at = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def a_window(start: str = "", end: str = "", zone: str = BERLIN, **changes: str) -> Window:
    return Window(timezone=zone, start=start, end=end, **changes)


WORKDAYS = a_window("0 8 * * 1-5", "0 20 * * 1-5", name="workdays")
NIGHTS = a_window("0 22 * * *", "0 6 * * *", name="nights")


# --- one window -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "at", "want"),
    [
        (WORKDAYS, "2026-07-06T07:59:59.999", False),
        (WORKDAYS, "2026-07-06T08:00", True),
        (WORKDAYS, "2026-07-06T19:59:59.999", True),
        (WORKDAYS, "2026-07-06T20:00", False),
        (WORKDAYS, "2026-07-10T19:59", True),  # a Friday
        (WORKDAYS, "2026-07-11T12:00", False),
        (NIGHTS, "2026-07-06T21:59:59.999", False),
        (NIGHTS, "2026-07-06T22:00", True),
        (NIGHTS, "2026-07-07T00:00", True),
        (NIGHTS, "2026-07-07T05:59:59.999", True),
        (NIGHTS, "2026-07-07T06:00", False),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-11-19T23:59:59.999", False),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-11-20T00:00", True),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-11-30T23:59:59.999", True),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-12-01T00:00", False),
        (a_window(first_day="2026-11-20"), "2099-01-01T00:00", True),
        (a_window(last_day="2026-11-30"), "1999-01-01T00:00", True),
        (a_window("0 8 * * *", "0 20 * * *", first_day="2026-11-20"), "2026-11-19T12:00", False),
        (a_window("0 8 * * *", "0 20 * * *", first_day="2026-11-20"), "2026-11-20T12:00", True),
        (a_window("0 8 * * *", "0 20 * * *", first_day="2026-11-20"), "2026-11-20T07:00", False),
        (a_window("0 20 * * *", "0 8 * * *", last_day="2026-11-30"), "2026-11-30T23:59", True),
        (a_window("0 20 * * *", "0 8 * * *", last_day="2026-11-30"), "2026-12-01T00:00", False),
        (a_window("0 0 * * MON", "0 0 ? * SAT"), "2026-07-11T00:00", False),
        (a_window("0 0 * * MON", "0 0 ? * SAT"), "2026-07-10T23:59", True),
        (a_window("0 0 25 12 *", "0 0 27 12 *"), "2026-12-26T12:00", True),
        (a_window("0 0 25 12 *", "0 0 27 12 *"), "2026-12-27T00:00", False),
        (
            a_window("*/30 8-17 * * *", "59 17 * * *"),
            "2026-07-06T08:10",
            False,
        ),  # KEDA's rule: the next start comes first
        (a_window("*/30 8-17 * * *", "59 17 * * *"), "2026-07-06T17:40", True),
    ],
)
def test_a_window_is_open_from_its_start_to_before_its_end(window: Window, at: str, want: bool):
    assert is_open(window, ms(at, window.timezone)) is want


@pytest.mark.parametrize(
    ("window", "at", "want"),
    [
        (WORKDAYS, "2026-07-06T07:00", "2026-07-06T08:00"),
        (WORKDAYS, "2026-07-06T08:00", "2026-07-06T20:00"),
        (WORKDAYS, "2026-07-10T20:00", "2026-07-13T08:00"),
        (a_window("*/30 8-17 * * *", "59 17 * * *"), "2026-07-06T08:10", "2026-07-06T17:30"),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-01-01T00:00", "2026-11-20T00:00"),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-11-20T00:00", "2026-12-01T00:00"),
        (a_window(first_day="2026-11-20", last_day="2026-11-30"), "2026-12-01T00:00", None),
        (a_window(first_day="2026-11-20"), "2026-11-20T00:00", None),
        (a_window("0 8 * * *", "0 20 * * *", last_day="2026-11-30"), "2026-11-30T20:00", None),
        (a_window("0 20 * * *", "0 8 * * *", last_day="2026-11-30"), "2026-11-30T21:00", "2026-12-01T00:00"),
        (a_window("0 8 * * *", "0 20 * * *", first_day="2026-11-20"), "2026-01-01T00:00", "2026-11-20T08:00"),
        # two ends before the next start, and two starts before the next end
        (a_window("0 8 * * *", "0 12,20 * * *"), "2026-07-06T09:00", "2026-07-06T20:00"),
        (a_window("0 8,10 * * *", "0 20 * * *"), "2026-07-06T09:00", "2026-07-06T10:00"),
    ],
)
def test_the_next_change_is_when_it_opens_or_closes(window: Window, at: str, want: str | None):
    zone = window.timezone
    assert next_change_ms(window, ms(at, zone)) == (None if want is None else ms(want, zone))


def test_of_a_window_that_never_changes_the_end_of_the_search_is_told():
    always = a_window("0 8 * * 1-5", "0 8 * * 1,2,3,4,5", "UTC")
    now = ms("2026-07-06T09:00")
    assert is_open(always, now)
    # 513 workdays later
    assert next_change_ms(always, now) == ms("2028-06-22T08:00")


def test_times_are_those_on_the_wall_of_the_zone():
    tokyo = a_window("0 9 * * *", "0 17 * * *", "Asia/Tokyo")
    assert is_open(tokyo, ms("2026-07-06T00:00"))
    assert not is_open(tokyo, ms("2026-07-05T23:59"))
    assert not is_open(tokyo, ms("2026-07-06T08:00"))


# --- when the clocks change -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "opens", "closes"),
    [
        # spring: from 02:00 to 03:00 there is nothing on the wall
        ("30 1 * * *", "30 2 * * *", ms("2027-03-28T01:30", BERLIN), ms("2027-03-28T03:00", BERLIN)),
        ("30 2 * * *", "30 4 * * *", ms("2027-03-28T03:00", BERLIN), ms("2027-03-28T04:30", BERLIN)),
        ("0 0 * * *", "0 6 * * *", ms("2027-03-28T00:00", BERLIN), ms("2027-03-28T00:00", BERLIN) + 5 * HOUR),
    ],
)
def test_a_time_that_the_clocks_jump_over_happens_when_they_have_jumped(start: str, end: str, opens: int, closes: int):
    window = a_window(start, end)
    before = ms("2027-03-27T12:00", BERLIN)
    assert not is_open(window, before)
    assert next_change_ms(window, before) == opens
    assert is_open(window, opens)
    assert not is_open(window, opens - 1)
    assert next_change_ms(window, opens) == closes
    assert is_open(window, closes - 1)
    assert not is_open(window, closes)


@pytest.mark.parametrize(("start", "end"), [("10 2 * * *", "50 2 * * *"), ("30 2 * * *", "0 3 * * *")])
def test_a_window_that_is_jumped_over_whole_never_opens_that_day(start: str, end: str):
    window = a_window(start, end)
    times = range(ms("2027-03-27T12:00", BERLIN), ms("2027-03-29T01:00", BERLIN), 10 * MINUTE)
    assert not any(is_open(window, at) for at in times)
    assert next_change_ms(window, times[0]) == ms(f"2027-03-29T02:{start[:2]}", BERLIN)


@pytest.mark.parametrize(
    ("start", "end", "opens", "closes"),
    [
        # autumn: 02:00 to 03:00 is shown twice
        ("30 2 * * *", "0 5 * * *", ms("2026-10-25T02:30", BERLIN), ms("2026-10-25T05:00", BERLIN)),
        ("0 1 * * *", "30 2 * * *", ms("2026-10-25T01:00", BERLIN), ms("2026-10-25T02:30", BERLIN)),
        ("0 2 * * *", "0 3 * * *", ms("2026-10-25T02:00", BERLIN), ms("2026-10-25T02:00", BERLIN) + 2 * HOUR),
        ("0 0 * * *", "0 6 * * *", ms("2026-10-25T00:00", BERLIN), ms("2026-10-25T00:00", BERLIN) + 7 * HOUR),
    ],
)
def test_a_time_that_is_shown_twice_happens_the_first_time(start: str, end: str, opens: int, closes: int):
    window = a_window(start, end)
    before = ms("2026-10-24T12:00", BERLIN)
    assert next_change_ms(window, before) == opens
    assert next_change_ms(window, opens) == closes
    assert not is_open(window, closes)
    assert not is_open(window, ms("2026-10-25T02:45", BERLIN, fold=1)) or end != "30 2 * * *"
    assert next_change_ms(window, closes) == ms("2026-10-26T00:00", BERLIN) + (
        opens - ms("2026-10-25T00:00", BERLIN)
    ), "the next day is like every other, as this one's start is before the clocks change"


def test_in_the_second_showing_of_an_hour_its_times_are_over():
    window = a_window("30 2 * * *", "40 2 * * *")
    second = ms("2026-10-25T02:10", BERLIN, fold=1)
    assert not is_open(window, second)
    assert next_change_ms(window, second) == ms("2026-10-26T02:30", BERLIN)
    assert not is_open(window, ms("2026-10-25T02:35", BERLIN, fold=1))
    assert is_open(window, ms("2026-10-25T02:35", BERLIN))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, "2027-03-28", 23.0),
        (BERLIN, "2026-10-25", 25.0),
        (BERLIN, "2026-07-06", 24.0),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Sao_Paulo", "2018-11-04", 23.0),  # midnight itself is jumped over
        ("America/Havana", "2026-11-01", 25.0),  # midnight is shown twice
        ("Pacific/Apia", "2011-12-30", 0.0),  # a date that never was
    ],
)
def test_a_dated_day_has_the_hours_that_it_has_there(zone: str, day: str, hours: float):
    window = a_window(first_day=day, last_day=day, zone=zone)
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    middle = ms(f"{day}T12:00", zone)
    opens = next_change_ms(window, middle - 48 * HOUR)
    if not hours:
        assert opens is None or not is_open(window, opens)
        return
    assert opens is not None
    closes = next_change_ms(window, opens)
    assert closes == ms(f"{after}T00:00", zone)
    assert closes is not None
    assert (closes - opens) / HOUR == hours


#: A place, and a day around which its clocks do something.
CHANGES = [
    (BERLIN, "2027-03-28"),
    (BERLIN, "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),  # by half an hour
    ("Australia/Lord_Howe", "2026-04-05"),
    ("America/Sao_Paulo", "2018-11-04"),  # at midnight
    ("America/Sao_Paulo", "2018-02-18"),
    ("America/Havana", "2026-11-01"),
    ("Africa/Casablanca", "2026-02-15"),  # for Ramadan
    ("Pacific/Apia", "2011-12-30"),  # by a day
    ("Asia/Kolkata", "2026-07-06"),  # never
]


def oracle(window: Window, zone: str, times: range) -> list[bool]:
    """Minute by minute: a time on the wall happens as soon as the clocks have ever shown it or a later one."""

    def shown(at: int) -> datetime:
        return (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at))
            .astimezone(ZoneInfo(zone))
            .replace(tzinfo=None)
        )

    latest = max(shown(at) for at in range(times[0] - 26 * HOUR, times[0] + 1, MINUTE))
    begin = latest
    starts, ends = (
        list(itertools.takewhile(lambda wall: wall < begin + timedelta(days=30), CronSim(cron, begin)))
        for cron in (window.start, window.end)
    )
    answers: list[bool] = []
    for at in times:
        latest = max(latest, *(shown(minute) for minute in range(at - times.step + MINUTE, at + 1, MINUTE)))
        start, end = (next(wall for wall in walls if wall > latest) for walls in (starts, ends))
        answers.append(end <= start)
    return answers


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_windows_agree_with_a_minute_by_minute_account(zone: str, day: str, data: st.DataObject):
    hour, minute = st.integers(0, 23), st.sampled_from((0, 1, 15, 29, 30, 45, 59))
    near = st.sampled_from((0, 1, 2, 3))
    weekdays = st.sampled_from(("*", "*", "1-5", "0,6", "0"))
    start = f"{data.draw(minute)} {data.draw(st.one_of(hour, near))} * * {data.draw(weekdays)}"
    end = f"{data.draw(minute)} {data.draw(st.one_of(hour, near))} * * {data.draw(weekdays)}"
    if start == end:
        return
    window = a_window(start, end, zone)
    first = ms(f"{day}T00:00", zone) - 14 * HOUR
    times = range(first, first + 50 * HOUR, 7 * MINUTE)
    expected = oracle(window, zone, times)
    assert [is_open(window, at) for at in times] == expected
    change = next_change_ms(window, times[0])
    found = next((at for at, now_open in zip(times, expected, strict=True) if now_open != expected[0]), None)
    if found is not None:
        assert change is not None
        # within one stride before the first instant that is seen to differ
        assert found - 7 * MINUTE < change <= found
        assert is_open(window, change - 1) == expected[0]
        assert is_open(window, change) != expected[0]


def test_an_answer_does_not_depend_on_what_was_asked_before():
    window = a_window("0 8 * * *", "0 20 * * *", "UTC", name="asked in any order")
    times = [ms("2026-07-06T00:00") + step * HOUR for step in range(72)]
    forwards = [is_open(window, at) for at in times]
    assert [is_open(window, at) for at in reversed(times)] == forwards[::-1]
    assert forwards == [8 <= step % 24 < 20 for step in range(72)]


# --- several ----------------------------------------------------------------------------------------------------------


FREEZE = a_window(first_day="2026-07-08", last_day="2026-07-09", name="freeze")


def test_without_windows_a_policy_is_always_in_force():
    assert in_force((), (), 0) == InForce(open=True, window=None, blackout=False, until_ms=None)


@pytest.mark.parametrize(
    ("windows", "blackouts", "at", "want"),
    [
        ((WORKDAYS,), (), "2026-07-06T12:00", (True, WORKDAYS, False, "2026-07-06T20:00")),
        ((WORKDAYS,), (), "2026-07-06T20:00", (False, None, False, "2026-07-07T08:00")),
        ((WORKDAYS, NIGHTS), (), "2026-07-06T23:00", (True, NIGHTS, False, "2026-07-07T06:00")),
        ((WORKDAYS, NIGHTS), (), "2026-07-06T21:00", (False, None, False, "2026-07-06T22:00")),
        ((WORKDAYS,), (FREEZE,), "2026-07-07T12:00", (True, WORKDAYS, False, "2026-07-07T20:00")),
        ((WORKDAYS,), (FREEZE,), "2026-07-08T12:00", (False, FREEZE, True, "2026-07-10T00:00")),
        ((WORKDAYS,), (FREEZE,), "2026-07-07T21:00", (False, None, False, "2026-07-08T00:00")),
        ((), (FREEZE,), "2026-07-07T12:00", (True, None, False, "2026-07-08T00:00")),
        ((), (FREEZE,), "2026-07-09T23:59", (False, FREEZE, True, "2026-07-10T00:00")),
        ((), (FREEZE,), "2026-07-10T00:00", (True, None, False, None)),
        ((FREEZE,), (), "2026-07-10T00:00", (False, None, False, None)),
        # a boundary that changes nothing is passed over
        ((FREEZE,), (NIGHTS,), "2026-01-01T12:00", (False, None, False, "2026-01-01T22:00")),
        (
            (a_window(first_day="2026-07-01", name="from July"), FREEZE),
            (),
            "2026-07-06T00:00",
            (True, "from July", False, None),
        ),
        # the first that is open is named, in the order in which they are written
        (
            (NIGHTS, a_window("0 23 * * *", "0 5 * * *", name="late")),
            (),
            "2026-07-06T23:30",
            (True, NIGHTS, False, "2026-07-07T06:00"),
        ),
    ],
)
def test_any_window_and_no_blackout(
    windows: tuple[Window, ...], blackouts: tuple[Window, ...], at: str, want: tuple[object, ...]
):
    answer = in_force(windows, blackouts, ms(at, BERLIN))
    decided = answer.window.name if isinstance(want[1], str) and answer.window else answer.window
    until = None if answer.until_ms is None else answer.until_ms
    assert (answer.open, decided, answer.blackout, until) == (
        *want[:3],
        None if want[3] is None else ms(str(want[3]), BERLIN),
    )


def test_the_answer_of_several_does_not_depend_on_what_was_asked_before():
    times = [ms("2026-07-06T00:00") + step * HOUR for step in range(24 * 5)]
    forwards = [in_force((WORKDAYS, NIGHTS), (FREEZE,), at).open for at in times]
    assert [in_force((WORKDAYS, NIGHTS), (FREEZE,), at).open for at in reversed(times)] == forwards[::-1]
    expected = [(is_open(WORKDAYS, at) or is_open(NIGHTS, at)) and not is_open(FREEZE, at) for at in times]
    assert forwards == expected
    assert {True, False} == set(expected)


# --- what may be written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (
            a_window("0 8 * * *", "0 9 * * *", "Europe/Berln"),
            "Europe/Berln is no time zone: did you mean Europe/Berlin?",
        ),
        (a_window("0 8 * * *", "0 9 * * *", "Mars"), "Mars is no time zone: write an IANA name like Europe/Berlin."),
        (
            a_window("0 8 * * *", "0 9 * * *", ""),
            "An empty name is no time zone: write an IANA name like Europe/Berlin.",
        ),
        (
            a_window("0 8 * * *", "0 9 * * *", "../etc/passwd"),
            "../etc/passwd is no time zone: write an IANA name like Europe/Berlin.",
        ),
        (
            a_window("0 8 * * *", "0 9 * * *", "localtime"),
            "localtime is no time zone: write an IANA name like Europe/Berlin.",
        ),
        (a_window("0 8 * * *", ""), "start without end: a window needs both, or neither."),
        (a_window("", "0 8 * * *"), "end without start: a window needs both, or neither."),
        (
            a_window("0 8 * * *", "0  8 * * *"),
            "start and end are the same time: a window must end at another than it starts.",
        ),
        (
            a_window("0 8 * * mon", "0 8 ? * MON"),
            "start and end are the same time: a window must end at another than it starts.",
        ),
        (a_window(), "A window needs days or times, start and end, or firstDay or lastDay: this one is always open."),
        (a_window("@daily", "0 8 * * *"), "start @daily is a short form: write the five fields, as in 0 8 * * 1-5."),
        (
            a_window("0 8 * * *", "0 0 9 * * *"),
            "end '0 0 9 * * *' has 6 fields: cron has five (minute hour day month weekday).",
        ),
        (
            a_window("0 8 * *", "0 9 * * *"),
            "start '0 8 * *' has 4 fields: cron has five (minute hour day month weekday).",
        ),
        (a_window("0 24 * * *", "0 9 * * *"), "start '0 24 * * *': its hour is none, or out of range: write 0 to 23."),
        (
            a_window("60 0 * * *", "0 9 * * *"),
            "start '60 0 * * *': its minute is none, or out of range: write 0 to 59.",
        ),
        (
            a_window("0 0 0 * *", "0 9 * * *"),
            "start '0 0 0 * *': its day-of-month is none, or out of range: write a day that the month has, 1 to 31.",
        ),
        (
            a_window("0 0 * 13 *", "0 9 * * *"),
            "start '0 0 * 13 *': its month is none, or out of range: write 1 to 12, or JAN to DEC.",
        ),
        (
            a_window("0 0 * * 8", "0 9 * * *"),
            "start '0 0 * * 8': its day-of-week is none, or out of range: write 0 to 7 or SUN to SAT, the earlier day first.",
        ),
        (
            a_window("0 0 30 2 *", "0 9 * * *"),
            "start '0 0 30 2 *': its day-of-month is none, or out of range: write a day that the month has, 1 to 31.",
        ),
        (
            a_window("0 0 * * FRI-MON", "0 9 * * *"),
            "start '0 0 * * FRI-MON': its day-of-week is none, or out of range: write 0 to 7 or SUN to SAT, the earlier day first.",
        ),
        (
            a_window("0 0 L * *", "0 9 * * *"),
            "start '0 0 L * *': L is no cron field; take numbers, names like MON, and * , - /.",
        ),
        (
            a_window("0 0 * * 5#2", "0 9 * * *"),
            "start '0 0 * * 5#2': 5#2 is no cron field; take numbers, names like MON, and * , - /.",
        ),
        (
            a_window("0 0 31 4 *", "0 9 * * *"),
            "start '0 0 31 4 *': its day-of-month is none, or out of range: write a day that the month has, 1 to 31.",
        ),
        (a_window(first_day="2026-02-30"), "firstDay 2026-02-30 is no date: write it like 2026-11-30."),
        (a_window(last_day="30.11.2026"), "lastDay 30.11.2026 is no date: write it like 2026-11-30."),
        (a_window(last_day="20261130"), "lastDay 20261130 is no date: write it like 2026-11-30."),
        (a_window(first_day="1969-12-31"), "firstDay 1969-12-31 is too far away: take a year from 1970 to 8999."),
        (a_window(last_day="9000-01-01"), "lastDay 9000-01-01 is too far away: take a year from 1970 to 8999."),
        (a_window(first_day="2026-11-30", last_day="2026-11-29"), "lastDay 2026-11-29 is before firstDay 2026-11-30."),
    ],
)
def test_a_window_that_is_none_is_refused(window: Window, message: str):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        check_window(window)
    assert str(caught.value) == message
    with pytest.raises(ValueError, match=re.escape(message)):
        is_open(window, 0)


@pytest.mark.parametrize(
    "window",
    [
        WORKDAYS,
        FREEZE,
        a_window("0 8 * JAN-MAR MON-FRI", "*/5 9-17 1,15 * ?"),
        a_window("0 0 29 2 *", "0 0 1 3 *"),
        a_window("0 0 * * 0", "0 0 * * 7", "UTC"),
        a_window(first_day="2026-11-30", last_day="2026-11-30"),
        a_window(first_day="1970-01-01", last_day="8999-12-31"),
        a_window("0 8 * * *", "0 20 * * *", "Etc/GMT+3"),
    ],
)
def test_a_window_that_is_one_is_taken(window: Window):
    check_window(window)
    assert is_open(window, ms("2026-07-06T12:00")) in {True, False}


@pytest.mark.parametrize("name", ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"])
def test_months_may_be_named(name: str):
    number = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"].index(name) + 1
    window = a_window(f"0 0 10 {name} *", f"0 0 20 {name.lower()} *", "UTC")
    check_window(window)
    assert is_open(window, ms(f"2026-{number:02}-15T00:00"))
    assert not is_open(window, ms(f"2026-{number:02}-20T00:00"))


@pytest.mark.parametrize("name", ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])
def test_weekdays_may_be_named(name: str):
    number = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"].index(name)
    window = a_window(f"0 8 * * {name}", f"0 9 * * {name.title()}", "UTC")
    check_window(window)
    assert is_open(window, ms(f"2026-07-{5 + number:02}T08:00"))
    assert not is_open(window, ms(f"2026-07-{6 + number:02}T08:00"))


def test_a_zone_is_found_by_its_name():
    assert zone_of("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("days", "from_", "to", "want"),
    [
        (("Mon-Fri",), "08:00", "20:00", ("0 8 * * 1-5", "0 20 * * 1-5")),
        (("Mon-Fri", "Sun"), "08:00", "20:30", ("0 8 * * 0-5", "30 20 * * 0-5")),
        (("mon", "WEDNESDAY", " Fri "), "8:05", "9:00", ("5 8 * * 1,3,5", "0 9 * * 1,3,5")),
        (("Fri-Mon",), "20:00", "08:00", ("0 20 * * 0-1,5-6", "0 8 * * 0-2,6")),
        (("Sat",), "22:00", "00:00", ("0 22 * * 6", "0 0 * * 0")),
        (("Sat",), "22:00", "24:00", ("0 22 * * 6", "0 0 * * 0")),
        (("Mon-Fri",), "", "", ("0 0 * * 1-5", "0 0 * * 2-6")),
        (("Mon-Fri",), "00:00", "24:00", ("0 0 * * 1-5", "0 0 * * 2-6")),
        ((), "08:00", "20:00", ("0 8 * * *", "0 20 * * *")),
        (("Mon-Sun",), "22:00", "06:00", ("0 22 * * *", "0 6 * * *")),
        (("Tue-Mon",), "22:00", "06:00", ("0 22 * * *", "0 6 * * *")),
        ((), "", "", ("", "")),
        (("Sun-Sat",), "00:00", "24:00", ("", "")),
        (("Sat", "Sun"), "00:01", "23:59", ("1 0 * * 0,6", "59 23 * * 0,6")),
    ],
)
def test_days_and_times_become_cron(days: tuple[str, ...], from_: str, to: str, want: tuple[str, str]):
    assert from_days(days, from_, to) == want


@pytest.mark.parametrize(
    ("days", "from_", "to", "message"),
    [
        (
            ("Montag",),
            "08:00",
            "20:00",
            "Montag names no days: write Mon, Tue, Wed, Thu, Fri, Sat, Sun, or a range like Mon-Fri.",
        ),
        (
            ("Mon-",),
            "08:00",
            "20:00",
            "Mon- names no days: write Mon, Tue, Wed, Thu, Fri, Sat, Sun, or a range like Mon-Fri.",
        ),
        (("",), "08:00", "20:00", " names no days: write Mon, Tue, Wed, Thu, Fri, Sat, Sun, or a range like Mon-Fri."),
        ((), "08:00", "", "from without to: times need both, or neither."),
        ((), "", "08:00", "to without from: times need both, or neither."),
        (
            (),
            "08:00",
            "08:00",
            "from and to are both 08:00: for the whole day leave both out, or write 00:00 and 24:00.",
        ),
        ((), "24:00", "08:00", "from 24:00 is no time: write it from 00:00 to 23:59."),
        ((), "08:00", "24:01", "to 24:01 is no time: write it from 00:00 to 24:00."),
        ((), "08:60", "09:00", "from 08:60 is no time: write it from 00:00 to 23:59."),
        ((), "8am", "09:00", "from 8am is no time: write it from 00:00 to 23:59."),
        ((), "08:00", "9:5", "to 9:5 is no time: write it from 00:00 to 24:00."),
    ],
)
def test_days_and_times_that_are_none_are_refused(days: tuple[str, ...], from_: str, to: str, message: str):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        from_days(days, from_, to)
    assert str(caught.value) == message


@given(
    days=st.sets(st.integers(0, 6), min_size=1).map(sorted),
    begin=st.integers(0, 1439),
    length=st.integers(1, 1439),
    at=st.integers(0, 7 * 1440 - 1),
)
@settings(max_examples=60, deadline=None)
def test_days_and_times_mean_what_they_say(days: list[int], begin: int, length: int, at: int):
    names = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
    finish = (begin + length) % 1440
    start, end = from_days(
        tuple(names[day] for day in days), f"{begin // 60:02}:{begin % 60:02}", f"{finish // 60:02}:{finish % 60:02}"
    )
    sunday = ms("2026-07-05T00:00")
    inside = any(
        day * 1440 + begin <= at + week < day * 1440 + begin + length for day in days for week in (0, 7 * 1440)
    )
    assert is_open(a_window(start, end, "UTC"), sunday + at * MINUTE) is inside
