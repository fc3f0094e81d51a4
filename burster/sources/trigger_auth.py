"""KEDA's TriggerAuthentication and ClusterTriggerAuthentication: from names to credentials.

Called by ``burster.sources.metrics``. Secrets and ConfigMaps are read one by one and by name only: those that a TriggerAuthentication
names in its own namespace, which is the policy's; those that a ClusterTriggerAuthentication names in burster's own namespace (KEDA takes
them from its own as well). What needs an identity of burster's (podIdentity, vaults, tokens made for a service account) is refused: no
policy may make burster speak in its own name. Any policy may name a ClusterTriggerAuthentication: its credentials go only to endpoints that
it lists itself, so that no author of a policy can have them sent elsewhere. Contents are kept for a minute at most, and are in no message.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from burster.clients.credentials import NOBODY, PARAMETERS, Credentials
from burster.clients.metric_errors import MetricError
from burster.model.errors import RemoteError
from burster.model.triggers import AuthRef
from burster.policy.endpoints import endpoint_allowed, endpoint_of


#: on a ClusterTriggerAuthentication: the endpoints to which its credentials may be sent, scheme://host:port with commas between
ENDPOINTS_ANNOTATION: Final = "burster.dev/metric-endpoints"
_API: Final = "/apis/keda.sh/v1alpha1"
_KEPT_S: Final = 60.0
_KEPT_MAX: Final = 1_000
_REFERENCES_MAX: Final = 32
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
#: other ways of KEDA's; each is refused by its name where it is used
_OTHER_WAYS: Final = (
    "env", "filePath", "hashiCorpVault", "azureKeyVault", "gcpSecretManager", "awsSecretManager", "boundServiceAccountToken", "oauth2",
)  # fmt: skip


class Reader(Protocol):
    """Who reads the API: burster.clients.kube.Kube."""

    async def get(self, path: str) -> bytes:
        """Return an object. Raises RemoteError."""
        ...


class _Reference(msgspec.Struct):
    parameter: str = ""
    name: str = ""
    key: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct):
    metadata: _Metadata = _Metadata()
    spec: dict[str, Any] = {}


class _Data(msgspec.Struct, rename="camel"):
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


_object: Final = msgspec.json.Decoder(_Object)
_data: Final = msgspec.json.Decoder(_Data)


class TriggerAuth:
    """Resolves authentications and keeps what they gave for a short while. ``home`` is burster's own namespace."""

    def __init__(self, kube: Reader, home: str) -> None:
        self._kube = kube
        self._home = home
        self._kept: dict[tuple[str, AuthRef, str], tuple[float, Credentials]] = {}

    async def resolve(self, namespace: str, ref: AuthRef | None, now_s: float, url: str = "") -> Credentials:
        """Return the credentials that a policy of a namespace refers to, as they were within the last minute, for an address.

        Raises MetricError.
        """
        if ref is None:
            return NOBODY
        key = (namespace, ref, endpoint_of(url))
        known = self._kept.get(key)
        if known is not None and now_s < known[0] + _KEPT_S:
            return known[1]
        found = await self._read(namespace, ref, url)
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[key] = (now_s, found)
        return found

    def forget(self, namespace: str, ref: AuthRef | None, url: str = "") -> None:
        """Resolve anew the next time: what was given has been refused, or belongs to nobody any more."""
        if ref is not None:
            self._kept.pop((namespace, ref, endpoint_of(url)), None)

    async def _read(self, namespace: str, ref: AuthRef, url: str) -> Credentials:
        cluster = ref.kind == "ClusterTriggerAuthentication"
        where = self._home if cluster else namespace
        path = "clustertriggerauthentications" if cluster else f"namespaces/{namespace}/triggerauthentications"
        found = await self._object(f"{_API}/{path}/{ref.name}", f"{ref.kind} {ref.name}")
        spec = found.spec
        if cluster and not endpoint_allowed(url, _endpoints(found)):
            raise MetricError(
                "not_allowed",
                f"{ref.kind} {ref.name} is not for {endpoint_of(url)}: the platform team must list it in its annotation"
                f" {ENDPOINTS_ANNOTATION}",
            )
        identity: Mapping[str, Any] = spec.get("podIdentity") or {}
        used = [way for way in _OTHER_WAYS if spec.get(way)]
        if identity.get("provider") not in {None, "", "none"}:
            used.append("podIdentity")
        if used:
            raise MetricError(
                "unsupported",
                f"{ref.kind} {ref.name} uses {', '.join(used)}: burster takes secretTargetRef and configMapTargetRef only",
            )
        values: dict[str, str] = {}
        for kind, plural, references in (
            ("Secret", "secrets", spec.get("secretTargetRef")),
            ("ConfigMap", "configmaps", spec.get("configMapTargetRef")),
        ):
            for reference in _references(references, ref):
                if reference.parameter in PARAMETERS:
                    path = f"/api/v1/namespaces/{where}/{plural}/{reference.name}"
                    values[reference.parameter] = await self._value(
                        path, kind, f"{where}/{reference.name}", reference.key
                    )
        return Credentials(values)

    async def _object(self, path: str, what: str) -> _Object:
        try:
            return _object.decode(await self._kube.get(path))
        except RemoteError as error:
            raise MetricError("auth", f"{what} can't be read ({_word(error)})") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise MetricError("auth", f"{what} makes no sense") from None

    async def _value(self, path: str, kind: str, where: str, key: str) -> str:
        try:
            found = _data.decode(await self._kube.get(path))
            if kind == "ConfigMap":
                text = (found.data or {}).get(key)
                return _present(text, kind, where, key)
            return b64decode(_present((found.data or {}).get(key), kind, where, key), validate=True).decode()
        except RemoteError as error:
            raise MetricError("auth", f"{kind} {where} can't be read ({_word(error)})") from None
        except (msgspec.DecodeError, ValueError):
            # a decoder's own words might show what it could not read
            raise MetricError("auth", f"{kind} {where} holds no text at {key!r}") from None


def _endpoints(found: _Object) -> list[str]:
    text = (found.metadata.annotations or {}).get(ENDPOINTS_ANNOTATION, "")
    return [each.strip() for each in text.split(",")]


def _present(text: str | None, kind: str, where: str, key: str) -> str:
    if text is None:
        raise MetricError("auth", f"{kind} {where} has no key {key[:63]!r}")
    return text


def _references(found: Any, ref: AuthRef) -> list[_Reference]:
    try:
        references = msgspec.convert(found or [], list[_Reference])
    except msgspec.ValidationError:
        raise MetricError("auth", f"{ref.kind} {ref.name} makes no sense") from None
    if len(references) > _REFERENCES_MAX:
        raise MetricError("auth", f"{ref.kind} {ref.name} has more than {_REFERENCES_MAX} references of one kind")
    for reference in references:
        # a name becomes part of a path: it must not lead into another namespace
        if not _NAME.fullmatch(reference.name) or ".." in reference.name:
            raise MetricError("auth", f"{ref.kind} {ref.name} refers to something that is no object's name")
    return references


def _word(error: RemoteError) -> str:
    match error.kind:
        case "Unauthorized":
            return "burster has no right to: see deploy/opt-in/metrics"
        case "NotFound":
            return "it is not there"
        case _:
            return error.kind
