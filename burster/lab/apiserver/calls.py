"""What an HTTP request to the API server means: its verb, its resource, its body.

The server makes one for each request and hands it to the handlers. It refuses what cannot be read and changes nothing.
"""

from typing import Any, Final

import msgspec
import orjson
import yaml
from multidict import MultiMapping

from burster.lab.apiserver.errors import ApiError, Json, bad_request, unsupported_media
from burster.lab.apiserver.kinds import Kinds
from burster.lab.apiserver.objects import is_object
from burster.lab.apiserver.patches import PatchKind
from burster.lab.apiserver.views import View, find_view


_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
PATCH_TYPES: Final[dict[str, PatchKind]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})


def is_true(written: str) -> bool:
    """A boolean of a query string."""
    return written in _TRUE


class Address(msgspec.Struct, frozen=True):
    """The parts of a resource URL."""

    group: str
    version: str
    namespace: str
    plural: str
    name: str
    subresource: str


def parse_path(parts: list[str]) -> Address | None:
    """The parts of a resource URL; None where it is none."""
    if parts[0] == "api" and len(parts) > 2:  # noqa: PLR2004 - /api/v1/resource
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:  # noqa: PLR2004 - /apis/group/version/resource
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):  # noqa: PLR2004
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *more = (*rest, "", "")
    if len(more) > 2:  # noqa: PLR2004 - the two empty ones added above
        return None
    return Address(group, version, namespace, plural, name, subresource)


class Call(msgspec.Struct, kw_only=True):
    """One request to a resource."""

    verb: str
    view: View
    namespace: str
    name: str
    subresource: str
    query: MultiMapping[str]
    accept: str
    user: str
    user_agent: str
    content_type: str
    body: bytes

    @property
    def dry_run(self) -> bool:
        """Whether nothing shall be kept."""
        asked = self.query.getall("dryRun", [])
        if asked and any(each != "All" for each in asked):
            raise ApiError(422, "Invalid", f'dryRun: Unsupported value: "{asked[0]}": supported values: "All"')
        return bool(asked)

    @property
    def validation(self) -> str:
        """What happens to unknown fields: Strict, Warn or Ignore."""
        asked = self.query.get("fieldValidation", "") or "Warn"
        if asked not in ("Strict", "Warn", "Ignore"):
            message = f'fieldValidation: Unsupported value: "{asked}": supported values: "", "Ignore", "Strict", "Warn"'
            raise ApiError(422, "Invalid", message)
        return asked

    @property
    def field_manager(self) -> str:
        """Who writes, for field ownership: what it says, or its program's name."""
        return self.query.get("fieldManager", "") or self.user_agent.partition("/")[0] or "unknown"

    def number(self, name: str) -> int | None:
        """A whole number of the query string."""
        written = self.query.get(name, "")
        if not written:
            return None
        try:
            return int(written)
        except ValueError:
            raise bad_request(f'{name}: Invalid value: "{written}": must be a whole number') from None

    def json_body(self) -> Any:
        """The body as JSON, or as YAML where it says so."""
        kind = self.content_type
        if kind in ("application/yaml", "application/apply-patch+yaml"):
            return _yaml(self.body)
        if kind and kind not in ("application/json", "*/*") and kind not in PATCH_TYPES:
            raise unsupported_media(("application/json", "application/yaml"))
        try:
            return orjson.loads(self.body)
        except ValueError as error:
            raise bad_request(f"error decoding the request body: {error}") from None

    def object_body(self) -> Json:
        """The body as an object."""
        body = self.json_body()
        if not is_object(body):
            raise bad_request("the request body must be an object")
        return body

    def patch_kind(self) -> PatchKind:
        """Which patch the body is."""
        kind = PATCH_TYPES.get(self.content_type)
        if kind is None or (kind == "strategic" and self.view.kind.custom):
            accepted = tuple(
                each for each in PATCH_TYPES if PATCH_TYPES[each] != "strategic" or not self.view.kind.custom
            )
            raise unsupported_media(accepted)
        return kind


def _yaml(body: bytes) -> Any:
    try:
        return orjson.loads(body)  # kubectl sends JSON under this name
    except ValueError:
        pass
    try:
        return yaml.load(body, Loader=yaml.CSafeLoader)  # the safe loader, in C
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None


def verb_of(method: str, address: Address, query: MultiMapping[str]) -> str:
    """The verb as Kubernetes names it."""
    verb = _VERBS.get(method)
    if verb is None or (verb == "create" and address.name and not address.subresource):
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    if verb == "get" and not address.name:
        return "watch" if is_true(query.get("watch", "")) else "list"
    if verb == "delete" and not address.name:
        return "deletecollection"
    if verb in ("update", "patch") and not address.name:
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    return verb


def resolve(kinds: Kinds, address: Address) -> View:
    """The view a URL means."""
    view = find_view(kinds, address.group, address.version, address.plural)
    kind = view.kind
    if address.namespace and not kind.namespaced:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    if kind.namespaced and not address.namespace and address.name:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return view
