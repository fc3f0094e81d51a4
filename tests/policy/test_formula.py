import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.policy.formula import Formula, FormulaError, Outcome, compile_formula
from burster.policy.formula.syntax import FUNCTIONS


NAMES = ("a", "b", "n", "queue-depth", "trig_one")
VALUES = {"a": 2.0, "b": 3.5, "n": None, "trig_one": 6.0}


def milli(text: str, **values: float | None) -> int | None:
    return compile_formula(text, NAMES).evaluate(VALUES | values).milli


def fails(text: str) -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        compile_formula(text, NAMES)
    return caught.value


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "want"),
    [
        # KEDA's own examples
        ("(a + b) / 2", 2750),
        ("a > 1 ? a + b : 1", 5500),
        ("count([a, b, trig_one], {# > 3}) > 1 ? 5 : 0", 5000),
        ("count([a, b, trig_one], {# > 3.5}) > 1 ? 5 : 0", 0),
        ("trig_one > 2 ? trig_one + a : 1", 8000),
        ("n ?? a", 2000),
        ("sum([a, b])", 5500),
        ("max([a, b, trig_one])", 6000),
        ("float(a + b)", 5500),
        # numbers
        ("7", 7000),
        ("1_000.5", 1_000_500),
        (".5", 500),
        ("5.", 5000),
        ("1e3", 1_000_000),
        ("1.5E-2", 15),
        ("0x1F", 31_000),
        ("0b101", 5000),
        ("0o17", 15_000),
        # arithmetic, and what binds tighter
        ("1 + 2 * 3", 7000),
        ("(1 + 2) * 3", 9000),
        ("10 - 4 - 3", 3000),
        ("12 / 4 / 3", 1000),
        ("7 / 2", 3500),
        ("7 % 4", 3000),
        ("-7 % 4", -3000),
        ("7.5 % 2", 1500),
        ("2 ** 3 ** 2", 512_000),
        ("2 ^ 3 * 2", 16_000),
        ("-2 ^ 2", -4000),
        ("2 ^ -1", 500),
        ("-a + +b", 1500),
        ("- -a", 2000),
        ("4 * -a", -8000),
        ("1 - 2 + 3", 2000),
        ("6 * 2 / 3 % 3", 1000),
        # conditions
        ("a == 2 ? 1 : 0", 1000),
        ("a != 2 ? 1 : 0", 0),
        ("a < 2 ? 1 : 0", 0),
        ("a <= 2 ? 1 : 0", 1000),
        ("a > 2 ? 1 : 0", 0),
        ("a >= 2 ? 1 : 0", 1000),
        ("1 < a < 3 ? 1 : 0", 1000),
        ("1 < a < 2 ? 1 : 0", 0),
        ("3 < a < 4 ? 1 : 0", 0),
        ("a in [1, 2] ? 1 : 0", 1000),
        ("a in [1, 3] ? 1 : 0", 0),
        ("a not in [1, 2] ? 1 : 0", 0),
        ("a not in [] ? 1 : 0", 1000),
        ("true and false or true ? 1 : 0", 1000),
        ("true or true and false ? 1 : 0", 1000),
        ("false && true || false ? 1 : 0", 0),
        ("not true ? 1 : 0", 0),
        ("!(a == 2) ? 1 : 0", 0),
        ("not (a == 3) and true ? 1 : 0", 1000),
        ("true == (a == 2) ? 1 : 0", 1000),
        ("n == nil ? 1 : 0", 1000),
        ("a == nil ? 1 : 0", 0),
        ("nil != a ? 1 : 0", 1000),
        ("a > 5 ? 1 : a > 1 ? 2 : 3", 2000),
        ("a > 1 ? b > 9 ? 1 : 2 : 3", 2000),
        ("(true ?: false) ? 1 : 0", 1000),
        ("(false ? : true) ? 1 : 0", 1000),
        # nil
        ("n ?? 7", 7000),
        ("a ?? 7", 2000),
        ("n ?? n ?? 7", 7000),
        ("nil ?? 7", 7000),
        ("1 + n ?? 7", 8000),
        ("(n ?? 1) + 1", 2000),
        ("n ?? (1 + 1)", 2000),
        ("a > 1 ? 5 : n", 5000),
        ("a > 9 ? n + 1 : 5", 5000),
        ("true or n > 1 ? 1 : 0", 1000),
        ("false and n > 1 ? 1 : 0", 0),
        # functions of numbers
        ("min(a, b)", 2000),
        ("min(b, [a, 1], 9)", 1000),
        ("max(a, b)", 3500),
        ("mean(1, 2, 6)", 3000),
        ("mean([])", 0),
        ("median(1, 2, 6)", 2000),
        ("median([4, 1, 3, 2])", 2500),
        ("median([])", 0),
        ("abs(-a)", 2000),
        ("abs(a)", 2000),
        ("ceil(2.1)", 3000),
        ("ceil(-2.1)", -2000),
        ("floor(2.9)", 2000),
        ("floor(-2.1)", -3000),
        ("round(2.5)", 3000),
        ("round(-2.5)", -3000),
        ("round(2.49)", 2000),
        ("round(0.49999999999999994)", 0),
        ("int(2.9)", 2000),
        ("int(-2.9)", -2000),
        ("float(2)", 2000),
        # functions of lists
        ("sum([])", 0),
        ("sum([1, 2, 3], {# * 2})", 12_000),
        ("sum([1, 2, 3], # * 2)", 12_000),
        ("count([true, false, true])", 2000),
        ("count([1, 2, 3], {# > 1})", 2000),
        ("count([1, 2, 3], {# > 1},)", 2000),
        ("len([1, 2, 3])", 3000),
        ("len([])", 0),
        ("all([1, 2], {# > 0}) ? 1 : 0", 1000),
        ("all([1, 2], {# > 1}) ? 1 : 0", 0),
        ("all([], {# > 1}) ? 1 : 0", 1000),
        ("any([1, 2], {# > 1}) ? 1 : 0", 1000),
        ("any([1, 2], {# > 2}) ? 1 : 0", 0),
        ("none([1, 2], {# > 2}) ? 1 : 0", 1000),
        ("none([1, 2], {# > 1}) ? 1 : 0", 0),
        ("one([1, 2], {# > 1}) ? 1 : 0", 1000),
        ("one([1, 2], {# > 0}) ? 1 : 0", 0),
        ("one([1, 2], {# > 5}) ? 1 : 0", 0),
        ("sum(map([1, 2], {# * 10}))", 30_000),
        ("min(filter([1, 2, 3], {# > 1}))", 2000),
        ("sum(map([1, 2], {sum([1, 1], {#}) + #}))", 7000),
        ("[a, b] | count(# > 3)", 1000),
        ("[1, 2, 3] | filter(# > 1) | map(# * 10) | sum()", 50_000),
        ("[1, 2, 3,] | max()", 3000),
    ],
)
def test_a_formula_has_the_value_that_expr_gives_it(text: str, want: int):
    assert milli(text) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (1.0009, 1000),
        (1.001, 1000),  # 1.001 * 1000 is 1000.9999999999999, and KEDA cuts it too
        (-1.0019, -1001),
        (0.0005, 0),
        (-0.0005, 0),
        (2.675, 2675),
        (9_223_372_036_854_774.0, 9_223_372_036_854_773_760),
        (9_300_000_000_000_000.0, None),
        (-9_300_000_000_000_000.0, None),
    ],
)
def test_the_value_is_cut_to_milli_units(value: float, want: int | None):
    assert milli("a", a=value) == want


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a / 0", "it divides by zero"),
        ("a % 0", "it divides by zero"),
        ("a / (b - 3.5)", "it divides by zero"),
        ("10 ^ 400", "the value is too large, or none"),
        ("(-8) ^ 0.5", "the value is too large, or none"),
        ("0 ^ -1", "the value is too large, or none"),
        ("1e300 * 1e300", "the value is too large, or none"),
        ("1e308 + 1e308", "the value is too large, or none"),
        ("-1e308 - 1e308", "the value is too large, or none"),
        ("1e308 / 1e-308", "the value is too large, or none"),
        ("sum([1e308, 1e308])", "the value is too large, or none"),
        ("mean([1e308, 1e308])", "the value is too large, or none"),
        ("median([1e308, 1e308])", "the value is too large, or none"),
        ("1e300", "the value is too large"),
        ("n", "the formula is nil"),
        ("a > 1 ? nil : 1", "the formula is nil"),
        ("n + 1", "n has no value"),
        ("-n", "n has no value"),
        ("n > 1 ? 1 : 0", "n has no value"),
        ("abs(n)", "n has no value"),
        ("max(a, n)", "a part of it is nil"),
        ("sum([a, n])", "a part of it is nil"),
        ("(a > 1 ? nil : 1) + 1", "a part of it is nil"),
        ("(a > 1 ? nil : true) ? 1 : 0", "a condition in it is nil"),
        ("count([true, nil])", "a condition in it is nil"),
        ("sum(a > 1 ? nil : [1])", "a list of it is nil"),
        ("min([])", "min of nothing"),
        ("max(filter([1], {# > 1}))", "max of nothing"),
    ],
)
def test_what_has_no_value_says_why_and_raises_nothing(text: str, reason: str):
    formula = compile_formula(text, NAMES)
    assert formula.evaluate(VALUES) == Outcome(None, reason)
    assert formula.value(VALUES) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_trigger_that_is_no_number_is_no_number_downstream(value: float):
    assert compile_formula("a ?? 1", NAMES).evaluate({"a": value}) == Outcome(None, f"the value of a is {value}")
    assert milli("b > 1 ? 3 : a", a=value) == 3000


