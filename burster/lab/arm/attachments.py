"""Disks, network interfaces and public addresses: made with a VM, and deleted with it where their deleteOption says so.

Called by the cloud. What is not deleted is left behind, as in the real cloud. A network interface keeps a place in its
subnet from the start but tells its address only once the VM is allocated.
"""

from collections.abc import Callable
from typing import Final

from burster.lab.arm.billing import Billing
from burster.lab.arm.body import NicConfiguration, OsDisk
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError, not_found
from burster.lab.arm.request import VmRequest
from burster.lab.arm.resources import DISK_KIND, NIC_KIND, PUBLIC_IP_KIND, Attachment, Scope, VmRecord
from burster.lab.arm.shelf import Shelf
from burster.lab.arm.subnets import Subnets


_DEFAULT_DISK_SKU: Final = "Standard_LRS"


class Attachments:
    """Everything besides VMs that costs money or an address when it is forgotten."""

    def __init__(self, *, now_ms: Callable[[], int], config: Callable[[], ArmConfig], billing: Billing) -> None:
        self._now_ms = now_ms
        self._config = config
        self._billing = billing
        self._all: Shelf[Attachment] = Shelf()
        self.subnets = Subnets(config)

    @property
    def all(self) -> tuple[Attachment, ...]:
        """Everything there is, in the order in which it came."""
        return tuple(self._all.values())

    def find(self, kind: str, scope: Scope, name: str) -> Attachment:
        """Return one by name; ArmError 404."""
        found = self._all.get(scope.resource_id(kind, name).casefold())
        if found is None:
            raise not_found(kind, name, scope.group)
        return found

    def page(self, kind: str, scope: Scope, *, after: str, size: int) -> list[Attachment]:
        """Return up to ``size`` of a resource group, by name, behind the key ``after``."""
        return self._all.page(scope.resource_id(kind, "").casefold(), after=after, size=size)

    def check_room(self, request: VmRequest, scope: Scope, name: str, vm_id: str) -> None:
        """Raise ArmError where a VM's parts can't be made: a full subnet, something in use, missing or left over."""
        disk_name = _disk_name(request.os_disk, name)
        disk = self._all.get(scope.resource_id(DISK_KIND, disk_name).casefold())
        if disk is not None and disk.vm_id.casefold() != vm_id.casefold():
            raise ArmError(
                409,
                "ConflictingUserInput",
                f"Disk {disk_name} already exists in resource group {scope.group.upper()}. Only CreateOption.Attach is supported.",
                target=disk.id,
            )
        network = request.body.properties.network_profile
        for reference in network.network_interfaces:
            found = self._all.get(reference.id.casefold())
            if found is None:
                raise ArmError(400, "InvalidResourceReference", f"Resource {reference.id} was not found.")
            _check_idle(found)
            self._check_free(found, vm_id)
        for nic in network.network_interface_configurations:
            found = self._all.get(scope.resource_id(NIC_KIND, nic.name).casefold())
            if found is not None:
                _check_idle(found)
                self._check_free(found, vm_id)
            if found is None or found.subnet.casefold() != nic.subnet.casefold():
                self.subnets.check_room(nic.subnet)

    def attach(self, vm: VmRecord, request: VmRequest) -> None:
        """Make the VM's disk and interfaces, or take over free ones of the same name."""
        os_disk = request.os_disk
        name = _disk_name(os_disk, vm.name)
        managed = os_disk.managed_disk
        by_customer = "/customer" if managed.security_profile.disk_encryption_set else ""
        vm.disk = self._put(
            Attachment(
                kind=DISK_KIND,
                id=vm.scope.resource_id(DISK_KIND, name),
                name=name,
                region=vm.region,
                vm_id=vm.id,
                delete_with_vm=os_disk.delete_option.casefold() == "delete",
                size_gib=os_disk.disk_size_gb,
                sku=managed.storage_account_type or _DEFAULT_DISK_SKU,
                encryption=managed.security_profile.security_encryption_type + by_customer,
                tags=dict(vm.tags) if self._config().disks_inherit_tags else {},
            )
        )
        network = request.body.properties.network_profile
        vm.nics = [self._nic(vm, configuration) for configuration in network.network_interface_configurations]
        for reference in network.network_interfaces:
            found = self._all[reference.id.casefold()]
            found.vm_id = vm.id
            found.delete_with_vm = reference.properties.delete_option.casefold() == "delete"
            vm.nics.append(found)
        vm.addresses = [
            self._all[nic.public_ip_id.casefold()] for nic in vm.nics if nic.public_ip_id.casefold() in self._all
        ]

    def allocate(self, vm: VmRecord) -> None:
        """Tell the addresses of the VM's interfaces."""
        for nic in vm.nics:
            nic.address = self.subnets.address(nic.subnet, nic.slot)
        for public in vm.addresses:
            public.address = f"203.0.113.{self._all[public.nic_id.casefold()].slot % 250 + 1}"

    def release(self, vm: VmRecord, *, heir: VmRecord | None = None) -> None:
        """Delete what goes with the VM, and leave the rest, used by nothing; what an heir has taken over stays with it."""
        kept = _parts_of(heir) if heir is not None else ()
        for found in _parts_of(vm):
            if self._all.get(found.key) is not found or found in kept:
                continue
            found.vm_id = ""
            if found.delete_with_vm:
                self._remove(found)
            elif found.kind == NIC_KIND:
                found.reserved_until_ms = self._now_ms() + self._config().nic_reserved_ms
                found.reserved_for = vm.id

    def deletable(self, kind: str, scope: Scope, name: str) -> Attachment | None:
        """Return one that nothing uses; None where there is none, ArmError 400 or 409 where something has it."""
        found = self._all.get(scope.resource_id(kind, name).casefold())
        if found is None:
            return None
        if found.vm_id and kind == DISK_KIND:
            raise ArmError(409, "OperationNotAllowed", f"Disk {found.name} is attached to VM {found.vm_id}.")
        if kind == PUBLIC_IP_KIND:
            self._check_unused(found)
        self._check_free(found)
        return found

    def remove(self, found: Attachment) -> None:
        """Delete one, if it is still there."""
        if self._all.get(found.key) is found:
            self._remove(found)

    def _nic(self, vm: VmRecord, configuration: NicConfiguration) -> Attachment:
        nic_id = vm.scope.resource_id(NIC_KIND, configuration.name)
        left_over = self._all.get(nic_id.casefold())
        if left_over is not None and left_over.subnet.casefold() != configuration.subnet.casefold():
            self._remove(left_over)
            left_over = None
        nic = Attachment(
            kind=NIC_KIND,
            id=nic_id,
            name=configuration.name,
            region=vm.region,
            vm_id=vm.id,
            delete_with_vm=configuration.properties.delete_option.casefold() == "delete",
            subnet=configuration.subnet,
            slot=left_over.slot if left_over else self.subnets.take(configuration.subnet, nic_id),
            tags=dict(configuration.tags),
            security_group=configuration.security_group,
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
                    nic_id=nic_id,
                )
            )
            nic.public_ip_id = made.id
        return self._put(nic)

    def _put(self, made: Attachment) -> Attachment:
        made.created_at_ms = self._now_ms()
        if made.key in self._all:
            self._billing.part_ended(self._all[made.key], made.created_at_ms)
        self._all[made.key] = made
        self._billing.part_began(made)
        return made

    def _remove(self, found: Attachment) -> None:
        del self._all[found.key]
        self._billing.part_ended(found, self._now_ms())
        if found.kind == NIC_KIND:
            self.subnets.give_back(found.subnet, found.slot)
            if (public := self._all.get(found.public_ip_id.casefold())) is not None:
                public.nic_id = ""
        elif (nic := self._all.get(found.nic_id.casefold())) is not None and nic.public_ip_id.casefold() == found.key:
            nic.public_ip_id = ""

    def _check_free(self, found: Attachment, vm_id: str = "") -> None:
        if found.vm_id and found.vm_id.casefold() != vm_id.casefold():
            raise ArmError(
                400,
                "NicInUse",
                f"Network Interface {found.id} is used by existing resource {found.vm_id}. In order to delete the network interface, "
                "it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
            )
        if found.reserved_for.casefold() != vm_id.casefold() and self._now_ms() < found.reserved_until_ms:
            left_s = -(-(found.reserved_until_ms - self._now_ms()) // 1000)
            raise ArmError(
                400,
                "NicReservedForAnotherVm",
                f"Nic(s) in request is reserved for another Virtual Machine for {left_s} seconds. Please provide another nic(s) or "
                f"retry after {left_s} seconds. Reserved VM: {found.reserved_for}",
            )

    def _check_unused(self, public_ip: Attachment) -> None:
        nic = self._all.get(public_ip.nic_id.casefold())
        if nic is not None:
            raise ArmError(
                400,
                "PublicIPAddressCannotBeDeleted",
                f"Public IP address {public_ip.id} can not be deleted since it is still allocated to resource "
                f"{nic.id}/ipConfigurations/ip-config. In order to delete the public IP, disassociate/detach the Public IP address "
                "from the resource.",
            )


def _check_idle(found: Attachment) -> None:
    """Raise ArmError 429 where something is being done to a part; it can be asked for again later."""
    if found.deletion is not None:
        operation = found.deletion
        raise ArmError(
            429,
            "AnotherOperationInProgress",
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: "
            f"https://management.azure.com/subscriptions/{operation.subscription}/providers/{operation.provider}/locations/"
            f"{operation.region}/operations/{operation.id}.",
        )


def _parts_of(vm: VmRecord) -> list[Attachment]:
    return [*vm.nics, *vm.addresses, *([vm.disk] if vm.disk else [])]


def _disk_name(os_disk: OsDisk, vm_name: str) -> str:
    return os_disk.name or f"{vm_name}_OsDisk_1"
