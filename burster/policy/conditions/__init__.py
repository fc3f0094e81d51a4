"""``when``: a condition in CEL, type-checked when it is read and evaluated over what the engine knows.

Called at load by the policy language (which shows a ConditionError to the author) and by ``burster.engine.eligibility``. Never lets an
error pass for true: whatever can't be answered is Unknown.

What one evaluation may cost is bounded in four ways: a text has at most 2,000 characters; the library's parser refuses more than 32
levels of nesting; ``all``, ``exists`` and ``exists_one`` may not stand inside one another, so the work grows with the size of one map and
not with its powers; and the library stops after 10,000 steps of such loops, which counts as Unknown. ``map`` and ``filter`` are refused:
they would make lists in the library's order of a map's entries, which differs from one process to the next. Regular expressions are
RE2's, whose time is linear in the text.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from cel_expr_python import cel

from burster.policy.conditions.problems import read_problems
from burster.policy.conditions.tree import Node, read_tree
from burster.policy.conditions.types import TEXT_MAX, VARIABLES, ConditionError, Problem, Unknown, View
from burster.policy.window_rules import zone_of


__all__ = ["Condition", "ConditionError", "Unknown", "compile_condition"]

_CACHE_MAX: Final = 1024
_CEL_TYPES: Final = {
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "timestamp": cel.Type.TIMESTAMP,
    "map(string, double)": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE),
    "map(string, int)": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
    "map(string, string)": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}
_ENV: Final = cel.NewEnv(variables={name: _CEL_TYPES[variable.type] for name, variable in VARIABLES.items()})


@dataclass(frozen=True, slots=True)
class _MetricUse:
    """A trigger named by a literal, and where."""

    name: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A compiled condition."""

    text: str
    variables: frozenset[str]  #: what it needs of a view: ``pending.count``, ``metrics``, ``now``
    mentions: frozenset[str]  #: the same by their first part: ``pending``, ``metrics``, ``now``
    metrics: tuple[_MetricUse, ...]  #: the triggers it names
    _expression: cel.Expression
    _loops: bool

    def holds(self, view: View) -> bool | Unknown:
        """Evaluate it. What the view lacks makes it Unknown, unless the answer is the same without it."""
        values = {name: view[name] for name in self.variables if view.get(name) is not None}
        try:
            answer = self._expression.eval(data=values)
            kind = answer.type().name()
            value = answer.value()
        except RuntimeError as error:
            return Unknown(_reason(str(error), self.metrics, loops=self._loops))
        if kind != "BOOL" or not isinstance(value, bool):
            return Unknown(_reason(str(value), self.metrics, loops=self._loops))
        return value


def compile_condition(text: str, metrics: Collection[str] | None = None) -> Condition:
    """Return the condition, or raise ConditionError. ``metrics``, where given, are the triggers that it may name."""
    condition = _compiled(text)
    if metrics is not None:
        problems = tuple(_unknown_metric(use, metrics) for use in condition.metrics if use.name not in metrics)
        if problems:
            raise ConditionError(text, problems)
    return condition


@lru_cache(maxsize=_CACHE_MAX)
def _compiled(text: str) -> Condition:
    _check_text(text)
    try:
        expression = _ENV.compile(text)
    except RuntimeError as error:
        raise ConditionError(text, read_problems(str(error), text)) from None
    kind = expression.return_type().name()
    if kind != "BOOL":
        message = f"A condition is true or false, and this is {_article(kind.lower())}: compare it with something."
        raise ConditionError(text, (Problem(1, _first_column(text), message),))
    tree = read_tree(expression.serialize())
    problems = tuple(_objections(tree, text))
    if problems:
        raise ConditionError(text, problems)
    variables = frozenset(node.text for node in tree.walk() if node.kind == "name" and node.text in VARIABLES)
    return Condition(
        text=text,
        variables=variables,
        mentions=frozenset(name.split(".")[0] for name in variables),
        metrics=tuple(_metric_uses(tree, text)),
        _expression=expression,
        _loops=any(node.kind == "comprehension" for node in tree.walk()),
    )


def _check_text(text: str) -> None:
    if not text.strip():
        raise ConditionError(
            text, (Problem(1, 1, "A condition is empty: leave when out where the policy always holds."),)
        )
    if len(text) > TEXT_MAX:
        message = f"A condition has at most {TEXT_MAX:,} characters, and this one has {len(text):,}."
        raise ConditionError(text, (Problem(1, 1, message),))
    wrong = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", text)
    if wrong:
        line, column = _place(text, wrong.start())
        message = f"A condition is plain text, and this is the character U+{ord(wrong[0]):04X}."
        raise ConditionError(text, (Problem(line, column, message),))