def test_a_trigger_that_is_not_there_is_nil():
    assert compile_formula("a ?? 4", NAMES).evaluate({}) == Outcome(4000)


def test_value_gives_what_is_cut_as_a_number():
    assert compile_formula("1 / 3", NAMES).value({}) == 0.333


def test_it_knows_its_triggers():
    formula = compile_formula("b + a * b", NAMES)
    assert isinstance(formula, Formula)
    assert (formula.names, formula.text) == (("a", "b"), "b + a * b")
    assert compile_formula("b + a * b", list(reversed(NAMES))) is formula


def test_an_evaluation_takes_at_most_10000_steps():
    hundred = "[" + ",".join("1" * 100) + "]"

    def nested(count: int) -> Formula:
        return compile_formula(f"sum([{','.join('1' * count)}], {{sum({hundred}, {{#}})}})", ())

    # 1 for the outer sum, 1 + count for its list, and for each element 102 for the inner sum and its list, and 100 for what it makes
    assert nested(49).evaluate({}) == Outcome(4_900_000)
    assert nested(50).evaluate({}) == Outcome(None, "it takes more than 10,000 steps")
    exactly = compile_formula(
        f"sum([{','.join('1' * 49)}], {{sum({hundred}, {{#}})}}) + 0 * len([{','.join('1' * 46)}])", ()
    )
    assert exactly.evaluate({}) == Outcome(4_900_000)
    above = compile_formula(
        f"sum([{','.join('1' * 49)}], {{sum({hundred}, {{#}})}}) + 0 * len([{','.join('1' * 47)}])", ()
    )
    assert above.evaluate({}).milli is None


