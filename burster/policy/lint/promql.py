"""Which pods a PromQL query counts, as far as its selectors say: enough to see whether it counts burster's own.

A query that counts the pods it causes feeds itself: each clone is a reason for the next. Called by the lint of triggers. It reads
selectors (metric name and label matchers) and knows nothing of functions and operators; whatever it can't read counts nothing.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, cast

import msgspec

from burster.policy.fields.patterns import check_pattern


Operator = Literal["=", "!=", "=~", "!~"]
#: metrics that have a series for each pod: kube-state-metrics' and the kubelet's
_OF_PODS: Final = ("kube_pod_", "container_")
_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_MATCHER: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*")
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"' r"|'((?:[^'\\]|\\.)*)'" r"|`([^`]*)`", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_LITERAL: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9]|\\[.-])*")
#: how kube-state-metrics and relabelling show the label that marks a cloud pod
_MARK: Final = "burster_dev_burst"


#: a number, its letters included: 1e3, 0xff
_NUMBER: Final = re.compile(r"(?<![A-Za-z0-9_:.])[0-9.][0-9A-Za-z.]*")
#: words that make no value of their own
_CONSTANT: Final = frozenset(
    {"vector", "scalar", "abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10", "pi"}
    | {"clamp", "clamp_min", "clamp_max", "sum", "min", "max", "avg", "count", "group", "inf", "nan", "Inf", "NaN"}
    | {"bool", "and", "or", "unless", "by", "without", "on", "ignoring"}
)


class Matcher(msgspec.Struct, frozen=True):
    """One label matcher of a selector."""

    label: str
    operator: Operator
    value: str

    def admits(self, value: str) -> bool:
        """Whether a series with this value of the label passes; a pattern that isn't safe to evaluate passes nothing."""
        if self.operator in {"=", "!="}:
            return (value == self.value) == (self.operator == "=")
        if self.value:
            try:
                check_pattern(self.value)
            except ValueError:
                return False
        return (re.fullmatch(self.value, value) is not None) == (self.operator == "=~")


class Selector(msgspec.Struct, frozen=True):
    """A metric and its label matchers."""

    metric: str
    matchers: tuple[Matcher, ...]

    def of(self, label: str) -> tuple[Matcher, ...]:
        """Return the matchers of one label."""
        return tuple(matcher for matcher in self.matchers if matcher.label == label)

    def counts(self, pod: str, namespace: str) -> bool:
        """Whether the series of this pod would be among those selected."""
        return all(one.admits(pod) for one in self.of("pod")) and all(
            one.admits(namespace) for one in self.of("namespace")
        )


def selectors_of(query: str) -> tuple[Selector, ...]:
    """Return the selectors of a query that select series of pods."""
    return tuple(one for one in _selectors(query) if one.metric.startswith(_OF_PODS))


def excludes_bursts(query: str) -> bool:
    """Whether a query speaks of the label that marks burster's own pods: then its author knows of them."""
    return _MARK in query or "burster.dev/burst" in query


def patterns_of(query: str) -> tuple[str, ...]:
    """Return every regular expression that a label is matched by."""
    found = [matcher.value for one in _selectors(query) for matcher in one.matchers if matcher.operator in {"=~", "!~"}]
    return tuple(dict.fromkeys(found))


def reads_nothing(query: str) -> bool:
    """Whether a query selects no series and asks for no time, so that its value is always the same."""
    return not any(one.matchers or one.metric not in _CONSTANT for one in _selectors(_NUMBER.sub(" ", query)))


def literal_of(pattern: str) -> str:
    """Return the longest run of plain characters in a pattern: the best guess at a name that its author had in mind."""
    runs = [run.replace("\\", "").strip("-") for run in _LITERAL.findall(pattern)]
    return max(runs, key=len, default="")


def _selectors(query: str) -> Iterator[Selector]:
    position = 0
    while position < len(query):
        string = _STRING.match(query, position)
        if string:
            position = string.end()
            continue
        if query[position] == "#":
            newline = query.find("\n", position)
            position = len(query) if newline < 0 else newline
            continue
        name = _NAME.match(query, position)
        after = name.end() if name else position
        brace = after + len(query[after:]) - len(query[after:].lstrip())
        if query[brace : brace + 1] == "{":
            matchers, position = _matchers(query, brace + 1)
            named = [one.value for one in matchers if one.label == "__name__" and one.operator == "="]
            yield Selector(name[0] if name else (named[0] if named else ""), matchers)
        elif name:
            yield Selector(name[0], ())
            position = after
        else:
            position += 1


def _matchers(query: str, position: int) -> tuple[tuple[Matcher, ...], int]:
    """Return the matchers from after the opening brace, and where reading goes on."""
    found: list[Matcher] = []
    while position < len(query):
        matcher = _MATCHER.match(query, position)
        value = _STRING.match(query, matcher.end()) if matcher else None
        if matcher and value:
            found.append(Matcher(matcher[1], cast("Operator", matcher[2]), _unquoted(value)))
            position = value.end()
            continue
        position += 1
        if query[position - 1] == "}":
            break
    return tuple(found), position


def _unquoted(string: re.Match[str]) -> str:
    double, single, raw = string.groups()
    if raw is not None:
        return cast("str", raw)
    text: str = double if double is not None else single
    return _ESCAPE.sub(lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), text)
