"""The body of a VM's PUT, as far as it is judged; what isn't looked at is kept as it came.

Read by burster.lab.arm.request. Every part has Azure's default.
"""

import msgspec


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
    version: str = ""

    @property
    def name(self) -> str:
        """Whichever of them is set."""
        platform = f"{self.publisher}:{self.offer}:{self.sku}:{self.version}" if self.publisher else ""
        return self.id or self.community_gallery_image_id or self.shared_gallery_image_id or platform


class _DiskSecurity(_Camel, frozen=True, kw_only=True):
    security_encryption_type: str = ""
    disk_encryption_set: _Ref | None = None


class _ManagedDisk(_Camel, frozen=True, kw_only=True):
    storage_account_type: str = "Standard_LRS"
    disk_encryption_set: _Ref | None = None
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
    network_security_group: _Ref | None = None


class NicConfiguration(_Camel, frozen=True, kw_only=True):
    """A network interface that Azure makes for the VM."""

    name: str
    tags: dict[str, str] = {}
    properties: _NicProperties

    @property
    def subnet(self) -> str:
        """The subnet's id."""
        found = self.properties.ip_configurations[0].properties.subnet
        return found.id if found else ""

    @property
    def security_group(self) -> str:
        """The id of the network security group, empty where none is asked for."""
        found = self.properties.network_security_group
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


class SecurityProfile(_Camel, frozen=True, kw_only=True):
    """What makes a VM confidential."""

    security_type: str = ""
    uefi_settings: _Uefi | None = None
    encryption_at_host: bool = False

    @property
    def secure_boot(self) -> bool:
        """Whether secure boot is asked for."""
        return self.uefi_settings is not None and self.uefi_settings.secure_boot_enabled

    @property
    def vtpm(self) -> bool:
        """Whether a virtual TPM is asked for."""
        return self.uefi_settings is not None and self.uefi_settings.v_tpm_enabled


class _Billing(_Camel, frozen=True, kw_only=True):
    max_price: float | None = None


class _OsProfile(_Camel, frozen=True, kw_only=True):
    computer_name: str = ""
    admin_username: str = ""


class _Properties(_Camel, frozen=True, kw_only=True):
    hardware_profile: _Hardware
    storage_profile: _Storage
    network_profile: _Network
    os_profile: _OsProfile | None = None
    security_profile: SecurityProfile | None = None
    user_data: str = ""
    priority: str = "Regular"
    eviction_policy: str = ""
    billing_profile: _Billing | None = None


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
    def spot(self) -> bool:
        """Whether it is a spot machine; ``Low`` is the older word."""
        return self.properties.priority.casefold() in {"spot", "low"}

    @property
    def max_price_usd(self) -> float | None:
        """What a spot machine may cost an hour at most; None: what it costs."""
        billing = self.properties.billing_profile
        return billing.max_price if billing else None

    @property
    def eviction_policy(self) -> str:
        """What becomes of an evicted spot machine: Delete, or Deallocate."""
        return self.properties.eviction_policy or "Deallocate"

    @property
    def security_type(self) -> str:
        """ConfidentialVM, TrustedLaunch, or empty."""
        profile = self.properties.security_profile
        return profile.security_type if profile else ""