# --- what is refused at load ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "The formula is empty."),
        (" \n", 1, "The formula is empty."),
        ("(", 2, "The formula ends too early: something is missing here."),
        ("a +", 4, "The formula ends too early: something is missing here."),
        ("a ? 1", 6, "The formula ends too early: something is missing here."),
        ("(a", 1, "( is never closed: ) is missing."),
        ("[a, b", 1, "[ is never closed: ] is missing."),
        ("max(a, b", 4, "( is never closed: ) is missing."),
        ("count([a], {# > 1)", 18, ") can't stand here: } is expected."),
        ("count([a], {# > 1", 12, "{ is never closed: } is missing."),
        ("count([a], # > 1", 6, "( is never closed: ) is missing."),
        ("a b", 3, "b can't stand here: something else is expected."),
        ("a)", 2, ") can't stand here: something else is expected."),
        ("* a", 1, "* can't stand here: a number, a trigger's name or ( is expected."),
        ("a + in", 5, "in can't stand here: a number, a trigger's name or ( is expected."),
        ("a ? 1 , 2", 7, ", can't stand here: : is expected."),
        ("[a b]", 4, "b can't stand here: , is expected."),
        ("a = 1", 3, "= compares nothing: write ==."),
        ("'x'", 1, "There are no strings in a formula."),
        ('a == "x"', 6, "There are no strings in a formula."),
        ("a.b", 2, "A trigger has no members: its name is its value."),
        ("a[0]", 2, "[ can't stand here: something else is expected."),
        ("a; b", 2, "';' has no meaning in a formula."),
        ("a + \u0661", 5, "'\u0661' has no meaning in a formula."),
        ("let x = 1; x", 1, "let is not supported: write the value where it is needed."),
        ("#", 1, "# is the element that a predicate looks at, as in count([a, b], {# > 1})."),
        ("count([a], {# > 1}) + #", 23, "# is the element that a predicate looks at, as in count([a, b], {# > 1})."),
        ("avg([a])", 1, "avg is no function here: write mean."),
        ("sqrt(a)", 1, f"sqrt is no function here: there are {', '.join(FUNCTIONS)}."),
        ("a | 3", 5, "3 can't stand here: the name of a function is expected."),
        ("a |", 4, "The formula ends too early: something is missing here."),
        ("min()", 1, "min takes at least one argument, and 0 are given."),
        ("abs(1, 2)", 1, "abs takes one argument, and 2 are given."),
        ("abs()", 1, "abs takes one argument, and 0 are given."),
        ("all([a])", 8, ") can't stand here: , is expected."),
        ("n ?? 0 + 1", 8, "?? and + can't be mixed: put parentheses around the ?? part."),
        ("n ?? 0 > 1 ? 1 : 0", 8, "?? and > can't be mixed: put parentheses around the ?? part."),
        ("1e400", 1, "1e400 is no number, or too large for one."),
        ("0x", 2, "x can't stand here: something else is expected."),
        ("x", 1, "No trigger is named x; named are a, b, n, queue-depth, trig_one."),
        ("1 +\n trig_on", 2, "No trigger is named trig_on: did you mean trig_one?"),
        (
            "queue-depth",
            1,
            "No trigger is named queue. queue-depth can't be used in a formula: its dash is a minus; give it a name with _ instead.",
        ),
        ("null ?? 1", 1, "null is not known: write nil."),
        ("True ? 1 : 0", 1, "True is not known: write true."),
        ("a > 1", 3, "A formula gives a number, and this is true or false."),
        ("[1]", 1, "A formula gives a number, and this is a list."),
        ("nil", 1, "A formula gives a number, and this is nil."),
        ("map([1], {# > 1})", 1, "A formula gives a number, and this is a list."),
        ("a && b ? 1 : 0", 1, "and takes true or false, and this is a number."),
        ("true && b ? 1 : 0", 9, "and takes true or false, and this is a number."),
        ("not a ? 1 : 0", 5, "not takes true or false, and this is a number."),
        ("-true", 2, "- takes a number, and this is true or false."),
        ("1 + true", 5, "+ takes a number, and this is true or false."),
        ("true + 1", 1, "+ takes a number, and this is true or false."),
        ("[1] > 2 ? 1 : 0", 1, "> takes a number, and this is a list."),
        ("1 > [2] ? 1 : 0", 5, "> takes a number, and this is a list."),
        ("a + nil", 5, "+ takes a number, and this is nil."),
        ("a ? 1 : 0", 1, "? takes true or false, and this is a number."),
        ("true ? 1 : true", 6, "Both branches of ? : are of one kind, and here are a number and true or false."),
        ("a ?? true", 3, "Both sides of ?? are of one kind, and here are a number and true or false."),
        ("a == true ? 1 : 0", 3, "== compares values of one kind, and here are a number and true or false."),
        ("[1, true] | count()", 5, "A list holds values of one kind, and here are a number and true or false."),
        ("a in b ? 1 : 0", 6, "in takes a list, as in a in [1, 2], and this is a number."),
        (
            "a in [true] ? 1 : 0",
            3,
            "in looks for a value among values of its kind, and here are a number and true or false.",
        ),
        ("max(true)", 5, "max takes a number, and this is true or false."),
        ("max([true])", 5, "max takes a number, and this is true or false."),
        ("abs([1])", 5, "abs takes a number, and this is a list."),
        ("sum(a)", 5, "sum takes a list, as in sum([a, b]...), and this is a number."),
        ("sum([true])", 5, "sum takes a number, and this is true or false."),
        ("sum([1], {# > 1})", 13, "sum takes a number, and this is true or false."),
        ("count([1])", 7, "count takes true or false, and this is a number."),
        ("count([1], {#})", 13, "count takes true or false, and this is a number."),
        ("len(1)", 5, "len takes a list, as in len([a, b]...), and this is a number."),
    ],
)
def test_a_slip_is_found_at_load_with_its_place(text: str, column: int, message: str):
    error = fails(text)
    assert (error.message, error.column) == (message, column)


