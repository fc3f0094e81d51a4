"""A window that a file may hold is one that the engine can evaluate; times that never come, and spans that never end, have a place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.policy.compile import compile_documents
from burster.policy.errors import PolicyErrors
from burster.policy.load import load_text
from burster.policy.windows import in_force


HEAD = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web, namespace: bank}
spec:
  workload: {ownerRef: {kind: Deployment, name: web}}
  placement: {targets: [east]}
"""
AT_MS = 1_799_236_800_000  # 2027-01-06T12:00:00Z


def problems_of(more):
    try:
        compile_documents(load_text(HEAD + more, "web.yaml"))
    except PolicyErrors as errors:
        return [(one.line, one.column, one.path, one.message) for one in errors.problems]
    return []


def window(parts):
    return problems_of(f"  windows:\n  - {{timezone: UTC, {parts}}}\n")


def cron_trigger(start, end):
    metadata = ("timezone: UTC", f"start: {start}", f"end: {end}", "desiredReplicas: 1")
    return problems_of("  triggers:\n  - type: cron\n    metadata:\n" + "".join(f"      {one}\n" for one in metadata))


NO_SUCH_DAY = "its day-of-month is none, or out of range: write a day that the month has, 1 to 31."


def test_a_30th_of_february_has_its_place_wherever_it_is_written():
    assert cron_trigger("0 8 30 2 *", "0 9 1 3 *") == [
        (11, 14, "spec.triggers[0].metadata.start", f"the cron expression '0 8 30 2 *': {NO_SUCH_DAY}")
    ]
    assert cron_trigger("0 8 1 3 *", "0 9 31 4,6 *") == [
        (12, 12, "spec.triggers[0].metadata.end", f"the cron expression '0 9 31 4,6 *': {NO_SUCH_DAY}")
    ]
    assert window("start: 0 8 30 2 *, end: 0 9 1 3 *") == [
        (8, 28, "spec.windows[0].start", f"the cron expression '0 8 30 2 *': {NO_SUCH_DAY}")
    ]
    assert problems_of("  blackouts:\n  - {timezone: UTC, start: 0 8 1 3 *, end: 0 9 30 FEB *}\n") == [
        (8, 44, "spec.blackouts[0].end", f"the cron expression '0 9 30 FEB *': {NO_SUCH_DAY}")
    ]


@pytest.mark.parametrize("start", ["0 8 29 2 *", "0 8 31 * *", "0 8 30 2 1"])
def test_days_that_come_seldom_are_days(start):
    end = start.replace("0 8", "0 9")
    # with a day of the week beside it a day of the month is one of two ways to happen
    assert window(f"start: {start}, end: {end}") == cron_trigger(start, end) == []


SAME = [
    ("0 8 * * *", "0 8 * * *"),
    ("0 8 * * 1", "0  8 * * MON"),
    ("0 8 * * 7", "0 8 * * sun"),
    ("0 8 * * 0", "0 8 * * 7"),
    ("0 8 * 1-12 *", "0 8 ? * *"),
    ("*/30 8 * * *", "0,30 8 * * *"),
    ("0 8 * * 1-5", "0 8 * * MON,TUE,WED,THU,FRI"),
]


@pytest.mark.parametrize(("start", "end"), SAME)
def test_start_and_end_at_the_same_times_however_they_are_written(start, end):
    same = "is the same time as start, so that it never ends: write when it ends"
    ((_, _, path, message),) = window(f'start: "{start}", end: "{end}"')
    assert (path, message.partition(", or")[0]) == ("spec.windows[0].end", same)
    ((_, _, path, message),) = cron_trigger(f'"{start}"', f'"{end}"')
    assert (path, message.startswith("is the same")) == ("spec.triggers[0].metadata.end", True)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0 8 * * 1", "0 8 * * 2"),
        ("0 8 1 * 1", "0 8 1 * *"),
        ("0 8 13 * 5", "0 8 */13 * 5"),
        ("0 8 * * *", "1 8 * * *"),
    ],
)
def test_times_that_differ_are_not_taken_for_the_same(start, end):
    assert window(f'start: "{start}", end: "{end}"') == []


@pytest.mark.parametrize("field", ["firstDay", "lastDay"])
@pytest.mark.parametrize("day", ["1960-02-20", "9999-12-31"])
def test_a_day_that_no_calendar_reaches_has_its_place(field, day):
    assert window(f'{field}: "{day}"') == [
        (
            8,
            23 + len(field),
            f"spec.windows[0].{field}",
            f"the day {day} is too far away: take a year from 1970 to 8999.",
        )
    ]


@pytest.mark.parametrize("days", ["", ", days: [Mon-Sun]", ", days: [Fri-Tue, Wed, Thu]"])
def test_the_whole_of_every_day_is_for_ever(days):
    ((_, _, path, message),) = window(f'from: "00:00", to: "24:00"{days}')
    assert (path, message.partition(":")[0]) == ("spec.windows[0]", "is open for ever")
    assert window(f'from: "00:00", to: "24:00", firstDay: 2026-01-01{days}') == []


CRONS = st.sampled_from(
    [
        "0 8 * * *",
        "0 8 * * 1-5",
        "0 20 * * MON",
        "0 20 * * 1",
        "0 0 29 2 *",
        "*/5 * * * *",
        "0 8 31 12 7",
        "0 8 31 12 SUN",
        "? ? ? ? ?",
    ]
)
DAYS = st.sampled_from(
    ["0001-01-01", "1970-01-01", "2027-01-06", "2028-02-29", "8999-12-31", "9000-01-01", "9999-12-31"]
)
TIMES = st.sampled_from(["00:00", "08:00", "23:59", "24:00"])
PARTS = st.fixed_dictionaries(
    {"timezone": st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo"])},
    optional={
        "start": CRONS, "end": CRONS, "from": TIMES, "to": TIMES, "firstDay": DAYS, "lastDay": DAYS,
        "days": st.sampled_from(["[Mon]", "[Sat-Mon]", "[Mon-Sun]"]),
    },
)  # fmt: skip


@given(parts=PARTS)
@settings(max_examples=300, deadline=None)
def test_whatever_window_is_taken_can_be_evaluated(parts):
    text = ", ".join(f"{name}: {value}" if name == "days" else f'{name}: "{value}"' for name, value in parts.items())
    try:
        compiled = compile_documents(load_text(f"{HEAD}  windows:\n  - {{{text}}}\n", "web.yaml"))
    except PolicyErrors:
        return
    (policy,) = compiled.policies
    assert in_force(policy.windows, (), AT_MS).open in {True, False}
