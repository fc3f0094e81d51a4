"""Keeps up with one kind of object: list, watch, list again when the watch can't go on, and tell what changed.

A Reflector follows a list exactly: every object that appears or changes is handed to its Sink once per version, every one that is gone
is told, also when that was missed while the connection was down. It never gives up: what fails is tried again with growing pauses. It
holds a key per object and no object. Called by the sources; it must never know what an object means.
"""

import random
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, cast

import msgspec
import structlog

from burster.clients.kube import Kube, Params
from burster.clients.kube_errors import Status, status_error
from burster.model.errors import InputError, RemoteError


T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
K = TypeVar("K")

_log: Final = structlog.get_logger("burster.sources")
#: what the parser raises for bytes that are no object; the last for an object without bottom
_NO_SENSE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Waiter(Protocol):
    """The part of a Clock that a source needs."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Sink(Protocol[T_contra, K]):
    """Where a Reflector's findings go."""

    def seen(self, obj: T_contra) -> K | None:
        """Take a new or changed object and return what to remember of it; None: it is none of ours (any more).

        Raises InputError for an object that makes no sense: it is counted, logged and skipped.
        """
        ...

    def gone(self, key: K, last: T_contra | None) -> None:
        """Take the news that an object is no more, or is none of ours any more; ``last`` where its last state came with it."""
        ...

    def synced(self) -> None:
        """Everything that existed at the start has been told; called once."""
        ...


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take, in seconds."""

    watch_min: int = 300  #: the server ends a watch after a time between these two, so that not all end at once
    watch_max: int = 600
    inactivity: int = 90  #: without even a bookmark for so long, a connection is taken for dead
    backoff_min: float = 0.25
    backoff_max: float = 30.0
    page: int = 500


_PACE: Final = Pace()


class Stats(msgspec.Struct):
    """What a source has been through; counters only grow."""

    events: int = 0
    skipped: int = 0  #: objects that made no sense
    lists: int = 0
    failures: int = 0


class _ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "next": "continue"}):
    resource_version: str = ""
    next: str | None = None


class _Page(msgspec.Struct, Generic[T]):
    metadata: _ListMeta
    items: list[T] | None = None


class _Event(msgspec.Struct, Generic[T]):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: T


class Meta(msgspec.Struct, rename="camel"):
    """What every object has."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Bare(msgspec.Struct):
    metadata: Meta


_bare: Final = msgspec.json.Decoder(_Bare)
_raw_event: Final = msgspec.json.Decoder(_Event[msgspec.Raw])
_raw_page: Final = msgspec.json.Decoder(_Page[msgspec.Raw])
_status: Final = msgspec.json.Decoder(Status)


