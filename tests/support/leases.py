"""Leases in memory as an API server keeps them, and each candidate's own way there: slow, broken, or losing answers."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import orjson

from burster.model.errors import RemoteError
from burster.runtime.clock import Clock


class LeaseStore:
    """One Lease, with a resourceVersion."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.writes: list[str] = []  #: whose, in order
        self._version = 0

    def put(self, body: dict[str, Any], who: str) -> bytes:
        self._version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        self.writes.append(who)
        return orjson.dumps(self.lease)

    def change(self, **metadata: Any) -> None:
        assert self.lease is not None
        self.put({**self.lease, "metadata": {**self.lease["metadata"], **metadata}}, "somebody")

    def set_spec(self, **spec: Any) -> None:
        self.put({"metadata": {"name": "burster"}, "spec": spec}, "somebody")


class Way:
    """One candidate's connection. ``fate`` is asked per request: seconds it takes (None: for ever), and how it ends."""

    def __init__(self, store: LeaseStore, who: str) -> None:
        self._store = store
        self._who = who
        self.fate: Callable[[str], tuple[float | None, str]] = lambda _: (0.001, "ok")

    async def get(self, path: str, params: None = None, *, deadline_ms: int | None = None) -> bytes:
        def read() -> bytes:
            if self._store.lease is None:
                raise RemoteError("NotFound", "no such lease", status=404)
            return orjson.dumps(self._store.lease)

        return await self._do("GET", read, deadline_ms)

    async def create(self, path: str, body: Any, params: None = None, *, deadline_ms: int | None = None) -> bytes:
        def make() -> bytes:
            if self._store.lease is not None:
                raise RemoteError("AlreadyExists", "it exists", status=409)
            return self._store.put(body, self._who)

        return await self._do("POST", make, deadline_ms)

    async def replace(self, path: str, body: Any, params: None = None, *, deadline_ms: int | None = None) -> bytes:
        def swap() -> bytes:
            if self._store.lease is None:
                raise RemoteError("NotFound", "no such lease", status=404)
            if body["metadata"]["resourceVersion"] != self._store.lease["metadata"]["resourceVersion"]:
                raise RemoteError("Conflict", "it was changed", status=409)
            return self._store.put(body, self._who)

        return await self._do("PUT", swap, deadline_ms)

    async def _do(self, verb: str, act: Callable[[], bytes], deadline_ms: int | None) -> bytes:
        assert deadline_ms, "every request has a deadline"
        assert deadline_ms > 0
        seconds, how = self.fate(verb)
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                if seconds is None:
                    await asyncio.Event().wait()
                await asyncio.sleep((seconds or 0) / 2)
                if how == "refused":
                    raise RemoteError("Unavailable", "503", status=503)
                if how == "never arrives":
                    await asyncio.Event().wait()
                answer = act()
                if how == "answer lost":
                    await asyncio.Event().wait()
                await asyncio.sleep((seconds or 0) / 2)
                return answer
        except TimeoutError:
            raise RemoteError("Timeout", f"{verb}: no answer in time") from None


class OwnClock:
    """A replica's own idea of time over the lab's: another wall time, another origin; the test lets it jump."""

    def __init__(self, clock: Clock, *, wall_ms: int = 0, steady_s: float = 0.0) -> None:
        self._clock = clock
        self.wall_ms = wall_ms
        self.steady_s = steady_s

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.wall_ms

    def monotonic(self) -> float:
        return self._clock.monotonic() + self.steady_s

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def settled(self) -> None:
        await self._clock.settled()
