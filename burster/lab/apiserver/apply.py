"""Server-side apply: who owns which field, conflicts, and fields given up.

The store calls it for apply patches, and after other writes to objects that have been applied. Ownership is kept from an object's first
apply on; what was written before belongs to the manager "before-first-apply".
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from burster.lab.apiserver.errors import ApiError, Json, bad_request, conflict
from burster.lab.apiserver.fieldsets import Path, Shape, flat, leaves, merge, nested, remove, written
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.naming import check_namespace, check_type
from burster.lab.apiserver.objects import is_object, items, key_of, section, text, timestamp


if TYPE_CHECKING:
    from burster.lab.apiserver.store import Store


BEFORE: Final = "before-first-apply"
_MANAGER_MAX: Final = 128


class Applying(NamedTuple):
    """How an apply is asked for."""

    manager: str
    subresource: str = ""
    force: bool = False
    dry_run: bool = False
    user: str = "system:lab"
    strict: bool = False


class Owner(NamedTuple):
    """One manager as managedFields tells managers apart."""

    manager: str
    operation: str
    api_version: str
    subresource: str


Owned = dict[Owner, set[Path]]

_UNOWNED: Final = frozenset({"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "selfLink", "generation",
                             "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"})  # fmt: skip


def _ownable(obj: Json, kind: Kind, subresource: str | None) -> Json:
    """The part of an object that a request at this subresource can own; all of it for None."""
    if subresource == "status":
        return {"status": obj["status"]} if obj.get("status") is not None else {}
    part = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    if subresource == "" and "status" in kind.subresources:
        part.pop("status", None)
    metadata = {key: value for key, value in section(obj, "metadata").items() if key not in _UNOWNED}
    if metadata:
        part["metadata"] = metadata
    return part


def _without_nulls(value: Any) -> Any:
    if is_object(value):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return value


def read_owned(obj: Json) -> Owned:
    """Who owns what, as the object tells."""
    owned: Owned = {}
    for entry in items(obj, "metadata", "managedFields"):
        owned[_owner(entry)] = flat(entry.get("fieldsV1") or {})
    return owned


def _owner(entry: Json) -> Owner:
    return Owner(
        text(entry, "manager"), text(entry, "operation"), text(entry, "apiVersion"), text(entry, "subresource")
    )


def _write_owned(owned: Owned, before: list[Json], changed: Owner, at: str) -> list[Json]:
    """Write managedFields of the owners; only the changed one's time moves."""
    times = {_owner(entry): text(entry, "time") for entry in before}
    entries: list[Json] = []
    for owner, fields in owned.items():
        if not fields:
            continue
        entry: Json = {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": owner.api_version,
            "time": at if owner == changed else times.get(owner) or at,
            "fieldsType": "FieldsV1",
            "fieldsV1": nested(fields),
        }
        if owner.subresource:
            entry["subresource"] = owner.subresource
        entries.append(entry)
    return entries


def note_update(kind: Kind, new: Json, old: Json, owner: tuple[str, str], now_ms: int) -> Json:
    """The object after an ordinary write by (manager, subresource): what it changed is its own now, and nobody else's."""
    shape = Shape(kind.schema)
    was = leaves(_ownable(old, kind, None), shape)
    now = leaves(_ownable(new, kind, None), shape)
    changed = {path for path, value in now.items() if path not in was or was[path] != value}
    touched = changed | (was.keys() - now.keys())
    if not touched:
        return new
    owned = {each: fields - touched for each, fields in read_owned(old).items()}
    updater = Owner(owner[0], "Update", kind.api_version, owner[1])
    owned[updater] = owned.get(updater, set()) | changed
    entries = _write_owned(owned, items(old, "metadata", "managedFields"), updater, timestamp(now_ms))
    return {**new, "metadata": {**new["metadata"], "managedFields": entries}}


