"""A watch: the changes of a collection from a revision on, as lines, for as long as the client and history allow.

The server runs one for each watch request. It waits for commits and timers, never polls, and holds no queue of its own: it reads the
collection's bounded history, and a watcher that falls out of it gets 410.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final, Protocol

import orjson

from burster.lab.apiserver.collection import Change, Collection, EventType, Record
from burster.lab.apiserver.errors import ApiError, Json, expired
from burster.lab.apiserver.selectors import Predicate


BATCH_MAX: Final = 500
BOOKMARK_EVERY_S: Final = 60.0
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Form(Protocol):
    """How a watch writes what it sees."""

    def added(self, record: Record) -> bytes:
        """The line of an object that was there from the start."""
        ...

    def change(self, change: Change, kind: EventType) -> bytes:
        """The line of a change, as that type of event."""
        ...

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """The line that says how far the watch has come."""
        ...


def error_line(error: ApiError) -> bytes:
    """The line that ends a watch with a Status."""
    return b'{"type":"ERROR","object":' + orjson.dumps(error.to_status()) + b"}\n"


class Selection:
    """Which objects of a collection a watch is about."""

    __slots__ = ("_predicate", "_prefix")

    def __init__(self, namespace: str, predicate: Predicate | None) -> None:
        self._prefix = f"{namespace}/" if namespace else ""
        self._predicate = predicate

    def takes(self, record: Record | None) -> bool:
        """Whether the object belongs to it."""
        if record is None:
            return False
        if self._prefix and not record.key.startswith(self._prefix):
            return False
        return self._predicate is None or self._predicate(record.object)

    def event(self, change: Change) -> EventType | None:
        """What a change is to this watch: something that stops matching is deleted."""
        now, was = self.takes(change.new), self.takes(change.old)
        if now:
            return "MODIFIED" if was else "ADDED"
        return "DELETED" if was else None


class Watch:
    """One running watch."""

    def __init__(self, collection: Collection, selection: Selection, form: Form, revision: Callable[[], int]) -> None:
        self._collection = collection
        self._selection = selection
        self._form = form
        self._revision = revision
        self._woken = asyncio.Event()
        self._over = False
        self._bookmark_due = False
        self._position: int | None = collection.end

    def stop(self) -> None:
        """End the watch after what it is writing."""
        self._over = True
        self._woken.set()

    def start_after(self, revision: int) -> None:
        """Show what happened after a revision, instead of from now on."""
        self._position = self._collection.position_after(revision)

    def initial(self) -> list[bytes]:
        """What is there now, as ADDED lines; to be taken before the first line is followed."""
        self._position = self._collection.end
        return [self._form.added(record) for record in self._collection.range("") if self._selection.takes(record)]

    async def follow(self, *, timeout_s: float | None, bookmarks: bool) -> AsyncGenerator[bytes]:
        """Lines as they come, until the time is up, the watch is stopped, or history is lost."""
        loop = asyncio.get_running_loop()
        forget = self._collection.on_change(self._woken.set)
        timers: dict[str, asyncio.TimerHandle] = {}

        def ring() -> None:
            self._bookmark_due = True
            self._woken.set()
            timers["bookmark"] = loop.call_later(BOOKMARK_EVERY_S, ring)

        if timeout_s is not None:
            timers["end"] = loop.call_later(timeout_s, self.stop)
        if bookmarks:
            timers["bookmark"] = loop.call_later(BOOKMARK_EVERY_S, ring)
        try:
            while not self._over:
                self._woken.clear()
                lines, more = self._take()
                if lines:
                    yield lines
                if self._position is None:
                    return
                if not more and not self._over:
                    await self._woken.wait()
            if bookmarks and self._position == self._collection.end and not self._collection.closed:
                yield self._form.bookmark(self._revision(), initial_end=False)
        finally:
            forget()
            for timer in timers.values():
                timer.cancel()

    def _take(self) -> tuple[bytes, bool]:
        """The next lines, and whether there are more at once."""
        changes = None if self._position is None else self._collection.changes(self._position, BATCH_MAX)
        if changes is None or self._position is None:
            self._position = None
            return error_line(expired(f"too old resource version: ({self._collection.compacted_at})")), False
        self._position += len(changes)
        lines: list[bytes] = []
        for change in changes:
            event = self._selection.event(change)
            if event is not None:
                lines.append(self._form.change(change, event))
        more = len(changes) == BATCH_MAX
        if self._bookmark_due and not more:
            self._bookmark_due = False
            lines.append(self._form.bookmark(self._revision(), initial_end=False))
        if self._collection.closed:
            self._over = True
        return b"".join(lines), more


def bookmark_object(api_version: str, kind: str, revision: int, *, initial_end: bool) -> Json:
    """The nearly empty object of a bookmark."""
    metadata: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata}
