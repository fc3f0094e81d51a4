"""A thin transport to metric sources: one GET, bounded in time and size, that goes where it was sent and nowhere else.

Called by ``burster.sources.metrics``. It knows nothing of burster's own identity: what it sends is the request's headers and the given
credentials, so that no token of burster's can reach a foreign server. It keeps no cookies, uses no proxy and no netrc of the environment,
follows no redirect, unpacks nothing, and connects to no address that is no metric source's.
"""

import asyncio
import ssl
from base64 import b64encode
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from burster import __version__
from burster.clients.credentials import NOBODY, Credentials, TlsContexts
from burster.clients.metric_addresses import Addresses, refused_in
from burster.clients.metric_errors import Fault, MetricError
from burster.model.triggers import AuthMode
from burster.policy.endpoints import ROUTING_HEADERS, endpoint_of, server_of


#: An answer is one number; the largest honest one is a page of metrics, as an exporter has it.
BODY_MAX_BYTES: Final = 4 * 1024 * 1024
_DETAIL_MAX: Final = 200
_KEEPALIVE_S: Final = 75.0
_RETRY_AFTER_MAX_S: Final = 3_600
_REDIRECT, _CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 300, 400, 429, 500
_REFUSED: Final = frozenset({401, 403, 407})


class Get(msgspec.Struct, frozen=True, kw_only=True):
    """What to read, and by which modes to authenticate."""

    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    modes: tuple[AuthMode, ...] = ()
    key_name: str = ""  #: under which an API key is sent; empty: X-API-KEY as a header, api_key as a parameter
    key_in: Literal["header", "query"] = "header"
    unsafe_ssl: bool = False
    timeout_ms: int = 3_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of any status that is no redirect and no refusal of credentials."""

    status: int
    body: bytes
    retry_after_ms: int | None = None


class MetricHttp:
    """Connections to all metric sources. Use it as an async context manager, or close it."""

    def __init__(self, addresses: Addresses | None = None) -> None:
        self._addresses = addresses or Addresses()
        self._session: aiohttp.ClientSession | None = None
        self._contexts = TlsContexts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, request: Get, credentials: Credentials = NOBODY) -> Answer:
        """Return what the server says. Raises MetricError, whose message holds nothing of the credentials."""
        endpoint = endpoint_of(request.url)
        if not endpoint:
            raise MetricError("unsupported", "the address can't be read in one way only")
        if refused := self._addresses.refusal(*server_of(request.url)):
            raise MetricError("not_allowed", f"{endpoint}: {refused}")
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await self._get(request, endpoint, credentials)
        except TimeoutError:
            raise MetricError("timeout", f"{endpoint} gave no whole answer within {request.timeout_ms} ms") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translated(endpoint, error, credentials) from None

    async def _get(self, request: Get, endpoint: str, credentials: Credentials) -> Answer:
        headers, params = _shown(request, credentials)
        tls: ssl.SSLContext | bool = True
        if endpoint.startswith("https:"):
            tls = self._contexts.of(credentials, mutual="tls" in request.modes, unsafe=request.unsafe_ssl)
        text = request.url.partition("#")[0]
        if params:
            text += f"{'&' if '?' in text else '?'}{urlencode(params)}"
        async with self._opened().get(
            URL(text, encoded=True), headers=headers, ssl=tls, allow_redirects=False
        ) as response:
            if _REDIRECT <= response.status < _CLIENT_ERROR:
                # a redirect is where credentials leak to whoever is named in it
                raise MetricError("redirect", f"{endpoint} answers {response.status} and sends elsewhere: not followed")
            if response.status in _REFUSED:
                raise MetricError("auth", f"{endpoint} answers {response.status}: it refuses the credentials")
            return Answer(
                status=response.status,
                body=await _read(response, endpoint),
                retry_after_ms=_retry_after_ms(response.headers.get("Retry-After", "")),
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # how much may be under way to one server is the runtime's business: no server may use up what another one needs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=_KEEPALIVE_S, socket_factory=self._addresses.socket
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,  # a small answer must not become a large one here
                headers={"User-Agent": f"burster/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._session


def checked(answer: Answer, endpoint: str, detail: str = "") -> bytes:
    """Return the body of a success. Raises MetricError for every other status; ``detail`` is what the server said in plain words."""
    if answer.status < _REDIRECT:
        return answer.body
    fault: Fault = "client_error"
    if answer.status == _TOO_MANY:
        fault = "throttled"
    elif answer.status >= _SERVER_ERROR:
        fault = "server_error"
    told = f": {printable(detail)}" if detail else ""
    raise MetricError(fault, f"{endpoint} answers {answer.status}{told}", retry_after_ms=answer.retry_after_ms)


def printable(text: str) -> str:
    """Return a foreign text as one short line."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * _DETAIL_MAX]).split())
    return line if len(line) <= _DETAIL_MAX else f"{line[:_DETAIL_MAX]}…"


