"""``scalingModifiers.formula``: one composite value out of several triggers' values, checked when it is read.

Called at load by the policy language, and by the engine's metrics at every sync. Numbers are IEEE doubles as in KEDA; the result is cut
to milli-units as KEDA cuts it. Never raises at run time: what has no finite value is None with a reason. An evaluation takes at most
10,000 steps.

A trigger that has no value is nil; ``??`` replaces it, and arithmetic with it has no value. Stricter than KEDA in one thing: a division by
zero has no value, where KEDA goes on with an infinity. Wider in one: ``%`` takes every number, where KEDA wants ``int(...)`` around it.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from burster.policy.formula.syntax import FormulaError, Node, parse_formula
from burster.policy.formula.types import FUNCTIONS_OF_LISTS, NUMBERS_OF_LISTS, Checker, word


__all__ = ["Formula", "FormulaError", "Outcome", "compile_formula"]

_STEPS_MAX: Final = 10_000
_CACHE_MAX: Final = 1024
#: The milli-units that a Kubernetes quantity can hold.
_MILLI_MAX: Final = 2**63 - 1

_Value = float | bool | list["_Value"] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The composite value in milli-units, or None and why there is none."""

    milli: int | None
    reason: str = ""


class _NoValueError(Exception):
    """There is no value; the message says why. Never leaves this module."""


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A compiled formula. ``names`` are the triggers it uses, sorted."""

    text: str
    names: tuple[str, ...]
    _tree: Node

    def evaluate(self, values: Mapping[str, float | None]) -> Outcome:
        """Return the composite value. A trigger that is not in ``values`` has none."""
        try:
            result = _Evaluation(values).value(self._tree)
        except _NoValueError as error:
            return Outcome(None, str(error))
        if result is None:
            return Outcome(None, "the formula is nil")
        if isinstance(result, list | bool):  # can't be: the types were checked
            return Outcome(None, "the formula is no number")
        thousandfold = result * 1000
        if not abs(thousandfold) < _MILLI_MAX:
            return Outcome(None, "the value is too large")
        return Outcome(int(thousandfold))

    def value(self, values: Mapping[str, float | None]) -> float | None:
        """Return the composite value, cut to three decimals, or None where there is none."""
        milli = self.evaluate(values).milli
        return None if milli is None else milli / 1000


def compile_formula(text: str, names: Collection[str]) -> Formula:
    """Return the formula over the triggers that have these names, or raise FormulaError."""
    return _compiled(text, tuple(sorted(set(names))))


@lru_cache(maxsize=_CACHE_MAX)
def _compiled(text: str, names: tuple[str, ...]) -> Formula:
    tree = parse_formula(text)
    checker = Checker(text, names)
    kind = checker.kind(tree, None)
    if kind not in {"number", "anything"}:
        raise FormulaError(text, tree.offset, f"A formula gives a number, and this is {word(kind)}.")
    return Formula(text=text, names=tuple(sorted(checker.used)), _tree=tree)


# --- values -----------------------------------------------------------------------------------------------------------


class _Evaluation:
    """One evaluation over given values."""

    def __init__(self, values: Mapping[str, float | None]) -> None:
        self._values = values
        self._steps = 0
        self._elements: list[_Value] = []

    def value(self, node: Node) -> _Value:  # noqa: C901, PLR0911 - one case for each kind of part
        """Return the value of a part, or raise _NoValueError."""
        self._steps += 1
        if self._steps > _STEPS_MAX:
            raise _NoValueError(f"it takes more than {_STEPS_MAX:,} steps")
        match node.kind:
            case "number":
                return node.number
            case "true" | "false":
                return node.kind == "true"
            case "nil":
                return None
            case "name":
                return self._trigger(node.text)
            case "element":
                return self._elements[-1]
            case "array":
                return [self.value(child) for child in node.children]
            case "unary":
                return self._unary(node)
            case "binary":
                return self._binary(node)
            case "compare":
                return self._compare(node)
            case "choice":
                condition, first, second = node.children
                return self.value(first if self._truth(condition) else second)
            case "call":
                return self._call(node)

    def _trigger(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is not None and not math.isfinite(value):
            raise _NoValueError(f"the value of {name} is {value}")
        return None if value is None else float(value)

    def _number(self, node: Node) -> float:
        value = self.value(node)
        if value is None:
            raise _NoValueError(f"{node.text} has no value" if node.kind == "name" else "a part of it is nil")
        return _as_number(value)

    def _truth(self, node: Node) -> bool:
        return _as_truth(self.value(node))

    def _unary(self, node: Node) -> _Value:
        if node.text == "not":
            return not self._truth(node.children[0])
        number = self._number(node.children[0])
        return -number if node.text == "-" else number

    def _binary(self, node: Node) -> _Value:
        left, right = node.children
        if node.text == "and":
            return self._truth(left) and self._truth(right)
        if node.text == "or":
            return self._truth(left) or self._truth(right)
        if node.text == "??":
            value = self.value(left)
            return self.value(right) if value is None else value
        return _arithmetic(node.text, self._number(left), self._number(right))

    def _compare(self, node: Node) -> bool:
        left, right = node.children
        if node.text in {"==", "!="}:
            return (self.value(left) == self.value(right)) == (node.text == "==")
        if node.text == "in":
            among = self.value(right)
            return isinstance(among, list) and self.value(left) in among
        first, second = self._number(left), self._number(right)
        return {"<": first < second, "<=": first <= second, ">": first > second, ">=": first >= second}[node.text]

    def _call(self, node: Node) -> _Value:
        if node.text in NUMBERS_OF_LISTS:
            return _aggregate(node.text, [number for child in node.children for number in _flat(self.value(child))])
        if node.text not in FUNCTIONS_OF_LISTS:
            return _rounded(node.text, self._number(node.children[0]))
        elements = self.value(node.children[0])
        if not isinstance(elements, list):
            raise _NoValueError("a list of it is nil")
        return _of_list(node.text, elements, self._each(node, elements))

    def _each(self, node: Node, elements: list[_Value]) -> list[_Value]:
        """Return what the predicate makes of each element; without one the elements."""
        if not node.predicate:
            return elements
        made: list[_Value] = []
        for element in elements:
            self._elements.append(element)
            made.append(self.value(node.children[-1]))
            self._elements.pop()
        return made


def _as_number(value: _Value) -> float:
    if value is None:
        raise _NoValueError("a part of it is nil")
    if isinstance(value, bool | list):
        raise _NoValueError("a part of it is no number")
    return value


def _as_truth(value: _Value) -> bool:
    if not isinstance(value, bool):
        raise _NoValueError("a condition in it is nil")
    return value


def _flat(value: _Value) -> list[float]:
    if isinstance(value, list):
        return [number for part in value for number in _flat(part)]
    return [_as_number(value)]


def _arithmetic(operator: str, left: float, right: float) -> float:
    if operator in {"/", "%"} and right == 0:
        raise _NoValueError("it divides by zero")
    try:
        match operator:
            case "+":
                result = left + right
            case "-":
                result = left - right
            case "*":
                result = left * right
            case "/":
                result = left / right
            case "%":
                result = math.fmod(left, right)
            case _:
                result = math.pow(left, right)
    except (OverflowError, ValueError):
        result = math.nan
    return _finite(result)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise _NoValueError("the value is too large, or none")
    return number


def _aggregate(function: str, numbers: list[float]) -> float:
    if function in {"min", "max"}:
        if not numbers:
            raise _NoValueError(f"{function} of nothing")
        return min(numbers) if function == "min" else max(numbers)
    if not numbers:
        return 0.0
    if function == "mean":
        return _finite(_total(numbers) / len(numbers))
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else _finite((ordered[middle - 1] + ordered[middle]) / 2)


def _total(numbers: list[float]) -> float:
    """Add from left to right, as KEDA does: not ``sum``, which newer Pythons compensate."""
    total = 0.0
    for number in numbers:
        total += number
    return _finite(total)


def _rounded(function: str, number: float) -> float:
    whole = math.trunc(number)
    match function:
        case "abs":
            return abs(number)
        case "ceil":
            return float(math.ceil(number))
        case "floor":
            return float(math.floor(number))
        case "round":  # a half goes away from zero
            return float(whole) + (math.copysign(1.0, number) if abs(number - whole) >= 0.5 else 0.0)  # noqa: PLR2004 - a half
        case "int":
            return float(whole)
        case _:
            return number


def _of_list(function: str, elements: list[_Value], made: list[_Value]) -> _Value:
    match function:
        case "sum":
            return _total([_as_number(value) for value in made])
        case "len":
            return float(len(elements))
        case "map":
            return made
        case "filter":
            return [element for element, value in zip(elements, made, strict=True) if _as_truth(value)]
        case _:
            holding = sum(_as_truth(value) for value in made)
            answers: dict[str, float | bool] = {
                "count": float(holding),
                "all": holding == len(made),
                "any": holding > 0,
                "none": holding == 0,
                "one": holding == 1,
            }
            return answers[function]
