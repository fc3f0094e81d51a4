"""Words that every explanation uses, and every comparison."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from burster.model.policies import LabelRule
from burster.model.quantities import format_duration_ms
from burster.model.scaling import Step


def any_of(options: Sequence[str]) -> str:
    """Return ``a, b or c``."""
    return _listed(options, "or")


def all_of(options: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return _listed(options, "and")


def _listed(options: Sequence[str], word: str) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} {word} {options[-1]}"


def in_order(targets: Sequence[str]) -> str:
    """Return where something goes: one target, or several in order."""
    return (
        f"target {targets[0]}"
        if len(targets) == 1
        else "the first of these targets that has room: " + ", ".join(targets)
    )


def milli(value: int) -> str:
    """Return a number in milli-units as people write it: 1500 is 1.5."""
    whole, rest = divmod(abs(value), 1000)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}" + (f".{rest:03d}".rstrip("0") if rest else "")


def counted(number: int, what: str) -> str:
    """Return ``1 replica`` or ``2 replicas``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def moment(at_ms: int, timezone: str) -> str:
    """Return a time on the wall of a zone: ``Wed 2027-01-06 08:00 CET``."""
    there = (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(timezone))
    return there.strftime("%a %Y-%m-%d %H:%M %Z")


_OPERATORS: Final = {"In": "is", "NotIn": "is not", "Exists": "exists", "DoesNotExist": "does not exist"}


def label_rule(rule: LabelRule) -> str:
    """Return a condition on a label: ``label tier is a or b``."""
    values = f" {any_of(rule.values)}" if rule.values else ""
    return f"label {rule.key} {_OPERATORS[rule.operator]}{values}"


def step_words(step: Step) -> str:
    """Return one of the HPA's scaling policies: ``4 pods in 15s``."""
    change = f"{step.value} %" if step.type == "Percent" else counted(step.value, "pod")
    return f"{change} in {format_duration_ms(step.period_ms)}"
