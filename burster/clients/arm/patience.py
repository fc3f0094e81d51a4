"""Every request's way to ARM: at the pace that is allowed, and again where that can do no harm.

A policy in the pipeline of Azure's client, in place of the SDK's own retries (which know no bucket but the one they have just emptied).
Reads and deletions are repeated a few times after a fault that passes; a PUT only where certainly nothing was done. What took too long is
never repeated: who asked knows best whether it is still worth it.
"""

import asyncio
import zlib
from collections.abc import Callable
from typing import Any, Final, Literal

import aiohttp
import msgspec
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy

from burster.clients.arm.pacing import Call, Pacer
from burster.model.errors import RemoteError


#: the keyword by which a call travels with its request
CALL: Final = "burster_call"

_ATTEMPTS_MAX: Final = 4
_FIRST_PAUSE_S: Final = 0.5
_TOO_MANY: Final = 429
_BUSY: Final = 503
#: Azure's longest window is an hour. Whoever says more would close a whole subscription for as long.
_RETRY_AFTER_MAX_S: Final = 3_600.0
_PASSING: Final = frozenset({408, 500, 502, 503, 504})

Level = Literal["resource", "subscription", "arm"]


class Patience(AsyncHTTPPolicy[Any, Any]):
    """Paces, repeats, and shows every answer to ``seen``. ``request_s`` is for one attempt, ``patience_s`` for all pauses together."""

    def __init__(self, pacer: Pacer, *, request_s: float, patience_s: float, seen: Callable[[Any], None]) -> None:
        super().__init__()
        self._pacer = pacer
        self._request_s = request_s
        self._patience_s = patience_s
        self._seen = seen

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Return the last answer. Raises what the transport raises, and RemoteError Throttled where the turn would come too late."""
        call: Call = request.context.options.pop(CALL)
        loop = asyncio.get_running_loop()
        options = dict(request.context.options)
        paused_s = 0.0
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            paused_s += await self._turn(call, self._patience_s - paused_s)
            # what policies further down have taken out of the options is there again for the next attempt
            request.context.options.clear()
            request.context.options.update(options)
            pause_s: float | None
            try:
                response = await self._once(request, call)
            except (ServiceRequestError, ServiceResponseError) as error:
                pause_s = _pause(attempt, call) if _harmless(error, call) else None
                if pause_s is None or attempt == _ATTEMPTS_MAX or paused_s + pause_s > self._patience_s:
                    raise
            else:
                pause_s = await self._again(response.http_response, call, attempt, loop.time())
                if pause_s is None or attempt == _ATTEMPTS_MAX or paused_s + pause_s > self._patience_s:
                    return response
            await asyncio.sleep(pause_s)
            paused_s += pause_s
        raise AssertionError("unreachable")  # pragma: no cover

    async def _turn(self, call: Call, patience_s: float) -> float:
        """Wait until it is this call's turn and return for how long that was."""
        loop = asyncio.get_running_loop()
        wait_s, taken = self._pacer.enter(call, loop.time(), patience_s)
        if not taken:
            raise RemoteError(
                "Throttled",
                f"{call.what}: so much is asked of ARM that its turn comes in {wait_s:.0f} s only",
                code="Paced",
                retry_after_ms=int(wait_s * 1000) + 1,
                matter="throttled",
            )
        if wait_s > 0:
            try:
                await asyncio.sleep(wait_s)
            except asyncio.CancelledError:
                self._pacer.left(call, loop.time())
                raise
        return wait_s

    async def _once(self, request: PipelineRequest[Any], call: Call) -> PipelineResponse[Any, Any]:
        headers: Any = ()
        try:
            async with asyncio.timeout(self._request_s):
                response = await self.next.send(request)
            headers = response.http_response.headers.items()
            self._seen(response.http_response)
            return response
        finally:
            self._pacer.landed(call, asyncio.get_running_loop().time(), headers)

    async def _again(self, answer: Any, call: Call, attempt: int, now: float) -> float | None:
        """Return how long to wait before asking again, None where this answer is the answer."""
        status: int = answer.status_code
        pause_s = retry_after_s(answer.headers)
        if status == _TOO_MANY:
            pause_s = _pause(attempt, call) if pause_s is None else pause_s
            self._pacer.refuse(call, now, pause_s, await _emptied(answer))
            return pause_s
        if status == _BUSY or (status in _PASSING and _repeatable(call)):
            return _pause(attempt, call) if pause_s is None else pause_s
        return None


def retry_after_s(headers: Any) -> float | None:
    """Return after how many seconds ARM wants to be asked again, None where it doesn't say (or says it as a date, which it never does)."""
    for name, scale in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("Retry-After", 1.0)):
        text = str(headers.get(name) or "").strip()
        if text.isdecimal() and text.isascii():
            return min(int(text[:12]) * scale, _RETRY_AFTER_MAX_S)
    return None


def _repeatable(call: Call) -> bool:
    return call.kind not in {"PutVm", "Write"}


def _harmless(error: Exception, call: Call) -> bool:
    """Say whether nothing can have been done, or doing it once more makes no difference."""
    inner = getattr(error, "inner_exception", None)
    if isinstance(inner, aiohttp.ClientConnectorError):
        return not isinstance(inner, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError)
    return _repeatable(call) and isinstance(inner, aiohttp.ClientError)


def _pause(attempt: int, call: Call) -> float:
    """Return a pause that doubles, spread by what is asked for, so that many who failed together don't come together again."""
    spread = zlib.crc32(f"{call.what}/{call.resource}".encode()) % 1000 / 1000
    return _FIRST_PAUSE_S * 2 ** (attempt - 1) * (0.75 + spread / 2)


class _Detail(msgspec.Struct):
    target: str | None = None


class _TooMany(msgspec.Struct):
    code: str | None = None
    details: list[_Detail] | None = None


class _TooManyWire(msgspec.Struct):
    error: _TooMany


async def _emptied(answer: Any) -> Level:
    """Return which bucket a refusal for haste speaks of: Azure Compute names it in the details; ARM itself says that nothing is left."""
    for name in ("reads", "writes", "deletes"):
        if str(answer.headers.get(f"x-ms-ratelimit-remaining-subscription-{name}") or "").strip() == "0":
            return "arm"
    try:
        error = msgspec.json.decode(await answer.read(), type=_TooManyWire).error
    except Exception:  # noqa: BLE001 - whatever is wrong with the body, it is a refusal for haste
        return "subscription"
    if (error.code or "").casefold() == "subscriptionrequeststhrottled":
        return "arm"
    named = [(each.target or "").casefold() for each in error.details or ()]
    return "resource" if any(target.endswith("resource") for target in named) else "subscription"
