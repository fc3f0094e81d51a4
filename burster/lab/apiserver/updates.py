"""What an update may take over from what the client sent, per resource and subresource.

The store calls it with the current object and the sent one, and commits what comes back.
"""

from typing import Final

from burster.lab.apiserver.errors import ApiError, Json, conflict, immutable, invalid, modified
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.naming import arrange, check_namespace, check_type
from burster.lab.apiserver.objects import items, section


#: metadata that an update never changes
_KEPT: Final = ("name", "generateName", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                "generation", "resourceVersion", "selfLink")  # fmt: skip
#: built-in kinds whose status subresource also takes labels and annotations
_LOOSE_STATUS: Final = frozenset({"pods", "nodes"})


def check_identity(kind: Kind, sent: Json, current: Json) -> None:
    """Refuse an update meant for another object or another version of it."""
    given, actual = section(sent, "metadata"), current["metadata"]
    check_type(kind, sent)
    check_namespace(kind, actual.get("namespace", ""), given)
    name = given.get("name", actual["name"])
    if name != actual["name"]:
        message = f"the name of the object ({name}) does not match the name on the URL ({actual['name']})"
        raise ApiError(400, "BadRequest", message)
    uid = given.get("uid")
    if uid and uid != actual["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {actual['uid']}"
        raise conflict(kind.plural, kind.group, name, why)
    version = given.get("resourceVersion")
    if version and str(version) != actual["resourceVersion"]:
        raise modified(kind.plural, kind.group, name)
    if not version and not kind.unconditional_update:
        message = f'{kind.resource} "{name}" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
        raise ApiError(422, "Invalid", message)


def _metadata(given: Json, current: Json) -> Json:
    kept = {key: current[key] for key in _KEPT if key in current}
    # an empty map or list is none
    return kept | {key: value for key, value in given.items() if key not in _KEPT and (value or value is False)}


def take_over(kind: Kind, sent: Json, current: Json, subresource: str) -> Json:
    """The object as it shall be: what the client may change from what it sent, the rest as it was."""
    if subresource == "status":
        return _take_status(kind, sent, current)
    metadata = _metadata(section(sent, "metadata"), current["metadata"])
    new = arrange(kind, kind.api_version, sent, metadata)
    if "status" in kind.subresources and kind.resource != "services":
        new.pop("status", None)
        if "status" in current:
            new["status"] = current["status"]
    return new


def _take_status(kind: Kind, sent: Json, current: Json) -> Json:
    new = {key: value for key, value in current.items() if key != "status"}
    if kind.resource in _LOOSE_STATUS:
        given, metadata = section(sent, "metadata"), {**current["metadata"]}
        for field in ("labels", "annotations"):
            metadata.pop(field, None)
            if given.get(field):
                metadata[field] = given[field]
        new["metadata"] = metadata
    if "managedFields" in section(sent, "metadata"):
        new["metadata"] = {**new["metadata"], "managedFields": sent["metadata"]["managedFields"]}
    if sent.get("status") is not None:
        new["status"] = sent["status"]
    return new


def _content(obj: Json) -> Json:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def with_generation(kind: Kind, new: Json, current: Json) -> Json:
    """The object with its generation raised where what is wanted of it has changed."""
    if not (kind.generation or kind.custom):
        return new
    changed = _content(new) != _content(current)
    if kind.custom and "status" not in kind.subresources and new.get("status") != current.get("status"):
        changed = True
    if not changed:
        return new
    generation = current["metadata"].get("generation", 0) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def refuse_unknown_subresource(kind: Kind, subresource: str) -> None:
    """Only subresources that the kind has can be written."""
    if subresource and subresource not in kind.subresources:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")


def refuse_new_finalizers(kind: Kind, new: Json, current: Json) -> None:
    """An object on its way out takes no new finalizers."""
    if not current["metadata"].get("deletionTimestamp"):
        return
    before = items(current, "metadata", "finalizers")
    added = [each for each in items(new, "metadata", "finalizers") if each not in before]
    if added:
        shown = ", ".join(f'"{each}"' for each in added)
        why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
        raise invalid(kind.kind, kind.group, current["metadata"]["name"], [immutable("metadata.finalizers", why)])
