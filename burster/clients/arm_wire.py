"""ARM's JSON as far as burster looks at it, and what becomes of it.

Called by burster.clients.arm with the very bytes that came. Azure's own models are lenient (to them the text "false"
is a true boolean), and these facts decide whether a machine is confidential; so everything that is used is checked
here, and what does not fit raises msgspec.ValidationError, which the caller reports as an answer that makes no sense.
A fact that is not stated stays empty or None; nothing is assumed.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from burster.model.offerings import Vm


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Wire(msgspec.Struct, rename="camel"):
    """Base of what is read; unknown fields are passed over."""


class _Ref(_Wire):
    id: str | None = None


class _PublicIpConfiguration(_Wire):
    name: str | None = None


class _IpProperties(_Wire):
    subnet: _Ref | None = None
    primary: bool | None = None
    private_address: str | None = msgspec.field(default=None, name="privateIPAddress")
    public_configuration: _PublicIpConfiguration | None = msgspec.field(
        default=None, name="publicIPAddressConfiguration"
    )
    public_ip: _Ref | None = msgspec.field(default=None, name="publicIPAddress")


class _IpConfiguration(_Wire):
    properties: _IpProperties | None = None


class _NicProperties(_Wire):
    ip_configurations: list[_IpConfiguration] | None = None


class Nic(_Wire):
    """A network interface, whether made within a VM's body or told by Microsoft.Network."""

    properties: _NicProperties | None = None


class _Image(_Wire):
    id: str | None = None
    community_gallery_image_id: str | None = None
    shared_gallery_image_id: str | None = None
    publisher: str | None = None
    offer: str | None = None
    sku: str | None = None
    version: str | None = None


class _DiskSecurity(_Wire):
    security_encryption_type: str | None = None
    disk_encryption_set: _Ref | None = None


class _ManagedDisk(_Wire):
    security_profile: _DiskSecurity | None = None


class _OsDisk(_Wire):
    managed_disk: _ManagedDisk | None = None


class _Storage(_Wire):
    image_reference: _Image | None = None
    os_disk: _OsDisk | None = None


class _Uefi(_Wire):
    secure_boot_enabled: bool | None = None
    v_tpm_enabled: bool | None = None


class _Security(_Wire):
    security_type: str | None = None
    uefi_settings: _Uefi | None = None


class _Hardware(_Wire):
    vm_size: str | None = None


class _Network(_Wire):
    network_interfaces: list[_Ref] | None = None
    network_interface_configurations: list[Nic] | None = None


class _Status(_Wire):
    code: str | None = None
    message: str | None = None


class _InstanceView(_Wire):
    statuses: list[_Status] | None = None


class _VmProperties(_Wire):
    hardware_profile: _Hardware | None = None
    storage_profile: _Storage | None = None
    security_profile: _Security | None = None
    network_profile: _Network | None = None
    provisioning_state: str | None = None
    time_created: datetime | None = None
    vm_id: str | None = None
    priority: str | None = None
    instance_view: _InstanceView | None = None


class VmWire(_Wire):
    """A virtual machine."""

    id: str
    name: str
    location: str
    properties: _VmProperties
    tags: dict[str, str] | None = None
    zones: list[str] | None = None

    @property
    def first_nic(self) -> str:
        """The id of the first network interface, empty where there is none."""
        network = self.properties.network_profile
        references = network.network_interfaces if network else None
        return (references[0].id or "") if references else ""


Answer = bytes | msgspec.Raw


class _ListWire(_Wire):
    value: list[msgspec.Raw]


def read_rows(answer: Answer) -> list[msgspec.Raw]:
    """Return the rows of a list's page, each still to be read."""
    return msgspec.json.decode(answer, type=_ListWire).value


class _PageWire(msgspec.Struct, rename="camel"):
    next_link: str | None = None


def read_next_link(answer: Answer) -> str | None:
    """Return where a list's next page is; None on the last."""
    return msgspec.json.decode(answer, type=_PageWire).next_link


