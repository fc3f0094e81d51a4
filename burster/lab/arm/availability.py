"""Where a size may be had at all: its zones, and what this subscription is barred from.

Read by the rules for a new VM and by the SKU list, so that both say the same.
"""

from collections.abc import Mapping
from typing import TypeVar

from burster.lab.arm.catalogue import REGIONS, Size
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import RestrictionReason
from burster.lab.arm.errors import ArmError


T = TypeVar("T")


def zones_of(config: ArmConfig, region: str, size: Size) -> tuple[str, ...]:
    """Return the zones in which a size exists."""
    found = _find(config.zones, region, size)
    return REGIONS[region] if found is None else found


def restriction_of(config: ArmConfig, region: str, size: Size) -> RestrictionReason | None:
    """Return why the subscription may not use a size in a region, None where it may."""
    return _find(config.restricted, region, size)


def barred_zones(config: ArmConfig, region: str, size: Size) -> tuple[str, ...]:
    """Return the zones in which the subscription may not use a size."""
    return _find(config.restricted_zones, region, size) or ()


def check_available(
    config: ArmConfig, region: str, size: Size, zones: tuple[str, ...], *, subscription: str, vm_id: str
) -> None:
    """Raise ArmError 409 where the size doesn't exist in the zone, or the subscription is barred from it."""
    absent = set(zones) - set(zones_of(config, region, size))
    barred = set(zones) & set(barred_zones(config, region, size))
    if restriction_of(config, region, size) or absent or barred:
        raise ArmError(
            409,
            "SkuNotAvailable",
            f"The requested size for resource '{vm_id}' is currently not available in location '{region}' zones '{','.join(zones)}' "
            f"for subscription '{subscription}'. Please try another size or deploy to a different location or zones. "
            "See https://aka.ms/azureskunotavailable for details.",
        )


def _find(declared: Mapping[str, T], region: str, size: Size) -> T | None:
    key = f"{region}/{size.name}".casefold()
    return next((value for known, value in declared.items() if known.casefold() == key), None)
