"""All objects of one resource with their history: ordered records, snapshots at past revisions, and the events between them.

The store writes it, lists and watches read it. History is bounded; what fell out of it is answered with 410 by whoever asked.
"""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

import orjson

from burster.lab.apiserver.errors import Json
from burster.lab.apiserver.kinds import Kind


EventType = Literal["ADDED", "MODIFIED", "DELETED"]

SNAPSHOTS_MAX = 16


class Record:
    """One object at one revision, with its encoding made once."""

    __slots__ = ("_encoded", "key", "object", "revision")

    def __init__(self, key: str, obj: Json, revision: int) -> None:
        self.key = key
        self.object = obj
        self.revision = revision
        self._encoded: bytes | None = None

    def encoded(self) -> bytes:
        """The object as JSON."""
        if self._encoded is None:
            self._encoded = orjson.dumps(self.object)
        return self._encoded


def _line(kind: EventType, encoded: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + encoded + b"}\n"


def _object_of(record: Record | None) -> Json:
    if record is None:
        raise LookupError("this side of the change has no object")
    return record.object


class Change:
    """One committed write: what was, what is; each form a watch may need is encoded once for all watchers."""

    __slots__ = ("_gone", "_lines", "new", "old", "revision", "type")

    def __init__(self, kind: EventType, new: Record | None, old: Record | None, revision: int) -> None:
        self.type: EventType = kind
        self.new = new
        self.old = old
        self.revision = revision
        self._lines: dict[EventType, bytes] = {}
        self._gone: Json | None = None

    def gone(self) -> Json:
        """The old object as a DELETED event carries it: its last state, at the revision of this change."""
        if self._gone is None:
            old = _object_of(self.old)
            self._gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        return self._gone

    def carried(self, kind: EventType) -> Json:
        """The object that an event of that type for this change carries."""
        return self.gone() if kind == "DELETED" else _object_of(self.new)

    def line(self, kind: EventType) -> bytes:
        """The watch event of that type for this change, as sent."""
        line = self._lines.get(kind)
        if line is None:
            if kind == "DELETED":
                line = _line(kind, orjson.dumps(self.gone()))
            elif self.new is not None:
                line = _line(kind, self.new.encoded())
            else:
                raise LookupError("a change without a present adds and modifies nothing")
            self._lines[kind] = line
        return line


class Collection:
    """The objects of one resource."""

    def __init__(self, kind: Kind, *, history_max: int) -> None:
        self.kind = kind
        self.records: dict[str, Record] = {}
        self.changed_at = 0
        self.compacted_at = 0  # changes at or before it are forgotten
        self.closed = False  # the resource is served no more
        self._keys: list[str] = []
        self._history: deque[Change] = deque()
        self._history_max = history_max
        self._first = 0  # position of the oldest change still kept
        self._wakers: dict[int, Callable[[], None]] = {}
        self._waker_ids = 0
        self._snapshots: OrderedDict[int, list[Record]] = OrderedDict()

    # ---- present

    def range(self, namespace: str) -> Iterator[Record]:
        """Records in key order; of one namespace, or of all where it is empty."""
        records = self.records
        if not namespace or not self.kind.namespaced:
            return (records[key] for key in self._keys)
        start = bisect_left(self._keys, f"{namespace}/")
        stop = bisect_left(self._keys, f"{namespace}0")  # "0" follows "/"
        return (records[key] for key in self._keys[start:stop])

    # ---- change

    def commit(self, kind: EventType, key: str, obj: Json | None, revision: int) -> Change:
        """Take in one write and wake who waits for it."""
        old = self.records.get(key)
        new = None
        if obj is None:
            del self.records[key]
            del self._keys[bisect_left(self._keys, key)]
        else:
            new = Record(key, obj, revision)
            self.records[key] = new
            if old is None:
                insort(self._keys, key)
        change = Change(kind, new, old, revision)
        self._history.append(change)
        self.changed_at = revision
        if len(self._history) > self._history_max:
            self._forget(1)
        for wake in tuple(self._wakers.values()):
            wake()
        return change

    def compact(self, revision: int) -> None:
        """Forget all history up to a revision, the store's present one: only the present can be listed or watched from."""
        self._forget(len(self._history))
        self.compacted_at = revision
        self._snapshots.clear()

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self.compacted_at = self._history.popleft().revision
            self._first += 1
        while self._snapshots and next(iter(self._snapshots)) < self.compacted_at:
            self._snapshots.popitem(last=False)

    # ---- past

    def position_after(self, revision: int) -> int | None:
        """Where in history the changes after a revision begin; None where they are no longer all there."""
        if revision < self.compacted_at:
            return None
        low, high = 0, len(self._history)
        while low < high:
            middle = (low + high) // 2
            if self._history[middle].revision <= revision:
                low = middle + 1
            else:
                high = middle
        return self._first + low

    @property
    def end(self) -> int:
        """The position of the next change."""
        return self._first + len(self._history)

    def changes(self, position: int, at_most: int) -> list[Change] | None:
        """Some changes from a position on; None where they have been forgotten."""
        start = position - self._first
        if start < 0:
            return None
        if start >= len(self._history):
            return []
        if len(self._history) - start <= at_most:
            # the newest ones: a deque is quick at its end
            tail = list(islice(reversed(self._history), len(self._history) - start))
            tail.reverse()
            return tail
        return list(islice(self._history, start, start + at_most))

    def at(self, revision: int) -> list[Record] | None:
        """All records in key order as they were at a past revision; None where that is forgotten."""
        if revision >= self.changed_at:
            return [self.records[key] for key in self._keys]
        if (known := self._snapshots.get(revision)) is not None:
            return known
        position = self.position_after(revision)
        undone = None if position is None else self.changes(position, len(self._history))
        if undone is None:
            return None
        records = {**self.records}
        for change in reversed(undone):
            if change.old is not None:
                records[change.old.key] = change.old
            elif change.new is not None:
                records.pop(change.new.key, None)
        snapshot = [records[key] for key in sorted(records)]
        self.remember(revision, snapshot)
        return snapshot

    def remember(self, revision: int, snapshot: list[Record]) -> None:
        """Keep a snapshot for the next page of a list."""
        self._snapshots[revision] = snapshot
        if len(self._snapshots) > SNAPSHOTS_MAX:
            self._snapshots.popitem(last=False)

    # ---- waiting

    def close(self) -> None:
        """End the watches of a resource that is served no more."""
        self.closed = True
        for wake in tuple(self._wakers.values()):
            wake()

    def on_change(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every commit, until the returned function is called."""
        self._waker_ids += 1
        number = self._waker_ids
        self._wakers[number] = wake

        def stop() -> None:
            self._wakers.pop(number, None)

        return stop
