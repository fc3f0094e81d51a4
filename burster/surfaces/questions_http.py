"""The part of the controller's HTTP face that answers `burster status`, `why`, `history` and `spend`: read-only JSON under /v1.

It has no idea who asks: whoever reaches it sees every namespace. Through the API server that takes services/proxy in burster's namespace
(deploy/view.yaml). What can't be answered is told as a Kubernetes Status object whose details name our group, so that a client tells the
controller's own "no" from that of the API server before it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from burster.model.errors import BursterError, InputError
from burster.surfaces.answers import (
    AmbiguousError,
    BusyError,
    HistoryQuery,
    NotFoundError,
    Questions,
    StandingByError,
)
from burster.surfaces.spending import SpendQuery


PREFIX: Final = "/v1"
GROUP: Final = "burster.dev"  #: in an error's details: it is the controller that says so
_JSON: Final = "application/json"
#: the first that fits: HTTP status, and the word by which the client knows it
_KINDS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (AmbiguousError, 409, "AmbiguousName"),
    (NotFoundError, 404, "UnknownName"),
    (StandingByError, 503, "StandingBy"),
    (BusyError, 429, "Busy"),
    (InputError, 400, "BadQuestion"),
    (BursterError, 500, "CannotAnswer"),
)

Q = TypeVar("Q", bound=msgspec.Struct)


def routes(questions: Questions) -> list[web.RouteDef]:
    """Return the routes of /v1."""

    async def status(request: web.Request) -> Any:
        _query(request, _Nothing)
        return await questions.status()

    async def why(request: web.Request) -> Any:
        return await questions.why(_query(request, _Name).name)

    async def history(request: web.Request) -> Any:
        return await questions.history(_query(request, HistoryQuery))

    async def spend(request: web.Request) -> Any:
        return await questions.spend(_query(request, SpendQuery))

    answers = {"status": status, "why": why, "history": history, "spend": spend}
    return [web.get(f"{PREFIX}/{name}", _answering(answer)) for name, answer in answers.items()]


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Name(msgspec.Struct, forbid_unknown_fields=True):
    name: str


def _query(request: web.Request, model: type[Q]) -> Q:
    """Return the query's fields as a value. Raises InputError."""
    given: dict[str, Any] = {}
    known = {field.name for field in msgspec.structs.fields(model)}
    for name, value in request.query.items():
        if name not in known:
            raise InputError(
                f"nobody asks by {name[:100]!r} here: known are {', '.join(sorted(known)) or 'no parameters'}"
            )
        if name in given:
            raise InputError(f"{name} is given twice")
        given[name] = [part for part in value.split(",") if part] if name == "by" else value
    try:
        return msgspec.convert(given, model, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"the question can't be read: {error}") from error


def _answering(ask: Callable[[web.Request], Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        try:
            return web.Response(body=msgspec.json.encode(await ask(request)), content_type=_JSON)
        except BursterError as error:
            return _refusal(request, error)

    return handler


def _refusal(request: web.Request, error: Exception) -> web.Response:
    code, reason = next((status, word) for kind, status, word in _KINDS if isinstance(error, kind))
    details: dict[str, Any] = {"group": GROUP, "kind": reason}
    if isinstance(error, StandingByError) and request.transport is not None:
        # with its port, as who asked came through a service and is to ask the leader's pod itself
        details |= {"name": error.leader, "port": request.transport.get_extra_info("sockname")[1]}
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": str(error),
        "details": details,
        "code": code,
    }
    return web.Response(body=msgspec.json.encode(body), status=code, content_type=_JSON)
