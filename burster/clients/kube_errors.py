"""What an API server's refusals mean: HTTP statuses and Status objects to RemoteError; and why there are no credentials for it.

Called by both Kubernetes transports. Reading an answer must never raise anything of its own, whatever the body holds.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from burster.model.errors import InputError, RemoteError, RemoteKind


_MESSAGE_MAX: Final = 1_024
_KINDS: Final[dict[int, RemoteKind]] = {
    400: "Invalid",
    401: "Unauthorized",
    403: "Unauthorized",
    404: "NotFound",
    405: "Invalid",
    406: "Invalid",
    408: "Timeout",
    409: "Conflict",
    410: "Expired",
    413: "Invalid",
    415: "Invalid",
    422: "Invalid",
    429: "Throttled",
    504: "Timeout",  # the API server gave up waiting; the write may still have happened
}


class _Details(msgspec.Struct):
    retryAfterSeconds: int | None = None  # noqa: N815 - the wire's name


class Status(msgspec.Struct):
    """A Status object, as far as it is used; also what an ERROR event of a watch carries."""

    reason: str | None = None
    message: str | None = None
    code: int | None = None
    details: _Details | None = None


_status = msgspec.json.Decoder(Status)


def remote_error(what: str, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> RemoteError:
    """Return the error for an answer that is no success; ``what`` says what was tried: ``GET /api/v1/pods``."""
    try:
        told = _status.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = Status(message=body[:200].decode(errors="replace").strip())
    return status_error(what, status, told, (headers or {}).get("Retry-After", ""))


def status_error(what: str, status: int, told: Status, retry_after: str = "") -> RemoteError:
    """Return the error that a Status object means."""
    kind: RemoteKind = _KINDS.get(status) or ("Unavailable" if status >= 500 else "Protocol")  # noqa: PLR2004 - HTTP
    reason = told.reason or ""
    if reason == "AlreadyExists":
        kind = "AlreadyExists"
    elif reason in {"Expired", "Gone"}:
        kind = "Expired"
    seconds = int(retry_after) if retry_after.isdecimal() else (told.details or _Details()).retryAfterSeconds
    message = (told.message or "no reason given")[:_MESSAGE_MAX]
    return RemoteError(
        kind,
        f"{what}: {status} {reason or 'error'}: {message}",
        code=reason,
        status=status,
        retry_after_ms=None if seconds is None else seconds * 1000,
    )


def check_kubeconfig(path: str) -> None:
    """Raise InputError where a kubeconfig was named (several as in $KUBECONFIG) and none is there."""
    if path and not any(Path(part).expanduser().is_file() for part in path.split(os.pathsep) if part):
        raise InputError(f"{path}: no such kubeconfig file; name one that exists")


def credentials_error(where: str, error: BaseException) -> InputError:
    """Return one sentence for what a client library said about its configuration."""
    detail = " ".join(str(error).split())
    return InputError(
        f"can't reach a cluster with {where or 'the usual kubeconfig'}: {detail}; name a kubeconfig that works, or its context"
    )
