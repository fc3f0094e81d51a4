"""How objects leave: preconditions, grace of pods, finalizers, propagation.

The store calls it for every delete. It decides what the object looks like on its way out; the store commits.
"""

from typing import TYPE_CHECKING, Any, Final

from burster.lab.apiserver.collector import CUSTOM_CLEANUP, DEFINITIONS, FOREGROUND, NAMESPACES, ORPHAN
from burster.lab.apiserver.errors import ApiError, Json, conflict
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import items, parse_timestamp, section, terminating, timestamp, with_metadata


if TYPE_CHECKING:
    from burster.lab.apiserver.store import Store


_OVER: Final = ("Succeeded", "Failed")
_GRACE_S: Final = 30


def check_preconditions(kind: Kind, obj: Json, uid: str | None, resource_version: str | None) -> None:
    """Refuse to touch another object than the one the caller has seen."""
    metadata = obj["metadata"]
    if uid is not None and uid != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise conflict(kind.plural, kind.group, metadata["name"], why)
    if resource_version is not None and str(resource_version) != metadata["resourceVersion"]:
        why = (
            f"Precondition failed: ResourceVersion in precondition: {resource_version}, "
            f"ResourceVersion in object meta: {metadata['resourceVersion']}"
        )
        raise conflict(kind.plural, kind.group, metadata["name"], why)


def _marked(obj: Json, at_ms: int, grace_s: int) -> Json:
    """The object with its deletion begun."""
    changes: dict[str, Any] = {
        "deletionTimestamp": timestamp(at_ms + grace_s * 1000),
        "deletionGracePeriodSeconds": grace_s,
    }
    generation = obj["metadata"].get("generation")
    if generation:
        changes["generation"] = generation + 1
    return with_metadata(obj, **changes)


def _pod_grace_s(pod: Json, asked: int | None) -> int:
    """How long a pod may take: none where it runs nowhere or has ended."""
    spec = section(pod, "spec")
    if not spec.get("nodeName") or section(pod, "status").get("phase") in _OVER:
        return 0
    grace = spec.get("terminationGracePeriodSeconds", _GRACE_S) if asked is None else asked
    return 1 if grace < 0 else grace


def mark_pod(pod: Json, asked: int | None, now_ms: int) -> Json | None:
    """The pod with its deletion begun or hastened; None where nothing changes."""
    if not terminating(pod):
        return _marked(pod, now_ms, _pod_grace_s(pod, asked))
    metadata = pod["metadata"]
    grace_s = metadata.get("deletionGracePeriodSeconds", 0)
    if asked is None or asked >= grace_s:
        return None
    began_ms = (parse_timestamp(metadata["deletionTimestamp"]) or now_ms) - grace_s * 1000
    hastened = timestamp(began_ms + asked * 1000)
    return with_metadata(pod, deletionTimestamp=hastened, deletionGracePeriodSeconds=asked)


def mark(kind: Kind, obj: Json, now_ms: int) -> Json | None:
    """Any other object with its deletion begun; None where it is already."""
    if terminating(obj):
        return None
    marked = _marked(obj, now_ms, 0)
    if kind.resource == NAMESPACES:
        return {**marked, "status": {**section(marked, "status"), "phase": "Terminating"}}
    return marked


def lingers(kind: Kind, obj: Json) -> bool:
    """Whether an object whose deletion has begun still waits for someone."""
    metadata = obj["metadata"]
    if metadata.get("finalizers") or kind.resource == NAMESPACES:
        return True
    return kind.resource == "pods" and metadata.get("deletionGracePeriodSeconds", 0) > 0


def with_propagation(kind: Kind, obj: Json, propagation: str) -> Json:
    """The object with the finalizer that its way of deletion needs."""
    finalizers = [each for each in items(obj, "metadata", "finalizers") if each not in (FOREGROUND, ORPHAN)]
    if propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif propagation not in ("Background", "Orphan"):
        supported = '"Background", "Foreground", "Orphan"'
        message = f'DeleteOptions "" is invalid: propagationPolicy: Unsupported value: "{propagation}": supported values: {supported}'
        raise ApiError(422, "Invalid", message)
    if kind.resource == DEFINITIONS and CUSTOM_CLEANUP not in finalizers:
        finalizers.append(CUSTOM_CLEANUP)
    if finalizers == items(obj, "metadata", "finalizers"):
        return obj
    return with_metadata(obj, finalizers=finalizers or None)


def orphan_dependents(store: "Store", uid: str) -> None:
    """Take the owner's name off everything it owns."""
    for resource, key in store.collector.dependents(uid):
        dependent = store.peek(resource, key)
        if dependent is None:
            continue
        owners = [owner for owner in items(dependent, "metadata", "ownerReferences") if owner["uid"] != uid]
        store.replace_metadata(resource, key, ownerReferences=owners or None)
