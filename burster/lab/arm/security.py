"""Which size, image, disk and security profile go together: Azure's rules for confidential VMs.

Called while a VM's body is judged. What a size or an image isn't made for is refused in Azure's words; where its words
for a case are not on record the sentence follows those for the neighbouring one.
"""

from typing import Final

from burster.lab.arm.body import OsDisk, SecurityProfile, VmBody
from burster.lab.arm.catalogue import Size
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import Image
from burster.lab.arm.errors import ArmError, invalid


_ENCRYPTIONS: Final = ("VMGuestStateOnly", "DiskWithVMGuestState", "NonPersistedTPM")
#: the one kind of disk encryption set that a confidential VM's disk can have
_CONFIDENTIAL_SET: Final = "ConfidentialVmEncryptedWithCustomerKey"
_CONFIDENTIAL_IMAGES: Final = frozenset(
    {"ConfidentialVM", "ConfidentialVmSupported", "TrustedLaunchAndConfidentialVmSupported"}
)


def judge_security(body: VmBody, size: Size, os_disk: OsDisk, config: ArmConfig) -> None:
    """Refuse a security type that the size isn't made for, and a profile that the type doesn't allow."""
    asked = body.security_type
    if asked.casefold() not in {"", "standard", "trustedlaunch", "confidentialvm"}:
        raise invalid(f"The value '{asked}' of parameter securityType is invalid.", "securityProfile.securityType")
    confidential = asked.casefold() == "confidentialvm"
    if confidential != (size.tee != "None"):
        raise ArmError(
            400,
            "BadRequest",
            f"The VM size '{size.name}' is not supported for creation of VMs and Virtual Machine Scale Set "
            f"with '{asked or '<NULL>'}' security type.",
        )
    encryption = os_disk.managed_disk.security_profile.security_encryption_type
    profile = body.properties.security_profile
    if confidential and profile is not None:
        _judge_confidential(profile, os_disk, encryption, config)
    elif encryption:
        raise invalid("securityEncryptionType needs the security type 'ConfidentialVM'.", "securityEncryptionType")
    elif profile is not None and not asked and (profile.secure_boot or profile.vtpm):
        raise invalid(
            "'uefiSettings' can be set only for VMs of the security type 'TrustedLaunch' or 'ConfidentialVM'.",
            "uefiSettings",
        )


def _judge_confidential(profile: SecurityProfile, os_disk: OsDisk, encryption: str, config: ArmConfig) -> None:
    if not profile.vtpm:
        raise invalid("'vTpmEnabled' must be true for the security type 'ConfidentialVM'.", "uefiSettings.vTpmEnabled")
    if encryption not in _ENCRYPTIONS:
        raise invalid(
            "A managed disk of a VM of the security type 'ConfidentialVM' needs a 'securityEncryptionType'.",
            "securityEncryptionType",
        )
    whole_disk = encryption == "DiskWithVMGuestState"
    if whole_disk and not profile.secure_boot:
        raise invalid("'DiskWithVMGuestState' needs 'secureBootEnabled'.", "uefiSettings.secureBootEnabled")
    if whole_disk and profile.encryption_at_host:
        raise invalid(
            "'encryptionAtHost' can not be used with the securityEncryptionType 'DiskWithVMGuestState'.",
            "encryptionAtHost",
        )
    given = os_disk.managed_disk.security_profile.disk_encryption_set
    if given is not None and not whole_disk:
        raise invalid(
            f"A disk encryption set can not be given with the securityEncryptionType '{encryption}'.",
            "securityProfile.diskEncryptionSet",
        )
    if given is not None:
        _judge_set(given.id, config)


def _judge_set(wanted: str, config: ArmConfig) -> None:
    """Refuse a disk encryption set that isn't there or is for something else; without one Azure's own key is used."""
    known = {name.casefold(): kind for name, kind in config.disk_encryption_sets.items()}
    if not known and wanted:
        return
    kind = known.get(wanted.casefold())
    if kind is None:
        raise ArmError(404, "NotFound", f"Disk encryption set {wanted} could not be found.")
    if kind.casefold() != _CONFIDENTIAL_SET.casefold():
        raise invalid(
            f"The encryption type of disk encryption set '{wanted}' is '{kind}'; a disk of a VM of the security type "
            f"'ConfidentialVM' needs one of the type '{_CONFIDENTIAL_SET}'.",
            "securityProfile.diskEncryptionSet",
        )


def judge_image(body: VmBody, size: Size, image: Image) -> None:
    """Refuse an image of another generation, architecture or security type."""
    if image.generation not in size.series.generations.split(","):
        number = image.generation.removeprefix("V")
        raise _bad(
            f"The selected VM size '{size.name}' cannot boot Hypervisor Generation '{number}'. If this was a Create operation please "
            "check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM Size. If this "
            f"was an Update operation please select a Hypervisor Generation '{number}' VM Size. For more information, see "
            "https://aka.ms/azuregen2vm"
        )
    if image.architecture != "x64":
        raise _bad(
            f"Cannot create a VM of size '{size.name}' because this VM size only supports a CPU Architecture of 'x64', but an "
            f"image or disk with CPU Architecture '{image.architecture}' was given. Please check that the CPU Architecture of the "
            "image or disk is compatible with that of the VM size."
        )
    asked = body.security_type.casefold()
    if asked == "confidentialvm" and image.security_type not in _CONFIDENTIAL_IMAGES:
        raise _bad("Use of ConfidentialVM setting is not supported for the provided image.")
    if asked != "confidentialvm" and image.security_type == "ConfidentialVM":
        raise _only(image)
    if asked in {"", "standard"} and image.security_type == "TrustedLaunch":
        raise _only(image)


def _only(image: Image) -> ArmError:
    return _bad(
        f"The provided gallery image only supports creation of VMs and VM Scale Sets with '{image.security_type}' security type."
    )


def _bad(message: str) -> ArmError:
    return ArmError(400, "BadRequest", message)
