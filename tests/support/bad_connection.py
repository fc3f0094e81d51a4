"""A connection to a real API server on which things go wrong: a proxy of HTTP over TLS, with the faults that the lab's own server knows.

The same rules (`burster.lab.apiserver.faults`) mean the same here. Beyond them: `silent`, watches of which nothing comes any more although
the connection stays open, and `expire`, watches that end in the event by which a server says that it has lost the history. `seen` keeps
what was asked and what became of it.
"""

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from burster.lab.apiserver.calls import parse_path, verb_of
from burster.lab.apiserver.faults import Fault, FaultHook, RequestInfo
from tests.support.control_plane import ControlPlane


LEASES = "leases.coordination.k8s.io"
_WRITES = {"create", "update", "patch", "delete"}
_NOT_FORWARDED = {"host", "connection", "transfer-encoding", "content-length"}
_EXPIRED = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version: 1 (2)",
        "reason": "Expired",
        "code": 410,
    },
}
_REASONS = {429: "TooManyRequests", 410: "Expired", 409: "Conflict", 500: "InternalError", 503: "ServiceUnavailable"}


@dataclass
class Passed:
    """One request, and what became of it."""

    info: RequestInfo
    at_s: float
    fault: str = ""


@dataclass
class BadConnection:
    """An async context manager; `url` is for the client's kubeconfig."""

    plane: ControlPlane
    faults: FaultHook
    #: the resources of which a watch is to go silent, or to expire, when next it has something to tell: each strikes once
    silent: set[str] = field(default_factory=set)
    expire: set[str] = field(default_factory=set)
    url: str = ""
    seen: list[Passed] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        trust = ssl.create_default_context(cadata=self.plane.authority.pem.decode())
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        self._up = await self._stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls()).start()
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def kubeconfig(self, path: Path) -> Path:
        """Write burster's kubeconfig for this way to the server."""
        return self.plane.write_kubeconfig(path, "burster", server=self.url)

    def struck(self) -> Counter[str]:
        """Return how often each kind of fault came about."""
        return Counter(each.fault for each in self.seen if each.fault)

    def writes_since(self, at_s: float) -> list[RequestInfo]:
        """Return what was asked to be written from a time of the steady clock on, but for Leases."""
        return [
            each.info
            for each in self.seen
            if each.at_s >= at_s and each.info.verb in _WRITES and each.info.resource != LEASES
        ]

    def watches(self, resource: str) -> list[Passed]:
        return [each for each in self.seen if (each.info.verb, each.info.resource) == ("watch", resource)]

    def _tls(self) -> ssl.SSLContext:
        certificate, key = self.plane.authority.issue("bad-connection", hosts=("127.0.0.1",))
        chain = self.plane.folder / "bad-connection.pem"
        chain.write_bytes(certificate + key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        info = _info(request)
        passed = Passed(info, time.monotonic())
        self.seen.append(passed)
        fault = self.faults(info) or Fault()
        if fault.delay_ms:
            passed.fault = "delay"
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.status:
            passed.fault = str(fault.status)
            return _refusal(fault)
        if fault.reset:
            passed.fault = "reset"
            raise _hung_up(request)
        try:
            return await self._forward(request, body, passed, fault)
        except (aiohttp.ClientError, TimeoutError, OSError):
            passed.fault = passed.fault or "server away"
            raise _hung_up(request) from None

    async def _forward(self, request: web.Request, body: bytes, passed: Passed, fault: Fault) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
        url = f"{self.plane.url}{request.raw_path}"
        async with self._up.request(request.method, URL(url, encoded=True), data=body or None, headers=headers) as up:
            if passed.info.verb != "watch" or up.status >= 300:
                answer = await up.read()
                if fault.lose_answer:
                    passed.fault = "answer lost"
                    raise _hung_up(request)
                kept = {name: value for name, value in up.headers.items() if name.lower() not in _NOT_FORWARDED}
                return web.Response(status=up.status, body=answer, headers=kept)
            response = web.StreamResponse(status=up.status, headers={"Content-Type": "application/json"})
            await response.prepare(request)
            async for line in self._lines(up, passed, fault):
                await response.write(line)
            if passed.fault == "cut":
                raise _hung_up(request)
            return response

    async def _lines(self, up: aiohttp.ClientResponse, passed: Passed, fault: Fault) -> AsyncIterator[bytes]:
        """Yield what a watch brings, as far as it gets."""
        resource = passed.info.resource
        left = fault.cut_after_events
        try:
            async with asyncio.timeout(None if fault.cut_after_ms is None else fault.cut_after_ms / 1000):
                async for chunk in up.content.iter_any():
                    if resource in self.silent:
                        self.silent.discard(resource)
                        passed.fault, passed.at_s = "silent", time.monotonic()
                        break
                    if resource in self.expire:
                        self.expire.discard(resource)
                        passed.fault = "expired"
                        yield orjson.dumps(_EXPIRED) + b"\n"
                        return
                    yield chunk
                    if left is not None:
                        left -= chunk.count(b"\n")
                        if left <= 0:
                            break
                else:
                    return  # the server ended it
        except TimeoutError:
            pass
        if passed.fault == "silent":
            await asyncio.Event().wait()  # until whoever asked hangs up: no other fault ends it
        passed.fault = "cut"


def _info(request: web.Request) -> RequestInfo:
    address = parse_path([part for part in request.path.split("/") if part] or [""])
    if address is None:
        return RequestInfo(verb="get", resource=request.path)
    return RequestInfo(
        verb=verb_of(request.method, address, request.query),
        resource=f"{address.plural}.{address.group}" if address.group else address.plural,
        namespace=address.namespace,
        name=address.name,
        subresource=address.subresource,
    )


def _refusal(fault: Fault) -> web.Response:
    reason = _REASONS[fault.status]
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
    status |= {"message": f"the connection is bad: {reason}", "code": fault.status}
    headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
    return web.json_response(status, status=fault.status, headers=headers)


def _hung_up(request: web.Request) -> Exception:
    """Break the connection; what is returned is to be raised, so that nothing more is written to it."""
    if request.transport is not None:
        request.transport.abort()
    return asyncio.CancelledError()
