"""Asks a Trustee whether it is well: GET /healthz, which it answers to anybody. Sends no secret and follows no redirect.

Used by the checks before a launch. What it says is whether it is there; whom it releases keys to is its own policy's business.
"""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from burster.model.errors import InputError, RemoteError


_DEADLINE_S: Final = 10.0
_BODY_MAX: Final = 4_096
_OK: Final = 200


class TrusteeClient:
    """One session for all Trustees. ``ca_file``: trusted besides the system's authorities."""

    def __init__(self, ca_file: str = "") -> None:
        """Raise InputError for a file that holds no certificate."""
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = _context(ca_file) if ca_file else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def health(self, url: str) -> str:
        """Return the first line of its answer. Raises RemoteError, with code Certificate for one that does not hold."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RemoteError("Invalid", f"{url} is no address of a Trustee")
        asked = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/healthz"
        try:
            async with (
                asyncio.timeout(_DEADLINE_S),
                self._session.get(asked, ssl=self._context or True, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(_BODY_MAX)
        except TimeoutError:
            raise RemoteError("Timeout", f"{asked}: no answer within {_DEADLINE_S:g} s") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError, ssl.SSLError) as error:
            raise RemoteError(
                "Protocol", f"{asked}: its certificate does not hold: {_why(error)}", code="Certificate"
            ) from error
        except aiohttp.ClientError as error:
            raise RemoteError("Unreachable", f"{asked} can't be reached: {_why(error)}") from error
        except (ValueError, OSError) as error:
            raise RemoteError("Unreachable", f"{asked} can't be reached: {_why(error)}") from error
        if answer.status != _OK:
            raise RemoteError("Unavailable", f"{asked} answers {answer.status}", status=answer.status)
        return body.decode(errors="replace").strip().partition("\n")[0]


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=Path(ca_file).read_text(encoding="utf-8"))
    except (OSError, ssl.SSLError, ValueError) as error:
        raise InputError(f"{ca_file} holds no certificate in PEM: {error}") from error
    return context


def _why(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
