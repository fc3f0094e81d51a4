"""What a repeated PUT may change of a VM: its tags, and nothing that makes the machine."""

import msgspec

from burster.lab.arm.errors import ArmError
from burster.lab.arm.request import VmRequest, judge_tags
from burster.lab.arm.resources import VmRecord


class _Tags(msgspec.Struct, forbid_unknown_fields=True):
    tags: dict[str, str]


def read_tags(content: bytes) -> dict[str, str]:
    """Return the tags that a PATCH asks for; ArmError 400 where it asks for anything else, which the stand-in does not change."""
    try:
        tags = msgspec.json.decode(content, type=_Tags).tags
    except msgspec.DecodeError as problem:
        raise ArmError(400, "InvalidRequestContent", f"The request content was invalid: {problem}") from None
    judge_tags(tags)
    return tags


def check_stays(vm: VmRecord) -> None:
    """Raise ArmError 409 where the VM is on its way out."""
    if vm.state == "Deleting":
        raise ArmError(
            409,
            "OperationNotAllowed",
            f"Operation 'Update VM' is not allowed on VM '{vm.name}' since the VM is marked for deletion. You can only retry "
            "the Delete operation (or wait for an ongoing one to complete).",
        )


def check_update(vm: VmRecord, request: VmRequest) -> None:
    """Raise ArmError 409 where the VM is on its way out, is elsewhere, or would become another machine."""
    check_stays(vm)
    body = request.body
    if body.region != vm.region:
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{vm.name}' already exists in location '{vm.region}' in resource group '{vm.scope.group}'. "
            f"A resource with the same name cannot be created in location '{body.region}'.",
        )
    if body.spot and not vm.spot:
        raise ArmError(
            409,
            "VMPriorityCannotBeApplied",
            f"The specified priority value '{body.properties.priority}' cannot be applied to the Virtual Machine '{vm.name}' since no "
            "priority was specified when the Virtual Machine was created.",
        )
    changed = _changed_property(vm, request)
    if changed:
        raise ArmError(
            409, "PropertyChangeNotAllowed", f"Changing property '{changed}' is not allowed.", target=changed
        )


def _changed_property(vm: VmRecord, request: VmRequest) -> str:
    """Return the first property that an update may not change but would."""
    asked, had = request.raw["properties"], vm.properties
    if tuple(request.body.zones) != vm.zones:
        return "zones"
    if request.body.properties.user_data != vm.user_data:
        return "userData"
    if request.size.name != vm.size.name:
        return "hardwareProfile.vmSize"
    fixed = ("osProfile", "storageProfile", "securityProfile", "evictionPolicy")
    return next((name for name in fixed if asked.get(name) != had.get(name)), "")
