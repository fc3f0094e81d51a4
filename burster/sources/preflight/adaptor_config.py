"""What ConfigMap peer-pods-cm says, read as cloud-api-adaptor reads it, against the target. Pure.

Called by ``examine``. Blanks in lists are kept and flags are Go's, since what counts is what cloud-api-adaptor makes of a value.
"""

from collections.abc import Mapping
from typing import Final

from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Check, Findings
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import Known


AZURE: Final = "azure"
#: what cloud-api-adaptor makes where AZURE_INSTANCE_SIZE is left out
DEFAULT_SIZE: Final = "Standard_DC2as_v5"
OF_THE_CONFIG: Final = (c.CONFIDENTIAL, c.PROVIDER, c.PLACE, c.IMAGE, c.SIZES, c.SECURE_BOOT, c.PUBLIC_IP)
#: as Go's strconv.ParseBool
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
#: key -> what of the target it must be, as people call it
_PLACE: Final = {
    "AZURE_SUBSCRIPTION_ID": ("subscription", "subscription"),
    "AZURE_RESOURCE_GROUP": ("resource_group", "resource group"),
    "AZURE_REGION": ("region", "region"),
}


def check_config(data: Mapping[str, str], target: Target, known: Known, found: Findings) -> None:
    """Look at every value that decides what VMs are made."""
    _confidential(data, found)
    _provider(data, target, found)
    if target.provider != AZURE:
        for check in (c.PLACE, c.IMAGE, c.SIZES):
            found.skipped(check, f"How cloud-api-adaptor is told so for {target.provider} is not known here.")
    else:
        _place(data, target, found)
        _image(data, target, found)
        _sizes(data, target, found)
    _secure_boot(data, known, found)
    _public_ip(data, found)


def sizes_of(data: Mapping[str, str]) -> tuple[str, ...]:
    """Return the sizes that cloud-api-adaptor takes: its list split at commas, blanks kept; the default alone where there is no list."""
    listing = data.get("AZURE_INSTANCE_SIZES", "")
    return tuple(listing.split(",")) if listing else (default_size(data),)


def default_size(data: Mapping[str, str]) -> str:
    """Return the size of a peer pod that names none."""
    return data.get("AZURE_INSTANCE_SIZE") or DEFAULT_SIZE


def _flag(data: Mapping[str, str], key: str) -> bool | None:
    """Return a flag, None for a value that is none: cloud-api-adaptor does not start with it, or takes it for something else."""
    text = data.get(key, "")
    if text in _TRUE:
        return True
    return False if not text or text in _FALSE else None


def _confidential(data: Mapping[str, str], found: Findings) -> None:
    value = _flag(data, "DISABLECVM")
    if value is False:
        said = "DISABLECVM is false." if data.get("DISABLECVM") else "DISABLECVM is left out, which means false."
        found.ok(c.CONFIDENTIAL, said)
    elif value:
        found.problem(
            c.CONFIDENTIAL, f'DISABLECVM is "{data["DISABLECVM"]}": VMs would be plain ones, which the cloud can read.'
        )
    else:
        found.problem(c.CONFIDENTIAL, f'DISABLECVM is {data["DISABLECVM"]!r}, which is neither "true" nor "false".')


def _provider(data: Mapping[str, str], target: Target, found: Findings) -> None:
    value = data.get("CLOUD_PROVIDER", "")
    if value == target.provider:
        found.ok(c.PROVIDER, f"CLOUD_PROVIDER is {value}.")
    else:
        said = f"CLOUD_PROVIDER is {value!r}" if value else "CLOUD_PROVIDER is left out"
        found.problem(c.PROVIDER, f"{said}, and the target's provider is {target.provider}.")


def _place(data: Mapping[str, str], target: Target, found: Findings) -> None:
    wrong = [
        f"{key} is {data.get(key, '')!r}, the target's {what} {wanted}"
        for key, (field, what) in _PLACE.items()
        if data.get(key, "").casefold() != (wanted := str(getattr(target, field))).casefold()
    ]
    subnet = data.get("AZURE_SUBNET_ID", "")
    if target.subnet and subnet.casefold() != target.subnet.casefold():
        wrong.append(f"AZURE_SUBNET_ID is {subnet!r}, the target's subnet {target.subnet}")
    elif not subnet:
        wrong.append("AZURE_SUBNET_ID is left out")
    if wrong:
        found.problem(c.PLACE, f"{'; '.join(wrong)}.")
    else:
        unchecked = "" if target.subnet else " The target names no subnet to compare."
        found.ok(c.PLACE, f"Resource group {target.resource_group} in {target.region}.{unchecked}")


def _image(data: Mapping[str, str], target: Target, found: Findings) -> None:
    image = data.get("AZURE_IMAGE_ID", "")
    if not image:
        found.problem(c.IMAGE, "AZURE_IMAGE_ID is left out: cloud-api-adaptor does not start without.")
    elif target.image and image.casefold() != target.image.casefold():
        found.problem(c.IMAGE, f"AZURE_IMAGE_ID is {image}, the target's image {target.image}.")
    else:
        unchecked = "" if target.image else " The target names no image to compare."
        found.ok(c.IMAGE, f"{image}.{unchecked}")


def _sizes(data: Mapping[str, str], target: Target, found: Findings) -> None:
    taken = sizes_of(data)
    missing = [size for size in target.sizes if size not in taken]
    blank = [entry for entry in taken if entry != entry.strip()]
    if not missing:
        found.ok(c.SIZES, f"All {len(target.sizes)} are in its list of {len(taken)}.")
        return
    said = f"It refuses {listed(missing)}."
    if any(entry.strip() in missing for entry in blank):
        said += f" Its list has blanks in it, which it does not trim: {listed([repr(entry) for entry in blank])} are no VM sizes."
    found.problem(c.SIZES, said)


def _secure_boot(data: Mapping[str, str], known: Known, found: Findings) -> None:
    value = _flag(data, "ENABLE_SECURE_BOOT")
    if value:
        found.ok(c.SECURE_BOOT, "ENABLE_SECURE_BOOT is true.")
    elif known.secure_boot_by:
        said = "is false" if data.get("ENABLE_SECURE_BOOT") else "is left out, which means false"
        found.problem(
            c.SECURE_BOOT, f"ENABLE_SECURE_BOOT {said}, and secure boot is asked for by {listed(known.secure_boot_by)}."
        )
    else:
        found.ok(c.SECURE_BOOT, "ENABLE_SECURE_BOOT is not true, and no policy asks for it here.")


def _public_ip(data: Mapping[str, str], found: Findings) -> None:
    if _flag(data, "USE_PUBLIC_IP") is False:
        found.ok(c.PUBLIC_IP, "USE_PUBLIC_IP is false.")
    else:
        found.problem(c.PUBLIC_IP, f"USE_PUBLIC_IP is {data['USE_PUBLIC_IP']!r}.")


def skip_all(checks: tuple[Check, ...], found: Findings, why: str, *, unread: bool = False) -> None:
    """Say of checks that there was nothing to look at; ``unread``: for now."""
    for check in checks:
        found.skipped(check, why, unread=unread)
