"""Long operations of ARM, by a token that any process can follow: where to look, and what is found there.

The token is the path (never the host) of the address that ARM named for looking after an operation, so that whoever can write a token
can't have a login sent anywhere. It opens nothing by itself: every look needs a login of its own. The signed parameters that ARM puts
into such an address are kept, for ARM may insist on them.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from burster.clients.arm.answers import ErrorBody, read_error, understood
from burster.clients.arm_facts import OperationState
from burster.model.errors import RemoteError
from burster.model.offerings import CloudFailure


#: longer ones are not kept: whoever asked looks at the resource itself instead
TOKEN_MAX: Final = 8_000
_VERSION: Final = "1"
#: ``a``: Azure-AsyncOperation, which tells its status in words; ``l``: Location, which tells it by HTTP status
_KINDS: Final = {"Azure-AsyncOperation": "a", "Location": "l"}
_RUNNING: Final = frozenset(
    {"inprogress", "running", "accepted", "creating", "updating", "deleting", "notstarted", "pending", "started"}
)


class _OperationWire(msgspec.Struct):
    status: str
    error: ErrorBody | None = None


def token_of(headers: Mapping[str, str], path_of: Callable[[str], str | None]) -> str:
    """Return the token of the operation that an answer speaks of; empty where there is none, or none that may be followed."""
    for header, kind in _KINDS.items():
        url = headers.get(header) or ""
        path = path_of(url) if url else None
        if path:
            token = f"{_VERSION}{kind}{path}"
            return token if len(token) <= TOKEN_MAX else ""
    return ""


def place_of(token: str, what: str) -> tuple[bool, str, str]:
    """Return whether an operation tells its status in words, its path, and its name. Raises RemoteError Invalid for what is no token."""
    kind, path = token[1:2], token[2:]
    sound = token[:1] == _VERSION and kind in _KINDS.values() and len(token) <= TOKEN_MAX
    if not sound or not path.startswith("/subscriptions/") or not path.isascii() or ".." in path.partition("?")[0]:
        raise RemoteError("Invalid", f"{what}: this is no token of an operation", matter="configuration")
    return kind == "a", path, path.partition("?")[0].rsplit("/", 1)[-1]


def read_operation(*, in_words: bool, status: int, body: bytes, retry_after_ms: int | None) -> OperationState | None:
    """Return what one look has shown; None for an answer that is a refusal of the look itself."""
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return OperationState(state="Forgotten")
    if status == HTTPStatus.ACCEPTED:
        return OperationState(state="InProgress", retry_after_ms=retry_after_ms)
    if status not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}:
        return None if in_words else _failed_at_its_end(status, body)
    if status == HTTPStatus.NO_CONTENT or not (in_words or _tells_status(body)):
        return OperationState(state="Succeeded")
    return _in_words(body, retry_after_ms)


def _tells_status(body: bytes) -> bool:
    """Say whether what a Location led to is an operation's status, as with some resources, and not the resource that it made."""
    try:
        msgspec.json.decode(body, type=_OperationWire)
    except (msgspec.DecodeError, ValueError):
        return False
    return True


def _in_words(body: bytes, retry_after_ms: int | None) -> OperationState:
    wire = msgspec.json.decode(body, type=_OperationWire)
    told = wire.status.casefold()
    if told == "succeeded":
        return OperationState(state="Succeeded")
    if told in {"failed", "canceled", "cancelled"}:
        return OperationState(state="Failed" if told == "failed" else "Canceled", failure=_failure(wire, told))
    if told in _RUNNING:
        return OperationState(state="InProgress", retry_after_ms=retry_after_ms)
    raise ValueError(f"{wire.status!r} is no state of an operation")


def _failure(wire: _OperationWire, told: str) -> CloudFailure:
    if wire.error is not None:
        return understood(HTTPStatus.OK, wire.error)
    if told == "failed":
        return CloudFailure(kind="Unavailable", code="OperationFailed", matter="unknown", message="without a word")
    return CloudFailure(kind="Unavailable", code="OperationCanceled", matter="conflict", message="somebody canceled it")


def _failed_at_its_end(status: int, body: bytes) -> OperationState | None:
    """A Location answers with the operation's own refusal; what only speaks of the look (login, haste, a server's fault) is none."""
    error = read_error(body)
    if status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED} or error is None:
        return None
    return OperationState(state="Failed", failure=understood(status, error))
