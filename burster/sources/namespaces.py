"""Namespaces and their labels: API server to NamespaceSeen and NamespaceGone.

Nothing waits for this source: a cluster where namespaces can't be listed works, and only targets that require labels refuse there, since a
namespace that nobody has seen carries none. Called by the runtime. It must never decide what a label means.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from burster.model.stimuli import NamespaceGone, NamespaceSeen, Stimulus
from burster.sources.feed import Feed
from burster.sources.reflector import Codec


PATH: Final = "/api/v1/namespaces"


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None


class NamespaceObject(msgspec.Struct):
    """A v1 Namespace, as far as its labels are concerned."""

    metadata: _Metadata


Key = tuple[str, str]  #: name, uid

CODEC: Final = Codec(NamespaceObject, lambda obj: (obj.metadata.uid, obj.metadata.resource_version))


class NamespaceSink:
    """From objects to stimuli; a change of anything but labels is nobody's business."""

    def __init__(self, post: Callable[[Stimulus], None]) -> None:
        self._post = post
        self._labels: Final[dict[str, dict[str, str]]] = {}
        self._uids: Final[dict[str, str]] = {}

    def seen(self, obj: NamespaceObject) -> Key:
        """Post NamespaceSeen where it is new or its labels have changed."""
        name, uid, labels = obj.metadata.name, obj.metadata.uid, obj.metadata.labels or {}
        self._uids[name] = uid
        if self._labels.get(name) != labels:
            self._labels[name] = labels
            self._post(NamespaceSeen(name=name, labels=labels))
        return name, uid

    def gone(self, key: Key, last: NamespaceObject | None) -> None:  # noqa: ARG002 - its key says all
        """Post NamespaceGone, unless another of its name is there: a list tells what is new before what is gone."""
        name, uid = key
        if self._uids.get(name) == uid:
            del self._uids[name], self._labels[name]
            self._post(NamespaceGone(name=name))

    def synced(self) -> None:
        """Nobody waits for it."""


async def run(feed: Feed) -> None:
    """Post stimuli about namespaces until cancelled."""
    await feed.reflector(PATH, CODEC, NamespaceSink(feed.post)).run()
