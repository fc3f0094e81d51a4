"""What ARM is asked for: the whole body of a confidential machine's PUT, of a Burst and its Target. Pure; called by ``azure_machines``.

Everything that is made with the machine goes with it (``deleteOption`` Delete) and has a name of its own, so that what is left behind can
be found without any tag. Nobody can log in: there is no password, and the private half of the one public key that Azure insists on is
forgotten as it is made. Nothing here is a secret: tags and user data can be read by everybody who may read the machine.
"""

import re
from functools import cache
from typing import Any, Final

from burster.model.bursts import Burst, MachineSource
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource
from burster.model.tags import BURST_TAG, CLUSTER_TAG, LEASE_END_TAG, POLICY_TAG, UID_TAG, tag_value
from burster.model.targets import Target


Json = dict[str, Any]

_NETWORK_API_VERSION: Final = "2024-05-01"
_ADMIN: Final = "burster"
_MICRO: Final = 1_000_000
_COMMUNITY: Final = "/communitygalleries/"
_SHARED: Final = "/sharedgalleries/"
_GALLERY = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.compute/galleries/[^/]+/images/[^/]+(/versions/[^/]+)?",
    re.IGNORECASE,
)
_MANAGED_IMAGE = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.compute/images/[^/]+", re.IGNORECASE
)
_MARKETPLACE = re.compile(r"[A-Za-z0-9][\w.-]*(:[\w.-]+){3}")
#: Publishers whose confidential images have no purchase plan. Others' may need one, which the image alone does not tell.
_WITHOUT_PLAN: Final = frozenset({"canonical", "redhat", "suse", "microsoftcblmariner"})
_OWN_LICENCE: Final = "byos"  # bring your own subscription: these have a plan, whoever publishes them


def machine_body(burst: Burst, *, cluster: str, user_data: str, lease_end_ms: int) -> Json:
    """Return the body. ``user_data`` is base64; ``cluster`` is this cluster's own name.

    Raises RemoteError Invalid, with code ImageNotUsable or MachineIncomplete, where no machine could come of it.
    """
    spec, machine = burst.spec, _source(burst)
    reference = image_reference(machine.image)
    body: Json = {
        "location": spec.region,
        "tags": machine_tags(burst, cluster=cluster, lease_end_ms=lease_end_ms),
        "properties": {
            "hardwareProfile": {"vmSize": spec.size},
            "securityProfile": {
                "securityType": "ConfidentialVM",
                "uefiSettings": {"secureBootEnabled": machine.secure_boot, "vTpmEnabled": True},
            },
            "storageProfile": {"imageReference": reference, "osDisk": _os_disk(spec.pod_name, machine)},
            "osProfile": {
                "computerName": spec.pod_name,
                "adminUsername": _ADMIN,
                "linuxConfiguration": {
                    "disablePasswordAuthentication": True,
                    "provisionVMAgent": True,
                    "ssh": {"publicKeys": [{"path": f"/home/{_ADMIN}/.ssh/authorized_keys", "keyData": nobodys_key()}]},
                },
            },
            "networkProfile": {
                "networkApiVersion": _NETWORK_API_VERSION,
                "networkInterfaceConfigurations": [_interface(spec.pod_name, machine)],
            },
            # the serial log of a guest that nobody can log in to; in an account that Azure manages
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            "userData": user_data,
        },
    }
    if spec.zone:
        body["zones"] = [spec.zone]
    if spec.spot:
        body["properties"] |= {
            "priority": "Spot",
            "evictionPolicy": "Delete",
            # never dearer than what was set aside for it: beyond that Azure takes it away
            "billingProfile": {"maxPrice": spec.price_micro_usd_per_hour / _MICRO},
        }
    return body


def machine_tags(burst: Burst, *, cluster: str, lease_end_ms: int) -> dict[str, str]:
    """Return the tags of a burst's machine, but for the epoch, which the fence adds."""
    return {
        CLUSTER_TAG: tag_value(cluster),
        POLICY_TAG: tag_value(burst.policy_key),
        BURST_TAG: tag_value(burst.key),
        UID_TAG: tag_value(burst.uid),
        LEASE_END_TAG: str(lease_end_ms),
    }


