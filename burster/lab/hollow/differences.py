"""What to send so that an object becomes another: merge patches, and strategic ones for the status of built-in kinds.

Called by ``mirror``. Pure. A patch says only what its writer changed, so that what others write at the same time stays.
"""

from typing import Any, Final

from burster.lab.apiserver.objects import is_object, items, section


Json = dict[str, Any]
#: Lists in a status that the server merges by a key of their elements; all others are replaced.
_MERGED_BY_TYPE: Final = "conditions"
#: What the server itself keeps.
_NOT_OURS: Final = frozenset({"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"})


def merge_difference(old: Json, new: Json) -> Json:
    """Return the JSON merge patch that makes ``new`` of ``old``; empty where they are the same."""
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        former = old.get(key)
        if value == former:
            continue
        if is_object(value) and is_object(former):
            patch[key] = merge_difference(former, value)
        else:
            patch[key] = value
    return patch


def object_difference(old: Json, new: Json) -> Json:
    """Return the merge patch for an object without its status and without what the server keeps; empty for nothing."""
    return merge_difference(_writable(old), _writable(new))


def _writable(obj: Json) -> Json:
    meta = {key: value for key, value in section(obj, "metadata").items() if key not in _NOT_OURS}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": meta}


def status_difference(old: Json, new: Json) -> Json:
    """Return the strategic merge patch of a status; empty for nothing. Conditions of others are not in it."""
    was, now = section(old, "status"), section(new, "status")
    patch = merge_difference(
        {key: value for key, value in was.items() if key != _MERGED_BY_TYPE},
        {key: value for key, value in now.items() if key != _MERGED_BY_TYPE},
    )
    former = {condition["type"]: condition for condition in items(was, _MERGED_BY_TYPE)}
    changed: list[Json] = [
        condition for condition in items(now, _MERGED_BY_TYPE) if former.get(condition["type"]) != condition
    ]
    kept = {condition["type"] for condition in items(now, _MERGED_BY_TYPE)}
    changed += [{"type": kind, "$patch": "delete"} for kind in former if kind not in kept]
    if changed:
        patch[_MERGED_BY_TYPE] = changed
    return patch
