"""Reads and judges the body of a VM's PUT, in the order Azure does: shape, size, image, security, network, user data.

Called by the cloud before anything is reserved; knows nothing of quota, capacity or other VMs. It must never repair a
body: what real ARM refuses is refused here, with its code.
"""

import base64
import binascii
from typing import Any, Final

import msgspec

from burster.lab.arm.catalogue import REGIONS, Size, find_size, sizes_in
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError, invalid
from burster.lab.arm.images import find_image


USER_DATA_MAX_BYTES: Final = 64 * 1024


class _Camel(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """What is read of a body; the rest is kept as it came and never looked at."""


class _Ref(_Camel, frozen=True, kw_only=True):
    id: str = ""


class ImageReference(_Camel, frozen=True, kw_only=True):
    """One of the ways to name an image."""

    id: str = ""
    community_gallery_image_id: str = ""
    shared_gallery_image_id: str = ""
    publisher: str = ""
    offer: str = ""
    sku: str = ""

    @property
    def name(self) -> str:
        """Whichever of them is set."""
        platform = f"{self.publisher}:{self.offer}:{self.sku}" if self.publisher else ""
        return self.id or self.community_gallery_image_id or self.shared_gallery_image_id or platform


class _DiskSecurity(_Camel, frozen=True, kw_only=True):
    security_encryption_type: str = ""


class _ManagedDisk(_Camel, frozen=True, kw_only=True):
    storage_account_type: str = "Standard_LRS"
    security_profile: _DiskSecurity = _DiskSecurity()


class OsDisk(_Camel, frozen=True, kw_only=True):
    """The disk that Azure makes for the VM."""

    create_option: str
    name: str = ""
    delete_option: str = "Detach"
    disk_size_gb: int = msgspec.field(default=30, name="diskSizeGB")
    managed_disk: _ManagedDisk = _ManagedDisk()


class _Storage(_Camel, frozen=True, kw_only=True):
    image_reference: ImageReference | None = None
    os_disk: OsDisk | None = None


class _PublicIpProperties(_Camel, frozen=True, kw_only=True):
    delete_option: str = "Detach"


class PublicIpConfiguration(_Camel, frozen=True, kw_only=True):
    """A public address that Azure makes for a network interface."""

    name: str
    properties: _PublicIpProperties = _PublicIpProperties()


class _IpProperties(_Camel, frozen=True, kw_only=True):
    subnet: _Ref | None = None
    public_ip: PublicIpConfiguration | None = msgspec.field(default=None, name="publicIPAddressConfiguration")


class _IpConfiguration(_Camel, frozen=True, kw_only=True):
    name: str
    properties: _IpProperties


class _NicProperties(_Camel, frozen=True, kw_only=True):
    ip_configurations: list[_IpConfiguration]
    delete_option: str = "Detach"


class NicConfiguration(_Camel, frozen=True, kw_only=True):
    """A network interface that Azure makes for the VM."""

    name: str
    properties: _NicProperties

    @property
    def subnet(self) -> str:
        """The subnet's id."""
        found = self.properties.ip_configurations[0].properties.subnet
        return found.id if found else ""

    @property
    def public_ip(self) -> PublicIpConfiguration | None:
        """The public address asked for."""
        return self.properties.ip_configurations[0].properties.public_ip


class _NicReferenceProperties(_Camel, frozen=True, kw_only=True):
    delete_option: str = "Detach"


class NicReference(_Camel, frozen=True, kw_only=True):
    """A network interface that exists already."""

    id: str
    properties: _NicReferenceProperties = _NicReferenceProperties()


class _Network(_Camel, frozen=True, kw_only=True):
    network_api_version: str = ""
    network_interface_configurations: list[NicConfiguration] = []
    network_interfaces: list[NicReference] = []


class _Hardware(_Camel, frozen=True, kw_only=True):
    vm_size: str = ""


class _Uefi(_Camel, frozen=True, kw_only=True):
    secure_boot_enabled: bool = False
    v_tpm_enabled: bool = False


class _Security(_Camel, frozen=True, kw_only=True):
    security_type: str = ""
    uefi_settings: _Uefi | None = None


class _OsProfile(_Camel, frozen=True, kw_only=True):
    computer_name: str = ""
    admin_username: str = ""


class _Properties(_Camel, frozen=True, kw_only=True):
    hardware_profile: _Hardware
    storage_profile: _Storage
    network_profile: _Network
    os_profile: _OsProfile | None = None
    security_profile: _Security | None = None
    user_data: str = ""


class VmBody(_Camel, frozen=True, kw_only=True):
    """The body of a PUT, as far as it is judged."""

    location: str
    properties: _Properties
    zones: list[str] = []
    tags: dict[str, str] = {}

    @property
    def region(self) -> str:
        """``East US`` and ``eastus`` are the same place."""
        return self.location.replace(" ", "").casefold()

    @property
    def security_type(self) -> str:
        """ConfidentialVM, TrustedLaunch, or empty."""
        profile = self.properties.security_profile
        return profile.security_type if profile else ""


class VmRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A body that was accepted, with what it names looked up. ``raw`` is the JSON as it came."""

    body: VmBody
    raw: dict[str, Any]
    size: Size
    image: str
    os_disk: OsDisk


def read_vm_request(content: bytes, config: ArmConfig) -> VmRequest:
    """Return the body if Azure would take it; ArmError 400 or 404 otherwise."""
    try:
        raw = msgspec.json.decode(content, type=dict[str, Any])
        body = msgspec.convert(raw, VmBody)
    except msgspec.ValidationError as problem:
        raise ArmError(400, "InvalidRequestContent", f"The request content was invalid: {problem}") from None
    except msgspec.DecodeError:
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid and could not be read.") from None
    size = _judge_size(body)
    image, os_disk = _judge_storage(body, config)
    _judge_security(body, size, os_disk)
    _judge_network(body, config)
    _judge_user_data(body.properties.user_data)
    return VmRequest(body=body, raw=raw, size=size, image=image, os_disk=os_disk)


class _Located(msgspec.Struct):
    location: str = ""


def location_of(content: bytes) -> str:
    """Return the region a body names, empty where it can't be read: refusing it is another function's business."""
    try:
        located = msgspec.json.decode(content, type=_Located)
    except msgspec.DecodeError:
        return ""
    return located.location.replace(" ", "").casefold()


def _judge_size(body: VmBody) -> Size:
    if body.region not in REGIONS:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{body.location}' is not available for resource type 'Microsoft.Compute/virtualMachines'.",
        )
    if unknown := sorted(set(body.zones) - set(REGIONS[body.region])):
        raise ArmError(
            400,
            "InvalidAvailabilityZone",
            f"The zone(s) '{','.join(unknown)}' for resource 'Microsoft.Compute/virtualMachines' is not supported "
            f"in the location '{body.region}'.",
        )
    asked = body.properties.hardware_profile.vm_size
    if not asked:
        raise invalid("Required parameter 'hardwareProfile.vmSize' is missing (null).", "hardwareProfile.vmSize")
    size = find_size(asked)
    if size is None or body.region not in size.series.regions:
        valid = ",".join(known.name for known in sizes_in(body.region))
        raise invalid(
            f"The value {asked} provided for the VM size is not valid. The valid sizes in the current region are: {valid}.",
            "vmSize",
        )
    return size


def _judge_storage(body: VmBody, config: ArmConfig) -> tuple[str, OsDisk]:
    storage = body.properties.storage_profile
    if storage.image_reference is None or not storage.image_reference.name:
        raise invalid("Required parameter 'imageReference' is missing (null).", "imageReference")
    if storage.os_disk is None:
        raise invalid("Required parameter 'osDisk' is missing (null).", "osDisk")
    if storage.os_disk.create_option.casefold() != "fromimage":
        raise invalid("The value of parameter osDisk.createOption is invalid.", "osDisk.createOption")
    image = storage.image_reference.name
    find_image(config, image, body.region)
    return image, storage.os_disk


def _judge_security(body: VmBody, size: Size, os_disk: OsDisk) -> None:
    asked = body.security_type
    confidential = asked.casefold() == "confidentialvm"
    if confidential != (size.tee != "None"):
        raise ArmError(
            400,
            "BadRequest",
            f"The VM size '{size.name}' is not supported for creation of VMs and Virtual Machine Scale Set "
            f"with '{asked or '<NULL>'}' security type.",
        )
    encryption = os_disk.managed_disk.security_profile.security_encryption_type
    if not confidential:
        if encryption:
            raise invalid("securityEncryptionType needs the security type 'ConfidentialVM'.", "securityEncryptionType")
        return
    profile = body.properties.security_profile
    if profile is None or profile.uefi_settings is None or not profile.uefi_settings.v_tpm_enabled:
        raise invalid("'vTpmEnabled' must be true for the security type 'ConfidentialVM'.", "uefiSettings.vTpmEnabled")
    if encryption not in {"VMGuestStateOnly", "DiskWithVMGuestState", "NonPersistedTPM"}:
        raise invalid(
            "A managed disk of a VM of the security type 'ConfidentialVM' needs a 'securityEncryptionType'.",
            "securityEncryptionType",
        )
    if encryption == "DiskWithVMGuestState" and not profile.uefi_settings.secure_boot_enabled:
        raise invalid("'DiskWithVMGuestState' needs 'secureBootEnabled'.", "uefiSettings.secureBootEnabled")


def _judge_network(body: VmBody, config: ArmConfig) -> None:
    network = body.properties.network_profile
    if bool(network.network_interface_configurations) == bool(network.network_interfaces):
        raise invalid(
            "Exactly one of 'networkInterfaces' and 'networkInterfaceConfigurations' must be given.", "networkProfile"
        )
    if network.network_interface_configurations and not network.network_api_version:
        raise invalid("'networkApiVersion' is needed with 'networkInterfaceConfigurations'.", "networkApiVersion")
    for nic in network.network_interface_configurations:
        if not nic.properties.ip_configurations or not nic.subnet:
            raise invalid(
                "A network interface configuration needs an ipConfiguration with a subnet.", "ipConfigurations"
            )
        if config.subnets and nic.subnet.casefold() not in {known.casefold() for known in config.subnets}:
            raise ArmError(
                400, "InvalidResourceReference", f"Resource {nic.subnet} referenced by {nic.name} was not found."
            )


def _judge_user_data(user_data: str) -> None:
    if len(user_data) > USER_DATA_MAX_BYTES:
        raise invalid("The base64 encoded userData is greater than 64KB.", "userData")
    try:
        base64.b64decode(user_data, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("userData must be a valid base64 string.", "userData") from None
