"""Who asks the controller, and what they may see: their token is reviewed by the API server, and so is their right to read Burst records.

Used by the HTTP surface as its gate. A token must have been issued for burster (its audience): one for the API server itself is refused,
so that nobody has to hand burster, or a network without TLS, a token that can do more than ask here. What the API server has said is
believed for ten seconds, and few ask it at the same time: whoever sends one wrong token after another can't make burster a load for it.
"""

import hashlib
from collections.abc import Hashable
from typing import Any, Final, Generic, TypeVar

import msgspec

from burster.clients.kube import Kube
from burster.model.errors import BursterError, RemoteError
from burster.runtime.clock import Clock
from burster.surfaces.answers import BusyError, ForbiddenError, UnknownAskerError


#: what tokens must be issued for
AUDIENCE: Final = "burster"
BELIEVED_S: Final = 10.0
#: answers that are kept, of each kind
_KEPT_MAX: Final = 256
#: how many reviews may be under way
REVIEWS_MAX: Final = 8
_DEADLINE_MS: Final = 5_000
_TOKENS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_RIGHTS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

V = TypeVar("V")


class Asker(msgspec.Struct, frozen=True):
    """Who a token belongs to, as the API server says."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = {}


class _TokenStatus(msgspec.Struct, frozen=True):
    authenticated: bool = False
    audiences: tuple[str, ...] = ()
    user: Asker = Asker()


class _TokenReview(msgspec.Struct):
    status: _TokenStatus = _TokenStatus()


class _RightStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class _RightReview(msgspec.Struct):
    status: _RightStatus = _RightStatus()


class TokenGate:
    """Admits those who may list Bursts: in one namespace to what is of it, in all namespaces to everything."""

    def __init__(self, kube: Kube, clock: Clock) -> None:
        self._kube = kube
        self._askers: _Believed[Asker | None] = _Believed(clock)
        self._rights: _Believed[bool] = _Believed(clock)
        self._under_way = 0

    async def admit(self, token: str, namespace: str) -> bool:
        """Say whether a token's owner may see everything; where not, they may see that namespace.

        Raises UnknownAskerError, ForbiddenError, BusyError, and BursterError where the API server can't be asked.
        """
        if not token:
            raise UnknownAskerError(
                f"the controller wants to know who asks: a token for the audience {AUDIENCE} is needed"
            )
        # hashed: what is kept in memory, and perhaps in a dump of it, is no credential
        mark = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        known = self._askers.get(mark)
        asker = known[0] if known is not None else self._askers.put(mark, await self._who(token))
        if asker is None:
            raise UnknownAskerError(
                f"the token that came along is not valid, or was not issued for the audience {AUDIENCE}"
            )
        if await self._may_list(mark, asker, ""):
            return True
        if namespace and await self._may_list(mark, asker, namespace):
            return False
        where = f"in namespace {namespace}" if namespace else "in all namespaces; of one, ask with -n NAMESPACE"
        raise ForbiddenError(f"{asker.username} may not list bursts.burster.dev {where}")

    async def _who(self, token: str) -> Asker | None:
        body = {"spec": {"token": token, "audiences": [AUDIENCE]}}
        status = (await self._review(_TOKENS, "TokenReview", "authentication", body, _TokenReview)).status
        # an API server that knows nothing of audiences names none: its word is then about tokens for anything
        if not status.authenticated or AUDIENCE not in status.audiences or not status.user.username:
            return None
        return status.user

    async def _may_list(self, mark: bytes, asker: Asker, namespace: str) -> bool:
        known = self._rights.get((mark, namespace))
        if known is not None:
            return known[0]
        what = {"verb": "list", "group": "burster.dev", "resource": "bursts", "namespace": namespace}
        body = {"spec": {**msgspec.to_builtins(asker), "user": asker.username, "resourceAttributes": what}}
        del body["spec"]["username"]
        review = await self._review(_RIGHTS, "SubjectAccessReview", "authorization", body, _RightReview)
        return self._rights.put((mark, namespace), review.status.allowed)

    async def _review(self, path: str, kind: str, group: str, body: dict[str, Any], answer: type[V]) -> V:
        if self._under_way >= REVIEWS_MAX:
            raise BusyError("too many who ask are being looked at: ask again in a while")
        self._under_way += 1
        try:
            whole = {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, **body}
            return msgspec.json.decode(await self._kube.create(path, whole, deadline_ms=_DEADLINE_MS), type=answer)
        except RemoteError as error:
            # burster's own rights are meant, or the API server itself: nothing that whoever asks can mend
            cure = "; deploy/view.yaml has the right" if error.kind == "Unauthorized" else ""
            raise BursterError(
                f"the controller can't find out who asks: it could not make a {kind} ({error.code or error.kind}){cure}"
            ) from error
        except msgspec.DecodeError as error:
            raise BursterError(
                f"the controller can't find out who asks: the answer to a {kind} can't be read"
            ) from error
        finally:
            self._under_way -= 1


class _Believed(Generic[V]):
    """What was said lately, the oldest forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[Hashable, tuple[float, V]] = {}

    def get(self, key: Hashable) -> tuple[V] | None:
        said = self._said.get(key)
        if said is None or self._clock.monotonic() - said[0] >= BELIEVED_S:
            return None
        return (said[1],)

    def put(self, key: Hashable, value: V) -> V:
        self._said.pop(key, None)
        self._said[key] = (self._clock.monotonic(), value)
        while len(self._said) > _KEPT_MAX:
            del self._said[next(iter(self._said))]
        return value
