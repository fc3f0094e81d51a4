"""The controller's HTTP face: probes, metrics, status as JSON and as a page.

The runtime gives a callable for the current StatusView and keeps the server for its own lifetime (`async with`). Read-only: there is
nothing here to change the controller by; what is told of a whole ledger has a gate of its own (/v1). Never blocks the loop: everything is
answered from what is in memory, or on a thread of its own (``questions_http``).
"""

import errno
from collections.abc import Awaitable, Callable
from typing import Final, Self

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from burster.model.errors import InputError
from burster.surfaces.answers import Gate, Questions
from burster.surfaces.html import content_security_policy
from burster.surfaces.metrics import Metrics
from burster.surfaces.page import status_page
from burster.surfaces.questions_http import routes
from burster.surfaces.view import StatusView


#: a probe or a page carries no body
_REQUEST_MAX_BYTES: Final = 1024
_SHUTDOWN_S: Final = 2.0
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": content_security_policy(),
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    view: Callable[[], StatusView],
    metrics: Metrics,
    *,
    ailing: Callable[[], str] = str,
    questions: Questions | None = None,
    gate: Gate | None = None,
) -> web.Application:
    """Return the application. ``ailing`` says in a sentence why the process should be restarted; empty while all is well.

    ``questions``: who answers `burster why` and its siblings, under /v1; ``gate``: who says who may ask them.
    """

    async def healthz(_: web.Request) -> web.Response:
        complaint = ailing()
        return web.Response(text=f"{complaint or 'ok'}\n", status=503 if complaint else 200)

    async def readyz(_: web.Request) -> web.Response:
        now = view()
        complaint = "" if now.ready else now.not_ready_because or "starting"
        # a replica that stands by does what it is there for, so it is ready: a roll-out must not wait for it to lead
        well = "ok" if now.leader else f"ok, standing by: {now.led_by or 'nobody yet'} leads"
        return web.Response(text=f"{complaint or well}\n", status=503 if complaint else 200)

    async def metrics_(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def status(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(view()), content_type="application/json")

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=status_page(view()), content_type="text/html", charset="utf-8")

    app = web.Application(client_max_size=_REQUEST_MAX_BYTES, middlewares=[_guard])
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/livez", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics_),
            web.get("/status", status),
            web.get("/", page),
        ]
    )
    if questions is not None:
        app.add_routes(routes(questions, gate))
    return app


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


class HttpSurface:
    """A server for the application: ``async with HttpSurface(app, host, port) as surface: surface.url``."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_S)
        self._host, self._port = host, port
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise InputError(self._sentence(error)) from error
        except BaseException:
            await self._runner.cleanup()
            raise
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def _sentence(self, error: OSError) -> str:
        where = f"{self._host}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            return f"{where} is in use: stop what listens there, or choose another port with BURSTER_HTTP__PORT"
        return f"the status page can't listen on {where} ({error.strerror or error}): choose BURSTER_HTTP__HOST and BURSTER_HTTP__PORT"
