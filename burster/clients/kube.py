"""A thin transport to a Kubernetes API server: bytes in, bytes out, every request with a hard deadline.

kubernetes_asyncio's ApiClient brings configuration, credentials, their renewal and TLS; its models and its way of sending are left aside
(they cost a hundred times as much). What does not succeed is raised as RemoteError. Called by sources, adaptors and the runtime's
elector. It must never know what a path means, retry a write, or hold state about objects.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
import orjson
import yaml
from yarl import URL

from burster import __version__
from burster.clients import kube_library
from burster.clients.kube_errors import check_kubeconfig, check_server, credentials_error, remote_error
from burster.clients.kube_lines import LineSplitter
from burster.model.errors import RemoteError


Params = Mapping[str, str | int]
PatchKind = Literal["merge", "json", "strategic", "apply"]

_CONTENT_TYPES: Final[dict[PatchKind, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",  # JSON is YAML
}
_JSON: Final = "application/json"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_UNAUTHORIZED: Final = 401
_REDIRECT: Final = 300
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError)
_READ_BUFFER_BYTES: Final = 2**20
#: At once to one API server. A watch keeps its connection: with the library's 100, the 200 workloads that may be watched (see
#: burster.runtime.workload_watches) would leave none to write with. The rest is for other watches and for requests.
CONNECTIONS_MAX: Final = 320
#: no %2f, no ?, no #, no empty segment: every name that Kubernetes allows is made of these
_PATH: Final = re.compile(r"(/[A-Za-z0-9._:~@=+-]+)+")


class KubeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which cluster, and as whom. ``kubeconfig`` and ``context`` empty: the usual ones."""

    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False
    request_timeout_ms: int = 10_000


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, undecoded, and the token of the next one; empty on the last."""

    body: bytes
    next: str = ""


class _ListMeta(msgspec.Struct, rename={"next": "continue"}):
    next: str | None = None


class _ListHead(msgspec.Struct):
    metadata: _ListMeta


_list_head = msgspec.json.Decoder(_ListHead)


class Kube:
    """One API server. Use it as an async context manager, or close it."""

    def __init__(self, settings: KubeSettings, api: Any) -> None:
        """For Kube.connect only: ``api`` is kubernetes_asyncio's ApiClient, its configuration loaded."""
        self._settings = settings
        self._api = api
        configuration = api.configuration
        self._host: Final[str] = str(configuration.host).rstrip("/")
        local = URL(self._host).host in _LOOPBACK
        # the client's own session keeps cookies and sends requests to this machine through the proxy of the environment
        self._session: Final = aiohttp.ClientSession(
            connector=api.rest_client.pool_manager.connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not local,
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=_READ_BUFFER_BYTES,
            headers={"User-Agent": f"burster/{__version__}", "Accept": _JSON, "Accept-Encoding": "identity"},
        )
        # aiohttp repeats a DELETE by itself when a kept connection breaks: its 404 would say that somebody else deleted what we did.
        # It has no public switch for that; its own test client sets the same one.
        self._session._retry_connection = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._options: Final[dict[str, Any]] = {"allow_redirects": False}
        for option, value in (
            ("proxy", None if local else configuration.proxy),
            ("proxy_headers", configuration.proxy_headers),
            ("server_hostname", configuration.tls_server_name),
        ):
            if value:
                self._options[option] = value

    @classmethod
    async def connect(cls, settings: KubeSettings) -> Self:
        """Load credentials; no request is made. Raises InputError where there are none."""
        configuration = kube_library.Configuration()
        configuration.connection_pool_maxsize = CONNECTIONS_MAX
        await _load_credentials(settings, configuration)
        return cls(settings, kube_library.ApiClient(configuration))

    @property
    def host(self) -> str:
        """The API server's address."""
        return self._host

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, path: str, params: Params | None = None, *, deadline_ms: int | None = None) -> bytes:
        """Read an object, or a whole list."""
        return await self._send("GET", path, params, deadline_ms=deadline_ms)

    async def pages(self, path: str, params: Params | None = None, *, limit: int = 500) -> AsyncGenerator[Page]:
        """Read a list in pages. Raises RemoteError Expired where the server has forgotten the list meanwhile: start again."""
        query: dict[str, str | int] = {**(params or {}), "limit": limit}
        while True:
            body = await self._send("GET", path, query)
            try:
                page = Page(body=body, next=_list_head.decode(body).metadata.next or "")
            except msgspec.DecodeError as error:
                raise RemoteError("Protocol", f"GET {path}: the answer is no list: {error}") from None
            yield page
            if not page.next:
                return
            query["continue"] = page.next

    async def create(
        self, path: str, body: Any, params: Params | None = None, *, deadline_ms: int | None = None
    ) -> bytes:
        """Create an object. RemoteError Timeout means that it is unknown whether it was created."""
        return await self._send("POST", path, params, body, deadline_ms=deadline_ms)

    async def replace(
        self, path: str, body: Any, params: Params | None = None, *, deadline_ms: int | None = None
    ) -> bytes:
        """Replace an object; its resourceVersion makes that safe."""
        return await self._send("PUT", path, params, body, deadline_ms=deadline_ms)

    async def patch(
        self,
        path: str,
        body: Any,
        *,
        kind: PatchKind = "merge",
        params: Params | None = None,
        deadline_ms: int | None = None,
    ) -> bytes:
        """Change an object. For ``apply`` the params name a ``fieldManager``, and ``force`` where conflicts are to be won."""
        return await self._send("PATCH", path, params, body, content=_CONTENT_TYPES[kind], deadline_ms=deadline_ms)

    async def delete(
        self, path: str, body: Any = None, params: Params | None = None, *, deadline_ms: int | None = None
    ) -> bytes:
        """Delete an object; ``body`` is DeleteOptions, see delete_options."""
        return await self._send("DELETE", path, params, body, deadline_ms=deadline_ms)

    async def watch(
        self, path: str, params: Params | None = None, *, inactivity_ms: int = 90_000
    ) -> AsyncGenerator[bytes]:
        """Yield the lines of a watch until the server ends it.

        Raises RemoteError, Timeout too where nothing came for ``inactivity_ms``. Close the iterator (contextlib.aclosing) to hang up.
        """
        what = f"WATCH {path}"
        splitter = LineSplitter()
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                response = await self._open("GET", path, {**(params or {}), "watch": "true"}, what=what)
            async with response:
                while True:
                    async with asyncio.timeout(inactivity_ms / 1000):
                        chunk = await response.content.readany()
                    if not chunk:
                        break
                    for line in splitter.feed(chunk):
                        yield line
        except _FAILURES as error:
            raise _translated(what, error) from error
        if splitter.rest().strip():
            raise RemoteError("Protocol", f"{what}: the stream ended in the middle of a line")

    async def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Any = None,
        *,
        content: str = _JSON,
        deadline_ms: int | None = None,
    ) -> bytes:
        what = f"{method} {path}"
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        try:
            async with asyncio.timeout((deadline_ms or self._settings.request_timeout_ms) / 1000):
                response = await self._open(method, path, params, data, content=content, what=what)
                try:
                    return await response.read()
                finally:
                    response.release()
        except _FAILURES as error:
            raise _translated(what, error) from error

    async def _open(
        self,
        method: str,
        path: str,
        params: Params | None,
        data: bytes | None = None,
        *,
        content: str = _JSON,
        what: str,
    ) -> aiohttp.ClientResponse:
        """Send a request and return its successful answer, unread; renew credentials once where they are refused."""
        if not _is_plain(path):
            raise RemoteError("Invalid", f"{what[:200]!r} is no path of one object or list: nothing was asked")
        url = URL(f"{self._host}{path}?{urlencode(params)}" if params else f"{self._host}{path}", encoded=True)
        for renewed in (False, True):
            headers: dict[str, str] = {"Content-Type": content} if data is not None else {}
            await self._api.update_params_for_auth(headers, [], ["BearerToken"])
            response = await self._session.request(method, url, data=data, headers=headers, **self._options)
            if response.status < _REDIRECT:
                return response
            async with response:
                refusal = await response.read()
            if response.status != _UNAUTHORIZED or renewed:
                break
            await _load_credentials(self._settings, self._api.configuration)
        raise remote_error(what, response.status, refusal, response.headers)


