"""Where a place within a YAML text value stands in the file.

A value can be written plain, in quotes, or as a block, over several lines, indented and folded. Blanks are all that YAML changes in it
(quotes aside), so a place is found again by the number of characters before it that are no blanks. Called by ``yaml_nodes``.
"""

import re
from typing import Final


Place = tuple[int, int]  #: line and column, from 1

_PROPERTY: Final = re.compile(r"\S+\s+")
_BLANKS: Final = " \t\r\n"
_ESCAPED_BLANKS: Final = (" ", "t", "n", "r", "\n", "\r\n", "\t")
_ESCAPED: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n|.)", re.DOTALL)


def place_inside(text: str, value: str, start: Place, place: Place) -> Place | None:
    """Return the place in ``text`` of a place within ``value``, which is written at ``start``; None where it isn't to be found."""
    lines = value.split("\n")
    if not 1 <= place[0] <= len(lines):
        return None
    before = "".join(lines[: place[0] - 1]) + lines[place[0] - 1][: place[1] - 1]
    wanted = sum(1 for char in before if char not in _BLANKS)
    position = _offset(text, start)
    if position is None:
        return None
    position = _content(text, position)
    quote = text[position - 1] if position and text[position - 1] in "\"'" else ""
    if wanted < sum(1 for char in value if char not in _BLANKS):
        found = _skip(text, position, wanted, quote)
    else:  # behind the end: just after the last character
        last = _skip(text, position, max(wanted - 1, 0), quote)
        found = None if last is None else last + 1
    return None if found is None else _place(text, found)


def _offset(text: str, place: Place) -> int | None:
    position = 0
    for _ in range(place[0] - 1):
        position = text.find("\n", position) + 1
        if not position:
            return None
    return position + place[1] - 1


def _content(text: str, position: int) -> int:
    """Return where the characters of a scalar begin: behind anchor and tag, the quote, or a block's first line."""
    while text[position : position + 1] in {"&", "!"}:
        words = _PROPERTY.match(text, position)
        if words is None:
            break
        position = words.end()
    opening = text[position : position + 1]
    if opening in {"|", ">"}:
        return text.find("\n", position) + 1
    return position + 1 if opening in {'"', "'"} else position


def _skip(text: str, position: int, wanted: int, quote: str) -> int | None:
    """Return the position of the first character that is no blank and has ``wanted`` such before it."""
    while position < len(text):
        char, width, blank = text[position], 1, text[position] in _BLANKS
        if quote == "'" and char == "'":
            width = 2
        elif quote == '"' and char == "\\":
            match = _ESCAPED.match(text, position)
            width, blank = (len(match[0]), match[1] in _ESCAPED_BLANKS) if match else (1, False)
        if not blank:
            if not wanted:
                return position
            wanted -= 1
        position += width
    return None


def _place(text: str, position: int) -> Place:
    line = text.count("\n", 0, position) + 1
    return line, position - (text.rfind("\n", 0, position) + 1) + 1
