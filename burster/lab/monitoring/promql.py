"""As much of PromQL as rules for bursting need, over one page of metrics: selectors, aggregations, vector(), numbers and arithmetic.

Used by the Prometheus stand-in. What it evaluates it evaluates as Prometheus does; everything else is refused in Prometheus' form, so
that nobody takes a guess for an answer. There is no history: a range holds the one sample there is.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple


Labels = dict[str, str]


class PromqlError(ValueError):
    """A query that can't be read, or asks for more than this evaluator has."""


class Sample(NamedTuple):
    """One series at one instant."""

    labels: Labels
    value: float


class Result(NamedTuple):
    """What a query gives: ``samples`` of a vector or matrix, else ``value`` or ``text``."""

    kind: Literal["vector", "scalar", "matrix", "string"]
    samples: tuple[Sample, ...] = ()
    value: float = 0.0
    text: str = ""


_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+|(?i:nan|inf)\b)|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<mark>=~|!~|!=|[-+*/(){}\[\],=]))"
)
_LINE: Final = re.compile(r"(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)")
_PAIR: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_AGGREGATIONS: Final[dict[str, Callable[[list[float]], float]]] = {
    "sum": math.fsum,
    "count": lambda values: float(len(values)),
    "min": min,
    "max": max,
    "avg": lambda values: math.fsum(values) / len(values),
}
_OPERATORS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda one, other: (
        one / other if other else math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one)
    ),
}


def parse_page(text: str) -> list[Sample]:
    """Return the samples of a page in Prometheus' text format; the name is the label ``__name__``."""
    samples: list[Sample] = []
    for line in text.splitlines():
        found = _LINE.match(line) if line and line[0] != "#" else None
        if found is not None:
            pairs = {name: _unquoted(value) for name, value in _PAIR.findall(found["labels"] or "")}
            samples.append(Sample({"__name__": found["name"], **pairs}, float(found["value"])))
    return samples


def evaluate(query: str, samples: list[Sample]) -> Result:
    """Return what a query gives. Raises PromqlError."""
    return _Evaluation(query, samples).run()


class _Evaluation:
    """A parser that evaluates as it goes: numbers, arithmetic, functions and selectors, by descent."""

    def __init__(self, query: str, samples: list[Sample]) -> None:
        self._tokens = list(_tokens(query))
        self._samples = samples
        self._place = 0

    def run(self) -> Result:
        result = self._sum()
        if self._next():
            raise PromqlError(f"unexpected {self._next()!r}")
        return result

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        token = self._next()
        if not token or (wanted and token != wanted):
            raise PromqlError(f"expected {wanted or 'more'}, found {token or 'the end'!r}")
        self._place += 1
        return token

    def _sum(self) -> Result:
        left = self._product()
        while self._next() in {"+", "-"}:
            left = _arithmetic(self._take(), left, self._product())
        return left

    def _product(self) -> Result:
        left = self._unit()
        while self._next() in {"*", "/"}:
            left = _arithmetic(self._take(), left, self._unit())
        return left

    def _unit(self) -> Result:
        word = self._take()
        if word == "(":
            return self._rest_of_parentheses()
        if word == "-":
            return _arithmetic("*", Result("scalar", value=-1.0), self._unit())
        if word[0] in "\"'":
            return Result("string", text=_unquoted(word[1:-1]))
        if word[0] in "0123456789." or word.lower() in {"nan", "inf"}:
            return Result("scalar", value=float(word))
        return self._aggregated(word) if word in _AGGREGATIONS else self._named(word)

    def _named(self, word: str) -> Result:
        if self._next() != "(":
            return self._selected(word)
        if word != "vector":
            raise PromqlError(f"unknown function with name {word!r}")
        self._take("(")
        return Result("vector", (Sample({}, self._rest_of_parentheses().value),))

    def _rest_of_parentheses(self) -> Result:
        inner = self._sum()
        self._take(")")
        return inner

    def _aggregated(self, name: str) -> Result:
        by = self._grouping()
        self._take("(")
        inner = self._sum()
        self._take(")")
        by = by or self._grouping()
        if inner.kind != "vector":
            raise PromqlError(f"expected type instant vector in aggregation expression, got {inner.kind}")
        groups: dict[tuple[str, ...], list[float]] = {}
        for sample in inner.samples:
            groups.setdefault(tuple(sample.labels.get(label, "") for label in by), []).append(sample.value)
        samples = (
            Sample({label: value for label, value in zip(by, key, strict=True) if value}, _AGGREGATIONS[name](values))
            for key, values in groups.items()
        )
        return Result("vector", tuple(samples))

    def _grouping(self) -> tuple[str, ...]:
        if self._next() != "by":
            return ()
        self._take()
        self._take("(")
        labels: list[str] = []
        while self._next() != ")":
            labels.append(self._take())
            if self._next() == ",":
                self._take()
        self._take(")")
        return tuple(labels)

    def _selected(self, first: str) -> Result:
        conditions: list[tuple[str, str, str]] = []
        if first != "{":
            conditions.append(("__name__", "=", first))
        if first == "{" or self._next() == "{":
            if first != "{":
                self._take("{")
            while self._next() != "}":
                label, mark, text = self._take(), self._take(), self._take()
                conditions.append((label, mark, _unquoted(text[1:-1])))
                if self._next() == ",":
                    self._take()
            self._take("}")
        found = tuple(each for each in self._samples if all(_admits(each, *condition) for condition in conditions))
        if self._next() != "[":
            return Result("vector", found)
        while self._take() != "]":
            pass
        return Result("matrix", found)


def _tokens(query: str) -> Iterator[str]:
    place, query = 0, query.rstrip()
    if not query:
        raise PromqlError("no expression found in input")
    while place < len(query):
        token = _TOKEN.match(query, place)
        if token is None:
            raise PromqlError(f"unexpected character: {query[place:].lstrip()[0]!r}")
        yield token[0].strip()
        place = token.end()


def _admits(sample: Sample, label: str, mark: str, wanted: str) -> bool:
    value = sample.labels.get(label, "")
    match mark:
        case "=" | "!=":
            return (value == wanted) == (mark == "=")
        case "=~" | "!~":
            return (re.fullmatch(wanted, value) is not None) == (mark == "=~")
        case _:
            raise PromqlError(f"unexpected {mark!r} in label matching")


def _arithmetic(mark: str, left: Result, right: Result) -> Result:
    compute = _OPERATORS[mark]
    match left.kind, right.kind:
        case "scalar", "scalar":
            return Result("scalar", value=compute(left.value, right.value))
        case "vector", "scalar":
            return Result("vector", tuple(Sample(_unnamed(s), compute(s.value, right.value)) for s in left.samples))
        case "scalar", "vector":
            return Result("vector", tuple(Sample(_unnamed(s), compute(left.value, s.value)) for s in right.samples))
        case "vector", "vector":
            others = {tuple(sorted(_unnamed(s).items())): s.value for s in right.samples}
            pairs = ((_unnamed(s), s.value, others.get(tuple(sorted(_unnamed(s).items())))) for s in left.samples)
            return Result(
                "vector",
                tuple(Sample(labels, compute(one, other)) for labels, one, other in pairs if other is not None),
            )
        case _:
            raise PromqlError("binary expression must contain only scalar and instant vector types")


def _unnamed(sample: Sample) -> Labels:
    return {label: value for label, value in sample.labels.items() if label != "__name__"}


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