def read_vm(answer: Answer) -> tuple[Vm, str]:
    """Return a VM and the id of its first network interface."""
    wire = msgspec.json.decode(answer, type=VmWire)
    properties = wire.properties
    security, storage = properties.security_profile, properties.storage_profile
    uefi = security.uefi_settings if security else None
    vm = Vm(
        name=wire.name,
        resource_id=wire.id,
        region=region_of(wire.location),
        size=(properties.hardware_profile.vm_size if properties.hardware_profile else None) or "",
        provisioning_state=(properties.provisioning_state) or "",
        created_at_ms=epoch_ms(properties.time_created),
        security_type=(security.security_type if security else None) or "",
        secure_boot=uefi.secure_boot_enabled if uefi else None,
        vtpm=uefi.v_tpm_enabled if uefi else None,
        encryption_type=_encryption(storage),
        disk_encryption_set=_disk_encryption_set(storage),
        image=_image(storage),
        tags=wire.tags or {},
        zone=(wire.zones or [""])[0],
        spot=(properties.priority or "").casefold() in {"spot", "low"},
        vm_id=properties.vm_id or "",
    )
    vm = _with_instance(vm, properties.instance_view)
    network = properties.network_profile
    for nic in (network.network_interface_configurations if network else None) or ():
        vm = with_network(vm, nic)
    return vm, wire.first_nic


def with_network(vm: Vm, nic: Nic) -> Vm:
    """Return the VM with what its network interface states."""
    stated = (nic.properties.ip_configurations if nic.properties else None) or []
    configurations = [each.properties for each in stated if each.properties is not None]
    if not configurations:
        return vm
    subnet = next((each.subnet.id for each in configurations if each.subnet and each.subnet.id), vm.subnet)
    public = any(each.public_ip or each.public_configuration for each in configurations)
    first = sorted(configurations, key=lambda each: not each.primary)
    address = next((each.private_address for each in first if _is_one(each.private_address)), "") or vm.private_address
    return msgspec.structs.replace(vm, subnet=subnet, public_ip=public or bool(vm.public_ip), private_address=address)


def _is_one(address: str | None) -> bool:
    """An interface may have whole prefixes besides its address."""
    return bool(address) and "/" not in (address or "")


def read_nic(answer: Answer) -> Nic:
    """Return a network interface."""
    return msgspec.json.decode(answer, type=Nic)


def epoch_ms(instant: datetime | None) -> int | None:
    """Return an instant as epoch milliseconds."""
    return None if instant is None else (instant - _EPOCH) // timedelta(milliseconds=1)


def _with_instance(vm: Vm, view: _InstanceView | None) -> Vm:
    """Add what the machine itself is like: ``PowerState/running``, ``ProvisioningState/failed/AllocationFailed``."""
    power, code, message = "", "", ""
    for status in (view.statuses if view else None) or ():
        subject, _, state = (status.code or "").partition("/")
        outcome, _, reason = state.partition("/")
        if subject.casefold() == "powerstate":
            power = state.casefold()
        elif subject.casefold() == "provisioningstate" and outcome.casefold() == "failed":
            code, message = reason, status.message or ""
    if not (power or code or message):
        return vm
    return msgspec.structs.replace(vm, power_state=power, failure_code=code, failure_message=message)


def region_of(location: str) -> str:
    """``East US`` and ``eastus`` are the same place."""
    return location.replace(" ", "").casefold()


def _encryption(storage: _Storage | None) -> str:
    disk = storage.os_disk.managed_disk if storage and storage.os_disk else None
    security = disk.security_profile if disk else None
    return (security.security_encryption_type if security else None) or ""


def _disk_encryption_set(storage: _Storage | None) -> str:
    disk = storage.os_disk.managed_disk if storage and storage.os_disk else None
    keys = disk.security_profile.disk_encryption_set if disk and disk.security_profile else None
    return (keys.id if keys else None) or ""


def _image(storage: _Storage | None) -> str:
    image = storage.image_reference if storage else None
    if image is None:
        return ""
    named = image.id or image.community_gallery_image_id or image.shared_gallery_image_id
    if named:
        return named
    parts = (image.publisher, image.offer, image.sku, image.version)
    return ":".join(part for part in parts if part) if all(parts) else ""
