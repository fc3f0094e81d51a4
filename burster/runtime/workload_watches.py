"""Which of the workloads that policies name are followed by watches: each by a task of its own, and no more than a bound.

Called by ``workload_facts``, which polls the others. A workload that is followed stays so until no policy names it; a place that becomes
free goes to one that has none. It decides nothing about what a workload is like.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog

from burster.model.stimuli import WorkloadGone, WorkloadSeen
from burster.model.triggers import WorkloadRef
from burster.sources.feed import Feed
from burster.sources.workload_watch import WorkloadWatch, watchable


_log = structlog.get_logger("burster.runtime.workload_watches")

#: Each holds a connection: see CONNECTIONS_MAX of burster.clients.kube, which leaves room beside them.
WATCHES_MAX: Final = 200

Item = tuple[str, WorkloadRef]  #: namespace, workload


class _Followed(NamedTuple):
    watch: WorkloadWatch
    task: asyncio.Task[None]


class WorkloadWatches:
    """The watches there are. ``feed`` returns what one of a name is to run with; ``changed`` is called with whatever has news."""

    def __init__(
        self, feed: Callable[[str], Feed], changed: Callable[[Item], None], *, most: int = WATCHES_MAX
    ) -> None:
        self._feed = feed
        self._changed = changed
        self._most = most
        self._followed: dict[Item, _Followed] = {}
        self._told_too_many = False

    def __contains__(self, item: Item) -> bool:
        return item in self._followed

    def current(self, item: Item) -> WorkloadSeen | WorkloadGone | None:
        """Return what a workload is like, as WorkloadWatch has it; None where it is not followed or that can't be relied on."""
        found = self._followed.get(item)
        return None if found is None else found.watch.current

    def follow(self, wanted: Sequence[Item], group: asyncio.TaskGroup) -> None:
        """Follow what is wanted, as far as there are places, and nothing else; say once where there are not enough."""
        named = set(wanted)
        for item in [item for item in self._followed if item not in named]:
            self.end(item)
        beyond = 0
        for item in wanted:
            path = None if item in self._followed else watchable(*item)
            if path is None:
                continue
            if len(self._followed) >= self._most:
                beyond += 1
                continue
            namespace, workload = item
            name = f"{namespace}/{workload.kind}/{workload.name}"
            watch = WorkloadWatch(self._feed(name), path, namespace, workload, lambda item=item: self._changed(item))
            self._followed[item] = _Followed(watch, group.create_task(watch.run(), name=f"workload-{name}"))
        if beyond and not self._told_too_many:
            _log.warning("workloads.not_all_watched", watched=self._most, polled=beyond)
        self._told_too_many = beyond > 0

    def end(self, item: Item) -> None:
        """Follow a workload no longer."""
        found = self._followed.pop(item, None)
        if found is not None:
            found.task.cancel()

    def end_all(self) -> None:
        """Follow nothing any more."""
        for item in tuple(self._followed):
            self.end(item)
