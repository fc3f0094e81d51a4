"""Machines: confidential VMs without a pod, for workloads that are packaged for one; a part of the schema of policies, and of targets.

The policy says what its workload needs, the target what the platform team lends. ``compile`` turns them into Machine and Machines.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field
from pydantic.json_schema import JsonSchemaValue

from burster.policy.fields import DnsName, DnsShortName, Kind, Matching, shown, unique
from burster.policy.fields.amounts import Cpu, Memory
from burster.policy.schema.base import Strict


_IMAGE_LENGTH_MAX: Final = 512
_VERSION: Final = r"[0-9]+\.[0-9]+\.[0-9]+"
_GALLERY: Final = (
    r"/subscriptions/[^/\s]+/resource[Gg]roups/[^/\s]+/providers/Microsoft\.Compute/galleries/[^/\s]+/images/[^/\s]+/versions/"
    + _VERSION
)
_COMMUNITY: Final = rf"/([Cc]ommunity|[Ss]hared)Galleries/[^/\s]+/[Ii]mages/[^/\s]+/[Vv]ersions/{_VERSION}"
_MARKETPLACE: Final = rf"[A-Za-z0-9._-]+:[A-Za-z0-9._-]+:[A-Za-z0-9._-]+:{_VERSION}"
_IMAGE: Final = f"({_GALLERY}|{_COMMUNITY}|{_MARKETPLACE})"
_RESOURCE: Final = r"/subscriptions/[^/\s]+/resource[Gg]roups/[^/\s]+/providers/Microsoft\.KIND/[^/\s]+"


@dataclass(frozen=True, slots=True)
class ImageText(Kind):
    """A machine's image, in one certain version: what is measured at boot must not change behind a name."""

    def _check(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if re.search(r"(?i)(:|/versions/)latest$", value):
            raise ValueError(
                "latest is no version: whoever publishes a new one would change what is booted and measured; write the"
                " version itself, for example 9.6.2026011512"
            )
        if len(value) > _IMAGE_LENGTH_MAX or not re.fullmatch(_IMAGE, value, re.ASCII):
            raise ValueError(
                f"{shown(value)} is no image of a machine: write a gallery version's id (/subscriptions/.../versions/1.2.3), a"
                " community gallery's (/CommunityGalleries/.../Images/.../Versions/1.2.3), or a marketplace image as"
                " publisher:offer:sku:version"
            )
        return value

    def _json_schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{_IMAGE}$", "maxLength": _IMAGE_LENGTH_MAX}


Image = Annotated[str, ImageText()]
Subnet = Annotated[
    str,
    Matching(_RESOURCE.replace("KIND", "Network/virtualNetworks") + r"/subnets/[^/\s]+", 512, "a subnet's resource id"),
]
SecurityGroup = Annotated[
    str,
    Matching(_RESOURCE.replace("KIND", "Network/networkSecurityGroups"), 512, "a network security group's resource id"),
]
DiskEncryptionSet = Annotated[
    str, Matching(_RESOURCE.replace("KIND", "Compute/diskEncryptionSets"), 512, "a disk encryption set's resource id")
]
Zone = Annotated[str, Matching("[1-9]", 1, "a zone's number in quotes")]
EncryptionName = Literal["VMGuestStateOnly", "DiskWithVMGuestState"]


class MachineRequestsSpec(Strict):
    """What the workload of a machine needs."""

    cpu: Cpu = Field(description="Its cpu.")
    memory: Memory = Field(description="Its memory.")


class UserDataSpec(Strict):
    """A ConfigMap key that holds the cloud-init user data of machines."""

    config_map: DnsName = Field(description="The ConfigMap, in the policy's own namespace.")
    key: Annotated[str, Matching(r"[-._a-zA-Z0-9]+", 253, "a ConfigMap's key")] = Field(
        default="user-data", description="The key."
    )


class ServiceSpec(Strict):
    """The Service that machines are endpoints of, once they are verified."""

    name: DnsShortName = Field(description="The Service, in the policy's own namespace; one without a selector.")
    port: int = Field(ge=1, le=65_535, description="The port that the workload serves.")


class MachineSpec(Strict):
    """What each machine is: a confidential VM without a pod."""

    requests: MachineRequestsSpec = Field(
        description="What the workload needs: the cheapest allowed size that has it is taken."
    )
    image: Image = Field(
        description="The image, in one certain version, which must be one of the target's machines.images: a gallery version's id,"
        " /CommunityGalleries/NAME/Images/NAME/Versions/1.2.3, or publisher:offer:sku:version."
    )
    user_data: UserDataSpec | None = Field(
        default=None, description="The cloud-init user data; it may hold no secret: keys come by attestation."
    )
    service: ServiceSpec | None = Field(
        default=None,
        description="The Service that it is an endpoint of once it is verified; reached by nobody without one.",
    )
    encryption: EncryptionName = Field(
        default="VMGuestStateOnly",
        description="VMGuestStateOnly: the vTPM's state is encrypted for the VM alone. DiskWithVMGuestState: its disk too, by the target's"
        " disk encryption set or, without one, by a key of the platform's.",
    )
    os_disk_gib: int | None = Field(
        default=None,
        alias="osDiskGiB",
        ge=1,
        le=4_095,
        description="Size of its disk in GiB; the image's own where it is left out.",
    )


class MachinesSpec(Strict):
    """What machines here are made with. It belongs to the platform team: a policy only chooses among the images."""

    images: Annotated[tuple[Image, ...], Field(strict=False, min_length=1, max_length=64), AfterValidator(unique)] = (
        Field(description="Images that a machine may be made from.")
    )
    subnet: Subnet = Field(description="Resource id of the subnet that machines are in; none has a public address.")
    network_security_group: SecurityGroup | None = Field(
        default=None,
        description="Resource id of the security group of their network interfaces; the subnet's alone without one.",
    )
    disk_encryption_set: DiskEncryptionSet | None = Field(
        default=None,
        description="Resource id of the disk encryption set whose key encrypts disks; the platform's key without one.",
    )
    zones: Annotated[tuple[Zone, ...], Field(strict=False, max_length=9), AfterValidator(unique)] = Field(
        default=(), description="Zones that machines are spread over; the cloud chooses where it is left out."
    )
