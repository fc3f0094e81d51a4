"""Names, uids and metadata of new objects, the same for the same seed whatever the order of other work.

The store calls it on create. It draws from generators named after the object, never from one shared generator.
"""

import random
import uuid
from collections import Counter
from typing import Final

from burster.lab.apiserver.errors import ApiError, Json, bad_request
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import timestamp


_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX: Final = 5
_BASE_MAX: Final = 58  # a generated name has at most 63 characters
_SPACE: Final = uuid.UUID("6d1f1a0e-6f0c-5c8a-9a53-1d6f3c1b7e02")


class Naming:
    """Gives out names and uids."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._uses: Counter[str] = Counter()
        self._generated: Counter[str] = Counter()

    def uid(self, kind: Kind, namespace: str, name: str, *, used: bool) -> str:
        """The uid of the next object of that name; where it is only tried, the next one gets the same."""
        who = f"{kind.kind}/{namespace}/{name}"
        number = self._uses[who] + 1
        if used:
            self._uses[who] = number
        return str(uuid.uuid5(_SPACE, f"{self._seed}/{who}/{number}"))

    def name(self, kind: Kind, namespace: str, base: str) -> str:
        """A name from a generateName."""
        what = f"{kind.kind}/{namespace}/{base}"
        self._generated[what] += 1
        generator = random.Random(f"{self._seed}/{what}/{self._generated[what]}")
        return base[:_BASE_MAX] + "".join(generator.choices(_ALPHABET, k=_SUFFIX))


def arrange(kind: Kind, api_version: str, obj: Json, metadata: Json) -> Json:
    """The object with its type first: lists cut it off by its length."""
    arranged: Json = {"apiVersion": api_version, "kind": kind.kind, "metadata": metadata}
    for key, value in obj.items():
        if key not in arranged:
            arranged[key] = value
    return arranged


def check_type(kind: Kind, obj: Json) -> None:
    """Refuse an object that says it is something else than where it was sent."""
    said_kind, said_version = obj.get("kind", kind.kind), obj.get("apiVersion", kind.api_version)
    group = str(said_version).rpartition("/")[0]
    if said_kind != kind.kind or group != kind.group:
        message = (
            f"the API version in the data ({said_version}, {said_kind}) does not match the expected "
            f"API version ({kind.api_version}, {kind.kind})"
        )
        raise bad_request(message)


#: metadata that only the server writes
_SERVERS: Final = ("resourceVersion", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
                   "generation", "managedFields")  # fmt: skip


def new_metadata(kind: Kind, namespace: str, given: Json, name: str, *, now_ms: int) -> Json:
    """What of a new object's metadata stays, with what the server adds; the uid comes at the end."""
    if given.get("resourceVersion"):
        raise ApiError(500, "InternalError", "resourceVersion should not be set on objects to be created")
    metadata: Json = {"name": name}
    if kind.namespaced:
        metadata["namespace"] = namespace
    for key, value in given.items():
        if key not in metadata and key not in _SERVERS:
            metadata[key] = value
    metadata["creationTimestamp"] = timestamp(now_ms)
    if kind.generation or kind.custom:
        metadata["generation"] = 1
    return metadata


def check_namespace(kind: Kind, namespace: str, given: Json) -> None:
    """Refuse an object that says it lives elsewhere than where it was sent."""
    said = given.get("namespace") or namespace
    if kind.namespaced and said != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
