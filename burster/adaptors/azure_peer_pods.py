"""Peer pods on Azure behind the port: CAA makes the VMs, ARM tells what they are and has the last word on whether they are gone."""

from typing import Final, Protocol

from burster.adaptors.azure_resources import AzureResources
from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.cluster_api import HOME, KubeApi
from burster.adaptors.pod_place import PodPlace
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeleteResource, DeleteVm, ListCloud, ObserveVms
from burster.model.stimuli import CloudListed, OfferingsSeen, ResourceDeleted, VmDeleted, VmsObserved
from burster.model.targets import Target


class OfferingReader(Protocol):
    """Who knows what a cloud offers, and what it costs."""

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return what a target offers now. Raises RemoteError."""
        ...


class AzurePeerPods(PodPlace):
    """A ``Place`` whose proof is ``Arm``; burster may delete there what nobody claims."""

    def __init__(
        self,
        api: KubeApi,
        vms: AzureVms,
        facts: OfferingReader,
        resources: AzureResources | None = None,
        *,
        home: str = HOME,
    ) -> None:
        """``facts`` reads sizes and prices; without ``resources`` nothing but VMs is listed, and nothing but a burst's VM deleted."""
        super().__init__(api, home=home)
        self._vms: Final = vms
        self._facts: Final = facts
        self._resources: Final = resources

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return the region's sizes, those that can't be had among them, with what they cost."""
        return await self._facts.offerings(target)

    async def observe(self, burst: Burst) -> VmsObserved:
        """Return the burst's VMs, each read by itself."""
        return await self._vms.observe(ObserveVms(key=f"observe/{burst.key}", burst=burst))

    async def delete_vm(self, instruction: DeleteVm) -> VmDeleted:
        """Delete a VM that outlived its pod."""
        return await self._vms.delete(instruction)

    async def delete_resource(self, instruction: DeleteResource) -> ResourceDeleted:
        """Delete what nobody claims, if that is still so."""
        if self._resources is None:
            raise RemoteError("Invalid", "nobody here can delete anything but VMs", code="NotSweepable")
        return await self._resources.delete(instruction)

    async def list(self, target: Target) -> CloudListed:
        """Return every pod VM of the target's resource group, and what else the sweep has to know."""
        if self._resources is not None:
            return await self._resources.look(target)
        return await self._vms.list_cloud(ListCloud(key=f"list/{target.name}", target=target.name))
