"""What is asked of a cloud for machines, and the fence before all of it that writes: who does not lead any more asks for nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from burster.adaptors.azure_resources import Cloud
from burster.adaptors.fence import Authority, check
from burster.clients.arm_facts import OperationState, VmOperation
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource, Vm
from burster.model.tags import EPOCH_TAG
from burster.model.targets import Target


_DELETE_DEADLINE_MS: Final = 900_000


class MachineCloud(Cloud, Protocol):
    """What is asked of a cloud for machines, besides what is asked of it for what it has; ``clients.arm.Arm`` is one."""

    async def get_vm(self, target: Target, name: str, *, instance_view: bool | None = None) -> Vm | None:
        """Return a VM, or None for a confirmed 404. ``instance_view``: also whether it runs, and why it failed."""
        ...

    async def begin_vm(self, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True) -> VmOperation:
        """Ask for a VM. Raises AlreadyExists where ``only_new`` and there is one of that name."""
        ...

    async def follow_operation(self, target: Target, token: str) -> OperationState:
        """Look once at what ``begin_vm`` began."""
        ...

    async def tag_vm(self, target: Target, vm: Vm, tags: dict[str, str]) -> None:
        """Give a VM these tags in place of its own. Raises NotFound where it is gone."""
        ...

    async def delete_vm(self, target: Target, name: str, *, deadline_ms: int = _DELETE_DEADLINE_MS) -> None:
        """Delete a VM and return once its 404 is confirmed. Raises Timeout where that takes longer."""
        ...

    async def delete_resource(
        self, target: Target, resource: CloudResource, *, deadline_ms: int = _DELETE_DEADLINE_MS
    ) -> None:
        """Delete a network interface or disk and return once its 404 is confirmed; one that is not there counts as deleted."""
        ...


class FencedMachines:
    """A ``MachineCloud`` that is read freely and in which only somebody who leads writes; machines say in which lead they were made."""

    def __init__(self, cloud: MachineCloud, authority: Authority) -> None:
        self._cloud: Final = cloud
        self._authority: Final = authority

    async def get_vm(self, target: Target, name: str, *, instance_view: bool | None = None) -> Vm | None:
        """Return a VM, or None for a confirmed 404."""
        return await self._cloud.get_vm(target, name, instance_view=instance_view)

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group."""
        return await self._cloud.list_vms(target)

    async def list_attachments(self, target: Target) -> list[CloudResource]:
        """Return the network interfaces, disks and public addresses of the target's resource group."""
        return await self._cloud.list_attachments(target)

    async def follow_operation(self, target: Target, token: str) -> OperationState:
        """Look once at what ``begin_vm`` began."""
        return await self._cloud.follow_operation(target, token)

    async def begin_vm(self, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True) -> VmOperation:
        """Ask for a VM, with the epoch in its tags, for no longer than this lead lasts: a request may wait for its turn at the cloud."""
        async with self._while_leading(f"asking for machine {name}"):
            tags: dict[str, str] = body.get("tags") or {}
            stamped = {**body, "tags": {**tags, EPOCH_TAG: str(self._authority.epoch)}}
            return await self._cloud.begin_vm(target, name, stamped, only_new=only_new)

    async def tag_vm(self, target: Target, vm: Vm, tags: dict[str, str]) -> None:
        """Give a VM these tags in place of its own, and this lead's epoch."""
        async with self._while_leading(f"tagging machine {vm.name}"):
            await self._cloud.tag_vm(target, vm, {**tags, EPOCH_TAG: str(self._authority.epoch)})

    @asynccontextmanager
    async def _while_leading(self, what: str) -> AsyncGenerator[None]:
        """Give what happens inside as long as this lead lasts. Raises Timeout at its end: nobody knows whether it was done."""
        left_ms = check(self._authority, what)
        try:
            async with asyncio.timeout(left_ms / 1000):
                yield
        except TimeoutError:
            raise RemoteError(
                "Timeout", f"{what}: this lead ended before the cloud answered", matter="deadline"
            ) from None

    async def delete_vm(self, target: Target, name: str, *, deadline_ms: int = _DELETE_DEADLINE_MS) -> None:
        """Delete a VM, for no longer than this lead lasts."""
        left_ms = check(self._authority, f"deleting machine {name}")
        await self._cloud.delete_vm(target, name, deadline_ms=min(deadline_ms, left_ms))

    async def delete_resource(
        self, target: Target, resource: CloudResource, *, deadline_ms: int = _DELETE_DEADLINE_MS
    ) -> None:
        """Delete a network interface or disk, for no longer than this lead lasts."""
        left_ms = check(self._authority, f"deleting {resource.name}")
        await self._cloud.delete_resource(target, resource, deadline_ms=min(deadline_ms, left_ms))