def _is_plain(path: str) -> bool:
    """Say whether a path has no segment that leads elsewhere: names in it may come from whoever writes objects in a namespace."""
    return bool(_PATH.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


def delete_options(
    *,
    uid: str = "",
    resource_version: str = "",
    grace_seconds: int | None = None,
    propagation: Literal["", "Foreground", "Background", "Orphan"] = "",
) -> dict[str, Any]:
    """Return DeleteOptions; with a uid and a resourceVersion the deletion is refused (Conflict) where the object is another one by now."""
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
    if preconditions:
        options["preconditions"] = preconditions
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    if propagation:
        options["propagationPolicy"] = propagation
    return options


def _translated(what: str, error: BaseException) -> RemoteError:
    """Return what a failure of the transport means: whether nothing was done, or it is unknown what was."""
    detail = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return RemoteError("Timeout", f"{what}: no answer in time", code=type(error).__name__)
    # never connected, or only read: nothing was done. A connection that broke under a write may have carried it
    nothing_done = isinstance(error, aiohttp.ClientConnectorError) or what.startswith(("GET", "WATCH"))
    return RemoteError("Unreachable" if nothing_done else "Timeout", f"{what}: {detail}", code=type(error).__name__)


async def _load_credentials(settings: KubeSettings, configuration: Any) -> None:
    """Fill in host, TLS and token; also how an expired token of an exec plugin or a rotated file is renewed."""
    where = "the pod's service account" if settings.in_cluster else settings.kubeconfig
    loaders: Any = kube_library.loaders
    if not settings.in_cluster:
        check_kubeconfig(settings.kubeconfig)
    try:
        if settings.in_cluster:
            loaders.load_incluster_config(client_configuration=configuration)
        else:
            await loaders.load_kube_config(
                config_file=settings.kubeconfig or None,
                context=settings.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
    except (loaders.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError, ValueError) as error:
        raise credentials_error(where, error) from error
    check_server(str(configuration.host), where)
