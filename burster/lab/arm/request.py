"""Reads and judges the body of a VM's PUT, in the order Azure does: shape, size, image, security, network, user data.

Called by the cloud before anything is reserved; knows nothing of quota, capacity or other VMs. It must never repair a
body: what real ARM refuses is refused here, with its code.
"""

import base64
import binascii
import re
from typing import Any, Final

import msgspec

from burster.lab.arm.body import OsDisk, VmBody
from burster.lab.arm.catalogue import REGIONS, Size, find_size, sizes_in
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import Image
from burster.lab.arm.errors import ArmError, invalid
from burster.lab.arm.images import find_image
from burster.lab.arm.security import judge_image, judge_security
from burster.lab.arm.spot import judge_priority


USER_DATA_MAX_BYTES: Final = 64 * 1024
_TAGS_MAX: Final = 50
_TAG_NAME_MAX: Final = 512
_TAG_VALUE_MAX: Final = 256
_NAME_MAX: Final = 64
_NOT_IN_NAMES = re.compile(r"""[`~!@#$%^&*()=+_\[\]{}\\|;:'",<>/?\s]""")
_NOT_IN_TAGS = re.compile(r"[<>%&\\?/]")


class VmRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A body that was accepted, with what it names looked up. ``raw`` is the JSON as it came."""

    body: VmBody
    raw: dict[str, Any]
    size: Size
    image: Image
    os_disk: OsDisk


def read_vm_request(name: str, content: bytes, config: ArmConfig) -> VmRequest:
    """Return the body if Azure would take it; ArmError 400 or 404 otherwise."""
    try:
        raw = msgspec.json.decode(content, type=dict[str, Any])
        body = msgspec.convert(raw, VmBody)
    except msgspec.ValidationError as problem:
        raise ArmError(400, "InvalidRequestContent", f"The request content was invalid: {problem}") from None
    except msgspec.DecodeError:
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid and could not be read.") from None
    judge_tags(body.tags)
    size = _judge_size(body)
    _judge_names(name, body)
    image, os_disk = _judge_storage(body, config)
    judge_priority(body, size)
    judge_security(body, size, os_disk, config)
    judge_image(body, size, image)
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


def judge_tags(tags: dict[str, str]) -> None:
    """Refuse what ARM itself refuses, for whatever resource."""
    if len(tags) > _TAGS_MAX:
        raise ArmError(
            400, "TooManyTags", f"The number of tags '{len(tags)}' exceeds the maximum of '{_TAGS_MAX}' for a resource."
        )
    for name, value in tags.items():
        if not name or _NOT_IN_TAGS.search(name):
            raise ArmError(
                400,
                "InvalidTagNameCharacters",
                f"The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters.",
            )
        if len(name) > _TAG_NAME_MAX:
            raise ArmError(
                400,
                "InvalidTagNameLength",
                f"Tag name too large. Maximum allowed length for tag name - '{_TAG_NAME_MAX}' characters.",
            )
        if len(value) > _TAG_VALUE_MAX:
            raise ArmError(
                400,
                "InvalidTagValueLength",
                f"Tag value too large. Following tag value '{value}' exceeded the maximum length. "
                f"Maximum allowed length for tag value - '{_TAG_VALUE_MAX}' characters.",
            )


def _judge_names(name: str, body: VmBody) -> None:
    profile = body.properties.os_profile
    for told, target in ((name, "linuxHostName"), (profile.computer_name if profile else "", "computerName")):
        if len(told) > _NAME_MAX or _NOT_IN_NAMES.search(told) or told.endswith((".", "-")):
            raise invalid(
                "Linux host name cannot exceed 64 characters in length or contain the following characters: "
                "` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : ' \" , < > / ?.",
                target,
            )


def _judge_size(body: VmBody) -> Size:
    if body.region not in REGIONS:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{body.location}' is not available for resource type 'Microsoft.Compute/virtualMachines'. "
            f"List of available regions for the resource type is '{','.join(REGIONS)}'.",
        )
    if unknown := sorted(set(body.zones) - set(REGIONS[body.region])):
        raise ArmError(
            400,
            "InvalidAvailabilityZone",
            f"The zone(s) '{','.join(unknown)}' for resource 'Microsoft.Compute/virtualMachines' is not supported "
            f"in the location '{body.region}'.",
        )
    if len(body.zones) > 1:
        raise ArmError(
            400, "InvalidParameter", "A virtual machine can be in one availability zone only.", target="zones"
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


def _judge_storage(body: VmBody, config: ArmConfig) -> tuple[Image, OsDisk]:
    storage = body.properties.storage_profile
    if storage.image_reference is None or not storage.image_reference.name:
        raise invalid("Required parameter 'imageReference' is missing (null).", "imageReference")
    if storage.os_disk is None:
        raise invalid("Required parameter 'osDisk' is missing (null).", "osDisk")
    if storage.os_disk.create_option.casefold() != "fromimage":
        raise invalid("The value of parameter osDisk.createOption is invalid.", "osDisk.createOption")
    return find_image(config, storage.image_reference.name, body.region), storage.os_disk


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
        for wanted, known in ((nic.subnet, config.subnets), (nic.security_group, config.security_groups)):
            if wanted and known and wanted.casefold() not in {each.casefold() for each in known}:
                raise ArmError(
                    400,
                    "InvalidResourceReference",
                    f"Resource {wanted} referenced by resource {nic.name} was not found. Please make sure that the referenced "
                    "resource exists, and that both resources are in the same region.",
                )


def _judge_user_data(user_data: str) -> None:
    if len(user_data) > USER_DATA_MAX_BYTES:
        raise invalid("The base64 encoded userData is greater than 64KB.", "userData")
    try:
        base64.b64decode(user_data, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("userData must be a valid base64 string.", "userData") from None
