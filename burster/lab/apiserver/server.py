"""The HTTP face of the store: the Kubernetes protocol on loopback, for real clients.

The lab starts one; it serves as long as its context is open. Plain http with a bearer token, on loopback addresses only. All time is the
loop's timers and the store's injected clock.
"""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

import orjson
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from multidict import MultiMapping

from burster.lab.apiserver import discovery
from burster.lab.apiserver.about import describe
from burster.lab.apiserver.calls import Address, Call, is_true, parse_path, resolve, verb_of
from burster.lab.apiserver.errors import ApiError, Json, unsupported_media
from burster.lab.apiserver.faults import Fault, FaultHook, RequestInfo
from burster.lab.apiserver.handlers import HANDLERS, Answer
from burster.lab.apiserver.kubeconfig import kubeconfig
from burster.lab.apiserver.reviews import answer
from burster.lab.apiserver.store import Store
from burster.lab.apiserver.streams import BrokenOffError, Streams


_log = logging.getLogger(__name__)

TOKEN: Final = "lab-token"  # noqa: S105 - opens nothing but the lab
#: kubectl sends no token over plain http, so its kubeconfig has the token in the server's path: /as/<token>/api/v1/...
TOKEN_PATH: Final = "as"  # noqa: S105 - a path
USER: Final = "lab-admin"
BODY_MAX: Final = 3 * 1024 * 1024
_JSON: Final = "application/json"
_HOST: Final = "127.0.0.1"
_HEALTH: Final = frozenset({"healthz", "livez", "readyz"})
_OPEN: Final = _HEALTH | {"version"}


class ApiServer:
    """Serves a store on loopback while its context is open."""

    def __init__(
        self,
        store: Store,
        *,
        port: int = 0,
        tokens: dict[str, str] | None = None,
        faults: FaultHook | None = None,
    ) -> None:
        self.store = store
        self.url = ""
        self.tokens = {TOKEN: USER} if tokens is None else tokens
        self.faults = faults
        self.requests = 0
        self._port = port
        self._streams = Streams(store)
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, request_factory=_request, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, self._port, backlog=1024)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{_HOST}:{self._port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.cut_watches()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def kubeconfig(self) -> str:
        """The YAML that points kubectl here."""
        token = next(iter(self.tokens))
        return kubeconfig(f"{self.url}/{TOKEN_PATH}/{token}", token)

    async def restart(self, down_s: float) -> None:
        """Be gone for a while, and come back at the same address with what the store holds, as a server over etcd does."""
        await self.__aexit__(None, None, None)
        await asyncio.sleep(down_s)
        await self.__aenter__()

    def cut_watches(self) -> None:
        """End all watches, as a restarting server does; clients resume where they were."""
        self._streams.cut()

    # ---- one request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        try:
            return await self._answer(request)
        except ApiError as error:
            return _refusal(error)
        except BrokenOffError:
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError from None
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - a client gets an answer whatever breaks here
            _log.exception("the lab's API server failed at %s %s", request.method, request.path)
            return _refusal(ApiError(500, "InternalError", f"Internal error occurred: {error}"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part] or [""]
        token = ""
        if parts[0] == TOKEN_PATH and len(parts) > 1:
            token, parts = parts[1], parts[2:] or [""]
        user = self._authenticate(request, token, open_to_all=parts[0] in _OPEN)
        address = parse_path(parts)
        if parts[0] in _HEALTH:
            return web.Response(text="ok")
        if address is None:
            return self._describe_itself(parts, request)
        if (address.group, address.version) in discovery.REVIEWS:
            if "protobuf" in request.content_type:
                raise unsupported_media((_JSON,))
            body = orjson.loads(await _body(request))
            review = answer(address.plural, body, user=user, tokens=self.tokens)
            return web.Response(body=orjson.dumps(review), status=201, content_type=_JSON)
        call = await self._call(request, address, user)
        fault = await self._mishap(call)
        if call.verb == "watch":
            return await self._streams.serve(request, call, fault)
        result = HANDLERS[call.verb](self.store, call)
        if fault is not None and fault.lose_answer:
            if fault.silent:
                await _silence()
            raise BrokenOffError
        return _response(result)

    def _authenticate(self, request: web.BaseRequest, token: str, *, open_to_all: bool) -> str:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = given.strip()
        user = self.tokens.get(token)
        if user is None and not open_to_all:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user or "system:anonymous"

    async def _call(self, request: web.BaseRequest, address: Address, user: str) -> Call:
        headers, query = request.headers, request.query
        view = resolve(self.store.kinds, address)
        verb = verb_of(request.method, address, query)
        name = address.name
        if verb in ("list", "watch") and (field_name := _single_name(query)):
            name = field_name
        elif verb == "get" and is_true(query.get("watch", "")):
            verb = "watch"
        return Call(
            verb=verb,
            view=view,
            namespace=address.namespace,
            name=name,
            subresource=address.subresource,
            query=query,
            accept=headers.get("Accept", ""),
            user=user,
            user_agent=headers.get("User-Agent", ""),
            content_type=request.content_type if "Content-Type" in headers else "",
            body=await _body(request) if request.can_read_body else b"",
        )

    async def _mishap(self, call: Call) -> Fault | None:
        """Let happen what is to go wrong before the request is served."""
        if self.faults is None:
            return None
        info = RequestInfo(
            verb=call.verb,
            resource=call.view.kind.resource,
            namespace=call.namespace,
            name=call.name,
            subresource=call.subresource,
            user=call.user,
            user_agent=call.user_agent,
        )
        fault = self.faults(info)
        if fault is None:
            return None
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.silent and not fault.lose_answer:
            await _silence()
        if fault.reset:
            raise BrokenOffError
        if fault.status:
            raise _as_error(fault)
        return fault

    def _describe_itself(self, parts: list[str], request: web.BaseRequest) -> web.Response:
        about = describe(self.store.kinds, parts, accept=request.headers.get("Accept", ""), address=self.url[7:])
        is_aggregated = about.get("kind") == "APIGroupDiscoveryList"
        headers = {"Content-Type": discovery.AGGREGATED if is_aggregated else _JSON}
        return web.Response(body=orjson.dumps(about), headers=headers)


async def _silence() -> None:
    """Hold a connection open for as long as the client does."""
    await asyncio.Event().wait()


def _single_name(query: MultiMapping[str]) -> str:
    """The one name that a list or watch is about, if it is."""
    field, found, name = query.get("fieldSelector", "").partition("metadata.name=")
    return name if found and not field and "," not in name else ""


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """A request that takes bodies as large as Kubernetes does."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_MAX)


async def _body(request: web.BaseRequest) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        message = f"Request entity too large: limit is {BODY_MAX}"
        raise ApiError(413, "RequestEntityTooLarge", message) from None


_REASONS: Final[dict[int, str]] = {
    403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError",
    503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


def _as_error(fault: Fault) -> ApiError:
    details: Json | None = {"retryAfterSeconds": fault.retry_after_s} if fault.retry_after_s else None
    reason = _REASONS.get(fault.status, "InternalError")
    return ApiError(fault.status, reason, f"the lab was told to fail here with {fault.status}", details=details)


def _refusal(error: ApiError) -> web.Response:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else None
    return web.Response(body=orjson.dumps(error.to_status()), status=error.status, content_type=_JSON, headers=headers)


def _response(result: Answer) -> web.Response:
    response = web.Response(body=result.body, status=result.status, content_type=_JSON)
    for warning in result.warnings:
        escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response
