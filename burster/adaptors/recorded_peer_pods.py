"""Peer pods at a provider whose API burster does not speak: what there is of their VMs, CAA's PeerPod records say.

A record is written when a VM is there and let go of when it is gone, by CAA or by peerpod-ctrl, which goes after VMs that CAA forgot. That
is the whole proof of existence; what a VM is, nobody tells, so attestation has to. Nothing is ever deleted here but pods.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import HOME, KubeApi
from burster.adaptors.peer_pod_records import PeerPodRecord, PeerPodRecords
from burster.adaptors.peer_pods import is_placed
from burster.adaptors.pod_place import PodPlace
from burster.engine.bursts.vms import vm_stem
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.offerings import Vm
from burster.model.stimuli import CloudListed, VmsObserved
from burster.model.targets import Target


class RecordedPeerPods(PodPlace):
    """A ``Place`` whose proof is ``Record``."""

    def __init__(self, api: KubeApi, now_ms: Callable[[], int], *, home: str = HOME) -> None:
        super().__init__(api, home=home)
        self._records: Final = PeerPodRecords(api)
        self._now_ms: Final = now_ms

    async def observe(self, burst: Burst) -> VmsObserved:
        """Return the VMs that are on record for a burst's pod, whichever provider they are said to be at.

        Raises RemoteError Unavailable where nobody keeps such records: then nothing can be said to be gone.
        """
        records = await self._records.fresh()
        if records is None:
            sentence = (
                "there are no PeerPod records in this cluster to tell what VMs there are: install peerpod-ctrl's CRD"
            )
            raise RemoteError("Unavailable", sentence, code="NoPeerPodRecords")
        mine = [record for record in records if record.held and _is_of(record, burst)]
        if mine and not burst.status.pod_uid:
            others = await self._strangers_uid(burst)
            mine = [record for record in mine if not others or record.pod_uid != others]
        return VmsObserved(key=burst.key, vms=tuple(sorted((_vm(record) for record in mine), key=_name)))

    async def _strangers_uid(self, burst: Burst) -> str:
        """Return the uid of a pod that bears the burst's pod name and is not its own; "" where there is none."""
        pod = await paths.read(self._api, paths.pods(burst.namespace, burst.spec.pod_name))
        return "" if pod is None or is_placed(pod, burst) else pod["metadata"]["uid"]

    async def list(self, target: Target) -> CloudListed:
        """Return every VM on record at the target's provider. Records name no region: targets of one provider share them."""
        listed_at_ms = self._now_ms()
        records = await self._records.fresh() or ()
        ours = (_vm(one) for one in records if one.held and one.provider.casefold() == target.provider.casefold())
        return CloudListed(target=target.name, listed_at_ms=listed_at_ms, vms=tuple(sorted(ours, key=_name)))


def _is_of(record: PeerPodRecord, burst: Burst) -> bool:
    """Say whether a record is of a burst's pod. While that pod's uid is not known, its name has to do."""
    if record.namespace != burst.namespace:
        return False
    known = burst.status.pod_uid
    if record.pod_uid and known:
        return record.pod_uid == known
    if record.pod_uid:
        return record.pod_name == burst.spec.pod_name and record.pod_uid != burst.spec.for_pod.uid
    # without an owner: CAA names a record by its pod, and five characters
    return record.name.rpartition("-resource-")[0] == burst.spec.pod_name


def _vm(record: PeerPodRecord) -> Vm:
    """Return a record as a VM, under a name by CAA's own rule: its id at the provider may be anything."""
    pod = record.pod_name or record.name.rpartition("-resource-")[0] or record.name
    unique = f"{record.namespace}/{record.name}/{record.instance_id}"
    return Vm(
        name=f"{vm_stem(pod)}-{hashlib.sha256(unique.encode()).hexdigest()[:8]}",
        resource_id=record.instance_id,
        region="",
        size="",
        provisioning_state="Deleting" if record.going else "Succeeded",
        created_at_ms=record.created_at_ms or None,
        provider=record.provider,
    )


def _name(vm: Vm) -> str:
    return vm.name
