"""Small readings of Kubernetes objects as plain JSON: metadata, labels, timestamps, conditions.

Used by every room of the API server. Objects are never changed in place: whoever wants another value makes another dict.
"""

from datetime import UTC, datetime
from typing import Any, TypeGuard

from burster.lab.apiserver.errors import Json


EMPTY: Json = {}


def is_object(value: Any) -> TypeGuard[Json]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def section(obj: Json, *path: str) -> Json:
    """The object at a path, or an empty one (not to be changed)."""
    for key in path:
        found = obj.get(key)
        if not is_object(found):
            return EMPTY
        obj = found
    return obj


def items(obj: Json, *path: str) -> list[Any]:
    """The array at a path, or an empty one."""
    found = section(obj, *path[:-1]).get(path[-1])
    return found if is_array(found) else []


def text(obj: Json, *path: str) -> str:
    """The string at a path, or an empty one."""
    found = section(obj, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def key_of(namespace: str, name: str) -> str:
    """How objects of one resource are ordered: as etcd orders its keys."""
    return f"{namespace}/{name}"


def with_metadata(obj: Json, **changes: Any) -> Json:
    """The same object with some metadata fields set; None takes a field away."""
    metadata = {**obj["metadata"]}
    for key, value in changes.items():
        if value is None:
            metadata.pop(key, None)
        else:
            metadata[key] = value
    return {**obj, "metadata": metadata}


def timestamp(at_ms: int) -> str:
    """Epoch milliseconds as Kubernetes writes times: whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(written: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time, or None where it is none."""
    try:
        parsed = datetime.fromisoformat(written)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    whole = int(parsed.replace(microsecond=0).timestamp())
    return whole * 1000 + parsed.microsecond // 1000


def condition(obj: Json, kind: str) -> Json:
    """The status condition of that type, or an empty one."""
    for each in items(obj, "status", "conditions"):
        if is_object(each) and each.get("type") == kind:
            return each
    return EMPTY


def with_condition(obj: Json, new: Json) -> Json:
    """The same object with one status condition set, keeping its transition time where the status did not change."""
    old = condition(obj, new["type"])
    if old and old.get("status") == new.get("status") and "lastTransitionTime" in old:
        new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    others = [each for each in items(obj, "status", "conditions") if each.get("type") != new["type"]]
    return {**obj, "status": {**section(obj, "status"), "conditions": [*others, new]}}


def terminating(obj: Json) -> bool:
    """Whether deletion of the object has begun."""
    return bool(obj["metadata"].get("deletionTimestamp"))
