"""What each part of a formula is: a number, a condition, a list of them, or nil. Finds at load what would have no value later.

Called by ``formula`` on what ``syntax`` has parsed. Knows the names of the triggers, not their values.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

from burster.policy.formula.syntax import FormulaError, Node, meant_by


#: "number", "condition", "nil", "list of " any of them, or "anything" (an element of an empty list)
Kind = str
_WORDS: Final = {
    "number": "a number",
    "condition": "true or false",
    "nil": "nil",
    "anything": "anything",
}
NUMBERS_OF_LISTS: Final = frozenset({"min", "max", "mean", "median"})


class Checker:
    """Goes through a tree once and says what each part is; a trigger is a number that may be nil."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._text = text
        self._names = names
        self.used: set[str] = set()

    def kind(self, node: Node, element: Kind | None) -> Kind:
        """Return what a part is; ``element`` is what ``#`` is."""
        rules: dict[str, Callable[[Node, Kind | None], Kind]] = {
            "name": self._name,
            "array": self._array,
            "call": self._call,
            "unary": self._unary,
            "binary": self._binary,
            "compare": self._compare,
            "choice": self._choice,
        }
        rule = rules.get(node.kind)
        if rule is not None:
            return rule(node, element)
        plain = {"number": "number", "true": "condition", "false": "condition", "nil": "nil"}
        return plain.get(node.kind) or element or "anything"

    def _wrong(self, node: Node, message: str) -> FormulaError:
        return FormulaError(self._text, node.offset, message)

    def _name(self, node: Node, _element: Kind | None) -> Kind:
        if node.text not in self._names:
            raise self._wrong(node, _unknown_name(node.text, self._names))
        self.used.add(node.text)
        return "number"

    def _array(self, node: Node, element: Kind | None) -> Kind:
        whole = "anything"
        for child in node.children:
            whole = self._one_kind(child, whole, self.kind(child, element), "A list holds values of one kind")
        return f"list of {whole}"

    def _one_kind(self, node: Node, first: Kind, second: Kind, rule: str) -> Kind:
        if first == second or second in {"nil", "anything"}:
            return first
        if first in {"nil", "anything"}:
            return second
        raise self._wrong(node, f"{rule}, and here are {word(first)} and {word(second)}.")

    def _want(self, node: Node, kind: Kind, wanted: Kind, what: str) -> None:
        if kind not in {wanted, "anything"}:
            raise self._wrong(node, f"{what} takes {word(wanted)}, and this is {word(kind)}.")

    def _unary(self, node: Node, element: Kind | None) -> Kind:
        wanted = "condition" if node.text == "not" else "number"
        self._want(node.children[0], self.kind(node.children[0], element), wanted, node.text)
        return wanted

    def _binary(self, node: Node, element: Kind | None) -> Kind:
        left, right = (self.kind(child, element) for child in node.children)
        if node.text == "??":
            return self._one_kind(node, left, right, "Both sides of ?? are of one kind")
        wanted = "condition" if node.text in {"and", "or"} else "number"
        self._want(node.children[0], left, wanted, node.text)
        self._want(node.children[1], right, wanted, node.text)
        return wanted

    def _compare(self, node: Node, element: Kind | None) -> Kind:
        left, right = (self.kind(child, element) for child in node.children)
        if node.text == "in":
            if not right.startswith("list of ") and right != "anything":
                raise self._wrong(node.children[1], f"in takes a list, as in a in [1, 2], and this is {word(right)}.")
            self._one_kind(node, left, right.removeprefix("list of "), "in looks for a value among values of its kind")
        elif node.text in {"==", "!="}:
            self._one_kind(node, left, right, f"{node.text} compares values of one kind")
        else:
            self._want(node.children[0], left, "number", node.text)
            self._want(node.children[1], right, "number", node.text)
        return "condition"

    def _choice(self, node: Node, element: Kind | None) -> Kind:
        condition, first, second = (self.kind(child, element) for child in node.children)
        self._want(node.children[0], condition, "condition", "?")
        return self._one_kind(node, first, second, "Both branches of ? : are of one kind")

    def _call(self, node: Node, element: Kind | None) -> Kind:
        arguments = node.children[:-1] if node.predicate else node.children
        kinds = [self.kind(child, element) for child in arguments]
        if node.text in NUMBERS_OF_LISTS:
            for child, kind in zip(arguments, kinds, strict=True):
                self._want(child, kind.removeprefix("list of "), "number", node.text)
            return "number"
        if not FUNCTIONS_OF_LISTS.get(node.text):
            self._want(arguments[0], kinds[0], "number", node.text)
            return "number"
        if not kinds[0].startswith("list of ") and kinds[0] != "anything":
            raise self._wrong(
                arguments[0], f"{node.text} takes a list, as in {node.text}([a, b]...), and this is {word(kinds[0])}."
            )
        inner = kinds[0].removeprefix("list of ")
        given = self.kind(node.children[-1], inner) if node.predicate else inner
        wanted = FUNCTIONS_OF_LISTS[node.text]
        if wanted in {"number", "condition"}:
            self._want(node.children[-1], given, wanted, node.text)
        return {"map": f"list of {given}", "filter": f"list of {inner}"}.get(
            node.text, "number" if node.text in {"sum", "count", "len"} else "condition"
        )


#: functions of a list -> what they want of each element, or of what the predicate makes of it
FUNCTIONS_OF_LISTS: Final[dict[str, Kind]] = {
    "sum": "number",
    "count": "condition",
    "len": "anything",
    "map": "anything",
    "filter": "condition",
    "all": "condition",
    "any": "condition",
    "none": "condition",
    "one": "condition",
}


def word(kind: Kind) -> str:
    """Return what a kind is called in a sentence."""
    return "a list" if kind.startswith("list of ") else _WORDS[kind]


def _unknown_name(name: str, names: tuple[str, ...]) -> str:
    other = meant_by(name)
    if other:
        return f"{name} is not known: write {other}."
    dashed = next((known for known in names if "-" in known and name in known.split("-")), None)
    if dashed is not None:
        return f"No trigger is named {name}. {dashed} can't be used in a formula: its dash is a minus; give it a name with _ instead."
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"No trigger is named {name}: did you mean {close[0]}?"
    if names:
        return f"No trigger is named {name}; named are {', '.join(names)}."
    return f"No trigger is named {name}: give the trigger that is meant this name."
