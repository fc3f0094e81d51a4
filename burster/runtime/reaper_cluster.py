"""What the reaper reads of a cluster, if there still is one: Bursts, PeerPod records, targets, and whether a controller leads."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast

import msgspec
import orjson
import structlog

from burster.adaptors.cluster_api import KubeApi
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.model.bursts import Burst
from burster.model.errors import InputError, RemoteError
from burster.model.targets import Target
from burster.policy.compile import compile_target
from burster.policy.records import burst_from_object


BURSTS_PATH: Final = "/apis/burster.dev/v1alpha1/bursts"
TARGETS_PATH: Final = "/apis/burster.dev/v1alpha1/bursttargets"
#: how long a lease may be over, by this clock, and its holder still counts as one that leads: clocks differ
_LEASE_SLACK_MS: Final = 60_000
_log = structlog.get_logger("burster.runtime.reaper")


class ClusterReading(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a cluster. ``owners`` None: it has no PeerPod records."""

    bursts: dict[str, Burst]
    owners: dict[str, str] | None
    controller_leads: bool


class ClusterReader:
    """Reads one cluster, again and again."""

    def __init__(self, api: KubeApi, now_ms: Callable[[], int], *, home: str) -> None:
        """``home`` is where the controller and its Lease are."""
        self._api = api
        self._records = PeerPodRecords(api)
        self._now_ms = now_ms
        self._lease = f"/apis/coordination.k8s.io/v1/namespaces/{home}/leases/burster"
        self._seen = ""  #: the Lease as it was at the last look

    async def read(self) -> ClusterReading:
        """Return what is on record. Raises RemoteError, also where the cluster knows no Bursts: then it is not the one that is meant."""
        bursts: dict[str, Burst] = {}
        for item in await self._list(BURSTS_PATH):
            burst = _burst(item)
            bursts[burst.key] = burst
        return ClusterReading(bursts=bursts, owners=await self._owners(), controller_leads=await self._leads())

    async def targets(self) -> tuple[Target, ...]:
        """Return the targets that the cluster has; one that does not compile is left out, and told."""
        found: list[Target] = []
        for item in await self._list(TARGETS_PATH):
            try:
                found.append(compile_target(item))
            except InputError as error:
                _log.warning("target.refused", why=str(error)[:500])
        return tuple(found)

    async def _list(self, path: str) -> list[dict[str, Any]]:
        answer = orjson.loads(await self._api.get(path))
        return cast("list[dict[str, Any]]", answer.get("items") or [])

    async def _owners(self) -> dict[str, str] | None:
        records = await self._records.fresh()
        if records is None:
            return None
        return {one.instance_id.rsplit("/", 1)[-1].lower(): one.pod_uid for one in records if one.instance_id}

    async def _leads(self) -> bool:
        """Say whether somebody has renewed the Lease since the last look, or so lately that it is still good."""
        try:
            lease = orjson.loads(await self._api.get(self._lease))
        except RemoteError as error:
            if error.kind == "NotFound":
                return False
            raise
        spec: dict[str, Any] = lease.get("spec") or {}
        renewed = str(spec.get("renewTime") or "")
        before, self._seen = self._seen, renewed
        if not spec.get("holderIdentity") or not renewed:
            return False
        if before and renewed != before:
            return True
        held_ms = int(spec.get("leaseDurationSeconds") or 0) * 1000
        return self._now_ms() - _epoch_ms(renewed) < held_ms + _LEASE_SLACK_MS


def _burst(item: dict[str, Any]) -> Burst:
    try:
        return burst_from_object(item)
    except (InputError, ValueError, KeyError, TypeError) as error:
        # what can't be read may be a lease that is valid: nothing is ended by records that are known in part
        raise RemoteError("Protocol", f"a Burst can't be read: {str(error)[:200]}") from error


def _epoch_ms(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as error:
        raise RemoteError("Protocol", f"the Lease's renewTime {text[:40]!r} is no time") from error
