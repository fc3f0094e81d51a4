"""Name patterns: regular expressions that one tenant writes and the whole engine evaluates.

The engine matches them against thousands of pod names in a step, so a pattern that could take for ever is refused when it is
read: no look-around, no back-references, no repeated group that itself repeats or chooses, few open repetitions. What is left is
what RE2 has too, so a pattern means the same here as in Prometheus. Called by the schema; it never matches anything itself.
"""

import re
import warnings
from typing import Final

import msgspec


PATTERN_LENGTH_MAX: Final = 256
#: what an open repetition (*, +, {n,}) multiplies the steps by; k of them need at most (253 + k over k) on a name of 253 characters
_OPEN_FACTOR: Final = 140
_STEPS_MAX: Final = 2**23  #: well under a second on one name
_REPETITION_SMALL: Final = 8
_BOUNDS: Final = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")


class _Group(msgspec.Struct):
    """The steps that what has been read since a bracket opened may take: a product along a branch, a sum over branches."""

    product: int = 1
    branches: int = 0

    @property
    def steps(self) -> int:
        return self.product + self.branches


def check_pattern(pattern: str) -> None:
    """Raise ValueError, with a sentence that says what to write instead, unless the pattern is safe to use."""
    if not pattern:
        raise ValueError('an empty pattern matches nothing: leave the field out, or write ".*" for every name')
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise ValueError(
            f"a pattern of {len(pattern)} characters is too long: at most {PATTERN_LENGTH_MAX} are allowed"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, FutureWarning, DeprecationWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error}): correct it, for example web-.*") from None
    _check_cost(pattern)


def _check_cost(pattern: str) -> None:
    groups = [_Group()]
    closed: _Group | None = None  # the group that ended just before this position
    position = 0
    while position < len(pattern):
        char = pattern[position]
        last, closed = closed, None
        width = 1
        if char == "\\":
            width = _escape_width(pattern, position)
        elif char == "[":
            width = _class_width(pattern, position)
        elif char == "(":
            width = _group_width(pattern, position)
            groups.append(_Group())
        elif char == ")":
            closed = groups.pop()
            groups[-1].product *= closed.steps
        elif char == "|":
            groups[-1] = _Group(branches=groups[-1].steps)
        elif char in "?*+{":
            width, factor = _repetition(pattern, position)
            groups[-1].product *= factor
            if char != "?" and last is not None and last.steps > 1:
                raise _nested(pattern)
        position += width
    if groups[0].steps > _STEPS_MAX:
        raise ValueError(
            f"{pattern!r} leaves too much open to be matched quickly: at most three of *, +, {{n,}} in a row, and few"
            " choices beside them; write the parts out, or select by label"
        )


def _nested(pattern: str) -> ValueError:
    return ValueError(
        f"{pattern!r} repeats a group that itself repeats or chooses, which can take for ever on one name:"
        " write it without the nested repetition, for example [a-z-]+"
    )


def _escape_width(pattern: str, position: int) -> int:
    if pattern[position + 1].isdigit() and pattern[position + 1] != "0":
        raise ValueError(f"{pattern!r} refers back to a group (\\{pattern[position + 1]}), which is not supported")
    return 2


def _class_width(pattern: str, position: int) -> int:
    end = position + 1
    if pattern[end] == "^":
        end += 1
    if pattern[end] == "]":  # a first ] is a character
        end += 1
    while pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end + 1 - position


def _group_width(pattern: str, position: int) -> int:
    if pattern[position + 1] != "?":
        return 1
    if pattern[position + 2] == ":":
        return 3
    raise ValueError(
        f"{pattern!r} uses {pattern[position : position + 3]}…), which is not supported: only plain ( ) and (?: ) groups are"
    )


def _repetition(pattern: str, position: int) -> tuple[int, int]:
    """Return how many characters the repetition takes and what it multiplies the steps by."""
    if pattern[position] != "{":
        return 1, 2 if pattern[position] == "?" else _OPEN_FACTOR
    bounds = _BOUNDS.match(pattern, position)
    if bounds is None or not (bounds[1] or bounds[2]):
        return 1, 1  # a brace that is a character
    if not bounds[2]:
        return len(bounds[0]), 1
    spread = int(bounds[3]) - int(bounds[1] or 0) + 1 if bounds[3] else _OPEN_FACTOR
    return len(bounds[0]), spread if spread <= _REPETITION_SMALL else _OPEN_FACTOR
