"""What an API server's refusals mean: HTTP statuses and Status objects to RemoteError; and why there are no credentials for it.

Called by both Kubernetes transports. Reading an answer must never raise anything of its own, whatever the body holds.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from burster.model.errors import InputError, RemoteError, RemoteKind


_MESSAGE_MAX: Final = 1_024
_FORBIDDEN: Final = 403
_USUAL: Final = "~/.kube/config"
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


#: the code of a refusal by which a namespace that is being deleted takes nothing new; its reason is Forbidden, as of a missing right
NAMESPACE_GOING: Final = "NamespaceTerminating"


class _Cause(msgspec.Struct):
    reason: str | None = None


class _Details(msgspec.Struct):
    retryAfterSeconds: int | None = None  # noqa: N815 - the wire's name
    causes: list[_Cause] | None = None


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
    details = told.details or _Details()
    if any(cause.reason == NAMESPACE_GOING for cause in details.causes or ()):
        reason = NAMESPACE_GOING
    seconds = int(retry_after) if retry_after.isdecimal() else details.retryAfterSeconds
    message = (told.message or "no reason given")[:_MESSAGE_MAX]
    return RemoteError(
        kind,
        f"{what}: {status} {reason or 'error'}: {message}",
        code=reason,
        status=status,
        retry_after_ms=None if seconds is None else seconds * 1000,
    )


def not_asked(error: RemoteError) -> InputError:
    """Return one sentence for a cluster that gave a command no answer, and what to do about it."""
    match error.kind:
        case "Unreachable" | "Timeout" | "Protocol":
            cure = "is it up, and the one you mean? --kubeconfig FILE or --context choose another"
        case "Unauthorized" if error.status != _FORBIDDEN:
            cure = "your credentials are not taken: log in again, or choose others with --kubeconfig FILE or --context"
        case "Unauthorized":
            cure = "ask who runs the cluster for that right"
        case _:
            cure = "ask again in a while"
    return InputError(f"the cluster can't be asked: {error}; {cure}")


def check_kubeconfig(path: str) -> None:
    """Raise InputError where no kubeconfig is to be had: none of those named (several as in $KUBECONFIG), or not the usual one."""
    named = path or os.environ.get("KUBECONFIG", "")  # noqa: TID251 - kubectl's own convention, not a setting of burster
    files = [Path(part).expanduser() for part in (named or _USUAL).split(os.pathsep) if part]
    if not any(file.is_file() for file in files):
        if not named:
            raise InputError(f"there is no kubeconfig at {_USUAL}: name one with --kubeconfig FILE, or set KUBECONFIG")
        raise InputError(f"{named}: no such kubeconfig file; name one that exists")
    for file in files:
        if file.is_file() and not file.stat().st_size:
            raise InputError(f"{file}: this kubeconfig is empty; name one that works")


def check_server(host: str, where: str) -> None:
    """Raise InputError where a kubeconfig's server is no address."""
    try:
        parts = urlsplit(host)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            f"{where or 'the usual kubeconfig'}: its server {host!r} is no http or https address; correct it there"
        )


def credentials_error(where: str, error: BaseException) -> InputError:
    """Return one sentence for what a client library said about its configuration."""
    detail = " ".join(str(error).split())
    if isinstance(error, TypeError | AttributeError):
        # what the libraries stumble over where the YAML is something else altogether
        detail = "this is no kubeconfig"
    return InputError(
        f"can't reach a cluster with {where or 'the usual kubeconfig'}: {detail}; name a kubeconfig that works, or its context"
    )
