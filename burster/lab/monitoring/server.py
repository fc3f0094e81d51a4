"""What is read for metrics, on loopback: ``/metrics`` as an exporter has it, ``/api/v1/query`` as Prometheus and Thanos answer it.

The stand-in for a Prometheus evaluates a query over the page as it is at that moment: it has no scrape interval and no history. What it
is to refuse or to get wrong is set by whoever runs it.
"""

import math
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from burster.lab.monitoring.promql import PromqlError, Result, evaluate, parse_page


_HISTORY: Final = 1_000
_EXPONENT_FROM: Final = 1e21
_FORM_MAX_BYTES: Final = 64 * 1024
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Answers a request in place of the server; None: it is answered as usual.
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, as it came."""

    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]


class MonitoringServer:
    """An async context manager; ``url`` is there once it is entered. ``page`` gives the metrics, ``now_ms`` the time of samples.

    ``demands`` are headers that every request must have, or it is refused with 401.
    """

    def __init__(
        self,
        page: Callable[[], str],
        now_ms: Callable[[], int],
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        demands: dict[str, str] | None = None,
    ) -> None:
        self._page = page
        self._now_ms = now_ms
        self._port = port
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.demands = demands or {}
        self.fault: Fault | None = None
        self.warnings: tuple[str, ...] = ()  #: as Thanos sends where a store does not answer
        self.asked: deque[Asked] = deque(maxlen=_HISTORY)
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_FORM_MAX_BYTES, middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/api/v1/query", self._query),
                web.post("/api/v1/query", self._query),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.asked.append(Asked(path=request.path, query=tuple(request.query.items()), headers={**request.headers}))
        if any(request.headers.get(name) != value for name, value in self.demands.items()):
            return web.Response(status=401, text="Unauthorized\n")
        answer = await self.fault(request) if self.fault is not None else None
        return answer if answer is not None else await handler(request)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._page().encode(), headers={"Content-Type": _TEXT})

    async def _query(self, request: web.Request) -> web.Response:
        given: Any = {**request.query, **(await request.post() if request.method == "POST" else {})}
        query = str(given.get("query", ""))
        try:
            result = evaluate(query, parse_page(self._page()))
        except PromqlError as error:
            message = f'invalid parameter "query": 1:1: parse error: {error}'
            return _json({"status": "error", "errorType": "bad_data", "error": message}, status=400)
        data = {"resultType": result.kind, "result": _written(result, self._now_ms() / 1000)}
        answer: dict[str, Any] = {"status": "success", "data": data}
        if self.warnings:
            answer["warnings"] = list(self.warnings)
        return _json(answer)


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _written(result: Result, at: float) -> Any:
    match result.kind:
        case "scalar":
            return [at, _number(result.value)]
        case "string":
            return [at, result.text]
        case "vector":
            return [{"metric": sample.labels, "value": [at, _number(sample.value)]} for sample in result.samples]
        case "matrix":
            return [{"metric": sample.labels, "values": [[at, _number(sample.value)]]} for sample in result.samples]


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    # as Go writes it: exponents for the very large and the very small only
    plain = value.is_integer() and abs(value) < _EXPONENT_FROM
    return str(int(value)) if plain else repr(value)
