"""A path into JSON in GJSON's notation, as KEDA's metrics-api takes it: as much of it as can point at a number.

``a.b``, ``a.0``, ``a.#`` (how many), ``a.#.b``, ``a.#(name=="x").b``, ``a.#(n>3)#``, wildcards ``*`` and ``?`` in names, a backslash before
a character that is meant literally, ``|`` as a dot. Modifiers (``@…``), multipaths and literals give no number of their own and are
refused. Called by ``metric_bodies``.
"""

import operator
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple, cast

import msgspec


#: What is at no place; JSON's null is a value.
NOTHING: Final = msgspec.UNSET
_QUERY: Final = re.compile(
    r"#\((?P<field>[^=!<>%]*)(?P<op>==|=|!=|<=|>=|<|>|!%|%)?(?P<value>.*)\)(?P<all>#?)", re.DOTALL
)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PARTS_MAX: Final = 64


class PathError(ValueError):
    """A path that can't be read."""


class _Part(NamedTuple):
    """A component; ``plain``: no character in it means more than itself."""

    text: str
    plain: bool


def find(document: Any, path: str) -> Any:
    """Return what is at a path, or NOTHING. Raises PathError."""
    parts = list(_parts(path))
    if len(parts) > _PARTS_MAX:
        raise PathError(f"a path has at most {_PARTS_MAX} parts")
    return _at(document, parts)


def _parts(path: str) -> Iterator[_Part]:
    """Split at dots and pipes, but not inside of a query's parentheses."""
    text, plain, depth, escaped = "", True, 0, False
    for character in path:
        if escaped:
            text, escaped = text + (f"[{character}]" if character in "*?[" and not plain else character), False
        elif character == "\\":
            escaped = True
        elif character in ".|" and not depth:
            yield _checked(text, plain=plain)
            text, plain = "", True
        else:
            depth += (character == "(") - (character == ")" and depth > 0)
            if character in "*?" and not depth and plain:
                # what was literal so far stays so where names are matched
                text, plain = re.sub(r"([*?\[])", r"[\1]", text), False
            text += f"[{character}]" if character == "[" and not plain else character
    if depth or escaped:
        raise PathError("a parenthesis is not closed" if depth else "nothing follows the last \\")
    yield _checked(text, plain=plain)


def _checked(text: str, *, plain: bool) -> _Part:
    if not text:
        raise PathError("there is nothing between two dots")
    if text[0] in "@!{[" and plain:
        raise PathError(f"{text[0]} (modifiers, literals, several paths at once) is not supported")
    return _Part(text, plain)


def _at(value: Any, parts: list[_Part]) -> Any:
    for place, part in enumerate(parts):
        if isinstance(value, list):
            items = cast("list[Any]", value)
            if part.text.startswith("#"):
                return _of_all(items, part.text, parts[place + 1 :])
            value = _item(items, part)
        elif isinstance(value, dict):
            value = _member(cast("dict[str, Any]", value), part)
        else:
            return NOTHING
    return value


def _item(items: list[Any], part: _Part) -> Any:
    # eight digits: no answer has more items, and a longer number is none that int() should be given
    if not part.plain or not re.fullmatch(r"[0-9]{1,8}", part.text):
        return NOTHING
    index = int(part.text)
    return items[index] if index < len(items) else NOTHING


def _member(members: dict[str, Any], part: _Part) -> Any:
    if part.plain:
        return members.get(part.text, NOTHING)
    return next((value for name, value in members.items() if fnmatchcase(name, part.text)), NOTHING)


def _of_all(items: list[Any], text: str, rest: list[_Part]) -> Any:
    if text == "#":
        if not rest:
            return len(items)
        return [found for found in (_at(item, rest) for item in items) if found is not NOTHING]
    query = _QUERY.fullmatch(text)
    if query is None:
        raise PathError(f"{text!r} is no query: write #(name==value)")
    chosen = [item for item in items if _holds(item, query)]
    if query["all"]:
        return _at(chosen, rest) if rest else chosen
    return _at(chosen[0], rest) if chosen else NOTHING


def _holds(item: Any, query: re.Match[str]) -> bool:
    field, comparison, text = query["field"].strip(), query["op"], query["value"].strip()
    found = find(item, field) if field else item
    if comparison is None:
        return found is not NOTHING
    if found is NOTHING:
        return False
    wanted = _literal(text)
    match comparison:
        case "%" | "!%":
            like = isinstance(found, str) and isinstance(wanted, str) and fnmatchcase(found, wanted)
            return like == (comparison == "%")
        case "=" | "==" | "!=":
            same = found == wanted and (type(found) is type(wanted) or _both_numbers(found, wanted))
            return same == (comparison != "!=")
        case _:
            alike = (isinstance(found, str) and isinstance(wanted, str)) or _both_numbers(found, wanted)
            return alike and _COMPARE[comparison](found, wanted)


def _both_numbers(one: Any, other: Any) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other))


def _literal(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text  # GJSON takes a word without quotes for itself
