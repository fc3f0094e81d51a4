"""The grammar of ``scalingModifiers.formula``: the part of expr-lang that is about numbers, as KEDA's users write it.

Called by ``formula`` at load. Turns text into a tree or says where and why not; knows neither triggers nor values.

From the loosest to the tightest, all binary ones to the left except the power::

    formula    = pipe [ "?" formula ":" formula | "?:" formula ]
    pipe       = or { "|" function "(" further arguments ")" }
    or         = and { ("or" | "||") and }
    and        = comparison { ("and" | "&&") comparison }
    comparison = sum { ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in") sum }      a < b < c is a < b and b < c
    sum        = product { ("+" | "-") product }
    product    = power { ("*" | "/" | "%") power }
    power      = unary [ ("**" | "^") power ]
    coalesced  = primary { "??" primary }                nothing but another ?? may follow without parentheses
    primary    = number | true | false | nil | name | "#" | "(" formula ")" | "[" formula { "," formula } "]" | function "(" ... ")"

A minus before a power negates the power; ``not`` and ``!`` bind tighter than comparisons. ``#`` is the element that a predicate looks at.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

from burster.model.errors import InputError
from burster.policy.conditions.types import point_at


TEXT_MAX: Final = 2_000
DEPTH_MAX: Final = 32
OPERATORS_MAX: Final = 100

NodeKind = Literal[
    "number", "true", "false", "nil", "name", "element", "array", "call", "unary", "binary", "compare", "choice"
]
#: functions -> (fewest, most arguments before a predicate, the predicate: "no", "may", "must"); most None: any number
FUNCTIONS: Final[dict[str, tuple[int, int | None, Literal["no", "may", "must"]]]] = {
    "min": (1, None, "no"),
    "max": (1, None, "no"),
    "mean": (1, None, "no"),
    "median": (1, None, "no"),
    "sum": (1, 1, "may"),
    "count": (1, 1, "may"),
    "len": (1, 1, "no"),
    "all": (1, 1, "must"),
    "any": (1, 1, "must"),
    "none": (1, 1, "must"),
    "one": (1, 1, "must"),
    "map": (1, 1, "must"),
    "filter": (1, 1, "must"),
    "abs": (1, 1, "no"),
    "ceil": (1, 1, "no"),
    "floor": (1, 1, "no"),
    "round": (1, 1, "no"),
    "int": (1, 1, "no"),
    "float": (1, 1, "no"),
}
#: words of expr-lang or of habit that mean nothing here -> what to write
_OTHER_WORDS: Final = {
    "avg": "mean",
    "average": "mean",
    "null": "nil",
    "None": "nil",
    "AND": "and",
    "OR": "or",
    "True": "true",
    "False": "false",
}


class FormulaError(InputError):
    """The text is no formula: ``message``, ``line``, ``column``; as a string with the line and a caret under the place."""

    def __init__(self, text: str, offset: int, message: str) -> None:
        before = text[:offset]
        self.message = message
        self.line = before.count("\n") + 1
        self.column = len(before) - (before.rfind("\n") + 1) + 1
        self.pointed = point_at(text, self.line, self.column)
        super().__init__(f"{message}\n{self.pointed}" if self.pointed else message)


@dataclass(slots=True)
class Node:
    """One part of a formula and where it begins, in characters from 0."""

    kind: NodeKind
    offset: int
    text: str = ""  #: a name, a function, an operator
    number: float = 0.0
    children: list["Node"] = field(default_factory=list["Node"])
    predicate: bool = False  #: the last child of a call is evaluated for each element


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["number", "word", "sign", "end"]
    text: str
    offset: int


_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z_$][\w$]*)"
    r"|(?P<sign>\?\?|\?:|\*\*|==|!=|<=|>=|&&|\|\||[-+*/%^<>!?:|#(){}\[\],]))",
    re.ASCII,
)
_BINARY: Final = {
    "|": 0, "or": 10, "||": 10, "and": 15, "&&": 15,
    "==": 20, "!=": 20, "<": 20, ">": 20, "<=": 20, ">=": 20, "in": 20,
    "+": 30, "-": 30, "*": 60, "/": 60, "%": 60, "**": 100, "^": 100, "??": 500,
}  # fmt: skip
_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_COMPARISON: Final = 20
#: what is often written and means nothing here
_MARKS: Final = {
    "=": "= compares nothing: write ==.",
    '"': "There are no strings in a formula.",
    "'": "There are no strings in a formula.",
    ".": "A trigger has no members: its name is its value.",
}
_KEYWORDS: Final = frozenset({"not", "and", "or", "in"})
#: the same operator by one name
_SAME: Final = {"||": "or", "&&": "and", "!": "not", "**": "^"}


def parse_formula(text: str) -> Node:
    """Return the tree of a formula, or raise FormulaError."""
    if not text.strip():
        raise FormulaError(text, 0, "The formula is empty.")
    if len(text) > TEXT_MAX:
        raise FormulaError(text, 0, f"A formula has at most {TEXT_MAX:,} characters, and this one has {len(text):,}.")
    return _Parser(text).parse()


def _split(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            offset = at + len(text[at:]) - len(text[at:].lstrip())
            mark = text[offset]
            if tokens and tokens[0].text == "let":
                raise FormulaError(text, tokens[0].offset, "let is not supported: write the value where it is needed.")
            raise FormulaError(text, offset, _MARKS.get(mark, f"{mark!r} has no meaning in a formula."))
        kind: Literal["number", "word", "sign"] = "number" if match["number"] else "word" if match["word"] else "sign"
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    tokens.append(_Token("end", "", len(text.rstrip())))
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _split(text)
        self._at = 0
        self._depth = 0
        self._predicates = 0
        self._operators = 0

    def parse(self) -> Node:
        tree = self._expression(0)
        if self._now.kind != "end":
            self._refuse()
        return tree

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._now
        self._at += token.kind != "end"
        return token

    def _is(self, sign: str) -> bool:
        return self._now.kind in {"sign", "word"} and self._now.text == sign

    def _expect(self, sign: str, opened: _Token | None = None) -> None:
        if not self._is(sign):
            if opened is not None and self._now.kind == "end":
                raise FormulaError(self._text, opened.offset, f"{opened.text} is never closed: {sign} is missing.")
            self._refuse(f"{sign} is")
        self._take()

    def _refuse(self, wanted: str = "something else is") -> NoReturn:
        token = self._now
        if token.kind == "end":
            raise FormulaError(self._text, token.offset, "The formula ends too early: something is missing here.")
        raise FormulaError(self._text, token.offset, f"{token.text} can't stand here: {wanted} expected.")

    def _expression(self, least: int) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise FormulaError(self._text, self._now.offset, f"A formula is nested at most {DEPTH_MAX} levels deep.")
        left = self._primary()
        former = ""
        while True:
            negated = self._is("not") and self._tokens[self._at + 1].text == "in"
            token = self._tokens[self._at + 1] if negated else self._now
            rank = _BINARY.get(token.text) if token.kind in {"sign", "word"} else None
            if rank is None or rank < least:
                break
            self._at += 1 + negated
            if former == "??" and token.text != "??":
                message = f"?? and {token.text} can't be mixed: put parentheses around the ?? part."
                raise FormulaError(self._text, token.offset, message)
            left = self._joined(left, token, rank, negated=negated)
            former = token.text
        if least == 0:
            left = self._choice(left)
        self._depth -= 1
        return left

    def _joined(self, left: Node, token: _Token, rank: int, *, negated: bool) -> Node:
        self._operators += 1
        if self._operators > OPERATORS_MAX:
            message = f"A formula has at most {OPERATORS_MAX} operators: use sum([...]) and the like."
            raise FormulaError(self._text, token.offset, message)
        operator = _SAME.get(token.text, token.text)
        if operator == "|":
            word = self._take()
            if word.kind != "word":
                self._at -= word.kind != "end"
                self._refuse("the name of a function is")
            return self._call(word, [left])
        if rank == _COMPARISON:
            return self._compared(left, operator, token.offset, negated=negated)
        right = self._expression(rank if operator == "^" else rank + 1)
        return Node("binary", token.offset, operator, children=[left, right])

    def _compared(self, left: Node, operator: str, offset: int, *, negated: bool) -> Node:
        """A chain: each neighbour is compared with the next, and all must hold."""
        whole: Node | None = None
        while True:
            right = self._expression(_COMPARISON + 1)
            one = Node("compare", offset, operator, children=[left, right])
            if negated:
                one = Node("unary", offset, "not", children=[one])
            whole = one if whole is None else Node("binary", offset, "and", children=[whole, one])
            if self._now.kind not in {"sign", "word"} or _BINARY.get(self._now.text) != _COMPARISON:
                return whole
            left, negated = right, False
            token = self._take()
            operator, offset = token.text, token.offset

    def _choice(self, condition: Node) -> Node:
        while self._is("?") or self._is("?:"):
            token = self._take()
            if token.text == "?:" or self._is(":"):
                if token.text == "?":
                    self._take()
                first = condition
            else:
                first = self._expression(0)
                self._expect(":")
            condition = Node("choice", token.offset, children=[condition, first, self._expression(0)])
        return condition

    def _primary(self) -> Node:  # noqa: PLR0911 - one way to begin, one return
        token = self._now
        if token.text in _UNARY and token.kind != "number":
            self._take()
            return Node(
                "unary",
                token.offset,
                _SAME.get(token.text, token.text),
                children=[self._expression(_UNARY[token.text])],
            )
        if token.kind == "number":
            self._take()
            return Node("number", token.offset, number=self._number(token))
        if token.kind == "word" and token.text not in _KEYWORDS:
            self._take()
            return self._word(token)
        if self._is("#"):
            self._take()
            if not self._predicates:
                raise FormulaError(
                    self._text,
                    token.offset,
                    "# is the element that a predicate looks at, as in count([a, b], {# > 1}).",
                )
            return Node("element", token.offset)
        if self._is("("):
            self._take()
            inner = self._expression(0)
            self._expect(")", token)
            return inner
        if self._is("["):
            self._take()
            return Node("array", token.offset, children=self._list("]", token))
        return self._refuse("a number, a trigger's name or ( is")

    def _word(self, token: _Token) -> Node:
        if token.text in {"true", "false"}:
            return Node("true" if token.text == "true" else "false", token.offset)
        if token.text == "nil":
            return Node("nil", token.offset)
        if self._is("("):
            return self._call(token, [])
        return Node("name", token.offset, token.text)

    def _list(self, close: str, opened: _Token) -> list[Node]:
        found: list[Node] = []
        while not self._is(close):
            if self._now.kind == "end" and found:
                self._expect(close, opened)
            if found:
                self._expect(",")
                if self._is(close):  # a comma at the end is allowed
                    break
            found.append(self._expression(0))
        self._take()
        return found

    def _call(self, word: _Token, given: list[Node]) -> Node:
        rule = FUNCTIONS.get(word.text)
        if rule is None:
            meant = _OTHER_WORDS.get(word.text)
            hint = f"write {meant}." if meant else f"there are {', '.join(FUNCTIONS)}."
            raise FormulaError(self._text, word.offset, f"{word.text} is no function here: {hint}")
        fewest, most, predicate = rule
        opened = self._now
        self._expect("(")
        if predicate == "no":
            arguments = given + self._list(")", opened)
            if len(arguments) < fewest or (most is not None and len(arguments) > most):
                wanted = "at least one argument" if most is None else "one argument"
                raise FormulaError(
                    self._text, word.offset, f"{word.text} takes {wanted}, and {len(arguments)} are given."
                )
            return Node("call", word.offset, word.text, children=arguments)
        arguments = given or [self._expression(0)]
        if not given and (self._is(",") or predicate == "must"):
            self._expect(",", opened)
        if predicate == "may" and self._is(")"):
            self._take()
            return Node("call", word.offset, word.text, children=arguments)
        arguments.append(self._predicate())
        if self._is(","):
            self._take()
        self._expect(")", opened)
        return Node("call", word.offset, word.text, children=arguments, predicate=True)

    def _predicate(self) -> Node:
        opened = self._now
        braced = self._is("{")
        if braced:
            self._take()
        self._predicates += 1
        inner = self._expression(0)
        self._predicates -= 1
        if braced:
            self._expect("}", opened)
        return inner

    def _number(self, token: _Token) -> float:
        digits = token.text.replace("_", "").lower()
        try:
            value = float(int(digits, 0)) if digits[:2] in {"0x", "0b", "0o"} else float(digits)
        except (ValueError, OverflowError):
            value = float("inf")
        if value == float("inf"):
            raise FormulaError(self._text, token.offset, f"{token.text} is no number, or too large for one.")
        return value


def meant_by(word: str) -> str:
    """Return what a word of another language is called here, or ""."""
    return _OTHER_WORDS.get(word, "")
