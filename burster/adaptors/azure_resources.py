"""What there is in a target's resource group besides VMs that somebody asks for, and how it is deleted.

The group is listed before the PeerPod records are read, so that what is fresh is always claimed. Before anything is deleted both are
read once more: what is held by something, claimed, or another one of the same name by then is left alone.
"""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from burster.adaptors.azure_vms import CloudVms
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.adaptors.port import TargetBook
from burster.adaptors.sharing import Shared
from burster.engine.sweeping.scope import vm_of
from burster.model.errors import RemoteError
from burster.model.instructions import DeleteResource
from burster.model.offerings import CloudResource, Vm
from burster.model.stimuli import CloudListed, ResourceDeleted
from burster.model.targets import Target


class CloudResources(Protocol):
    """What is asked of a cloud; ``clients.arm.Arm`` is one."""

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        """Return a VM, or None for a confirmed 404."""
        ...

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group."""
        ...

    async def list_attachments(self, target: Target) -> list[CloudResource]:
        """Return the network interfaces, disks and public addresses of the target's resource group."""
        ...

    async def delete_resource(self, target: Target, resource: CloudResource) -> None:
        """Delete it and return once its 404 is confirmed."""
        ...


class Cloud(CloudVms, CloudResources, Protocol):
    """A cloud with VMs, and with what they leave behind."""


class AzureResources:
    """Lists a resource group for the sweep, and deletes of it what still may go."""

    def __init__(
        self,
        cloud: CloudResources,
        records: PeerPodRecords,
        targets: TargetBook,
        now_ms: Callable[[], int],
        *,
        cluster: str = "",
    ) -> None:
        """``cluster``: what the cluster's tag says on machines of its own."""
        self._cloud: Final = cloud
        self._records: Final = records
        self._targets: Final = targets
        self._now_ms: Final = now_ms
        self._cluster: Final = cluster
        self._parts: dict[str, Shared[list[CloudResource]]] = {}

    async def look(self, target: Target) -> CloudListed:
        """Return every pod's VM, every machine of burster's own, and what is left of such."""
        listed_at_ms = self._now_ms()
        # parts first: what belongs to a VM that comes between the two is then its own by the second
        parts = await self._parts_of(target).fresh()
        vms = await self._cloud.list_vms(target)
        claimed = await self._claimed()
        ours = (vm for vm in vms if vm_of("Vm", vm.name))
        strays = (one for one in parts if not one.attached_to and vm_of(one.kind, one.name))
        return CloudListed(
            target=target.name,
            listed_at_ms=listed_at_ms,
            vms=tuple(sorted(ours, key=lambda vm: vm.name)),
            strays=tuple(sorted(strays, key=lambda one: (one.kind, one.name))),
            claimed=None if claimed is None else tuple(sorted(claimed)),
            cluster=self._cluster,
        )

    async def delete(self, instruction: DeleteResource) -> ResourceDeleted:
        """Delete something that nobody claims, if that is still so. Raises RemoteError Conflict where it is not."""
        target, resource = self._targets.get(instruction.target), instruction.resource
        done = ResourceDeleted(target=target.name, resource_id=resource.resource_id)
        vm_name = vm_of(resource.kind, resource.name)
        if not vm_name:
            raise RemoteError("Invalid", f"{resource.name} is no part of a pod's VM or a machine", code="NotOurs")
        claimed = await self._claimed()
        if claimed is not None and vm_name.lower() in claimed:
            raise RemoteError("Conflict", f"{vm_name} is claimed by a PeerPod record by now", code="Claimed")
        there = await self._there(target, resource)
        if there is None or _is_another(resource, there):
            return done
        if there.attached_to:
            raise RemoteError("Conflict", f"{resource.name} is held by {there.attached_to} by now", code="InUse")
        await self._cloud.delete_resource(target, resource)
        return done

    async def _there(self, target: Target, resource: CloudResource) -> CloudResource | None:
        """Return what is there of that name now."""
        if resource.kind == "Vm":
            vm = await self._cloud.get_vm(target, resource.name)
            return None if vm is None else msgspec.structs.replace(vm.as_resource, resource_id=resource.resource_id)
        vm_name = vm_of(resource.kind, resource.name)
        if await self._cloud.get_vm(target, vm_name) is not None:
            raise RemoteError("Conflict", f"{vm_name} is there by now", code="InUse")
        wanted = resource.resource_id.casefold()
        parts = await self._parts_of(target).fresh()
        return next((one for one in parts if one.resource_id.casefold() == wanted), None)

    async def _claimed(self) -> frozenset[str] | None:
        """Return the VMs that records claim, in lower case; None where there are no such records in the cluster."""
        records = await self._records.fresh()
        if records is None:
            return None
        return frozenset(one.instance_id.rsplit("/", 1)[-1].lower() for one in records if one.instance_id)

    def _parts_of(self, target: Target) -> Shared[list[CloudResource]]:
        parts = self._parts.get(target.name)
        if parts is None:
            name = target.name

            async def fetch() -> list[CloudResource]:
                return await self._cloud.list_attachments(self._targets.get(name))

            parts = self._parts[target.name] = Shared(fetch)
        return parts


def _is_another(listed: CloudResource, there: CloudResource) -> bool:
    """Say whether what is there was made after what was listed: the latter is gone, then."""
    return (
        listed.created_at_ms is not None
        and there.created_at_ms is not None
        and there.created_at_ms != listed.created_at_ms
    )
