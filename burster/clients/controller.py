"""The controller's read-only answers (/v1), asked by one-shot commands: through the API server's proxy, or at an address.

By the proxy the cluster's RBAC decides who may ask (get on services/proxy in burster's namespace) and nobody has to forward a port. The
proxy passes no identity on, so where the controller wants to know who asks, a short-lived token is requested that is good for nothing
else (docs/design/0026). What stands in the way before a controller has said anything is a NoControllerError: callers may then look
elsewhere.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import urllib3
import urllib3.exceptions

from burster import __version__
from burster.clients.kube_errors import not_asked
from burster.clients.kube_sync import KubeSync, Params
from burster.model.errors import BursterError, InputError, RemoteError


#: a service of this name, and a port of this name, belong to deploy/
SERVICE: Final = "burster"
PORT_NAME: Final = "http"
_GROUP: Final = "burster.dev"
#: a long ledger takes seconds to read
TIMEOUT_MS: Final = 60_000
_CONNECT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
_OK: Final = 200
_WORDS: Final = {
    401: "the cluster does not know who you are",
    403: "you may not use its services/proxy there",
    404: "there is no such service, or it is of another version",
    502: "nobody behind it answers",
    503: "nobody behind it answers",
    504: "nobody behind it answers in time",
}

#: for which audience tokens are, whose account they are requested from, and how long they are good (the least that Kubernetes gives)
AUDIENCE: Final = "burster"
ACCOUNT: Final = "burster-ask"
_TOKEN_S: Final = 600
_TOKEN_HEADER: Final = "X-Burster-Token"  # noqa: S105 - the name of a header
_TOKEN_BYTES_MAX: Final = 7_000

Headers = Mapping[str, str]
Fetch = Callable[[str, Params, Headers], tuple[int, bytes]]


#: refusals after which others may be asked
_NOT_HERE: Final = frozenset({"StandingBy", "NotReady", "NeedsToken", "Forbidden"})


class NoControllerError(BursterError):
    """No controller has answered; the message says why, without a subject: "you may not use …"."""


class AnswerError(InputError):
    """The controller has answered, and the answer is no."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _Details(msgspec.Struct):
    group: str = ""
    name: str = ""
    port: int = 0


class _Refusal(msgspec.Struct):
    reason: str = ""
    message: str = ""
    details: _Details | None = None