def server_side_apply(store: "Store", kind: Kind, place: tuple[str, str], config: Any, how: Applying) -> Json:
    """Apply a configuration to the object at (namespace, name), or create it."""
    namespace, name = place
    if not is_object(config):
        raise bad_request("the body of an apply must be an object")
    if not how.manager or len(how.manager) > _MANAGER_MAX:
        message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        raise ApiError(422, "Invalid", message)
    if section(config, "metadata").get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    check_type(kind, config)
    check_namespace(kind, namespace, section(config, "metadata"))
    owner = Owner(how.manager, "Apply", kind.api_version, how.subresource)
    shape = Shape(kind.schema)
    applied = _without_nulls(_ownable(config, kind, how.subresource))
    fields = leaves(applied, shape)
    fields.pop((), None)
    current = store.peek(kind.resource, key_of(namespace if kind.namespaced else "", name))
    if current is None:
        return _create(store, kind, place, config, how, {owner: set(fields)})
    live = _ownable(current, kind, "status" if how.subresource == "status" else None)
    owned = read_owned(current)
    if not owned:
        before = leaves(_ownable(current, kind, None), shape)
        owned = {Owner(BEFORE, "Update", kind.api_version, ""): set(before)}
    owned = _settle_conflicts((kind, name), owned, owner, fields, leaves(live, shape), force=how.force)
    merged = merge(live, applied, shape)
    merged = _without_given_up(merged, owned.get(owner, set()) - fields.keys(), owned, owner, shape)
    owned[owner] = set(fields)
    new = _assemble(kind, current, merged, how)
    entries = _entries(current, new, owned, owner, timestamp(store.now_ms()))
    given = section(config, "metadata")
    stamps = {key: given[key] for key in ("uid", "resourceVersion") if given.get(key)}
    new = {**new, "metadata": {**new["metadata"], "managedFields": entries, **stamps}}
    return store.write_applied(
        kind, new, current, subresource=how.subresource, user=how.user, dry_run=how.dry_run, strict=how.strict
    )


def _create(store: "Store", kind: Kind, place: tuple[str, str], config: Json, how: Applying, owned: Owned) -> Json:
    namespace, name = place
    if how.subresource:
        store.get(kind.resource, namespace, name)  # says that it isn't there
    if section(config, "metadata").get("uid"):
        why = "uid mismatch: the provided object specified uid, and no existing object was found"
        raise conflict(kind.plural, kind.group, name, why)
    given = {key: value for key, value in section(config, "metadata").items() if key != "resourceVersion"}
    obj = {**config, "metadata": {**given, "name": name}}
    managed = _write_owned(owned, [], next(iter(owned)), timestamp(store.now_ms()))
    return store.create(
        kind.resource, namespace, obj, dry_run=how.dry_run, user=how.user, managed=managed, strict=how.strict
    )


def _settle_conflicts(
    about: tuple[Kind, str], owned: Owned, owner: Owner, fields: dict[Path, Any], live: dict[Path, Any], *, force: bool
) -> Owned:  # fmt: skip
    """Who owns what once this manager has its way; refused where it may not."""
    changed = {path for path, value in fields.items() if path not in live or live[path] != value}
    clashes = {other: paths & changed for other, paths in owned.items() if other != owner and paths & changed}
    if clashes and not force:
        raise _clash(*about, clashes)
    return {each: paths - clashes.get(each, set()) for each, paths in owned.items()}


def _clash(kind: Kind, name: str, clashes: Owned) -> ApiError:
    causes: list[Json] = []
    told: list[str] = []
    for other, paths in clashes.items():
        with_subresource = f' with subresource "{other.subresource}"' if other.subresource else ""
        who = f'"{other.manager}"{with_subresource} using {other.api_version}'
        shown = [written(path) for path in sorted(paths)]
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path} for path in shown
        ]
        many = len(shown) > 1
        told.append(f"conflicts with {who}:\n- " + "\n- ".join(shown) if many else f"conflict with {who}: {shown[0]}")
    plural = "s" if len(causes) > 1 else ""
    message = f"Apply failed with {len(causes)} conflict{plural}: " + "\n".join(told)
    details: Json = {"name": name, "group": kind.group, "kind": kind.plural, "causes": causes}
    return ApiError(409, "Conflict", message, details=details)


def _without_given_up(merged: Any, given_up: set[Path], owned: Owned, owner: Owner, shape: Shape) -> Any:
    """The merged object without the fields this manager applied before, applies no more, and nobody else owns."""
    others: set[Path] = set()
    for other, paths in owned.items():
        if other != owner:
            others |= paths
    for path in sorted(given_up - others, key=len, reverse=True):
        shared = any(other[: len(path)] == path for other in others)
        if not shared:
            merged = remove(merged, path, shape)
    return merged


def _assemble(kind: Kind, current: Json, merged: Json, how: Applying) -> Json:
    """The whole object, with what is merged in its place."""
    if how.subresource == "status":
        new = {**current, **merged}
        if "status" not in merged:
            new.pop("status", None)
        return new
    wanted = section(merged, "metadata")
    kept = {key: value for key, value in current["metadata"].items() if key in _UNOWNED or key in wanted}
    rest = {key: value for key, value in merged.items() if key != "metadata"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {**kept, **wanted}, **rest}


def _entries(current: Json, new: Json, owned: Owned, owner: Owner, at: str) -> list[Json]:
    """Its managedFields; the same as before where nothing else has changed."""
    before = items(current, "metadata", "managedFields")
    same_owners = read_owned(current) == {each: paths for each, paths in owned.items() if paths}
    return before if same_owners and new == current else _write_owned(owned, before, owner, at)
