"""JSON patch, JSON merge patch and strategic merge patch over plain JSON objects.

The store applies them before its ordinary update. They copy what they change and share the rest; a patch that makes no sense is an
ApiError, never a half-changed object.
"""

from typing import Any, Literal

from burster.lab.apiserver.errors import ApiError, Json, bad_request
from burster.lab.apiserver.listkeys import patch_key
from burster.lab.apiserver.objects import is_array, is_object, items, section


PatchKind = Literal["merge", "json", "strategic", "apply"]


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, everything else replaces."""
    if not is_object(patch):
        return patch
    merged: Json = {**target} if is_object(target) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _unprocessable(why: str) -> ApiError:
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}")


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise bad_request(f"json patch: {path!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(array: list[Any], part: str, *, past_end: bool) -> int:
    if part == "-" and past_end:
        return len(array)
    if not part.isdecimal() or int(part) > len(array) - (0 if past_end else 1):
        raise _unprocessable(f"array index {part} is out of bounds")
    return int(part)


def _lookup(document: Any, parts: list[str]) -> Any:
    for part in parts:
        if is_object(document) and part in document:
            document = document[part]
        elif is_array(document):
            document = document[_index(document, part, past_end=False)]
        else:
            raise _unprocessable(f"path /{'/'.join(parts)} does not exist")
    return document


def _edit(document: Any, parts: list[str], verb: str, value: Any) -> Any:
    """A copy of the document along the path with one add, replace or remove done."""
    if not parts:
        return value
    if is_object(document):
        return _edit_object({**document}, parts, verb, value)
    if is_array(document):
        return _edit_array([*document], parts, verb, value)
    raise _unprocessable(f"{verb} operation does not apply: /{parts[0]} is not inside an object or array")


def _edit_object(copy: Json, parts: list[str], verb: str, value: Any) -> Json:
    head, rest = parts[0], parts[1:]
    if head not in copy and (rest or verb != "add"):
        missing = "path" if rest else "key"
        raise _unprocessable(f"{verb} operation does not apply: doc is missing {missing}: /{head}: missing value")
    if rest:
        copy[head] = _edit(copy[head], rest, verb, value)
    elif verb == "remove":
        del copy[head]
    else:
        copy[head] = value
    return copy


def _edit_array(copy: list[Any], parts: list[str], verb: str, value: Any) -> list[Any]:
    head, rest = parts[0], parts[1:]
    at = _index(copy, head, past_end=verb == "add" and not rest)
    if rest:
        copy[at] = _edit(copy[at], rest, verb, value)
    elif verb == "add":
        copy.insert(at, value)
    elif verb == "remove":
        del copy[at]
    else:
        copy[at] = value
    return copy


def _one_operation(document: Any, operation: Any) -> Any:
    if not is_object(operation):
        raise bad_request("json patch: an operation must be an object")
    verb, parts = operation.get("op"), _pointer(operation.get("path"))
    match verb:
        case "add" | "replace":
            if "value" not in operation:
                raise bad_request(f"json patch: {verb} needs a value")
            return _edit(document, parts, verb, operation["value"])
        case "remove":
            return _edit(document, parts, verb, None)
        case "test":
            if _lookup(document, parts) != operation.get("value"):
                raise _unprocessable(f"testing value {operation.get('path')} failed: test failed")
            return document
        case "copy":
            return _edit(document, parts, "add", _lookup(document, _pointer(operation.get("from"))))
        case "move":
            origin = _pointer(operation.get("from"))
            moved = _lookup(document, origin)
            return _edit(_edit(document, origin, "remove", None), parts, "add", moved)
        case _:
            raise bad_request(f"json patch: unexpected kind: {verb}")


_OPERATIONS_MAX = 10_000


def json_patch(document: Json, operations: Any) -> Json:
    """RFC 6902, all or nothing."""
    if not is_array(operations):
        raise bad_request("json patch: the body must be an array of operations")
    if len(operations) > _OPERATIONS_MAX:
        raise ApiError(
            413, "RequestEntityTooLarge", f"the allowed maximum operations in a JSON patch is {_OPERATIONS_MAX}"
        )
    result: Any = document
    for operation in operations:
        result = _one_operation(result, operation)
    if not is_object(result):
        raise _unprocessable("the patched document is no object")
    return result


_ORDER = "$setElementOrder/"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"


def strategic_merge(target: Json, patch: Json, parent: str = "") -> Json:
    """Kubernetes' strategic merge: as a merge patch, but lists with a merge key merge by that key, with its directives."""
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    merged = {**target}
    if is_array(retained := patch.get(_RETAIN)):
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            name = key.removeprefix(_DELETE_FROM)
            merged[name] = [each for each in items(merged, name) if each not in value]
        elif not key.startswith("$"):
            _merge_field(merged, key, value, parent)
    for key, value in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and name in merged:
            merged[name] = _ordered(items(merged, name), value, patch_key(parent, name))
    return merged


def _merge_field(merged: Json, key: str, value: Any, parent: str) -> None:
    if value is None:
        merged.pop(key, None)
    elif is_object(value):
        merged[key] = strategic_merge(section(merged, key), value, key)
    elif is_array(value):
        merged[key] = _merge_lists(items(merged, key), value, patch_key(parent, key), key)
    else:
        merged[key] = value


def _merge_lists(old: list[Any], new: list[Any], key: str | None, name: str) -> list[Any]:
    if key is None:
        return _without_directives(new)
    if key == "":
        return [*old, *(each for each in new if each not in old)]
    if any(is_object(each) and each.get("$patch") == "replace" for each in new):
        return [each for each in new if not (is_object(each) and "$patch" in each)]
    merged: list[Any] = [*old]
    for each in new:
        if not is_object(each) or key not in each:
            raise bad_request(f"map: {each!r} does not contain declared merge key: {key}")
        at = next((index for index, other in enumerate(merged) if other.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            merged = [other for other in merged if other.get(key) != each[key]]
        elif at is None:
            merged.append(strategic_merge({}, each, name))
        else:
            merged[at] = strategic_merge(merged[at], each, name)
    return merged


def _without_directives(new: list[Any]) -> list[Any]:
    return [each for each in new if not (is_object(each) and each.keys() == {"$patch"})]


def _ordered(merged: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """The merged list in the patch's order; what the patch does not name keeps its place relative to what it followed."""
    if key is None:
        return merged

    def identity(each: Any) -> Any:
        return each.get(key) if key and is_object(each) else each

    wanted = [identity(each) for each in order]
    named = sorted((each for each in merged if identity(each) in wanted), key=lambda each: wanted.index(identity(each)))
    queue = iter(named)
    return [next(queue) if identity(each) in wanted else each for each in merged]
