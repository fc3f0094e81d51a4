"""The VMs behind peer pods: found, read and, where nobody else does it, deleted. Reads both ARM and CAA's PeerPod records.

One listing serves every burst that asks at the same time: listing is the dearest call in ARM's throttling (300 a minute per subscription).
"""

from collections.abc import Callable
from typing import Protocol

from burster.adaptors.cluster_api import KubeApi
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.adaptors.port import TargetBook
from burster.adaptors.sharing import Shared
from burster.engine.bursts.vms import VM_PREFIX, stem_of, vm_stem
from burster.model.instructions import DeleteVm, ListCloud, ObserveVms
from burster.model.offerings import Vm
from burster.model.stimuli import CloudListed, VmDeleted, VmsObserved
from burster.model.targets import Target


class CloudVms(Protocol):
    """What is asked of a cloud; ``clients.arm.Arm`` is one."""

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        """Return a VM, or None for a confirmed 404."""
        ...

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group."""
        ...

    async def delete_vm(self, target: Target, name: str) -> None:
        """Delete a VM and return once its 404 is confirmed."""
        ...


class AzureVms:
    """ObserveVms, ListCloud and DeleteVm for peer pods on Azure."""

    def __init__(self, cloud: CloudVms, api: KubeApi, targets: TargetBook, now_ms: Callable[[], int]) -> None:
        self._cloud = cloud
        self._targets = targets
        self._now_ms = now_ms
        self._listings: dict[str, Shared[list[Vm]]] = {}
        self._records = PeerPodRecords(api)

    async def observe(self, instruction: ObserveVms) -> VmsObserved:
        """Return every VM there is for a burst, each read by itself: those of its name, less what another pod's record claims."""
        burst = instruction.burst
        target = self._targets.get(burst.spec.target)
        listing = await self._listing(target).fresh()
        claims = await self._claims()
        stem = vm_stem(burst.spec.pod_name)
        mine = {burst.status.pod_uid, ""}
        found = {vm.name: vm for vm in listing if stem_of(vm.name) == stem and claims.get(vm.name.lower(), "") in mine}
        # What was once taken for this burst's, before its PeerPod record said whose it is, is not asked for again.
        known = {name for name in burst.status.vms if claims.get(name.lower(), "") in mine}
        claimed = {
            name for name, uid in claims.items() if uid and uid == burst.status.pod_uid and stem_of(name) == stem
        }
        # A listing may lag behind in both directions, and it leaves subnet and public address out; a GET does neither.
        there: list[Vm] = []
        gone: list[Vm] = []
        for name in sorted({*found, *known, *claimed}):
            vm = await self._cloud.get_vm(target, name)
            if vm is not None:
                there.append(vm)
            elif name in found:
                gone.append(found[name])
        return VmsObserved(key=burst.key, vms=tuple(there), gone=tuple(gone))

    async def list_cloud(self, instruction: ListCloud) -> CloudListed:
        """Return every pod VM of a target."""
        target = self._targets.get(instruction.target)
        listed_at_ms = self._now_ms()
        vms = await self._listing(target).fresh()
        ours = tuple(sorted((vm for vm in vms if vm.name.startswith(VM_PREFIX)), key=lambda vm: vm.name))
        return CloudListed(target=target.name, listed_at_ms=listed_at_ms, vms=ours)

    async def delete(self, instruction: DeleteVm) -> VmDeleted:
        """Delete a VM that outlived its pod."""
        await self._cloud.delete_vm(self._targets.get(instruction.target), instruction.vm)
        return VmDeleted(target=instruction.target, vm=instruction.vm)

    def _listing(self, target: Target) -> Shared[list[Vm]]:
        listing = self._listings.get(target.name)
        if listing is None:
            name = target.name

            async def fetch() -> list[Vm]:
                return await self._cloud.list_vms(self._targets.get(name))

            listing = self._listings[target.name] = Shared(fetch)
        return listing

    async def _claims(self) -> dict[str, str]:
        """Return VM name -> owning pod's uid, from CAA's PeerPod records; none where CAA's CRD is not installed."""
        records = await self._records.fresh() or ()
        return {
            one.instance_id.rsplit("/", 1)[-1].lower(): one.pod_uid for one in records if one.instance_id and one.owned
        }
