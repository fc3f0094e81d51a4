"""The part of the controller's HTTP face that answers `burster status`, `why`, `history` and `spend`: read-only JSON under /v1.

A gate, where there is one, says who may ask: about everything, or about one namespace, and then no word about others is in the answer
(docs/design/0026). What can't be answered is told as a Kubernetes Status object whose details name our group, so that a client tells the
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
    ForbiddenError,
    Gate,
    HistoryAnswer,
    HistoryQuery,
    NotFoundError,
    NotReadyError,
    Questions,
    StandingByError,
    UnknownAskerError,
    WhyAnswer,
)
from burster.surfaces.spending import SpendQuery, SpendReport


PREFIX: Final = "/v1"
GROUP: Final = "burster.dev"  #: in an error's details: it is the controller that says so
#: where the token is when the API server stands between: it takes the Authorization header for itself, and passes no identity on
TOKEN_HEADER: Final = "X-Burster-Token"  # noqa: S105 - the name of a header
_JSON: Final = "application/json"
#: the first that fits: HTTP status, and the word by which the client knows it
_KINDS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (AmbiguousError, 409, "AmbiguousName"),
    (NotFoundError, 404, "UnknownName"),
    (UnknownAskerError, 401, "NeedsToken"),
    (ForbiddenError, 403, "Forbidden"),
    (StandingByError, 503, "StandingBy"),
    (NotReadyError, 503, "NotReady"),
    (BusyError, 429, "Busy"),
    (InputError, 400, "BadQuestion"),
    (BursterError, 500, "CannotAnswer"),
)

A = TypeVar("A")
N = TypeVar("N", HistoryQuery, SpendQuery)
Q = TypeVar("Q", bound=msgspec.Struct)


def routes(questions: Questions, gate: Gate | None = None) -> list[web.RouteDef]:
    """Return the routes of /v1. Without a gate everybody may ask about everything."""

    async def within(request: web.Request, namespace: str) -> str:
        """Return the only namespace that the answer may be about, "" where it may be about everything."""
        whole = gate is None or await gate.admit(_token(request), namespace)
        return "" if whole else namespace

    async def status(request: web.Request) -> Any:
        _query(request, _Nothing)
        await within(request, "")
        return await questions.status()

    async def why(request: web.Request) -> WhyAnswer:
        name = _query(request, _Name).name
        only = await within(request, name.partition("/")[0] if "/" in name else "")
        return await _discreetly(questions.why(name), name, only)

    async def history(request: web.Request) -> HistoryAnswer:
        query = _query(request, HistoryQuery)
        only = await within(request, _namespace_of(query))
        answer = await _discreetly(questions.history(_narrowed(query, only)), query.policy, only)
        # how many there are in all is nothing that one namespace's users are told
        return msgspec.structs.replace(answer, total=len(answer.decisions)) if only else answer

    async def spend(request: web.Request) -> SpendReport:
        query = _query(request, SpendQuery)
        only = await within(request, _namespace_of(query))
        return await _discreetly(questions.spend(_narrowed(query, only)), query.policy, only)

    answers = {"status": status, "why": why, "history": history, "spend": spend}
    return [web.get(f"{PREFIX}/{name}", _answering(answer)) for name, answer in answers.items()]


def _token(request: web.Request) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get(TOKEN_HEADER, "") or (bearer.strip() if scheme.lower() == "bearer" else "")


def _namespace_of(query: HistoryQuery | SpendQuery) -> str:
    """Return the namespace that a question is about; "" where it is about more than one."""
    return query.namespace or (query.policy.partition("/")[0] if "/" in query.policy else "")


def _narrowed(query: N, only: str) -> N:
    """Return the question about one namespace: a plain name is a name there. Raises ForbiddenError for another's policy."""
    if not only:
        return query
    policy = f"{only}/{query.policy}" if query.policy and "/" not in query.policy else query.policy
    if policy and policy.partition("/")[0] != only:
        raise ForbiddenError(f"{query.policy} is not in namespace {only}")
    return msgspec.structs.replace(query, namespace=only, policy=policy)


async def _discreetly(answer: Awaitable[A], name: str, only: str) -> A:
    """Return the answer; a name that nobody has is told without what else there is, where that may be another namespace's."""
    try:
        return await answer
    except NotFoundError:
        if not only:
            raise
        raise NotFoundError(f"nothing is known of {name!r} in namespace {only}") from None


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
