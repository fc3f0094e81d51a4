"""A scripted API server on the lock-step loop: lists, watches, and everything that can go wrong with them."""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from burster.clients.kube import Kube, KubeSettings
from burster.lab.lockstep import LabClock, run_lockstep


class ScriptedApi:
    """Keeps objects by collection and name, one revision counter, and what is to go wrong next."""

    def __init__(self, clock: LabClock) -> None:
        self.clock = clock
        self.revision = 100
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.history: list[tuple[int, str, str, dict[str, Any]]] = []
        self.single: dict[str, dict[str, Any]] = {}  # by full path: what a GET of one object answers
        self.requests: list[tuple[float, str, dict[str, str]]] = []  # virtual seconds, LIST | WATCH | GET, query
        self.faults: dict[str, deque[Any]] = {"LIST": deque(), "WATCH": deque(), "GET": deque()}
        self.compacted = 0
        self.counts = True  #: whether a page says how many more there are
        self.bookmark_every: float | None = 60
        self._changed: list[asyncio.Event] = []
        self._cut = 0
        self._started = clock.monotonic()

    def put(self, path: str, name: str, obj: dict[str, Any]) -> dict[str, Any]:
        known = self.objects.setdefault(path, {})
        self.revision += 1
        obj = {**obj, "metadata": {"uid": f"uid-{name}", "name": name, **obj.get("metadata", {})}}
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._tell("MODIFIED" if name in known else "ADDED", path, obj)
        known[name] = obj
        return obj

    def remove(self, path: str, name: str, **metadata: Any) -> None:
        obj = self.objects[path].pop(name)
        self.revision += 1
        self._tell(
            "DELETED", path, {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision), **metadata}}
        )

    def say(self, path: str, line: dict[str, Any] | bytes) -> None:
        """Put any line into the watches of a collection."""
        self._tell("LINE", path, line)

    def forget_history(self) -> None:
        self.history.clear()
        self.compacted = self.revision

    def cut(self) -> None:
        """Break all watches."""
        self._cut += 1
        self._wake()

    def count(self, what: str) -> int:
        return sum(kind == what for _, kind, _ in self.requests)

    def _tell(self, kind: str, path: str, obj: Any) -> None:
        self.history.append((self.revision, kind, path, obj))
        self._wake()

    def _wake(self) -> None:
        for event in self._changed:
            event.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path, query = request.path, dict(request.query)
        kind = (
            "WATCH" if query.get("watch") == "true" else "LIST" if path in self.objects or "limit" in query else "GET"
        )
        self.requests.append((self.clock.monotonic() - self._started, kind, query))
        if self.faults[kind]:
            fault = self.faults[kind].popleft()
            if fault == "abort":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if fault is not None:
                return web.json_response({"kind": "Status", **fault}, status=fault["code"])
        if kind == "WATCH":
            return await self._watch(request, query)
        if kind == "LIST":
            return self._list(path, query)
        if path in self.single:
            return web.json_response(self.single[path])
        return web.json_response({"reason": "NotFound", "message": "no such thing"}, status=404)

    def _list(self, path: str, query: dict[str, str]) -> web.Response:
        items = list(self.objects.get(path, {}).values())
        start, limit = int(query.get("continue", "0")), int(query["limit"]) or len(items)
        metadata: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
            if "fieldSelector" not in query and self.counts:
                metadata["remainingItemCount"] = len(items) - start - limit
        return web.json_response({"metadata": metadata, "items": items[start : start + limit]})

    async def _watch(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        after, cut = int(query["resourceVersion"]), self._cut
        if after < self.compacted:
            told = {"reason": "Expired", "code": 410, "message": "too old resource version"}
            return web.json_response(told, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        changed = asyncio.Event()
        self._changed.append(changed)
        sent = 0
        with suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(int(query["timeoutSeconds"])):
                while cut == self._cut:
                    for revision, kind, path, obj in self.history[sent:]:
                        if path == request.path and revision > after:
                            line = {"type": kind, "object": obj} if kind != "LINE" else obj
                            await response.write((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n")
                    sent = len(self.history)
                    changed.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.bookmark_every):
                            await changed.wait()
                            continue
                    mark = {
                        "kind": "Any",
                        "metadata": {"resourceVersion": str(self.revision), "creationTimestamp": None},
                    }
                    await response.write(orjson.dumps({"type": "BOOKMARK", "object": mark}) + b"\n")
        self._changed.remove(changed)
        if cut != self._cut and request.transport is not None:
            request.transport.abort()
        return response


Scene = Callable[[ScriptedApi, Kube, LabClock], Awaitable[Any]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], Any]:
    """Run a scene with a scripted API server and a Kube connected to it, in virtual time."""

    def run(scene: Scene) -> Any:
        async def main(clock: LabClock) -> Any:
            api = ScriptedApi(clock)
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", api.handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            sock = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, sock).start()
            config = tmp_path / "kubeconfig"
            config.write_text(
                f"""
apiVersion: v1
kind: Config
current-context: lab
clusters: [{{name: lab, cluster: {{server: "http://127.0.0.1:{sock.getsockname()[1]}"}}}}]
users: [{{name: lab, user: {{token: abc}}}}]
contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]
"""
            )
            try:
                async with await Kube.connect(KubeSettings(kubeconfig=str(config))) as kube:
                    return await scene(api, kube, clock)
            finally:
                api.cut()
                await runner.cleanup()

        return run_lockstep(main)

    return run