def _shown(request: Get, credentials: Credentials) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Return the headers and parameters that the modes of authentication make of the credentials."""
    headers, params = dict(request.headers), request.params
    for mode in request.modes:
        match mode:
            case "bearer":
                token = credentials.get("bearerToken") or credentials.get("token")
                headers["Authorization"] = f"Bearer {token or credentials.need('bearerToken', mode)}"
            case "basic":
                # KEDA takes a user without a password
                pair = f"{credentials.need('username', mode)}:{credentials.get('password')}"
                headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            case "custom":
                headers[credentials.need("customAuthHeader", mode)] = credentials.need("customAuthValue", mode)
            case "apiKey":
                value = credentials.need("apiKey", mode)
                if request.key_in == "query":
                    params = (*params, (request.key_name or "api_key", value))
                else:
                    headers[request.key_name or "X-API-KEY"] = value
            case "tls":
                pass
            case "oauth":
                raise MetricError(
                    "unsupported", "burster can't authenticate by oauth: use bearer, basic, custom or tls"
                )
    for name in headers:
        if name.lower() in ROUTING_HEADERS:
            raise MetricError(
                "unsupported", f"the header {name} is not a policy's to set: it says whom a request is for"
            )
    return headers, params


async def _read(response: aiohttp.ClientResponse, endpoint: str) -> bytes:
    if (response.content_length or 0) > BODY_MAX_BYTES:
        raise _too_large(endpoint)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            raise _too_large(endpoint)
    return bytes(body)


def _too_large(endpoint: str) -> MetricError:
    return MetricError(
        "too_large", f"{endpoint} answers with more than {BODY_MAX_BYTES} bytes, where one number will do"
    )


def _retry_after_ms(text: str) -> int | None:
    return min(int(text), _RETRY_AFTER_MAX_S) * 1000 if text.isascii() and text.isdecimal() and len(text) < 9 else None  # noqa: PLR2004


def _translated(endpoint: str, error: Exception, credentials: Credentials) -> MetricError:
    """Return what a failure of the transport means. The libraries' own words may hold the whole address, so few of them are passed on."""
    cause: BaseException = error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
    if isinstance(error, aiohttp.InvalidURL):
        return MetricError("unsupported", "the address can't be read in one way only")
    if refused := refused_in(cause):
        return MetricError("not_allowed", f"{endpoint}: {refused}")
    fault, why = _why(error, cause) or (
        "client_error",
        f"it can't be sent ({credentials.scrub(printable(str(error)))})",
    )
    return MetricError(fault, f"{endpoint}: {why}")


def _why(error: Exception, cause: BaseException) -> tuple[Fault, str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "tls", f"its certificate is not trusted ({cause.verify_message or 'not verified'})"
    if isinstance(cause, ssl.SSLError) or "SSL" in str(cause):
        return "tls", f"TLS fails ({getattr(cause, 'reason', None) or 'handshake refused'})"
    if isinstance(error, aiohttp.ClientConnectorError):
        nowhere = isinstance(error, aiohttp.ClientConnectorDNSError)
        why = "no such host" if nowhere else getattr(cause, "strerror", None) or "refused"
        return "unreachable", f"no connection ({why})"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return "protocol", "the answer is broken off, or no HTTP"
    if isinstance(error, aiohttp.ClientError | OSError):
        return "unreachable", f"the connection broke ({type(error).__name__})"
    return None
