"""The syntax tree of a checked condition, read from the form in which the CEL library serialises it (cel.expr.CheckedExpr).

Called by ``conditions`` at load to see which names a condition uses and what could only fail later. Reads; judges nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal


NodeKind = Literal["constant", "name", "select", "call", "list", "struct", "comprehension", "none"]


@dataclass(slots=True)
class Node:
    """One expression. ``offset`` is where it is in the text, in characters from 0; -1 where the library does not say."""

    kind: NodeKind = "none"
    offset: int = -1
    text: str = ""  #: a name, a field or a function
    value: str | None = None  #: of a constant that is a string
    method: bool = False  #: the first child is what a function is called on
    children: list["Node"] = field(default_factory=list["Node"])

    def walk(self) -> Iterator["Node"]:
        """Go through the tree, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Fields = list[tuple[int, int | bytes]]
#: field numbers of cel.expr.Expr -> what the field holds
_KINDS: Final[dict[int, NodeKind]] = {
    3: "constant",
    4: "name",
    5: "select",
    6: "call",
    7: "list",
    8: "struct",
    9: "comprehension",
}
#: where the parts that are expressions are, by kind, in the order of the text
_PARTS: Final[dict[NodeKind, tuple[int, ...]]] = {
    "select": (1,),
    "call": (1, 3),
    "list": (1,),
    "comprehension": (2, 4, 5, 6, 7),
}


def read_tree(serialized: bytes) -> Node:
    """Return the root of a serialised checked expression."""
    checked = _fields(_bytes(_fields(serialized), 2))
    offsets: dict[int, int] = {}
    for number, value in _fields(_bytes(checked, 5)):
        if number == 4 and isinstance(value, bytes):  # noqa: PLR2004 - SourceInfo.positions
            entry = dict(_fields(value))
            offsets[_int(entry.get(1))] = _int(entry.get(2))
    return _node(_bytes(checked, 4), offsets)


def _node(data: bytes, offsets: dict[int, int]) -> Node:
    fields = _fields(data)
    offset = next((offsets.get(_int(value), -1) for number, value in fields if number == 2), -1)  # noqa: PLR2004 - Expr.id
    for number, value in fields:
        kind = _KINDS.get(number)
        if kind is not None and isinstance(value, bytes):
            return _fill(Node(kind=kind, offset=offset), _fields(value), offsets)
    return Node(offset=offset)


def _fill(node: Node, inner: _Fields, offsets: dict[int, int]) -> Node:
    if node.kind == "constant":
        node.value = next((_text(value) for number, value in inner if number == 6), None)  # noqa: PLR2004 - string_value
    elif node.kind == "struct":
        for number, entry in inner:
            if number == 2 and isinstance(entry, bytes):  # noqa: PLR2004 - entries, each with a map_key (3) and a value (4)
                parts = [value for part, value in _fields(entry) if part in {3, 4} and isinstance(value, bytes)]
                node.children.extend(_node(part, offsets) for part in parts)
    else:
        node.text = next((_text(value) for number, value in inner if number == _NAMES.get(node.kind)), "")
        for part in _PARTS.get(node.kind, ()):
            found = [value for number, value in inner if number == part and isinstance(value, bytes)]
            node.children.extend(_node(value, offsets) for value in found)
            node.method = node.method or (node.kind == "call" and part == 1 and bool(found))
    return node


#: where the name is, by kind
_NAMES: Final[dict[NodeKind, int]] = {"name": 1, "select": 2, "call": 2, "comprehension": 1}


def _fields(data: bytes) -> _Fields:
    """Return the fields of a protobuf message: (number, integer or bytes)."""
    found: _Fields = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
        else:
            if wire == _BYTES:
                length, at = _varint(data, at)
            else:
                length = {_FIXED64: 8, _FIXED32: 4}[wire]
            value = data[at : at + length]
            at += length
        found.append((tag >> 3, value))
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004 - the last byte has its high bit clear
            return value, at


def _bytes(fields: _Fields, number: int) -> bytes:
    return next((value for found, value in fields if found == number and isinstance(value, bytes)), b"")


def _int(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0


def _text(value: int | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else ""
