"""A real API server as the lab's kubelets and CAA see it: a copy of some resources, kept by watches, and writes that go out in order.

It offers what ``ObjectApi`` says. Reading is from the copy. A write changes the copy at once and is sent in the background, one at a time
for each object, so that whoever wrote goes on from what it wrote; what watches say of an object meanwhile waits until the server has
answered. A write that the server can't take now is tried again; one that comes too late (the object is gone, or another one by now) is
dropped, as a kubelet drops it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Self

import msgspec

from burster.clients.kube import Kube, delete_options
from burster.lab.apiserver.collection import EventType
from burster.lab.apiserver.errors import already_exists, not_found
from burster.lab.apiserver.kinds import Kind, Kinds
from burster.lab.apiserver.objects import is_object, section
from burster.lab.apiserver.patches import merge_patch
from burster.lab.apiserver.selectors import compile_selectors
from burster.lab.apiserver.shelves import Callback, StoreEvent
from burster.lab.cluster.work import Works
from burster.lab.hollow.differences import object_difference, status_difference
from burster.model.errors import RemoteError
from burster.sources.reflector import Codec, Reflector, Waiter, meta_of_dict


Json = dict[str, Any]
Call = Callable[[], Awaitable[bytes]]
RETRY_S: Final = 0.5
RETRY_MAX_S: Final = 10.0
#: Whose time has passed: the object is gone, is another one, or is there already.
_TOO_LATE: Final = frozenset({"NotFound", "Conflict", "AlreadyExists"})
_LASTING: Final = frozenset({"Invalid", "Unauthorized", "Protocol"})
_decode: Final = msgspec.json.decode


class _Copy:
    """One object: as it is to be once everything sent has arrived."""

    __slots__ = ("held", "is_gone", "object", "sending", "told")

    def __init__(self) -> None:
        self.is_gone = False
        self.object: Json | None = None
        self.told: Json | None = None  #: what subscribers have heard of
        self.sending: deque[Call] = deque()
        self.held: Json | None = None  #: what a watch said while something was being sent

    @property
    def busy(self) -> bool:
        """Whether the server has not yet answered everything."""
        return bool(self.sending)


class Mirror:
    """Made with the resources to follow, each with its namespace ("" for all); ``start`` returns once the copy is complete."""

    def __init__(self, kube: Kube, works: Works, clock: Waiter, kinds: Kinds, followed: dict[str, str]) -> None:
        self._kube = kube
        self._works = works
        self._clock = clock
        self._kinds = kinds
        self._followed = followed
        self._copies: dict[str, dict[str, _Copy]] = {resource: {} for resource in followed}
        self._queues: dict[tuple[str, str], _Copy] = {}  #: of objects that are only written
        self._callbacks: dict[str, list[Callback]] = {}
        self._revision = 0
        self._under_way = 0
        self._answered = asyncio.Event()
        self.dropped = 0  #: writes that came too late

    async def start(self) -> Self:
        """Follow, and return when everything that exists is in the copy."""
        synced: list[asyncio.Event] = []
        for resource, namespace in self._followed.items():
            sink = _Sink(self, resource)
            synced.append(sink.complete)
            reflector = Reflector(
                self._kube,
                self._path(self._kinds.need(resource), namespace, ""),
                Codec(dict[str, Any], meta_of_dict),
                sink,
                self._clock,
                random.Random(resource),
            )
            self._works.spawn(reflector.run(), name=f"follow {resource}")
        for event in synced:
            await event.wait()
        return self

    async def sent(self) -> None:
        """Return when every write so far has been answered."""
        while self._under_way:
            self._answered.clear()
            await self._answered.wait()

    # ---- reading

    def get(self, resource: str, namespace: str, name: str) -> Json:
        """Return an object of the copy. Raises ApiError 404."""
        kind = self._kinds.need(resource)
        copy = self._copies[resource].get(f"{namespace}/{name}")
        if copy is None or copy.object is None:
            raise not_found(kind.plural, kind.group, name)
        return copy.object

    def list(self, resource: str, namespace: str = "", *, labels: str = "") -> list[Json]:
        """Return the objects of the copy that a label selector selects, in key order."""
        selects = compile_selectors(self._kinds.need(resource), labels=labels)
        found: list[Json] = []
        for key in sorted(self._copies[resource]):
            obj = self._copies[resource][key].object
            if (
                obj is not None
                and key.startswith(f"{namespace}/" if namespace else "")
                and (not selects or selects(obj))
            ):
                found.append(obj)
        return found

    def subscribe(self, resource: str, callback: Callback) -> Callable[[], None]:
        """Call back for every change that the server has told."""
        callbacks = self._callbacks.setdefault(resource, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback)

    # ---- writing

    def create(self, resource: str, namespace: str, obj: Json) -> Json:
        """Send a new object. Raises ApiError 409 where the copy has it."""
        kind = self._kinds.need(resource)
        name = obj["metadata"]["name"]
        copy = self._copy(resource, namespace, name)
        if copy.object is not None and resource in self._copies:
            raise already_exists(kind.plural, kind.group, name)
        path, new = self._path(kind, namespace, ""), {key: value for key, value in obj.items() if key != "status"}
        self._send(resource, copy, new, lambda: self._kube.create(path, new))
        return new

    def update(self, resource: str, namespace: str, name: str, obj: Json, *, subresource: str = "") -> Json:
        """Send what differs between the copy and ``obj``, or their statuses. Raises ApiError 404."""
        kind, old = self._kinds.need(resource), self.get(resource, namespace, name)
        strategic = subresource == "status" and not kind.custom
        patch: Json = {}
        if strategic:
            difference = status_difference(old, obj)
            patch = {"status": difference} if difference else {}
        elif subresource:
            raise NotImplementedError("the mirror updates the status of built-in kinds only: patch others")
        else:
            patch = object_difference(old, obj)
        if not patch:
            return old
        new = {**old, "status": obj["status"]} if strategic else {**obj, "status": old.get("status", {})}
        path = self._path(kind, namespace, name, subresource)
        uid = section(old, "metadata").get("uid")
        body = _for_this_one(patch, uid)
        how: Literal["strategic", "merge"] = "strategic" if strategic else "merge"
        self._send(resource, self._copy(resource, namespace, name), new, lambda: self._kube.patch(path, body, kind=how))
        return new

    def patch(
        self, resource: str, namespace: str, name: str, patch: Any, *, kind: Literal["merge"] = "merge", subresource: str = ""
    ) -> Json:  # fmt: skip
        """Send a merge patch. Raises ApiError 404 where the copy of a followed resource lacks the object."""
        found = self._kinds.need(resource)
        old = self.get(resource, namespace, name) if resource in self._copies else {}
        new: Json = merge_patch(old, patch)
        path = self._path(found, namespace, name, subresource)
        self._send(
            resource, self._copy(resource, namespace, name), new, lambda: self._kube.patch(path, patch, kind=kind)
        )
        return new

    def delete(
        self, resource: str, namespace: str, name: str, *, uid: str | None = None, grace_seconds: int | None = None
    ) -> Json | None:  # fmt: skip
        """Send a deletion; the copy loses the object when the server says that it is gone. Raises ApiError 404."""
        old = self.get(resource, namespace, name) if resource in self._copies else None
        path = self._path(self._kinds.need(resource), namespace, name)
        options = delete_options(uid=uid or "", grace_seconds=grace_seconds)

        async def call() -> bytes:
            await self._kube.delete(path, options)
            return b"null"  # what comes back may be gone by now: the watch tells

        self._send(resource, self._copy(resource, namespace, name), old, call)
        return old

    # ---- what watches say

    def seen(self, resource: str, obj: Json) -> None:
        """Take an object as a watch or a list has it."""
        copy = self._copy(resource, *_place(obj))
        if copy.busy:
            copy.held = obj
        elif not _older(obj, copy.told):
            self._tell(resource, copy, obj)

    def gone(self, resource: str, key: str, uid: str) -> None:
        """Take the news that an object is no more; what was still to be sent to it is void."""
        copy = self._copies[resource].get(key)
        held = None if copy is None else copy.held or copy.told
        if copy is None or (held is not None and section(held, "metadata").get("uid") != uid):
            return  # another one has its name by now
        del self._copies[resource][key]
        last = copy.told
        copy.is_gone = True
        copy.sending.clear()
        if last is not None:
            self._call_back(resource, "DELETED", last, last)

    # ---- inside

    def _copy(self, resource: str, namespace: str, name: str) -> _Copy:
        key = f"{namespace}/{name}"
        if resource in self._copies:
            return self._copies[resource].setdefault(key, _Copy())
        return self._queues.setdefault((resource, key), _Copy())

    def _path(self, kind: Kind, namespace: str, name: str, subresource: str = "") -> str:
        base = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        home = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
        return "/".join(part for part in (f"{base}{home}/{kind.plural}", name, subresource) if part)

    def _send(self, resource: str, copy: _Copy, new: Json | None, call: Call) -> None:
        copy.object = new
        copy.sending.append(call)
        if len(copy.sending) == 1:
            self._under_way += 1
            self._works.spawn(self._drain(resource, copy), name=f"write {resource}")

    async def _drain(self, resource: str, copy: _Copy) -> None:
        """Send one after the other; then go on with what the server has said last."""
        try:
            answer = await self._send_all(copy)
        finally:
            self._under_way -= 1
            self._answered.set()
        if resource not in self._copies:
            self._queues = {key: other for key, other in self._queues.items() if other is not copy}
            return
        if copy.is_gone:
            return  # nothing that the server has said before counts any more
        newest = copy.held if answer is None or (copy.held is not None and _older(answer, copy.held)) else answer
        copy.held = None
        if newest is None:
            copy.object = copy.told
        else:
            self._tell(resource, copy, newest)

    async def _send_all(self, copy: _Copy) -> Json | None:
        answer: Json | None = None
        while copy.sending:
            call = copy.sending[0]
            answer = await self._deliver(call, answer)
            if copy.sending and copy.sending[0] is call:
                copy.sending.popleft()
        return answer

    async def _deliver(self, call: Call, former: Json | None) -> Json | None:
        """Send one write until the server has taken or refused it; return the object as the server has it, if it said so."""
        pause = RETRY_S
        while True:
            try:
                body: Any = _decode(await call())
            except RemoteError as error:
                if error.kind in _TOO_LATE:
                    self.dropped += 1
                    return former
                if error.kind in _LASTING:
                    self._works.report(error)
                    return former
                await self._clock.sleep(max(pause, (error.retry_after_ms or 0) / 1000))
                pause = min(RETRY_MAX_S, pause * 2)
                continue
            is_status = not is_object(body) or body.get("kind") == "Status"
            return former if is_status else body

    def _tell(self, resource: str, copy: _Copy, obj: Json) -> None:
        kind = self._kinds.need(resource)
        # items of a list come without what they are
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        old, copy.object, copy.told = copy.told, obj, obj
        self._call_back(resource, "ADDED" if old is None else "MODIFIED", obj, old)

    def _call_back(self, resource: str, what: EventType, obj: Json, old: Json | None) -> None:
        self._revision += 1
        event = StoreEvent(what, obj, old, self._revision)
        for callback in tuple(self._callbacks.get(resource, ())):
            callback(event)


class _Sink:
    """Where a reflector's findings go."""

    def __init__(self, mirror: Mirror, resource: str) -> None:
        self._mirror = mirror
        self._resource = resource
        self.complete = asyncio.Event()

    def seen(self, obj: Json) -> tuple[str, str]:
        """Pass an object on."""
        self._mirror.seen(self._resource, obj)
        return "/".join(_place(obj)), obj["metadata"]["uid"]

    def gone(self, key: tuple[str, str], last: Json | None) -> None:
        """Pass the news on."""
        del last
        self._mirror.gone(self._resource, *key)

    def synced(self) -> None:
        """Say that the copy is complete."""
        self.complete.set()


def _place(obj: Json) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _older(obj: Json, than: Json | None) -> bool:
    """Say whether an object is an older version of another."""
    if than is None or section(obj, "metadata").get("uid") != section(than, "metadata").get("uid"):
        return False
    return int(obj["metadata"]["resourceVersion"]) < int(than["metadata"]["resourceVersion"])


def _for_this_one(patch: Json, uid: object) -> Json:
    """Return a patch that an object of the same name, made later, refuses."""
    return {**patch, "metadata": {**section(patch, "metadata"), "uid": uid}} if uid else patch
