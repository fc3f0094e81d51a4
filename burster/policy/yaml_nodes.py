"""YAML text to plain values that remember where they were written.

Works on the parser's events, iteratively, so that neither depth nor aliases can exhaust anything: size, depth and the number of
values (aliases counted each time they are used) are limited. Plain words become what Kubernetes' own tools make of them (YAML 1.1's
yes, no, on, off are booleans; no dates, no base 60), and what tools disagree about (010, duplicate keys, custom tags) is refused.
Called by ``load``; it knows nothing of policies.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import yaml

from burster.policy.fields import scalars


DEPTH_MAX: Final = 40
VALUES_MAX: Final = 20_000
DOCUMENTS_MAX: Final = 1_000

Path = tuple[str | int, ...]


class Mark(msgspec.Struct, frozen=True):
    """Where something begins, from 1; ``raw`` is a scalar as written where that differs from its value."""

    line: int
    column: int
    raw: str = ""


class YamlProblem(Exception):  # noqa: N818 (it becomes a Problem)
    """Something in the text that makes its meaning unsafe or unknown."""

    def __init__(self, message: str, mark: Mark, path: Path = (), *, unreadable: bool = True) -> None:
        super().__init__(message)
        self.message, self.mark, self.path, self.unreadable = message, mark, path, unreadable


class YamlDocument(msgspec.Struct):
    """One document: its value, where each key and value stands, and what is wrong with it though it could be read."""

    value: Any
    mark: Mark
    keys: dict[Path, Mark]
    values: dict[Path, Mark]
    problems: list[YamlProblem]
    text: str = ""  #: of the whole file

    def inside(self, path: Path, line: int, column: int) -> Mark:
        """Return where a place within a text value stands in the file; the value's own place where that can't be told."""
        mark = self.values.get(path)
        value: Any = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                value = None
        if mark is None or not isinstance(value, str):
            return mark or self.mark
        return _inside(self.text, value, mark, line, column)


class _Scalar(msgspec.Struct):
    text: str
    plain: bool
    tag: str
    mark: Mark


class _Collection(msgspec.Struct):
    """A mapping (keys and values in turn) or a list."""

    mapping: bool
    mark: Mark
    items: list[Any]  # _Scalar | _Collection; Any, as msgspec resolves no recursive private type


_Node = _Scalar | _Collection

_NULL: Final = re.compile(r"|~|null|Null|NULL")
_TRUE: Final = re.compile(r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON")
_FALSE: Final = re.compile(r"n|N|no|No|NO|false|False|FALSE|off|Off|OFF")
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)")
_OCTAL: Final = re.compile(r"[-+]?0o?[0-9_]+")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_KNOWN_TAGS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")} | {
    "!"
}
_STR_TAGS: Final = {"tag:yaml.org,2002:str", "!"}
_INT_DIGITS_MAX: Final = 30
#: what word processors and web pages have instead of a blank
_NO_BLANK: Final = re.compile("[\u00a0\u2000-\u200b\u202f\u205f\u3000]")
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _inside(text: str, value: str, mark: Mark, line: int, column: int) -> Mark:
    found = scalars.place_inside(text, value, (mark.line, mark.column), (line, column))
    return Mark(*found) if found else mark


def parse_yaml(text: str) -> Iterator[YamlDocument]:
    """Yield the documents of a text, empty ones left out. Raises YamlProblem where the text is no YAML."""
    documents = 0
    for root in _roots(text):
        documents += 1
        if documents > DOCUMENTS_MAX:
            raise YamlProblem(f"more than {DOCUMENTS_MAX} documents in one file: split it", root.mark)
        if isinstance(root, _Scalar) and root.plain and _NULL.fullmatch(root.text):
            continue
        document = YamlDocument(None, root.mark, {}, {}, [], text)
        document.value = _Builder(document).build(root, ())
        yield document


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)  # pyright: ignore[reportUnknownMemberType] (stubs without types)
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        mark = Mark(where.line + 1, where.column + 1) if where else Mark(1, 1)
        raise YamlProblem(_syntax_sentence(text, mark, error), mark) from None
    except yaml.YAMLError as error:  # a character that YAML forbids
        line, column = _first_forbidden(text)
        raise YamlProblem(
            f"a character that YAML does not allow ({str(error).splitlines()[0][:80]}): remove it", Mark(line, column)
        ) from None


def _syntax_sentence(text: str, mark: Mark, error: yaml.MarkedYAMLError) -> str:
    lines = text.split("\n")
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column - 1 : mark.column] == "\t":
        return "a tab in the indentation, where YAML allows only spaces: replace it by spaces"
    for number in (mark.line, mark.line - 1):
        found = _NO_BLANK.search(lines[number - 1]) if 1 <= number <= len(lines) else None
        if found:
            code = f"U+{ord(found[0]):04X}"
            return f"this is not YAML (line {number} holds {code}, which looks like a blank and is none): replace it by a blank"
    what = "; ".join(part for part in (error.context, error.problem) if part)
    return f"this is not YAML ({what}): correct the text here or in the line before"


def _first_forbidden(text: str) -> tuple[int, int]:
    for number, line in enumerate(text.split("\n"), start=1):
        for column, char in enumerate(line, start=1):
            if not (char.isprintable() or char in "\t\r\x85\u2028\u2029") or char in "\ufffe\uffff":
                return number, column
    return 1, 1


def _roots(text: str) -> Iterator[_Node]:
    """Yield each document's tree; an alias is the node it names, so a tree may share and (if malicious) contain itself."""
    anchors: dict[str, _Node] = {}
    stack: list[_Collection] = []
    for event in _events(text):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors = {}
            continue
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            node: _Node = stack.pop()
            if not stack:
                yield node
            continue
        found = _node_of(event, anchors)
        if found is None:
            continue
        node = found
        if stack:
            stack[-1].items.append(node)
        if isinstance(node, _Collection) and not isinstance(event, yaml.AliasEvent):
            stack.append(node)
            if len(stack) > DEPTH_MAX:
                raise YamlProblem(f"nested more than {DEPTH_MAX} levels deep: no policy needs that", node.mark)
        elif not stack:
            yield node


