"""CAA's PeerPod records: one for each VM that it has made, with the pod whose it is.

Written with a finalizer when the VM is there; the finalizer goes when the VM has, the record with its pod. So a record without one is of a
VM that is no more.
"""

from typing import Any, Final

import msgspec
import orjson

from burster.adaptors.cluster_api import KubeApi
from burster.adaptors.sharing import Shared
from burster.model.errors import RemoteError
from burster.policy.records import parse_time


_FINALIZER: Final = "peer.pod/finalizer"
_PATH: Final = "/apis/confidentialcontainers.org/v1alpha1/peerpods"


class PeerPodRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says; what it leaves out is empty."""

    namespace: str
    name: str
    provider: str  #: spec.cloudProvider
    instance_id: str  #: spec.instanceID, in its provider's own form
    pod_name: str
    pod_uid: str
    owned: bool  #: it says whose it is, and that that is a pod
    created_at_ms: int
    held: bool  #: its VM is still there, or nobody has said otherwise
    going: bool  #: its pod is gone, and its VM is gone after


class PeerPodRecords:
    """Reads them all, once for everybody who asks at the same time."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._shared: Shared[tuple[PeerPodRecord, ...] | None] = Shared(self._read)

    async def fresh(self) -> tuple[PeerPodRecord, ...] | None:
        """Return what a read that began after this call found; None where there are no such records in this cluster at all."""
        return await self._shared.fresh()

    async def _read(self) -> tuple[PeerPodRecord, ...] | None:
        try:
            listed: dict[str, Any] = orjson.loads(await self._api.get(_PATH))
        except RemoteError as error:
            if error.kind == "NotFound":
                return None
            raise
        items: list[dict[str, Any]] = listed.get("items") or []
        return tuple(_record(item) for item in items)


def _record(item: dict[str, Any]) -> PeerPodRecord:
    metadata: dict[str, Any] = item["metadata"]
    spec: dict[str, Any] = item.get("spec") or {}
    owners: list[dict[str, Any]] = metadata.get("ownerReferences") or []
    pods = [owner for owner in owners if owner.get("kind") == "Pod"]
    pod: dict[str, Any] = pods[0] if pods else {}
    return PeerPodRecord(
        namespace=metadata.get("namespace") or "",
        name=metadata.get("name") or "",
        provider=spec.get("cloudProvider") or "",
        instance_id=spec.get("instanceID") or "",
        pod_name=pod.get("name") or "",
        pod_uid=pod.get("uid") or "",
        owned=bool(pod),
        created_at_ms=_time(metadata.get("creationTimestamp")),
        held=_FINALIZER in (metadata.get("finalizers") or []),
        going=bool(metadata.get("deletionTimestamp")),
    )


def _time(text: str | None) -> int:
    return parse_time(text) if text else 0