def _first_column(text: str) -> int:
    return len(text) - len(text.lstrip(" ")) + 1


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[: max(0, offset)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


# --- what the type check lets through and we do not -------------------------------------------------------------------


def _objections(tree: Node, text: str, *, inside: bool = False) -> list[Problem]:
    """Return what would be costly, would depend on chance, or could only fail at run time."""
    found: list[Problem] = []
    place = _place(text, tree.offset)
    if tree.kind == "comprehension":
        if tree.children[1].kind == "list":
            found.append(
                Problem(*place, "map() and filter() are not available here: use exists(), all() or exists_one().")
            )
        elif inside:
            found.append(
                Problem(
                    *place,
                    "all(), exists() and exists_one() can't be nested: the cost would be the product.",
                )
            )
    elif tree.kind == "struct":
        found.append(Problem(*place, "Maps and messages can't be made in a condition: compare the values one by one."))
    elif tree.kind == "call":
        wrong = _bad_literal(tree)
        if wrong is not None:
            literal, message = wrong
            found.append(Problem(*_place(text, literal.offset), message))
    for child in tree.children:
        found.extend(_objections(child, text, inside=inside or tree.kind == "comprehension"))
    return found


def _bad_literal(call: Node) -> tuple[Node, str] | None:
    """Return the literal of a call that can never work, and why: a time zone, a time, a duration or a regular expression."""
    literal = call.children[-1] if call.children else None
    if literal is None or literal.value is None:
        return None
    quoted = json.dumps(literal.value, ensure_ascii=False)
    if call.text in {"timestamp", "duration"} and not _works(f"{call.text}({quoted})"):
        example = "2026-11-30T18:00:00Z" if call.text == "timestamp" else "1h30m"
        return literal, f"{literal.value} is no {call.text}: write it like {example}."
    if call.text.startswith("get"):
        message = _zone_problem(literal.value, quoted)
        return None if message is None else (literal, message)
    if call.text == "matches" and not _works(f'"".matches({quoted})'):
        return literal, f"{literal.value} is no regular expression (RE2 syntax)."
    return None


def _zone_problem(name: str, quoted: str) -> str | None:
    """Return what is wrong with a time zone; an offset and "" (UTC) are fine too."""
    if name != "localtime" and _works(f"timestamp(0).getHours({quoted})"):
        return None
    try:
        zone_of(name)
    except ValueError:
        return f"{name} is no time zone: write an IANA name like Europe/Berlin, or an offset like +01:00."
    return f"CEL does not find the time zone {name} on this machine: it reads the system's zoneinfo (package tzdata), or TZDIR."


@lru_cache(maxsize=_CACHE_MAX)
def _works(constant: str) -> bool:
    """Say whether a constant expression can be evaluated: the library itself knows best what it takes."""
    return _ENV.compile(constant).eval(data={}).type().name() != "ERROR"


def _metric_uses(tree: Node, text: str) -> list[_MetricUse]:
    """Return the triggers named as ``metrics["x"]``, ``metrics.x`` or ``"x" in metrics``."""
    found: list[_MetricUse] = []
    for node in tree.walk():
        named: str | None = None
        parts = [child.text if child.kind == "name" else "" for child in node.children]
        at = node.offset
        if node.kind == "select" and parts == ["metrics"]:
            named = node.text
            at = node.children[0].offset
        elif node.kind == "call" and node.text == "_[_]" and parts[0] == "metrics":
            named = node.children[1].value
            at = node.children[1].offset
        elif node.kind == "call" and node.text == "@in" and parts[1] == "metrics":
            named = node.children[0].value
            at = node.children[0].offset
        if named is not None:
            found.append(_MetricUse(named, *_place(text, at)))
    return found


def _unknown_metric(use: _MetricUse, known: Collection[str]) -> Problem:
    names = sorted(known)
    close = get_close_matches(use.name, names, n=1, cutoff=0.6)
    if close:
        message = f"No trigger of the policy is named {use.name}: did you mean {close[0]}?"
    elif names:
        message = f"No trigger of the policy is named {use.name}; named are {', '.join(names)}."
    else:
        message = f"No trigger of the policy is named {use.name}: give the trigger that is meant this name."
    return Problem(use.line, use.column, message)


# --- what came of an evaluation ---------------------------------------------------------------------------------------

_NO_KEY: Final = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
_NO_VALUE: Final = re.compile(r'No value with name "(.*)" found')
_STATUS: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")


def _reason(said: str, metrics: tuple[_MetricUse, ...], *, loops: bool) -> str:
    """Return why there is no answer, in words that do not depend on the order in which the library goes through a map."""
    if "Iteration budget" in said:
        return "it goes through more than 10,000 entries"
    unseen = _NO_VALUE.search(said)
    if unseen:
        return f"{unseen[1]} is not known yet"
    if loops:
        return "an entry it goes through has no answer"
    missing = _NO_KEY.search(said)
    if missing and any(use.name == missing[1] for use in metrics):
        return f"the trigger {missing[1]} has no value now"
    if missing:
        return f"there is no entry {missing[1]}"
    plain = _STATUS.sub("", said)
    return plain[:1].lower() + plain[1:]
