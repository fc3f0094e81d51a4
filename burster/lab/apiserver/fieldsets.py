"""Sets of fields of an object, as server-side apply owns them, and merging and removing by them.

Server-side apply stands on it. A path is a tuple of elements written as in FieldsV1 (``f:spec``, ``k:{"name":"a"}``, ``v:"x"``); it knows
nothing of managers.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.listkeys import ATOMIC_OBJECTS, KEY_DEFAULTS, apply_keys
from burster.lab.apiserver.objects import is_array, is_object, section


Path = tuple[str, ...]

#: stands for "this element of a list exists"
PRESENT: Final = object()


class Shape:
    """How values at one place merge: from a custom kind's schema, or from what built-in names mean."""

    __slots__ = ("_children", "field", "parent", "schema")

    def __init__(self, schema: Json | None, field: str = "", parent: str = "") -> None:
        self.schema = schema
        self.field = field
        self.parent = parent
        self._children: dict[str, Shape] = {}

    def child(self, field: str) -> "Shape":
        """The shape of a field of an object here."""
        known = self._children.get(field)
        if known is not None:
            return known
        schema = self.schema
        if schema is not None and not (self.field == "" and field == "metadata"):
            inner = section(schema, "properties").get(field)
            rest = schema.get("additionalProperties")
            shape = Shape(inner if is_object(inner) else rest if is_object(rest) else {}, field, self.field)
        else:
            shape = Shape(None, field, self.field)
        self._children[field] = shape
        return shape

    def element(self) -> "Shape":
        """The shape of an element of a list here."""
        if self.schema is None:
            return Shape(None, self.field, self.parent)
        inner = self.schema.get("items")
        return Shape(inner if is_object(inner) else {}, self.field, self.parent)

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys of a list here; () is a set; None is atomic."""
        if self.schema is None:
            return apply_keys(self.parent, self.field)
        match self.schema.get("x-kubernetes-list-type"):
            case "map":
                return tuple(self.schema.get("x-kubernetes-list-map-keys") or ())
            case "set":
                return ()
            case _:
                return None

    @property
    def atomic(self) -> bool:
        """Whether an object here belongs to one manager as a whole."""
        if self.schema is None:
            return self.field in ATOMIC_OBJECTS
        return self.schema.get("x-kubernetes-map-type") == "atomic"

    def default_of(self, key: str) -> Any:
        """What an element's key is where it is left out."""
        if self.schema is None:
            return KEY_DEFAULTS.get(key)
        return section(self.schema, "items", "properties", key).get("default")


def _element(shape: Shape, keys: tuple[str, ...], item: Any) -> str:
    if not keys:
        return "v:" + orjson.dumps(item).decode()
    if not is_object(item):
        raise ApiError(
            400, "BadRequest", f"an element of {shape.field} must be an object with the keys {', '.join(keys)}"
        )
    identity: Json = {}
    for key in keys:
        value = item.get(key)
        if value is None:
            value = shape.default_of(key)
        if value is None:
            raise ApiError(
                500,
                "InternalError",
                f"associative list {shape.field} with keys has an element that omits key field {key!r}",
            )
        identity[key] = value
    return "k:" + orjson.dumps(identity, option=orjson.OPT_SORT_KEYS).decode()


def leaves(value: Any, shape: Shape, path: Path = (), found: dict[Path, Any] | None = None) -> dict[Path, Any]:
    """All paths of a value with what is there: whole where it is atomic."""
    found = {} if found is None else found
    if is_object(value) and value and not shape.atomic:
        for key, each in value.items():
            leaves(each, shape.child(key), (*path, f"f:{key}"), found)
        return found
    keys = shape.keys if is_array(value) else None
    if is_array(value) and keys is not None:
        inner = shape.element()
        for item in value:
            where = (*path, _element(shape, keys, item))
            found[where] = PRESENT
            if keys:
                leaves(item, inner, where, found)
        return found
    found[path] = value
    return found


def merge(live: Any, applied: Any, shape: Shape) -> Any:
    """What was there with what is applied over it."""
    if is_object(applied) and is_object(live) and not shape.atomic:
        merged = {**live}
        for key, value in applied.items():
            merged[key] = merge(live.get(key), value, shape.child(key))
        return merged
    keys = shape.keys if is_array(applied) and is_array(live) else None
    if keys is None or not is_array(live):
        return applied
    inner = shape.element()
    result = {_element(shape, keys, item): item for item in live}
    for item in applied:
        name = _element(shape, keys, item)
        result[name] = merge(result[name], item, inner) if name in result and keys else item
    return list(result.values())


def remove(value: Any, path: Path, shape: Shape) -> Any:
    """The value without what is at a path; objects left empty by that go too."""
    head, rest = path[0], path[1:]
    if head.startswith("f:") and is_object(value):
        key = head[2:]
        if key not in value:
            return value
        copy = {**value}
        left = remove(value[key], rest, shape.child(key)) if rest else None
        if left is None or left in ({}, []):
            copy.pop(key)
        else:
            copy[key] = left
        return copy
    if not is_array(value):
        return value
    keys, inner, result = shape.keys or (), shape.element(), list[Any]()
    for item in value:
        if _element(shape, keys, item) != head:
            result.append(item)
        elif rest:
            result.append(remove(item, rest, inner))
    return result


def nested(paths: Iterable[Path]) -> Json:
    """A set of paths as FieldsV1."""
    root: Json = {}
    members = set(paths)
    for path in sorted(members):
        node = root
        for element in path:
            node = node.setdefault(element, {})
    _mark_members(root, (), members)
    return root


def _mark_members(node: Json, path: Path, members: set[Path]) -> None:
    for element, inner in node.items():
        where = (*path, element)
        if inner:
            _mark_members(inner, where, members)
            if where in members:
                inner["."] = {}


def flat(fields: Json, path: Path = (), found: set[Path] | None = None) -> set[Path]:
    """FieldsV1 as a set of paths."""
    found = set() if found is None else found
    for element, inner in fields.items():
        if element == ".":
            found.add(path)
        elif inner:
            flat(inner, (*path, element), found)
        else:
            found.add((*path, element))
    return found


def written(path: Path) -> str:
    """A path as people read it: .spec.containers[name="a"].image."""
    parts: list[str] = []
    for element in path:
        kind, value = element[:2], element[2:]
        if kind == "f:":
            parts.append(f".{value}")
        elif kind == "k:":
            keys = ",".join(f"{key}={orjson.dumps(each).decode()}" for key, each in orjson.loads(value).items())
            parts.append(f"[{keys}]")
        else:
            parts.append(f"[={value}]")
    return "".join(parts)