def meta_of_dict(obj: dict[str, Any]) -> tuple[str, str]:
    """Return uid and resourceVersion of an object decoded to a dict; empty where it has none."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return "", ""
    fields = cast("dict[str, object]", metadata)
    return str(fields.get("uid", "")), str(fields.get("resourceVersion", ""))


class Codec(Generic[T]):
    """Decodes lists and events of one kind; ``meta_of`` says who a decoded object is: uid and resourceVersion."""

    def __init__(self, kind: type[T], meta_of: Callable[[T], tuple[str, str]]) -> None:
        self.meta_of: Final = meta_of
        self.item: Final = msgspec.json.Decoder(kind)
        self.event: Final = msgspec.json.Decoder(_Event[kind])
        self.page: Final = msgspec.json.Decoder(_Page[kind])


class Reflector(Generic[T, K]):
    """Follows one list until it is cancelled."""

    def __init__(  # noqa: PLR0913 - what to follow, how, with whose time and chance, and where to
        self,
        kube: Kube,
        path: str,
        codec: Codec[T],
        sink: Sink[T, K],
        clock: Waiter,
        rng: random.Random,
        *,
        params: Params | None = None,
        pace: Pace = _PACE,
        stats: Stats | None = None,
    ) -> None:
        self._kube: Final = kube
        self._path: Final = path
        self._params: Final = dict(params or {})
        self._codec: Final = codec
        self._sink: Final = sink
        self._clock: Final = clock
        self._rng: Final = rng
        self._pace: Final = pace
        self.stats: Final = stats if stats is not None else Stats()
        self._known: Final[dict[str, tuple[str, K]]] = {}
        self._version = ""
        self._synced = False
        self._failures = 0
        self.skips = 0  #: objects of this list that made no sense

    @property
    def is_sound(self) -> bool:
        """Whether it keeps up: all was listed, and the server has been heard since anything failed."""
        return self._synced and not self._failures

    async def run(self) -> None:
        """List and watch for ever. Raises nothing but cancellation and bugs."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except RemoteError as error:
                if error.kind == "Expired":
                    self._version = ""
                await self._back_off(error)

    async def _back_off(self, error: RemoteError) -> None:
        self._failures += 1
        self.stats.failures += 1
        pause = min(self._pace.backoff_max, self._pace.backoff_min * 2 ** min(self._failures - 1, 20))
        pause = max(pause * self._rng.uniform(0.5, 1.0), (error.retry_after_ms or 0) / 1000)
        if error.kind == "Expired" and self._failures == 1:
            pause = 0.0  # an ordinary thing after a quiet hour: list again at once
        else:
            _log.warning("watch interrupted", path=self._path, kind=error.kind, error=error.message, retry_in_s=pause)
        await self._clock.sleep(pause)

    # -- listing ------------------------------------------------------------------------------------------------------------

    async def _list(self) -> None:
        self.stats.lists += 1
        try:
            present, version = await self._read_all(self._pace.page)
        except RemoteError as error:
            if error.kind != "Expired":
                raise
            # the server forgot the list between two pages, which a cluster that changes fast will do again: ask for all at once
            present, version = await self._read_all(0)
        for uid in [uid for uid in self._known if uid not in present]:
            self._forget(uid, None)
        self._version = version
        if not self._synced:
            self._synced = True
            self._sink.synced()

    async def _read_all(self, limit: int) -> tuple[set[str], str]:
        present: set[str] = set()
        version = ""
        async with aclosing(self._kube.pages(self._path, self._params, limit=limit)) as pages:
            async for page in pages:
                version, items = self._decode_page(page.body, present)
                for obj in items:
                    uid, revision = self._codec.meta_of(obj)
                    present.add(uid)
                    known = self._known.get(uid)
                    if known is None or known[0] != revision:
                        self._take(uid, revision, obj)
        return present, version

    def _decode_page(self, body: bytes, present: set[str]) -> tuple[str, list[T]]:
        try:
            page = self._codec.page.decode(body)
        except _NO_SENSE:
            return self._decode_page_one_by_one(body, present)
        return page.metadata.resource_version, page.items or []

    def _decode_page_one_by_one(self, body: bytes, present: set[str]) -> tuple[str, list[T]]:
        """Decode a page that holds an object which makes no sense, without that object; it is there all the same."""
        try:
            page = _raw_page.decode(body)
        except _NO_SENSE as error:
            raise RemoteError("Protocol", f"GET {self._path}: the answer is no list: {error}") from None
        items: list[T] = []
        for raw in page.items or []:
            try:
                items.append(self._codec.item.decode(raw))
            except _NO_SENSE as error:
                self._skip(raw, error)
                with suppress(*_NO_SENSE):
                    present.add(_bare.decode(raw).metadata.uid)
        return page.metadata.resource_version, items

    # -- watching -----------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        pace = self._pace
        started, before = self._clock.monotonic(), self.stats.events
        params: dict[str, str | int] = {
            **self._params,
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": self._rng.randint(pace.watch_min, pace.watch_max),
        }
        try:
            async with aclosing(self._kube.watch(self._path, params, inactivity_ms=pace.inactivity * 1000)) as lines:
                async for line in lines:
                    self._apply(line)
        except RemoteError as error:
            if error.kind != "Timeout" or self._clock.monotonic() - started < pace.inactivity:
                raise
            # Silent, and perhaps dead. In a list where nothing ever happened some servers send no bookmarks either, so this is no failure
            # yet: whether anybody is there, the next watch finds out at its opening.
            _log.debug("watch silent", path=self._path, seconds=pace.inactivity)
        finally:
            if self._clock.monotonic() - started > pace.backoff_max:
                self._failures = 0  # it held for long: what ended it is a new matter
        if self.stats.events == before and self._clock.monotonic() - started < 1:
            raise RemoteError("Unavailable", f"WATCH {self._path}: the server ended the watch at once")

    def _apply(self, line: bytes) -> None:
        self.stats.events += 1
        try:
            event = self._codec.event.decode(line)
        except _NO_SENSE:
            self._apply_odd(line)
            return
        kind = event.type
        if kind == "ERROR":
            self._raise_error(line)
        uid, revision = self._codec.meta_of(event.object)
        if revision:
            self._version = revision
        self._failures = 0
        if kind == "DELETED":
            self._forget(uid, event.object)
        elif kind != "BOOKMARK":
            self._take(uid, revision, event.object)

    def _apply_odd(self, line: bytes) -> None:
        """Look at an event whose object could not be decoded as what it should be."""
        try:
            event = _raw_event.decode(line)
        except _NO_SENSE as error:
            raise RemoteError("Protocol", f"WATCH {self._path}: a line is no event: {error}") from None
        if event.type == "ERROR":
            self._raise_error(line)
        try:
            meta = _bare.decode(event.object).metadata
        except _NO_SENSE as error:
            raise RemoteError("Protocol", f"WATCH {self._path}: an object has no metadata: {error}") from None
        self._version = meta.resource_version or self._version
        if event.type == "DELETED":
            self._forget(meta.uid, None)
        elif event.type != "BOOKMARK":
            self._skip(event.object, "its fields are not what they should be")

    def _raise_error(self, line: bytes) -> None:
        try:
            told = _status.decode(_raw_event.decode(line).object)
        except _NO_SENSE:
            told = Status(message="an ERROR event without a status")
        raise status_error(f"WATCH {self._path}", told.code or 500, told)

    # -- what is known --------------------------------------------------------------------------------------------------------

    def _take(self, uid: str, revision: str, obj: T) -> None:
        try:
            key = self._sink.seen(obj)
        except InputError as error:
            self._skip(uid, error)
            return
        if key is not None:
            self._known[uid] = (revision, key)
        elif uid in self._known:
            self._forget(uid, obj)

    def _forget(self, uid: str, last: T | None) -> None:
        known = self._known.pop(uid, None)
        if known is not None:
            self._sink.gone(known[1], last)

    def _skip(self, what: "msgspec.Raw | str", why: object) -> None:
        """Count and log an object that makes no sense; what was known of it stays until it is deleted or makes sense again."""
        self.stats.skipped += 1
        self.skips += 1
        name = what if isinstance(what, str) else bytes(what)[:200].decode(errors="replace")
        _log.warning("object skipped", path=self._path, object=name, why=str(why)[:500], skipped=self.stats.skipped)