def _node_of(event: Any, anchors: dict[str, _Node]) -> _Node | None:
    if not isinstance(event, yaml.NodeEvent):
        return None
    mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise YamlProblem(
                f"the alias *{event.anchor} names no earlier anchor &{event.anchor}: define it first", mark
            )
        return anchors[event.anchor]
    tag = getattr(event, "tag", None)
    if tag is not None and tag not in _KNOWN_TAGS:
        raise YamlProblem(f"the tag {tag!r} is not supported: write a plain value", mark)
    if isinstance(event, yaml.ScalarEvent):
        node: _Node = _Scalar(event.value, event.implicit[0] and not event.style, tag or "", mark)
    else:
        node = _Collection(isinstance(event, yaml.MappingStartEvent), mark, [])
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


class _Builder:
    """Turns one document's tree into plain values, noting positions by path."""

    def __init__(self, document: YamlDocument) -> None:
        self._document = document
        self._values = 0

    def build(self, node: _Node, path: Path) -> Any:
        self._values += 1
        if self._values > VALUES_MAX:
            raise YamlProblem(
                f"more than {VALUES_MAX} values, aliases counted as often as used: split the file", node.mark
            )
        if len(path) > DEPTH_MAX:
            raise YamlProblem(f"nested more than {DEPTH_MAX} levels deep, or an alias inside itself", node.mark)
        if isinstance(node, _Scalar):
            value = self._scalar(node, path)
            raw = node.text if node.plain and not isinstance(value, str) else ""
            self._document.values[path] = Mark(node.mark.line, node.mark.column, raw)
            return value
        self._document.values[path] = node.mark
        if not node.mapping:
            return [self.build(item, (*path, index)) for index, item in enumerate(node.items)]
        return self._mapping(node, path)

    def _mapping(self, node: _Collection, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: list[_Collection] = []
        for key_node, value_node in zip(node.items[::2], node.items[1::2], strict=True):
            key = self._key(key_node, path)
            if key is None:
                merged.extend(self._merged(value_node))
                continue
            inner = (*path, key)
            if key in built:
                first = self._document.keys[inner]
                self._complain(f"given twice, first in line {first.line}: remove one", key_node.mark, inner)
                continue
            self._document.keys[inner] = key_node.mark
            built[key] = self.build(value_node, inner)
        for other in merged:  # earlier ones win, and what is written here wins over all
            for key_node, value_node in zip(other.items[::2], other.items[1::2], strict=True):
                key = self._key(key_node, path)
                if key is not None and key not in built:
                    self._document.keys[(*path, key)] = key_node.mark
                    built[key] = self.build(value_node, (*path, key))
        return built

    def _key(self, node: _Node, path: Path) -> str | None:
        """Return the key as text; None for the merge key ``<<``."""
        if isinstance(node, _Collection):
            raise YamlProblem("a list or mapping as a key: keys are plain words", node.mark, path, unreadable=False)
        if node.plain and node.text == "<<":
            return None
        value = self._scalar(node, path)
        if not isinstance(value, str):
            self._complain(
                f"the key {node.text or 'null'} is read by YAML as {_spoken(value)}: put it in quotes",
                node.mark,
                (*path, node.text),
            )
        return node.text

    def _merged(self, node: _Node) -> list[_Collection]:
        nodes: list[_Node] = node.items if isinstance(node, _Collection) and not node.mapping else [node]
        mappings = [item for item in nodes if isinstance(item, _Collection) and item.mapping]
        if len(mappings) != len(nodes):
            raise YamlProblem("a merge key << takes a mapping or a list of mappings", node.mark, unreadable=False)
        return mappings

    def _scalar(self, node: _Scalar, path: Path) -> Any:
        if not node.plain and node.tag in {"", *_STR_TAGS}:
            return node.text
        if _OCTAL.fullmatch(node.text) and node.text not in {"0", "-0", "+0"}:
            self._complain(
                f"{node.text} is read as octal by some and as decimal by others: write it without the leading 0, or in quotes",
                node.mark,
                path,
            )
            return node.text
        return resolve_plain(node.text)

    def _complain(self, message: str, mark: Mark, path: Path) -> None:
        self._document.problems.append(YamlProblem(message, mark, path, unreadable=False))


def resolve_plain(text: str) -> str | int | float | bool | None:
    """Return what an unquoted word means."""
    for form, meaning in ((_NULL, None), (_TRUE, True), (_FALSE, False)):
        if form.fullmatch(text):
            return meaning
    if _INT.fullmatch(text) and len(text) <= _INT_DIGITS_MAX:
        return int(text.replace("_", ""), 0)
    if _FLOAT.fullmatch(text):
        value = float(text.replace("_", ""))
        return value if math.isfinite(value) else text  # 1e400 stays what was written
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "").lower())
    return text


def _spoken(value: object) -> str:
    if isinstance(value, bool):
        return "the boolean true" if value else "the boolean false"
    return "nothing" if value is None else "a number"
