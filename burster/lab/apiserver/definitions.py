"""CustomResourceDefinitions: what a definition must say, the status it gets, and the kind that it serves.

The store calls it when a definition is written. It registers nothing itself.
"""

from typing import Any, Final

from burster.lab.apiserver.errors import ApiError, FieldError, Json, bad_value, invalid, required
from burster.lab.apiserver.expressions import has_rules
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import EMPTY, items, section, timestamp


RESOURCE: Final = "customresourcedefinitions.apiextensions.k8s.io"
_AGE: Final[Json] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def check_definition(obj: Json) -> None:
    """Refuse a definition that no real API server takes."""
    spec, name = section(obj, "spec"), obj["metadata"]["name"]
    names = section(spec, "names")
    errors = [required(f"spec.{field}") for field in ("group", "scope", "versions") if not spec.get(field)]
    errors += [required(f"spec.names.{field}") for field in ("plural", "kind") if not names.get(field)]
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if not errors and name != wanted:
        errors.append(bad_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    if spec.get("scope") not in (None, "Namespaced", "Cluster"):
        scope = spec["scope"]
        why = f'Unsupported value: "{scope}": supported values: "Cluster", "Namespaced"'
        errors.append(FieldError("spec.scope", "FieldValueNotSupported", why))
    versions = items(spec, "versions")
    for index, version in enumerate(versions):
        if not section(version, "schema", "openAPIV3Schema"):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            errors.append(required(path, "schemas are required"))
    if versions and sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        errors.append(bad_value("spec.versions", "[...]", why))
    if errors:
        raise invalid("CustomResourceDefinition", "apiextensions.k8s.io", name, errors)


def _selectable(version: Json) -> tuple[str, ...]:
    return tuple(each["jsonPath"].removeprefix(".") for each in items(version, "selectableFields"))


def kind_of(obj: Json) -> Kind:
    """The kind a definition serves, at its storage version."""
    spec = section(obj, "spec")
    names = section(spec, "names")
    versions = items(spec, "versions")
    stored: Any = next(version for version in versions if version.get("storage"))
    subresources = section(stored, "subresources")
    schema = section(stored, "schema", "openAPIV3Schema") or EMPTY
    return Kind(
        plural=names["plural"],
        kind=names["kind"],
        group=spec["group"],
        version=stored["name"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec["scope"] == "Namespaced",
        subresources=tuple(name for name in ("scale", "status") if name in subresources),
        generation=True,
        unconditional_update=False,
        singular=names.get("singular") or "",
        list_kind=names.get("listKind") or "",
        custom=True,
        versions=tuple(each["name"] for each in versions if each.get("served") and each is not stored),
        schema=schema,
        has_rules=has_rules(schema),
        scale=subresources.get("scale"),
        columns=tuple(stored.get("additionalPrinterColumns") or (_AGE,)),
        selectable=_selectable(stored),
    )


def established(obj: Json, *, now_ms: int) -> Json:
    """The status of a definition that is served."""
    spec = section(obj, "spec")
    at = timestamp(now_ms)
    old = {each["type"]: each for each in items(obj, "status", "conditions")}
    conditions = [
        old.get("NamesAccepted")
        or {
            "type": "NamesAccepted", "status": "True", "lastTransitionTime": at, "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        old.get("Established")
        or {
            "type": "Established", "status": "True", "lastTransitionTime": at, "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]  # fmt: skip
    stored = next(version["name"] for version in items(spec, "versions") if version.get("storage"))
    status = {"conditions": conditions, "acceptedNames": section(spec, "names"), "storedVersions": [stored]}
    return {**obj, "status": status}


def check_collision(obj: Json, existing: Kind | None) -> None:
    """A definition may not take a built-in resource's place."""
    if existing is not None and not existing.custom:
        raise ApiError(403, "Forbidden", f"{obj['metadata']['name']} is a built-in resource")
