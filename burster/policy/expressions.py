"""The one door to the checkers of what is written in a language of its own: conditions, formulas, cron, time zones.

Called by the schema while it validates; says what is wrong with the place within the text. It evaluates nothing. Conditions and formulas
are imported where a policy has one: the libraries behind them take longer to load than most files take to check.
"""

from collections.abc import Collection, Sequence
from textwrap import dedent

from burster.policy import window_rules
from burster.policy.refusals import FieldErrors, Finding, PlacedError


def check_condition(text: str, metrics: Collection[str] | None = None) -> None:
    """Raise FieldErrors unless a condition can be compiled; ``metrics``, where given, are the triggers it may name."""
    from burster.policy.conditions import compile_condition
    from burster.policy.conditions.types import ConditionError, point_at

    try:
        compile_condition(text, metrics)
    except ConditionError as error:
        raise FieldErrors(
            tuple(
                _finding(problem.message, problem.line, problem.column, point_at(text, problem.line, problem.column))
                for problem in error.problems
            )
        ) from None


def check_formula(text: str, names: Sequence[str]) -> None:
    """Raise FieldErrors unless a formula can be compiled over these triggers."""
    from burster.policy.conditions.types import point_at
    from burster.policy.formula import FormulaError, compile_formula

    try:
        compile_formula(text, tuple(names))
    except FormulaError as error:
        found = _finding(error.message, error.line, error.column, point_at(text, error.line, error.column))
        raise FieldErrors((found,)) from None


def _finding(message: str, line: int, column: int, excerpt: str) -> Finding:
    sentence = " ".join(message.split())
    return Finding((), sentence, PlacedError(sentence, line=line, column=column, excerpt=dedent(excerpt)))


def check_zone(text: str) -> None:
    """Raise ValueError unless a text names a time zone."""
    window_rules.zone_of(text)


def check_cron(text: str) -> None:
    """Raise ValueError unless a text is five fields of cron that ever happen."""
    window_rules.check_cron(text, "the cron expression")


def check_day(text: str) -> None:
    """Raise ValueError unless a day is one that windows can reckon with."""
    window_rules.check_day(text, "the day")


def same_times(one: str, other: str) -> bool:
    """Say whether two valid cron expressions happen at the same times."""
    return window_rules.same_times(one, other)
