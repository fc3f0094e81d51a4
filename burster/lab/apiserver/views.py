"""How stored objects look under each API version they are served at.

The server asks it what a URL's group, version and plural mean. Events are one store with two faces (v1 and events.k8s.io/v1); custom kinds
are served at each of their versions without conversion.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.kinds import Kind, Kinds


Convert = Callable[[Json], Json]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One kind as served at one API version."""

    kind: Kind
    group: str
    version: str
    outward: Convert | None = None  # None: as stored
    inward: Convert | None = None

    @property
    def api_version(self) -> str:
        """As objects seen through it write it."""
        return f"{self.group}/{self.version}" if self.group else self.version


#: events.k8s.io/v1 name -> v1 name
_EVENT_FIELDS: Final = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENT_FIELDS_BACK: Final = {old: new for new, old in _EVENT_FIELDS.items()}


def _event_outward(obj: Json) -> Json:
    return {_EVENT_FIELDS_BACK.get(key, key): value for key, value in obj.items()} | {"apiVersion": "events.k8s.io/v1"}


def _event_inward(obj: Json) -> Json:
    return {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()} | {"apiVersion": "v1"}


def _at_version(api_version: str) -> Convert:
    return lambda obj: {**obj, "apiVersion": api_version}


#: resources served under a second group
TWINS: Final[dict[tuple[str, str, str], str]] = {("events.k8s.io", "v1", "events"): "events"}


def find_view(kinds: Kinds, group: str, version: str, plural: str) -> View:
    """What a URL's group, version and plural mean; 404 where they mean nothing."""
    twin = TWINS.get((group, version, plural))
    if twin is not None:
        return View(kind=kinds.need(twin), group=group, version=version, outward=_event_outward, inward=_event_inward)
    kind = kinds.find(f"{plural}.{group}" if group else plural)
    if kind is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    if version == kind.version:
        return View(kind=kind, group=group, version=version)
    if version in kind.versions:
        outward, inward = _at_version(f"{group}/{version}"), _at_version(kind.api_version)
        return View(kind=kind, group=group, version=version, outward=outward, inward=inward)
    raise ApiError(404, "NotFound", "the server could not find the requested resource")


def served(kinds: Kinds) -> dict[tuple[str, str], list[Kind]]:
    """All (group, version) pairs with the kinds served there, preferred versions first."""
    found: dict[tuple[str, str], list[Kind]] = {}
    for kind in kinds:
        for version in (kind.version, *kind.versions):
            found.setdefault((kind.group, version), []).append(kind)
    for (group, version, _), resource in TWINS.items():
        found.setdefault((group, version), []).append(kinds.need(resource))
    return found