def made_with(burst: Burst, target: Target) -> tuple[CloudResource, CloudResource]:
    """Return what is made with a burst's machine under names of its own: its network interface and its disk."""
    group = f"/subscriptions/{target.subscription}/resourceGroups/{target.resource_group}/providers"
    nic, disk = nic_name(burst.spec.pod_name), disk_name(burst.spec.pod_name)
    return (
        CloudResource(
            kind="Nic",
            name=nic,
            resource_id=f"{group}/Microsoft.Network/networkInterfaces/{nic}",
            region=burst.spec.region,
        ),
        CloudResource(
            kind="Disk", name=disk, resource_id=f"{group}/Microsoft.Compute/disks/{disk}", region=burst.spec.region
        ),
    )


def nic_name(machine: str) -> str:
    """Return the name of a machine's network interface."""
    return f"{machine}-net"


def disk_name(machine: str) -> str:
    """Return the name of a machine's disk."""
    return f"{machine}-disk"


def image_reference(image: str) -> Json:
    """Return ARM's reference to an image. Raises RemoteError Invalid, code ImageNotUsable."""
    if image.casefold().startswith(_COMMUNITY):
        return {"communityGalleryImageId": image}
    if image.casefold().startswith(_SHARED):
        return {"sharedGalleryImageId": image}
    if _GALLERY.fullmatch(image) or _MANAGED_IMAGE.fullmatch(image):
        return {"id": image}
    if _MARKETPLACE.fullmatch(image):
        publisher, offer, sku, version = image.split(":")
        if publisher.casefold() not in _WITHOUT_PLAN or _OWN_LICENCE in f"{offer}:{sku}".casefold():
            raise RemoteError(
                "Invalid",
                f"image {image}: whether {publisher}'s images need a purchase plan, and which, is not known here; "
                "copy it into a gallery of your own and name that",
                code="ImageNotUsable",
            )
        return {"publisher": publisher, "offer": offer, "sku": sku, "version": version}
    raise RemoteError(
        "Invalid",
        f"image {image!r} is no id of a gallery's image, no /CommunityGalleries/… or /SharedGalleries/… and no publisher:offer:sku:version",
        code="ImageNotUsable",
    )


@cache
def nobodys_key() -> str:
    """Return a public key whose private half nobody has: a Linux machine without a password must have one, and nobody is to log in.

    One for a process: what matters is that its other half is gone, not that there are many.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa  # it takes a while to load, and only machines need it
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    return f"{public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} nobody"


def _source(burst: Burst) -> MachineSource:
    machine = burst.spec.machine
    if machine is None or not burst.uid:
        raise RemoteError(
            "Invalid",
            "the record does not say what the machine is made of, or is not written",
            code="MachineIncomplete",
        )
    if not machine.subnet:
        raise RemoteError("Invalid", "neither policy nor target names a subnet for it", code="MachineIncomplete")
    if machine.encryption == "DiskWithVMGuestState" and not machine.secure_boot:
        raise RemoteError("Invalid", "DiskWithVMGuestState needs secure boot", code="MachineIncomplete")
    if machine.disk_encryption_set and machine.encryption != "DiskWithVMGuestState":
        raise RemoteError("Invalid", "a disk encryption set needs DiskWithVMGuestState", code="MachineIncomplete")
    return machine


def _os_disk(name: str, machine: MachineSource) -> Json:
    security: Json = {"securityEncryptionType": machine.encryption}
    if machine.disk_encryption_set:
        security["diskEncryptionSet"] = {"id": machine.disk_encryption_set}
    disk: Json = {
        "name": disk_name(name),
        "osType": "Linux",
        "createOption": "FromImage",
        "caching": "ReadWrite",
        "deleteOption": "Delete",
        "managedDisk": {"storageAccountType": "Premium_LRS", "securityProfile": security},
    }
    if machine.os_disk_gib:
        disk["diskSizeGB"] = machine.os_disk_gib
    return disk


def _interface(name: str, machine: MachineSource) -> Json:
    properties: Json = {
        "primary": True,
        "deleteOption": "Delete",
        "enableAcceleratedNetworking": False,  # confidential sizes have none
        "ipConfigurations": [
            {"name": "private", "properties": {"primary": True, "subnet": {"id": machine.subnet}}},
        ],
    }
    if machine.network_security_group:
        properties["networkSecurityGroup"] = {"id": machine.network_security_group}
    return {"name": nic_name(name), "properties": properties}
