import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.policy.conditions import Condition, ConditionError, Unknown, compile_condition
from burster.policy.conditions.problems import FUNCTIONS
from burster.policy.conditions.types import TEXT_MAX, VARIABLES, point_at


NOON = datetime(2026, 7, 6, 12, 0, tzinfo=UTC)


def holds(text: str, **values: Any) -> bool | Unknown:
    return compile_condition(text).holds({name.replace("__", "."): value for name, value in values.items()})


def fails(text: str, metrics: set[str] | None = None) -> ConditionError:
    with pytest.raises(ConditionError) as caught:
        compile_condition(text, metrics)
    return caught.value


# --- what holds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "want"),
    [
        ("pending.count > 3", {"pending__count": 4}, True),
        ("pending.count > 3", {"pending__count": 3}, False),
        ("pending.cpu >= 2.5", {"pending__cpu": 2.5}, True),
        ('metrics["queue"] > 100.0', {"metrics": {"queue": 100.5}}, True),
        ("metrics.queue > 100.0", {"metrics": {"queue": 99.5}}, False),
        ('"queue" in metrics', {"metrics": {}}, False),
        ("has(metrics.queue) && metrics.queue > 1.0", {"metrics": {}}, False),
        ('now.getHours("Europe/Berlin") == 14', {"now": NOON}, True),
        ('now.getHours("+05:30") == 17', {"now": NOON}, True),
        ("now.getDayOfWeek() == 1", {"now": NOON}, True),
        ('now < timestamp("2026-07-06T12:00:01Z")', {"now": NOON}, True),
        ('pod.labels["team"] == "risk"', {"pod__labels": {"team": "risk"}}, True),
        ('pod.labels.exists(k, k.startsWith("burst"))', {"pod__labels": {"a": "", "burster": ""}}, True),
        ("pod.labels.all(k, size(k) == 1)", {"pod__labels": {"a": "", "bb": ""}}, False),
        ('pod.name.matches("^train-[0-9]+$")', {"pod__name": "train-17"}, True),
        ('pod.kind in ["Job", "Pod"]', {"pod__kind": "Job"}, True),
        ("budget.day.left > 5.0", {"budget__day__left": float("inf")}, True),
        ('cloud.byTarget["azure"] < 2', {"cloud__byTarget": {"azure": 1}}, True),
        ('pod.devices["nvidia.com/gpu"] == 1', {"pod__devices": {"nvidia.com/gpu": 1}}, True),
        ("// only then\npending.count > 0 // or so", {"pending__count": 1}, True),
    ],
)
def test_a_condition_holds_or_not(text: str, values: dict[str, Any], want: bool):
    assert holds(text, **values) is want


def test_every_variable_can_be_used_with_the_type_that_is_written_down():
    samples = {
        "int": ("{} > 1", 2),
        "double": ("{} > 1.0", 2.0),
        "string": ('{} == "x"', "x"),
        "timestamp": ('{} > timestamp("2026-01-01T00:00:00Z")', NOON),
        "map(string, double)": ('{}["x"] > 1.0', {"x": 2.0}),
        "map(string, int)": ('{}["x"] > 1', {"x": 2}),
        "map(string, string)": ('{}["x"] == "y"', {"x": "y"}),
    }
    assert len(VARIABLES) == 41
    for name, variable in VARIABLES.items():
        text, value = samples[variable.type]
        condition = compile_condition(text.format(name))
        assert condition.variables == {name}
        assert condition.mentions == {name.split(".")[0]}
        assert condition.holds({name: value}) is True


