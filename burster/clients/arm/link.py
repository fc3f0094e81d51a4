"""The one way to ARM: sessions, Azure's clients of every subscription, pages, and deadlines.

Used by burster.clients.arm.client alone. A token goes over TLS to ARM's own address and nowhere else: neither a redirect nor a link to a
next page can lead it away. It must never know what is asked for.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast
from urllib.parse import SplitResult, quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from azure.core.async_paging import AsyncItemPaged
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import (
    AsyncHTTPPolicy,
    CustomHookPolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.mgmt.compute.aio import ComputeManagementClient
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

from burster.clients.arm.answers import refused, translate
from burster.clients.arm.login import new_credential
from burster.clients.arm.pacing import Call, Pacer
from burster.clients.arm.patience import CALL, Patience
from burster.clients.arm_settings import LOOPBACK, ArmSettings, check_way
from burster.clients.arm_wire import read_next_link, read_rows
from burster.model.errors import InputError, RemoteError
from burster.model.targets import Target


T = TypeVar("T")
#: told of every answer as it comes
Hook = Callable[[PipelineResponse[Any, Any]], None]

_SUBSCRIPTIONS_MAX: Final = 16
_PAGES_MAX: Final = 1_000
_PORTS: Final = {"http": 80, "https": 443}
#: what a request may raise that is not RemoteError
_RAISED: Final = (AzureError, msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError, OSError)


class Link:
    """Everything that is open towards ARM. Close it with ``aclose``."""

    def __init__(self, settings: ArmSettings, now_ms: Callable[[], int] | None) -> None:
        """Raise InputError where the settings would send a token in the clear, or none where one is needed."""
        self.local = check_way(settings)
        self.settings = settings
        self._trusted = _trusted(settings.ca_file)
        self.pacer = Pacer()
        self.base_url = settings.endpoints.base_url
        self.clock_skew_ms: int | None = None
        self._now_ms = now_ms
        self._last_date = ""
        self._sessions: list[aiohttp.ClientSession] = []
        self._transport: AioHttpTransport | None = None
        self._credential: AsyncTokenCredential | None = None
        self._policy: AsyncHTTPPolicy[Any, Any] | SansIOHTTPPolicy[Any, Any] | None = None
        self._clients: dict[str, ComputeManagementClient] = {}

    async def aclose(self) -> None:
        """Close every connection. The object can't be used any more in a useful way, but it does no harm."""
        sessions, credential = self._sessions, self._credential
        self._sessions, self._credential, self._policy, self._transport = [], None, None, None
        self._clients.clear()
        if credential is not None:
            await credential.close()
        for session in sessions:
            await session.close()

    def client(self, subscription: str) -> ComputeManagementClient:
        """Return Azure's client of a subscription."""
        client = self._clients.get(subscription)
        if client is None:
            if len(self._clients) >= _SUBSCRIPTIONS_MAX:
                raise RemoteError("Invalid", f"there are more than {_SUBSCRIPTIONS_MAX} subscriptions in use")
            client = self._clients[subscription] = self._new_client(subscription)
        return client

    def path_of(self, url: str) -> str | None:
        """Return path and query of an address that ARM named; None where it is not at ARM's, and no token of ours goes there."""
        try:
            own, other = urlsplit(self.base_url), urlsplit(url)
            if _server(own) != _server(other):
                return None
        except ValueError:
            return None
        return f"{other.path}?{other.query}" if other.query else other.path

    async def ask(self, target: Target, call: Call, path: str, method: str = "GET") -> tuple[int, bytes, Any]:
        """Return status, body and headers of whatever ARM answers to a request; ``path`` begins with a slash and has its api-version."""
        if not path.startswith("/") or path.startswith("//"):
            raise RemoteError("Invalid", f"{call.what}: {path!r} is no id of a resource", matter="configuration")
        request = HttpRequest(method, self.base_url + quote(path, safe="/?&=%:,;+~()$'*!@-._"))
        options: dict[str, Any] = {CALL: call}
        async with self.translated(call.what):
            response = await self.client(target.subscription).send_request(request, **options)
            return response.status_code, response.content, response.headers

    async def get(self, target: Target, call: Call, path: str) -> bytes:
        """Return what is there. Raises RemoteError for every other answer than 200."""
        status, body, headers = await self.ask(target, call, path)
        if status != HTTPStatus.OK:
            raise refused(status, body, headers, call.what)
        return body

    async def get_all(self, target: Target, call: Call, path: str, read: Callable[[msgspec.Raw], T]) -> list[T]:
        """Return the rows of all pages."""
        rows: list[T] = []
        following, seen = path, {path}
        for _ in range(_PAGES_MAX):
            body = await self.get(target, call, following)
            with self.reading(call.what):
                rows.extend(read(row) for row in read_rows(body))
                link = read_next_link(body)
            if not link:
                return rows
            following = self._following(link, call.what, seen)
        raise RemoteError("Protocol", f"{call.what}: there are more than {_PAGES_MAX} pages", matter="service")

    async def listed(
        self, begin: Callable[[Hook], AsyncItemPaged[Any]], read: Callable[[msgspec.Raw], T], what: str
    ) -> list[T]:
        """Return the rows of all pages that one of the client's own lists has; only so many pages, and each has a request's deadline."""
        rows: list[T] = []
        bodies: deque[bytes] = deque(maxlen=1)
        seen: set[str] = set()

        def keep(response: PipelineResponse[Any, Any]) -> None:
            answer = response.http_response
            body: bytes = answer.content
            if answer.status_code == HTTPStatus.OK:
                bodies.append(body)
                link = read_next_link(body)
                if link:
                    self._following(link, what, seen)
                # The SDK would make a model of every row, which nobody wants and which costs a hundred times as much as reading them:
                # it is shown no more of a page than where the next one is.
                shown: dict[str, Any] = {"value": [], "nextLink": link}
                answer.json = lambda: shown

        iterator = begin(keep).by_page()
        for _ in range(_PAGES_MAX):
            async with self.translated(what):
                try:
                    await anext(iterator)
                except StopAsyncIteration:
                    return rows
                rows.extend(read(row) for row in read_rows(bodies.pop()))
        raise RemoteError("Protocol", f"{what}: there are more than {_PAGES_MAX} pages", matter="service")

    def _following(self, link: str, what: str, seen: set[str]) -> str:
        path = self.path_of(link)
        if path is None:
            raise RemoteError("Protocol", f"{what}: the next page is not at ARM's own address", matter="service")
        if path in seen:
            raise RemoteError("Protocol", f"{what}: the pages go round in a circle", matter="service")
        seen.add(path)
        return path

    @asynccontextmanager
    async def translated(self, what: str) -> AsyncGenerator[None]:
        """Give what happens inside a call's deadline, and turn what it raises into RemoteError."""
        settings = self.settings
        try:
            async with asyncio.timeout((settings.patience_ms + settings.request_timeout_ms) / 1000):
                yield
        except TimeoutError:
            sentence = f"{what}: no answer within {settings.request_timeout_ms} ms"
            raise RemoteError("Timeout", sentence, matter="deadline") from None
        except _RAISED as error:
            raise translate(error, what) from None

    def reading(self, what: str) -> "_Reading":
        """Turn what reading an answer raises into RemoteError."""
        return _Reading(what)

    def _seen(self, response: Any) -> None:
        """Compare this machine's clock with that of whoever answered; their Date is of whole seconds."""
        date = str(response.headers.get("Date") or "")
        if self._now_ms is None or not date or date == self._last_date:
            return
        self._last_date = date
        try:
            theirs_ms = int(parsedate_to_datetime(date).timestamp()) * 1000
        except (ValueError, TypeError, OverflowError):
            return
        ahead_ms = self._now_ms() - theirs_ms
        self.clock_skew_ms = ahead_ms - min(max(ahead_ms, 0), 999)

    def _new_client(self, subscription: str) -> ComputeManagementClient:
        settings = self.settings
        request_s = settings.request_timeout_ms / 1000
        if self._transport is None:
            self._transport = self._new_transport(self.base_url)
        if self._policy is None:
            self._policy = self._authentication()
        # The default chain would retry, log, follow redirects and register resource providers on our behalf: all of
        # that is somebody else's decision here, and half of a call's cost.
        policies: list[Any] = [
            RequestIdPolicy(),
            UserAgentPolicy(base_user_agent="burster"),
            CustomHookPolicy(),
            Patience(self.pacer, request_s=request_s, patience_s=settings.patience_ms / 1000, seen=self._seen),
            self._policy,
        ]
        return ComputeManagementClient(
            cast("AsyncTokenCredential", self._credential or _NoCredential()),
            subscription,
            base_url=self.base_url,
            polling_interval=max(1, settings.poll_interval_ms) / 1000,
            transport=self._transport,
            policies=policies,
        )

    def _new_transport(self, url: str) -> AioHttpTransport:
        """Return a transport to one host: through the environment's proxy unless NO_PROXY names the host, and never to this machine."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = None
        if host not in LOOPBACK and not proxy_bypass(host):
            proxy = getproxies().get(parts.scheme)
        # With trust_env aiohttp would look for a netrc file in a thread before every single request. Nor may it repeat a PUT by itself when
        # a kept connection breaks: nobody knows then what became of the first one.
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trusted) if self._trusted else None,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy,
        )
        session._retry_connection = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - there is no public way
        self._sessions.append(session)
        timeout_s = self.settings.request_timeout_ms / 1000
        return AioHttpTransport(
            session=session, session_owner=False, connection_timeout=timeout_s, read_timeout=timeout_s
        )

    def _authentication(self) -> AsyncHTTPPolicy[Any, Any] | SansIOHTTPPolicy[Any, Any]:
        if self.settings.auth == "none":
            return SansIOHTTPPolicy()
        endpoints = self.settings.endpoints
        self._credential = new_credential(self.settings, self._new_transport(endpoints.authority))
        return AsyncARMChallengeAuthenticationPolicy(self._credential, f"{endpoints.audience}/.default")


def _server(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return whose address it is; ARM writes its usual port out in some links."""
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


class _NoCredential:
    """Stands where the client insists on a credential; nobody ever asks it for a token."""


class _Reading:
    """A context that turns what reading an answer raises into RemoteError; not a generator, as it stands around every answer."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _RAISED):
            raise translate(error, self._what) from None


def _trusted(ca_file: str) -> ssl.SSLContext | None:
    if not ca_file:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"ca_file {ca_file} holds no certificate in PEM: {error}") from None
    return context
