"""Following lists of a cluster while somebody watches a command: each kept as it is now, on a thread of its own.

A list is read once in pages and watched from there, with bookmarks: after a connection that ended it goes on where it was, and only a
history that the server has lost (410) has it read anew. What is in the way is kept as a sentence, and it is tried again, ever more slowly.
Threads are daemons: a command that ends need not wait for a server.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, Final, Self

import msgspec

from burster.clients.kube_errors import Status, status_error
from burster.clients.kube_sync import KubeSync, Params
from burster.model.errors import RemoteError


#: the server ends a watch after so long
_WATCH_S: Final = 300
#: bookmarks come about each minute: who says nothing for longer is gone
_INACTIVITY_MS: Final = 120_000
_DELAYS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BREATH_S: Final = 0.2
_FATAL: Final = frozenset({"Unauthorized", "Invalid"})

Object = dict[str, Any]


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What to follow: a path and its selectors."""

    path: str
    params: tuple[tuple[str, str], ...] = ()


class Follower:
    """One list as it is now. ``run`` until ``stop``; ``changed`` is called after each change, and when trouble comes or goes."""

    def __init__(self, kube: KubeSync, what: Followed, changed: Callable[[], None]) -> None:
        self._kube = kube
        self._what = what
        self._changed = changed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], Object] = {}
        self._version = ""
        self._failures = 0  #: in a row, without a word from the server in between
        self.trouble = ""  #: why it may be out of date, in a sentence; empty while all is well
        self.lists = 0  #: how often everything was read

    def objects(self) -> list[Object]:
        """Return what there is."""
        with self._lock:
            return list(self._objects.values())

    def stop(self) -> None:
        """Follow nothing more; the connection under way is let go when it says something, or with the process."""
        self._stop.set()

    def run(self) -> None:
        """Follow until told to stop."""
        while not self._stop.is_set():
            try:
                if not self._version:
                    self.read()
                self._watch()
                self._stop.wait(_BREATH_S)  # a server that ends each watch at once is not to be asked without end
            except RemoteError as error:
                if error.kind == "Expired" and self._failures < 1:
                    self._version, self._failures = "", 1
                    continue
                if error.kind == "Expired":
                    self._version = ""
                self._say(str(error))
                delay_s = _DELAYS_S[min(self._failures, len(_DELAYS_S) - 1)]
                self._failures += 1
                self._stop.wait(_DELAYS_S[-1] if error.kind in _FATAL else delay_s)

    def read(self) -> None:
        """Read the whole list. Raises RemoteError."""
        items, version = self._kube.listing(self._what.path, dict(self._what.params))
        with self._lock:
            self._objects = {_key(item): item for item in items}
        self._version = version
        self.lists += 1
        self._changed()

    def _watch(self) -> None:
        query: Params = {
            **dict(self._what.params),
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": _WATCH_S,
        }
        with closing(self._kube.watch(self._what.path, query, inactivity_ms=_INACTIVITY_MS)) as events:
            for event in events:
                if self._stop.is_set():
                    return
                self._take(event)

    def _take(self, event: Object) -> None:
        kind: str = event.get("type") or ""
        item: Object = event.get("object") or {}
        if kind == "ERROR":
            told = msgspec.convert(item, Status)
            raise status_error(f"WATCH {self._what.path}", told.code or 500, told)
        self._failures = 0
        self._say("")
        metadata: Object = item.get("metadata") or {}
        self._version = str(metadata.get("resourceVersion") or self._version)
        if kind == "BOOKMARK":
            return
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(_key(item), None)
            else:
                self._objects[_key(item)] = item
        self._changed()

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed()


class Mirror:
    """Several lists, followed together: ``with Mirror(kube, what) as mirror: mirror.wait(1.0); mirror.objects(path)``."""

    def __init__(self, kube: KubeSync, what: Iterable[Followed]) -> None:
        self._news = threading.Event()
        self._followers = {one: Follower(kube, one, self._news.set) for one in what}

    def __enter__(self) -> Self:
        # everything once, here: what is wrong with the question is to end the command, not to be tried for ever
        for follower in self._followers.values():
            follower.read()
        for what, follower in self._followers.items():
            threading.Thread(target=follower.run, name=f"follow {what.path}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for follower in self._followers.values():
            follower.stop()

    def objects(self, what: Followed) -> list[Object] | None:
        """Return a list as it is now; None where it is not followed."""
        follower = self._followers.get(what)
        return None if follower is None else follower.objects()

    @property
    def trouble(self) -> str:
        """Why something shown may be out of date; empty while all is well."""
        return next((one.trouble for one in self._followers.values() if one.trouble), "")

    def wait(self, seconds: float) -> bool:
        """Wait for news; say whether there are any."""
        came = self._news.wait(seconds)
        self._news.clear()
        return came


def _key(item: Object) -> tuple[str, str]:
    metadata: Object = item.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
