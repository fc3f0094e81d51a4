"""Small readings and writings of Kubernetes objects as plain JSON, shared by the lab's controllers.

Objects from the store are never changed in place: every function here returns new dicts and leaves what it got alone.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

from burster.lab.apiserver.objects import items, section
from burster.lab.cluster.objectapi import ObjectApi


Json = dict[str, Any]

#: The alphabet Kubernetes makes names from: no vowels, nothing that looks like something else.
NAME_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def rfc3339(at_ms: int) -> str:
    """Return epoch milliseconds as Kubernetes writes a time: whole seconds, UTC."""
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stable_digest(*parts: object) -> str:
    """Return 64 hex digits that depend on nothing but the parts: names and ids must not depend on the order of events."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def stable_suffix(length: int, *parts: object) -> str:
    """Return a name suffix in Kubernetes' alphabet that depends on nothing but the parts."""
    number = int(stable_digest(*parts), 16)
    letters: list[str] = []
    for _ in range(length):
        number, index = divmod(number, len(NAME_ALPHABET))
        letters.append(NAME_ALPHABET[index])
    return "".join(letters)


def key_of(obj: Json) -> str:
    """Return ``namespace/name`` (``/name`` for what has no namespace)."""
    meta = obj["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def split_key(key: str) -> tuple[str, str]:
    """Return namespace and name of a ``key_of``."""
    namespace, _, name = key.partition("/")
    return namespace, name


def condition_of(obj: Json, kind: str) -> Json | None:
    """Return the condition of that type, or None."""
    for condition in items(obj, "status", "conditions"):
        if condition["type"] == kind:
            return condition
    return None


def with_condition(conditions: list[Json], condition: Json, now_ms: int) -> list[Json]:
    """Return the conditions with this one set; its lastTransitionTime moves only when its status does."""
    kept = [other for other in conditions if other["type"] != condition["type"]]
    former = next((other for other in conditions if other["type"] == condition["type"]), None)
    since = rfc3339(now_ms)
    if former is not None and former["status"] == condition["status"]:
        since = former.get("lastTransitionTime", since)
    return [*kept, {**condition, "lastTransitionTime": since}]


def controller_of(obj: Json) -> Json | None:
    """Return the ownerReference with ``controller: true``, or None."""
    for reference in items(obj["metadata"], "ownerReferences"):
        if reference.get("controller"):
            return reference
    return None


def controller_reference(owner: Json, api_version: str, kind: str) -> Json:
    """Return the ownerReference a controller puts on what it makes."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def selector_matches(selector: Json, labels: dict[str, str]) -> bool:
    """Say whether a LabelSelector matches; an empty one matches nothing here, as workload controllers treat it."""
    wanted: dict[str, str] = section(selector, "matchLabels")
    expressions: list[Json] = items(selector, "matchExpressions")
    if not wanted and not expressions:
        return False
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        expression_matches(expression, labels) for expression in expressions
    )


def expression_matches(expression: Json, labels: dict[str, str]) -> bool:
    """Say whether one matchExpression holds (In, NotIn, Exists, DoesNotExist, and Gt, Lt of node affinity)."""
    value = labels.get(expression["key"])
    operator, values = expression["operator"], items(expression, "values")
    if operator in {"Gt", "Lt"}:
        if value is None or not value.lstrip("-").isdigit():
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    return {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[operator]


def is_finished(pod: Json) -> bool:
    """Say whether a pod has ended, well or badly."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def is_terminating(obj: Json) -> bool:
    """Say whether somebody has asked for its end."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_ready(pod: Json) -> bool:
    """Say whether a pod's Ready condition is True."""
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def write_status(store: ObjectApi, resource: str, obj: Json, status: Json) -> Json:
    """Replace an object's status; a no-op when nothing differs. Raises ApiError 409 when somebody wrote in between."""
    if obj.get("status") == status:
        return obj
    meta = obj["metadata"]
    return store.update(
        resource, meta.get("namespace", ""), meta["name"], {**obj, "status": status}, subresource="status"
    )


def without_finalizer(store: ObjectApi, resource: str, obj: Json, finalizer: str) -> None:
    """Take one finalizer off an object; nothing happens where it isn't there."""
    finalizers: list[str] = items(obj["metadata"], "finalizers")
    if finalizer in finalizers:
        left = [other for other in finalizers if other != finalizer]
        meta: Json = {**obj["metadata"], "finalizers": left}
        store.update(resource, meta.get("namespace", ""), meta["name"], {**obj, "metadata": meta})
