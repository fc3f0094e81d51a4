"""As much of /openapi as kubectl's apply needs: which requests take which parameters, and the schemas of custom kinds.

Built-in kinds are named without their fields, so kubectl falls back to what it knows itself. Used by the server alone.
"""

from typing import Final

from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.kinds import Kind, Kinds
from burster.lab.apiserver.views import served


_PARAMETERS: Final = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
_INFO: Final[Json] = {"title": "Kubernetes", "version": "v1.36.0-lab"}


def _base(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(kinds: Kinds) -> Json:
    """The documents there are: one per group and version."""
    bases = [_base(group, version) for group, version in served(kinds)]
    return {"paths": {base: {"serverRelativeURL": f"/openapi/v3/{base}"} for base in bases}}


def _gvk(kind: Kind, group: str, version: str) -> Json:
    return {"group": group, "version": version, "kind": kind.kind}


def _schema_name(kind: Kind, group: str, version: str) -> str:
    reversed_group = ".".join(reversed(group.split("."))) if group else "io.k8s.api.core"
    return f"{reversed_group}.{version}.{kind.kind}"


def _patch(kind: Kind, group: str, version: str) -> Json:
    schema = {"$ref": f"#/components/schemas/{_schema_name(kind, group, version)}"}
    types = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
    return {
        "operationId": f"patch{kind.kind}",
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _PARAMETERS],
        "requestBody": {"content": {each: {"schema": schema} for each in types}},
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _gvk(kind, group, version),
    }


def _path(kind: Kind, group: str, version: str) -> str:
    middle = "/namespaces/{namespace}" if kind.namespaced else ""
    return f"/{_base(group, version)}{middle}/{kind.plural}/{{name}}"


def document(kinds: Kinds, group: str, version: str) -> Json:
    """The document of one group and version."""
    found = served(kinds).get((group, version))
    if not found:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    schemas: Json = {}
    for kind in found:
        own = {"x-kubernetes-group-version-kind": [_gvk(kind, group, version)]}
        schemas[_schema_name(kind, group, version)] = {"type": "object", **(kind.schema or {}), **own}
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": {_path(kind, group, version): {"patch": _patch(kind, group, version)} for kind in found},
        "components": {"schemas": schemas},
    }


def swagger(accept: str) -> Json:
    """The version 2 document, with nothing in it; only as JSON."""
    if "json" not in accept and "*/*" not in accept and accept:
        raise ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json")
    return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}}