# --- what is not known ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ('metrics["queue"] > 1.0', {"metrics": {}}, "the trigger queue has no value now"),
        ("metrics.queue > 1.0", {"metrics": {"other": 1.0}}, "the trigger queue has no value now"),
        ('pod.labels["team"] == "risk"', {"pod__labels": {}}, "there is no entry team"),
        ("onprem.cpuPercent > 90.0", {}, "onprem.cpuPercent is not known yet"),
        ("onprem.cpuPercent > 90.0", {"onprem__cpuPercent": None}, "onprem.cpuPercent is not known yet"),
        ("10 / pending.count > 1", {"pending__count": 0}, "divide by zero"),
        ("pending.count * pending.count > 0", {"pending__count": 2**62}, "integer overflow"),
        ("pending.count > 0", {"pending__count": 2**63}, "int too big to convert"),
        (
            "pending.count > 0",
            {"pending__count": "1"},
            "unexpected value type for 'pending.count': str. (Expected INT)",
        ),
        ("metrics.all(k, 1 / (size(k) - 1) > 0)", {"metrics": {"a": 1.0}}, "an entry it goes through has no answer"),
        (
            'metrics.exists(k, metrics[k + "x"] > 0.0)',
            {"metrics": {"a": 1.0, "b": 1.0}},
            "an entry it goes through has no answer",
        ),
        ("metrics.all(k, size(k) > 0)", {}, "metrics is not known yet"),
        (
            "pod.labels.all(k, size(k) > 0)",
            {"pod__labels": {str(n): "" for n in range(10_001)}},
            "it goes through more than 10,000 entries",
        ),
    ],
)
def test_what_has_no_answer_is_unknown_and_says_why(text: str, values: dict[str, Any], reason: str):
    answer = holds(text, **values)
    assert answer == Unknown(reason)
    assert not answer, "it is never taken for true"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("true || onprem.nodes > 1", True),
        ("onprem.nodes > 1 || true", True),
        ("false && onprem.nodes > 1", False),
        ("onprem.nodes > 1 && false", False),
        ('pending.count == 1 ? true : metrics["x"] > 1.0', True),
    ],
)
def test_what_is_not_known_does_not_matter_where_the_answer_is_the_same_without_it(text: str, want: bool):
    assert holds(text, pending__count=1, metrics={}) is want


def test_nan_compares_with_nothing():
    assert holds("metrics.q > 1.0 || metrics.q <= 1.0", metrics={"q": float("nan")}) is False


# --- what it mentions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("true", set()),
        ('"pod.name" == "pod"', set()),
        ("// pod.name\npending . count > 0", {"pending.count"}),
        ("pending.count > 0 && metrics.q > 1.0", {"pending.count", "metrics"}),
        ('pod.labels.exists(now, now == "x")', {"pod.labels", "now"}),
        (".pod.name == pod.kind", {"pod.name", "pod.kind"}),
    ],
)
def test_it_knows_what_it_needs_to_see(text: str, variables: set[str]):
    condition = compile_condition(text)
    assert condition.variables == variables
    assert condition.mentions == {name.split(".")[0] for name in variables}


def test_the_triggers_it_names_must_be_there():
    text = 'metrics["queue-depth"] > 1.0 ||\n  metrics.lag > 2.0 || "age" in metrics'
    condition = compile_condition(text, {"queue-depth", "lag", "age"})
    assert [(use.name, use.line, use.column) for use in condition.metrics] == [
        ("queue-depth", 1, 9),
        ("lag", 2, 3),
        ("age", 2, 24),
    ]
    error = fails(text, {"queue_depth", "age", "lags"})
    assert [(p.line, p.column, p.message) for p in error.problems] == [
        (1, 9, "No trigger of the policy is named queue-depth: did you mean queue_depth?"),
        (2, 3, "No trigger of the policy is named lag: did you mean lags?"),
    ]
    assert (
        fails("metrics.zzz > 1.0", {"queue", "age"}).message
        == "No trigger of the policy is named zzz; named are age, queue."
    )
    assert (
        fails("metrics.zzz > 1.0", set()).message
        == "No trigger of the policy is named zzz: give the trigger that is meant this name."
    )
    assert compile_condition("metrics.zzz > 1.0").metrics[0].name == "zzz", (
        "nothing is said where the triggers are not given"
    )
    assert not compile_condition('metrics[pod.name] > 1.0 && pod.labels.q == "q"', set()).metrics


def test_compiling_the_same_text_again_costs_nothing():
    assert compile_condition("pending.count > 17") is compile_condition("pending.count > 17")


# --- what is refused at load ------------------------------------------------------------------------------------------