def test_the_error_shows_its_line_with_a_caret():
    error = fails("a +\n  trig_on")
    assert (error.line, error.column) == (2, 3)
    assert str(error) == "No trigger is named trig_on: did you mean trig_one?\n    trig_on\n    ^"


def test_without_named_triggers_it_is_said_what_to_do():
    with pytest.raises(FormulaError, match="No trigger is named a: give the trigger that is meant this name"):
        compile_formula("a", ())


def test_length_depth_and_operators_are_bounded():
    assert milli("1" + " " * 1999) == 1000
    assert fails("1" + " " * 2000).message == "A formula has at most 2,000 characters, and this one has 2,001."
    assert milli("(" * 31 + "1" + ")" * 31) == 1000
    assert fails("(" * 32 + "1" + ")" * 32).message == "A formula is nested at most 32 levels deep."
    assert milli("+".join("1" * 101)) == 101_000
    assert fails("+".join("1" * 102)).message == "A formula has at most 100 operators: use sum([...]) and the like."
    assert milli("[1]" + "|map(#+1)" * 49 + "|sum()") == 50_000, "the deepest tree there can be is evaluated"


@given(st.text(alphabet="ab n()[]{}#+-*/%^<>=!?:|&,.0123456789eintorum", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_formula_or_an_error_with_a_place(text: str):
    try:
        formula = compile_formula(text, NAMES)
    except FormulaError as error:
        found = (error.message[-1], error.line, 1 <= error.column <= len(text) + 1)
        assert found in {(".", 1, True), ("?", 1, True)}
    else:
        outcome = formula.evaluate(VALUES)
        assert (outcome.milli is None) == bool(outcome.reason)


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(a=NUMBERS, b=NUMBERS, c=NUMBERS)
@settings(max_examples=100, deadline=None)
def test_arithmetic_is_that_of_doubles(a: float, b: float, c: float):
    values: dict[str, float | None] = {"a": a, "b": b, "n": c}
    assert milli("a + b * n - a", **values) == int((a + b * c - a) * 1000)
    assert milli("max(a, b) - min(b, n)", **values) == int((max(a, b) - min(b, c)) * 1000)
    assert milli("a < b ? a : b", **values) == int(min(a, b) * 1000)
    assert milli("sum([a, b, n])", **values) == int((0.0 + a + b + c) * 1000)


@pytest.mark.parametrize("name", [name for name, rule in FUNCTIONS.items() if rule[1] == 1])
def test_functions_of_one_thing_take_no_more_and_no_less(name: str):
    predicate = FUNCTIONS[name][2]
    assert fails(f"{name}(1, 2)" if predicate == "no" else f"{name}([1], {{#}}, 2)").message in {
        f"{name} takes one argument, and 2 are given.",
        "2 can't stand here: ) is expected.",
    }
    nothing = fails(f"{name}()").message
    assert nothing in {
        f"{name} takes one argument, and 0 are given.",
        ") can't stand here: a number, a trigger's name or ( is expected.",
    }
