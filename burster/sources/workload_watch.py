"""One workload that policies name, followed by a list and watch of its own: what it is like now, as long as that can be relied on.

Called by the runtime, for each workload that has a watch. Who else sets its number is not in the object: whoever tells it adds that
(``workloads.with_scalers``). It must never judge whether the number is right, and never guess: what it has lost it does not know.
"""

import re
from collections.abc import Callable
from typing import Final

from burster.clients.workloads import collection_path
from burster.model.stimuli import WorkloadGone, WorkloadSeen
from burster.model.triggers import WorkloadRef
from burster.sources.feed import Feed
from burster.sources.reflector import Codec
from burster.sources.workloads import NO_SCALERS, WorkloadObject, seen_of


#: no comma, no equals sign: a name must not add to its selector
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_CODEC: Final = Codec(WorkloadObject, lambda obj: (obj.metadata.uid, obj.metadata.resource_version))


class WorkloadWatch:
    """What is known of one workload; ``changed`` is called with each news of it. ``run`` until cancelled.

    ``path`` is its collection's, as ``watchable`` returns it.
    """

    def __init__(
        self, feed: Feed, path: str, namespace: str, workload: WorkloadRef, changed: Callable[[], None]
    ) -> None:
        self._namespace: Final = namespace
        self._workload: Final = workload
        self._changed: Final = changed
        self._known: WorkloadSeen | None = None
        self._uid = ""
        self._skips = 0
        self._reflector: Final = feed.reflector(path, _CODEC, self, {"fieldSelector": f"metadata.name={workload.name}"})

    async def run(self) -> None:
        """Follow it until cancelled."""
        await self._reflector.run()

    @property
    def current(self) -> WorkloadSeen | WorkloadGone | None:
        """What it is like, its ``owner`` as far as the object itself says so.

        None where that can't be relied on: it has not been listed yet, nothing was heard since the connection failed, or its latest
        version makes no sense.
        """
        if not self._reflector.is_sound or self._reflector.skips != self._skips:
            return None
        if self._known is None:
            return WorkloadGone(namespace=self._namespace, kind=self._workload.kind, name=self._workload.name)
        return self._known

    def seen(self, obj: WorkloadObject) -> str | None:
        """Note what it is like. Raises InputError where its template makes no sense."""
        if obj.metadata.name != self._workload.name:
            return None  # a server that ignores the selector
        self._known = seen_of(self._namespace, self._workload, obj, NO_SCALERS)
        self._uid = obj.metadata.uid
        self._skips = self._reflector.skips
        self._changed()
        return obj.metadata.uid

    def gone(self, key: str, last: WorkloadObject | None) -> None:  # noqa: ARG002 - its key says all
        """Note that it is gone, unless another of its name is there: a list tells what is new before what is gone."""
        if key == self._uid:
            self._known, self._uid = None, ""
            self._skips = self._reflector.skips
            self._changed()

    def synced(self) -> None:
        """Tell what was listed, be it that there is none."""
        self._changed()


def watchable(namespace: str, workload: WorkloadRef) -> str | None:
    """Return the path of the collection that a workload can be watched in, or None where it can't."""
    return collection_path(namespace, workload.kind) if _NAME.fullmatch(workload.name) else None