PENDING = "It has count, cpu, memoryGiB, oldestSeconds."


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("pending.cuont > 1", 1, 1, f"pending has no cuont: did you mean pending.count? {PENDING}"),
        ("pending .  cuont > 1", 1, 1, f"pending has no cuont: did you mean pending.count? {PENDING}"),
        ("true &&\n  pending.zzz > 1", 2, 3, "pending has no zzz; it has count, cpu, memoryGiB, oldestSeconds."),
        ("budget.week.left > 1.0", 1, 1, "budget has no week; it has day, hour, month."),
        (
            "onprem.cpu.fre > 1.0",
            1,
            1,
            "onprem.cpu has no fre: did you mean onprem.cpu.free? It has allocatable, free, requested.",
        ),
        (
            "pending > 1",
            1,
            1,
            "pending is a group and no value: pick one of its members (count, cpu, memoryGiB, oldestSeconds).",
        ),
        (
            "budget.hour > 1.0",
            1,
            1,
            "budget.hour is a group and no value: pick one of its members (left, limit, reserved, spent).",
        ),
        ("pendin.count > 1", 1, 1, "pendin.count is not known here: did you mean pending?"),
        (
            "zzz > 1",
            1,
            1,
            "zzz is not known here; known are budget, cloud, metrics, now, onprem, pending, pod and CEL's functions.",
        ),
        ("now.getHour() > 1", 1, 5, "getHour is not known here: did you mean getHours?"),
        ('pod.name.startswith("a")', 1, 10, "startswith is not known here: did you mean startsWith?"),
        ("True", 1, 1, "True is not CEL: write true."),
        ("nil == pod.name", 1, 1, "nil is not CEL: write null."),
        ("pending.count > 1 and true", 1, 19, "and is not CEL: write &&."),
        ("pending.count > 1 or true", 1, 19, "or is not CEL: write ||."),
        ("pending.count = 1", 1, 15, "= compares nothing: write ==."),
        ("pending.count <> 1", 1, 16, "<> is not CEL: write !=."),
        ("true & true", 1, 6, "& is not CEL: write &&."),
        ("true | true", 1, 6, "| is not CEL: write ||."),
        ("pending.count > 1k", 1, 18, "A number has no unit here: write the number alone, without k."),
        ("pending.count > 1.5Gi", 1, 20, "A number has no unit here: write the number alone, without Gi."),
        ("pending.count >", 1, 16, "It ends too early: something is missing here."),
        ("(true", 1, 6, "It ends too early: something is missing here."),
        ('pod.name == "abc', 1, 13, 'The string that begins here has no closing ".'),
        ("pod.name == 'abc", 1, 13, "The string that begins here has no closing '."),
        ("true ; true", 1, 6, "Something other than ; is expected here."),
        ("if (true)", 1, 1, "Reserved identifier: if."),
        ("pending.count > 9223372036854775808", 1, 17, "Invalid int literal."),
        ("pending.count", 1, 1, "A condition is true or false, and this is an int: compare it with something."),
        ("  pending.cpu", 1, 3, "A condition is true or false, and this is a double: compare it with something."),
        ("pending.count.x > 1", 1, 14, "This is an int (12), which has no members."),
        (
            "pending.count && true",
            1,
            15,
            "&& joins conditions, and one side is an int (12): compare it with something.",
        ),
        ("!pod.name", 1, 1, '! joins conditions, and one side is a string ("text"): compare it with something.'),
        ('now > "2026-01-01"', 1, 5, '> can\'t be used between a timestamp and a string ("text").'),
        ("pending.count in metrics", 1, 15, "in can't be used between an int (12) and a map(string, double)."),
        ("metrics[1] > 1.0", 1, 8, "a map(string, double) has no entry [int]: its keys are strings."),
        ("size(pending.count) > 1", 1, 5, "size(int) does not exist: this function takes other values."),
        (
            "(true ? 1 : true) == 1",
            1,
            7,
            "The two branches behind ? must be of one type, and what is before it true or false.",
        ),
        (
            'now.getHours("Europe/Berln") < 20',
            1,
            14,
            "Europe/Berln is no time zone: write an IANA name like Europe/Berlin, or an offset like +01:00.",
        ),
        (
            'now.getHours("localtime") < 20',
            1,
            14,
            "localtime is no time zone: write an IANA name like Europe/Berlin, or an offset like +01:00.",
        ),
        ('timestamp("2026") < now', 1, 11, "2026 is no timestamp: write it like 2026-11-30T18:00:00Z."),
        ('now - duration("5 m") < now', 1, 16, "5 m is no duration: write it like 1h30m."),
        ('true && pod.name.matches("(")', 1, 26, "( is no regular expression (RE2 syntax)."),
        (
            "metrics.all(k, pod.labels.exists(j, j == k))",
            1,
            33,
            "all(), exists() and exists_one() can't be nested: the cost would be the product.",
        ),
        (
            "metrics.map(k, k) == []",
            1,
            12,
            "map() and filter() are not available here: use exists(), all() or exists_one().",
        ),
        (
            'metrics.filter(k, k == "a") == []',
            1,
            15,
            "map() and filter() are not available here: use exists(), all() or exists_one().",
        ),
        ('{"a": 1}["a"] == 1', 1, 1, "Maps and messages can't be made in a condition: compare the values one by one."),
        ("", 1, 1, "A condition is empty: leave when out where the policy always holds."),
        ("  \n ", 1, 1, "A condition is empty: leave when out where the policy always holds."),
        ("true\x00", 1, 5, "A condition is plain text, and this is the character U+0000."),
        ("true &&\n true\x7f", 2, 6, "A condition is plain text, and this is the character U+007F."),
        ('"\ud800" == "a"', 1, 2, "A condition is plain text, and this is the character U+D800."),
    ],
)
def test_a_slip_is_found_at_load_with_its_place_and_its_fix(text: str, line: int, column: int, message: str):
    error = fails(text)
    assert (error.line, error.column, error.message) == (line, column, message)


