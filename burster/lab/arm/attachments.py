"""Disks, network interfaces and public addresses: made with a VM, and deleted with it where their deleteOption says so.

Called by the cloud. What is not deleted is left behind, as in the real cloud. A network interface keeps a place in its
subnet from the start but tells its address only once the VM is allocated.
"""

from collections.abc import Callable
from typing import Final

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError, not_found
from burster.lab.arm.request import NicConfiguration, VmRequest
from burster.lab.arm.resources import DISK_KIND, NIC_KIND, PUBLIC_IP_KIND, Attachment, Scope, VmRecord
from burster.lab.arm.shelf import Shelf
from burster.lab.arm.subnets import Subnets


_DEFAULT_DISK_SKU: Final = "Standard_LRS"


class Attachments:
    """Everything besides VMs that costs money or an address when it is forgotten."""

    def __init__(self, config: Callable[[], ArmConfig]) -> None:
        self._all: Shelf[Attachment] = Shelf()
        self.subnets = Subnets(config)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id there is."""
        return tuple(found.id for found in self._all.values())

    def find(self, kind: str, scope: Scope, name: str) -> Attachment:
        """Return one by name; ArmError 404."""
        found = self._all.get(scope.resource_id(kind, name).casefold())
        if found is None:
            raise not_found(kind, name, scope.group)
        return found

    def page(self, kind: str, scope: Scope, *, after: str, size: int) -> list[Attachment]:
        """Return up to ``size`` of a resource group, by name, behind the key ``after``."""
        return self._all.page(scope.resource_id(kind, "").casefold(), after=after, size=size)

    def check_room(self, request: VmRequest, scope: Scope) -> None:
        """Raise ArmError where the VM's interfaces can't be made: a full subnet, or an interface that is in use or missing."""
        network = request.body.properties.network_profile
        for reference in network.network_interfaces:
            found = self._all.get(reference.id.casefold())
            if found is None:
                raise ArmError(400, "InvalidResourceReference", f"Resource {reference.id} was not found.")
            _check_free(found)
        for nic in network.network_interface_configurations:
            found = self._all.get(scope.resource_id(NIC_KIND, nic.name).casefold())
            if found is not None:
                _check_free(found)
            else:
                self.subnets.check_room(nic.subnet)

    def attach(self, vm: VmRecord, request: VmRequest) -> None:
        """Make the VM's disk and interfaces, or take over free ones of the same name."""
        os_disk = request.os_disk
        name = os_disk.name or f"{vm.name}_OsDisk_1"
        vm.disk = self._put(
            Attachment(
                kind=DISK_KIND,
                id=vm.scope.resource_id(DISK_KIND, name),
                name=name,
                region=vm.region,
                vm_id=vm.id,
                delete_with_vm=os_disk.delete_option.casefold() == "delete",
                size_gib=os_disk.disk_size_gb,
                sku=os_disk.managed_disk.storage_account_type or _DEFAULT_DISK_SKU,
                encryption=os_disk.managed_disk.security_profile.security_encryption_type,
            )
        )
        network = request.body.properties.network_profile
        vm.nics = [self._nic(vm, configuration) for configuration in network.network_interface_configurations]
        for reference in network.network_interfaces:
            found = self._all[reference.id.casefold()]
            found.vm_id = vm.id
            found.delete_with_vm = reference.properties.delete_option.casefold() == "delete"
            vm.nics.append(found)

    def allocate(self, vm: VmRecord) -> None:
        """Tell the addresses of the VM's interfaces."""
        for nic in vm.nics:
            nic.address = self.subnets.address(nic.subnet, nic.slot)
            if nic.public_ip_id:
                self._all[nic.public_ip_id.casefold()].address = f"203.0.113.{nic.slot % 250 + 1}"

    def release(self, vm: VmRecord) -> None:
        """Delete what goes with the VM, and leave the rest, used by nothing."""
        attached = [*vm.nics, *([vm.disk] if vm.disk else [])]
        attached += [
            self._all[nic.public_ip_id.casefold()] for nic in vm.nics if nic.public_ip_id.casefold() in self._all
        ]
        for found in attached:
            found.vm_id = ""
            if found.delete_with_vm:
                self._remove(found)

    def delete(self, kind: str, scope: Scope, name: str) -> bool:
        """Delete one that nothing uses; False where there is none, ArmError 400 or 409 where a VM has it."""
        found = self._all.get(scope.resource_id(kind, name).casefold())
        if found is None:
            return False
        if found.vm_id and kind == DISK_KIND:
            raise ArmError(409, "OperationNotAllowed", f"Disk {found.name} is attached to VM {found.vm_id}.")
        _check_free(found)
        self._remove(found)
        return True

    def _nic(self, vm: VmRecord, configuration: NicConfiguration) -> Attachment:
        nic_id = vm.scope.resource_id(NIC_KIND, configuration.name)
        left_over = self._all.get(nic_id.casefold())
        nic = Attachment(
            kind=NIC_KIND,
            id=nic_id,
            name=configuration.name,
            region=vm.region,
            vm_id=vm.id,
            delete_with_vm=configuration.properties.delete_option.casefold() == "delete",
            subnet=configuration.subnet,
            slot=left_over.slot if left_over else self.subnets.take(configuration.subnet, nic_id),
        )
        if (public := configuration.public_ip) is not None:
            made = self._put(
                Attachment(
                    kind=PUBLIC_IP_KIND,
                    id=vm.scope.resource_id(PUBLIC_IP_KIND, public.name),
                    name=public.name,
                    region=vm.region,
                    vm_id=vm.id,
                    delete_with_vm=public.properties.delete_option.casefold() == "delete",
                )
            )
            nic.public_ip_id = made.id
        return self._put(nic)

    def _put(self, made: Attachment) -> Attachment:
        self._all[made.key] = made
        return made

    def _remove(self, found: Attachment) -> None:
        del self._all[found.key]
        if found.kind == NIC_KIND:
            self.subnets.give_back(found.subnet, found.slot)


def _check_free(found: Attachment) -> None:
    if found.vm_id:
        raise ArmError(400, "NicInUse", f"Resource {found.id} is used by existing resource {found.vm_id}.")