class ControllerClient:
    """Asks one controller.

    ``leader`` gives another way to ask, for a replica that stands by: by the leader's identity and port. ``credentials`` gives the headers
    that tell who asks, anew whenever the controller wants some.
    """

    def __init__(
        self,
        fetch: Fetch,
        where: str,
        leader: Callable[[str, int], Fetch] | None = None,
        credentials: Callable[[], Headers] | None = None,
    ) -> None:
        self._fetch = fetch
        self._leader = leader
        self._credentials = credentials
        self._headers: Headers = {}
        self.where = where

    @classmethod
    def through(cls, kube: KubeSync, namespace: str) -> "ControllerClient":
        """Ask through the API server: the service, and where that comes to a replica that stands by, the leader's pod."""
        home = f"/api/v1/namespaces/{quote(namespace, safe='')}"

        def by(path: str) -> Fetch:
            return lambda question, params, headers: kube.ask(
                f"{home}/{path}/proxy{question}", params, timeout_ms=TIMEOUT_MS, headers=headers
            )

        def leader(identity: str, port: int) -> Fetch:
            # an identity is the pod's name, an underscore, and what tells its processes apart
            pod = identity.rpartition("_")[0]
            return by(f"pods/{quote(pod, safe='')}:{port}")

        def token() -> Headers:
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [AUDIENCE], "expirationSeconds": _TOKEN_S},
            }
            try:
                made = kube.create(f"{home}/serviceaccounts/{ACCOUNT}/token", request)
                return {_TOKEN_HEADER: str(made["status"]["token"])}
            except (RemoteError, KeyError, TypeError) as error:
                raise NoControllerError(
                    f"it wants a token of the account {ACCOUNT}, and you get none ({error}): the Role {ACCOUNT} allows it"
                ) from error

        service = f"services/{SERVICE}:{PORT_NAME}"
        return cls(by(service), f"the service {SERVICE} in {namespace}", leader, token)

    @classmethod
    def at(cls, address: str, token_file: Path | None = None) -> "ControllerClient":
        """Ask at an http(s) address, with the token in a file where one is named. Raises InputError for what can't be used."""
        base = _checked(address)
        pool = urllib3.PoolManager(headers={"User-Agent": f"burster/{__version__}", "Accept": "application/json"})

        def fetch(question: str, params: Params, headers: Headers) -> tuple[int, bytes]:
            url = f"{base}{question}?{urlencode(params)}"
            try:
                answer = pool.request(
                    "GET",
                    url,
                    headers={**pool.headers, **headers},
                    timeout=urllib3.Timeout(connect=_CONNECT_S, read=TIMEOUT_MS / 1000),
                    retries=False,
                    redirect=False,
                )
            except urllib3.exceptions.NewConnectionError as error:  # a kind of time-out for urllib3
                raise NoControllerError(f"nobody answers there ({_cause(error)})") from error
            except urllib3.exceptions.TimeoutError as error:
                raise NoControllerError("no answer in time") from error
            except urllib3.exceptions.HTTPError as error:
                raise NoControllerError(f"nobody answers there ({_cause(error)})") from error
            return answer.status, answer.data

        if token_file is None:
            return cls(fetch, base)

        def bearer() -> Headers:
            return {"Authorization": f"Bearer {_token_in(token_file)}"}

        client = cls(fetch, base, credentials=bearer)
        client._headers = bearer()
        return client

    def get(self, question: str, params: Params, answer: type[Any]) -> Any:
        """Return an answer. Raises NoControllerError, AnswerError, and InputError where the cluster itself can't be asked."""
        body = self._body(question, params)
        if len(body) > ANSWER_BYTES_MAX:
            raise NoControllerError(f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoControllerError(f"what answers there is no burster of this version ({error})") from error

    def _body(self, question: str, params: Params) -> bytes:
        """Ask, and again where it is said how: with new credentials, and where the leader is; each once."""
        fetch, credentials, leader = self._fetch, self._credentials, self._leader
        while True:
            status, body = self._ask(fetch, question, params, self._headers)
            if status == _OK:
                return body
            refusal = _read(status, body)
            details = refusal.details or _Details()
            if refusal.reason == "NeedsToken" and credentials is not None:
                self._headers, credentials = credentials(), None
            elif refusal.reason == "StandingBy" and leader is not None and details.name and details.port:
                fetch, leader = leader(details.name, details.port), None
            elif refusal.reason == "NeedsToken" and self._credentials is None:
                raise NoControllerError(f"{refusal.message}; name a file that holds one with --token-file")
            elif refusal.reason in _NOT_HERE:
                raise NoControllerError(refusal.message)
            else:
                raise AnswerError(refusal.message, exit_code=2 if refusal.reason == "BadQuestion" else 1)

    @staticmethod
    def _ask(fetch: Fetch, question: str, params: Params, headers: Headers) -> tuple[int, bytes]:
        try:
            return fetch(question, params, headers)
        except RemoteError as error:
            if error.kind == "Timeout":
                # the API server took the question: it is who should answer behind it that does not
                raise NoControllerError("no answer in time") from error
            raise not_asked(error) from error


def _read(status: int, body: bytes) -> _Refusal:
    """Return the controller's own refusal. Raises NoControllerError where it is somebody else's."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refusal = _Refusal()
    if refusal.details is None or refusal.details.group != _GROUP or not refusal.reason:
        raise NoControllerError(_WORDS.get(status, f"HTTP {status}"))
    return refusal


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = None
    if not usable or parts is None or parts.query or parts.fragment:
        raise InputError(f"--server {address!r} is no address of a controller: expected http(s)://HOST:PORT")
    if parts.username or parts.password:
        raise InputError("--server must not carry a password: it would end up in the shell's history")
    return address.rstrip("/")


def _token_in(file: Path) -> str:
    """Return the token that a file holds. Raises InputError."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: no token can be read there ({getattr(error, 'strerror', None) or 'it is no text'})"
        ) from error
    if not token or len(token) > _TOKEN_BYTES_MAX or not token.isprintable() or " " in token:
        raise InputError(f"{file}: this is no token: expected one line, as `kubectl create token` prints it")
    return token


def _cause(error: Exception) -> str:
    return " ".join(str(error).split()).rpartition(": ")[2] or type(error).__name__