@pytest.mark.parametrize(
    ("text", "column", "fix"),
    [
        ("pending.cpu > 100", 13, "write 100.0 instead of 100"),
        ("pending.cpu >-100", 13, "write -100.0 instead of -100"),
        ("100 < pending.cpu", 5, "write 100.0 instead of 100"),
        ("-5 < pending.cpu", 4, "write -5.0 instead of -5"),
        ("pending.count > 2.0", 15, "write 2 instead of 2.0"),
        ("pending.count > 2.5", 15, "write numbers with .0, or double(...) around the int"),
        ("pending.cpu > pending.count", 13, "write numbers with .0, or double(...) around the int"),
        ('metrics["a"] * 2 > 1.0', 14, "write 2.0 instead of 2"),
    ],
)
def test_an_int_beside_a_double_is_told_with_the_number_to_write(text: str, column: int, fix: str):
    error = fails(text)
    sign = text[column - 1 :].split(" ", maxsplit=1)[0].rstrip("-0123456789")
    assert error.column == column
    assert error.message == f"{sign} needs both sides of one type, and CEL never turns an int into a double: {fix}."


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_that_is_suggested_is_one_of_cels_and_its_example_works(name: str):
    error = fails(f"{name}() == 1")
    said, _, example = error.message.removesuffix(".").partition(": write it as in ")
    assert said == f"{name} is not used like this"
    assert f"{name}(" in example
    metrics = {"all", "exists", "exists_one", "has", "contains", "startsWith", "endsWith", "matches"}
    try:
        compile_condition(example)
    except ConditionError as wrong:
        # fine but for its being no condition by itself
        found = (name not in metrics, wrong.message.startswith("A condition is true or false"))
        assert found == (True, True)
    assert fails(f"{name}x() == 1").message in {f"{name}x is not known here: did you mean {one}?" for one in FUNCTIONS}


def test_all_type_errors_are_told_at_once_and_the_first_one_is_the_error():
    error = fails("pending.cuont > 1 && pending.cpu > 3")
    assert [(p.line, p.column) for p in error.problems] == [(1, 1), (1, 34)]
    assert (
        str(error)
        == f"pending has no cuont: did you mean pending.count? {PENDING}\n  pending.cuont > 1 && pending.cpu > 3\n  ^"
    )


