"""From whatever Azure's client raises, and from ARM's own errors, to RemoteError: understood, short, and without any secret.

Called for every request of burster.clients.arm. ARM may echo what it was sent: tokens and signatures are taken out of every text here,
before it is in an exception, a log, a condition or the ledger.
"""

import re
from http import HTTPStatus
from typing import Any, Final, cast

import aiohttp
import msgspec
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from burster.clients.arm.patience import retry_after_s
from burster.clients.arm_cures import cure_of
from burster.clients.arm_errors import Classified, classify
from burster.model.errors import RemoteError
from burster.model.offerings import CloudFailure


_MESSAGE_MAX: Final = 600
_TEXT_MAX: Final = 20_000
_SECRETS: Final = re.compile(
    r"eyJ[\w-]{5,}(?:\.[\w-]*){0,2}"  # a JSON web token, or the beginning of one
    r"|(?<=Bearer )\S+"
    r"|(?<=[?&;](?:sig)=)[^&\s\"']+"
    r"|(?<=client_secret=)[^&\s\"']+"
    r"|(?<=client_assertion=)[^&\s\"']+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    re.IGNORECASE,
)
_HTML: Final = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
#: codes that only say that what is within them failed
_WRAPPERS: Final = frozenset(
    {"conflict", "badrequest", "deploymentfailed", "resourcedeploymentfailure", "resourceoperationfailure", "vmextensionprovisioningerror"}
)  # fmt: skip
_DETAILS_MAX: Final = 20


class ErrorBody(msgspec.Struct):
    """ARM's error, wherever it is: of an answer, an operation, a detail of another one."""

    code: str | None = None
    message: str | None = None
    details: "list[ErrorBody] | None" = None


class _Wrapped(msgspec.Struct):
    error: ErrorBody


def short(text: str) -> str:
    """Return one line of bearable length, and no secret in it."""
    return _SECRETS.sub("***", " ".join(text[:_TEXT_MAX].split()))[:_MESSAGE_MAX]


def read_error(body: bytes) -> ErrorBody | None:
    """Return what an answer's body says went wrong; None where it is no error of ARM."""
    for shape in (_Wrapped, ErrorBody):
        try:
            read = msgspec.json.decode(body, type=shape)
        except (msgspec.DecodeError, ValueError):
            continue
        found = read.error if isinstance(read, _Wrapped) else read
        if found.code or found.message:
            return found
    return None


def understood(status: int, error: ErrorBody) -> CloudFailure:
    """Return what an error means: by its own code, or by the best one within it."""
    found, message = _best(status, error)
    return CloudFailure(
        kind=found.kind, code=found.code, matter=found.matter, message=short(message), limit_vcpus=found.limit_vcpus
    )


def _best(status: int, error: ErrorBody) -> tuple[Classified, str]:
    code, message = error.code or "", error.message or ""
    own = classify(status, code, message)
    if code.casefold() not in _WRAPPERS and own.matter != "unknown":
        return own, message
    for detail in (error.details or ())[:_DETAILS_MAX]:
        found, inner = _best(status if detail.code is None else 0, detail)
        if detail.code and found.matter not in {"unknown", "service"}:
            return found, inner or message
    return own, message


def translate(error: Exception, what: str) -> RemoteError:
    """Return the RemoteError for whatever Azure's client raised."""
    if isinstance(error, ClientAuthenticationError) and (error.response is None or "AADSTS" in str(error.message)):
        return _no_token(error, what)
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _of_answer(error, what)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return _of_the_way(error, what)
    if isinstance(error, OSError):
        return _of_the_system(error, what)
    return RemoteError(
        "Protocol", f"{what}: the answer makes no sense: {short(str(error))}", code="Protocol", matter="service"
    )


def _of_the_system(error: OSError, what: str) -> RemoteError:
    """Return what is wrong on this machine: a login's own file, which is read anew for each token, or a socket."""
    told = short(str(error))
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        sentence = f"{what}: no token: {told} (is the service account's token, or the Secret, still mounted?)"
        return RemoteError("Unauthorized", sentence, code="NoLogin", matter="auth")
    return RemoteError("Timeout", f"{what}: the connection broke: {told}", code="ConnectionLost", matter="network")


def _of_the_way(error: ServiceRequestError | ServiceResponseError, what: str) -> RemoteError:
    """Return what went wrong between here and ARM."""
    inner, told = error.inner_exception, short(str(error))
    if isinstance(inner, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        sentence = f"{what}: ARM's certificate is not trusted ({told}): is there a proxy that opens TLS? name its authority in ca_file"
        return RemoteError("Unreachable", sentence, code="Untrusted", matter="network")
    if isinstance(inner, aiohttp.ClientHttpProxyError):
        sentence = f"{what}: the proxy refuses the way to ARM ({inner.status} {short(inner.message)}): see HTTPS_PROXY and NO_PROXY"
        return RemoteError("Unreachable", sentence, code="ProxyRefused", matter="network")
    if isinstance(error, ServiceRequestError) and isinstance(inner, aiohttp.ClientConnectorError):  # nothing was sent
        return RemoteError("Unreachable", f"{what}: ARM can't be reached: {told}", code="Unreachable", matter="network")
    return RemoteError("Timeout", f"{what}: the connection broke: {told}", code="ConnectionLost", matter="network")


def refused(status: int, body: bytes, headers: Any, what: str) -> RemoteError:
    """Return the RemoteError for an answer that is a refusal."""
    error = read_error(body)
    if status == HTTPStatus.NOT_FOUND and not (error and error.code):
        # only ARM itself can vouch that something is not there, and it says so with a code
        sentence = f"{what}: HTTP 404 without a word of ARM's: does somebody in between answer in its place?"
        return RemoteError("Protocol", sentence, code="Protocol", status=status, matter="service")
    if error is None:
        text = body[:_TEXT_MAX].decode("utf-8", "replace")
        if _HTML.search(text):
            text = "the answer is a page for people, not ARM's: is there a proxy in between that asks for something?"
        error = ErrorBody(message=text or f"HTTP {status} without a word")
    found = understood(status, error)
    cure = cure_of(found.code, error.message or "")
    retry_s = retry_after_s(headers)
    return RemoteError(
        found.kind,
        f"{what}: {found.message}" + (f" ({cure})" if cure else ""),
        code=found.code,
        status=status,
        retry_after_ms=None if retry_s is None else int(retry_s * 1000),
        matter=found.matter,
        limit_vcpus=found.limit_vcpus,
    )


def _of_answer(error: HttpResponseError, what: str) -> RemoteError:
    response = cast("Any", error.response)
    try:
        body = cast("bytes", response.content)
    except Exception:  # noqa: BLE001 - a body that was never read is an answer without a word
        body = b""
    return refused(error.status_code or 0, body, response.headers, what)


def _no_token(error: ClientAuthenticationError, what: str) -> RemoteError:
    message = str(error.message)
    cure = cure_of("AuthenticationFailed", message)
    return RemoteError(
        "Unauthorized", f"{what}: no token: {short(message)} ({cure})", code="AuthenticationFailed", matter="auth"
    )