def test_the_caret_is_under_the_place():
    assert point_at("a\n\tb == c", 2, 4) == "  \tb == c\n  \t  ^"
    assert point_at("true\r\nfalse", 1, 2) == "  true\n   ^"
    assert point_at("true", 1, 8) == "  true\n         ^"
    assert not point_at("true", 2, 1)
    assert not point_at("true", 0, 1)
    assert not point_at("  \ntrue", 1, 1)
    assert point_at("a\x00b", 1, 3) == "  a?b\n    ^"


def test_of_a_long_line_what_is_around_the_place_is_shown():
    text = "a" * 100 + "b" * 100 + "c" * 100
    assert point_at(text, 1, 1) == f"  {'a' * 100}...\n  ^"
    middle = point_at(text, 1, 151)
    assert middle == f"  ...{'b' * 100}...\n  {' ' * 53}^"
    assert point_at(text, 1, 300) == f"  ...{'c' * 100}\n  {' ' * 102}^"
    assert point_at("a" * 100, 1, 100) == f"  {'a' * 100}\n  {' ' * 99}^"


def test_a_text_may_have_2000_characters():
    body = "pending.count == 1"
    assert isinstance(compile_condition(body + " " * (TEXT_MAX - len(body))), Condition)
    error = fails(body + " " * (TEXT_MAX - len(body) + 1))
    assert error.message == "A condition has at most 2,000 characters, and this one has 2,001."


@pytest.mark.parametrize("text", ["(" * 40 + "true" + ")" * 40, "1 + " * 40 + "1 == 1", "[" * 40 + "]" * 40 + " == []"])
def test_what_is_nested_too_deeply_is_refused(text: str):
    assert (
        fails(text).message
        == "It is nested or chained too deeply: at most 32 levels. Split it, or use lists: x in [a, b, c]."
    )


def test_long_chains_of_conditions_are_no_deep_ones():
    text = " || ".join(f"pending.count == {number}" for number in range(70))
    assert holds(text, pending__count=69) is True
    assert holds(text, pending__count=70) is False


def test_where_the_system_has_no_zones_it_is_said_what_is_missing():
    """The CEL library reads the system's zones, windows read Python's: a slim image may have only these."""
    program = (
        "from burster.policy.conditions import ConditionError, compile_condition\n"
        "try: compile_condition('now.getHours(\"Europe/Berlin\") > 1')\n"
        "except ConditionError as error: print(error.message)\n"
        "compile_condition('now.getHours(\"+01:00\") > 1')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TZDIR": "/nowhere"},
    )
    assert run.stdout == (
        "CEL does not find the time zone Europe/Berlin on this machine: it reads the system's zoneinfo (package tzdata), or TZDIR.\n"
    )


TOKENS = [
    *(
        "pending.count",
        "pending.cpu",
        "pending",
        "metrics",
        '["q"]',
        ".q",
        "pod.labels",
        "pod.name",
        "now",
        '.getHours("UTC")',
    ),
    *(
        "1",
        "1.0",
        "true",
        '"a"',
        "k",
        "&&",
        "||",
        "!",
        "==",
        "<",
        ">",
        "in",
        "+",
        "-",
        "*",
        "/",
        "%",
        "?",
        ":",
        "=",
        "&",
        "and",
    ),
    *("(", ")", "[", "]", "{", "}", ",", ".", "\n", "//", "'", "`", "b'", "\\", "é", "😀"),
    *(".all(k, ", ".exists(k, ", ".map(k, ", "has(", "size(", "timestamp(", "duration(", ".matches("),
]
VIEW = {
    "pending.count": 2,
    "pending.cpu": 1.5,
    "metrics": {"q": 1.0},
    "pod.labels": {"a": "b"},
    "pod.name": "x",
    "now": NOON,
}


@given(st.lists(st.sampled_from(TOKENS), max_size=14).map(" ".join))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_condition_or_an_error_with_a_place(text: str):
    try:
        condition = compile_condition(text)
    except ConditionError as error:
        lines = text.split("\n")
        places = {(1 <= one.line <= len(lines) + 1, one.column >= 1, one.message[-1] in ".?") for one in error.problems}
        assert places == {(True, True, True)}
    else:
        assert isinstance(condition.holds(VIEW), bool | Unknown)
        assert isinstance(condition.holds({}), bool | Unknown)
