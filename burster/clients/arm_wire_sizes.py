"""ARM's JSON about sizes: what there is, what this subscription may do with it, and how much of it.

As in burster.clients.arm_wire: what is used is checked, what does not fit raises msgspec.ValidationError or ValueError.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from burster.clients.arm_facts import Sku, VmSize
from burster.clients.arm_wire import Answer, region_of
from burster.model.offerings import Quota, Tee
from burster.model.pods import Resources


_MIB: Final = 1024**2
_GIB: Final = 1024**3
#: No machine has more vCPUs or GiB than this; what claims to is a misreading.
_AMOUNT_MAX: Final = 10**6
_TEES: Final[dict[str, Tee]] = {"tdx": "TDX", "snp": "SNP"}


class _Wire(msgspec.Struct, rename="camel"):
    """Base of what is read; unknown fields are passed over."""


class _SizeWire(_Wire):
    name: str
    number_of_cores: int
    memory_in_mb: int = msgspec.field(name="memoryInMB")


class _Capability(_Wire):
    name: str
    value: str | None = None


class _LocationInfo(_Wire):
    location: str
    zones: list[str] | None = None


class _RestrictionInfo(_Wire):
    zones: list[str] | None = None


class _Restriction(_Wire):
    type: str | None = None
    reason_code: str | None = None
    restriction_info: _RestrictionInfo | None = None


class _SkuWire(_Wire):
    name: str
    resource_type: str
    family: str | None = None
    location_info: list[_LocationInfo] | None = None
    capabilities: list[_Capability] | None = None
    restrictions: list[_Restriction] | None = None


class _UsageName(_Wire):
    value: str | None = None


class _UsageWire(_Wire):
    name: _UsageName
    current_value: int
    limit: int


def read_size(answer: Answer) -> VmSize:
    """Return a row of the plain size list."""
    wire = msgspec.json.decode(answer, type=_SizeWire)
    resources = Resources(cpu_millicores=wire.number_of_cores * 1000, memory_bytes=wire.memory_in_mb * _MIB)
    return VmSize(name=wire.name, resources=resources)


def read_sku(answer: Answer, region: str) -> Sku | None:
    """Return a VM size of the SKU list; None for everything else in there."""
    wire = msgspec.json.decode(answer, type=_SkuWire)
    if wire.resource_type.casefold() != "virtualmachines":
        return None
    capabilities = {each.name: each.value or "" for each in wire.capabilities or ()}
    places = [info for info in wire.location_info or () if region_of(info.location) == region_of(region)]
    zones = {zone for info in places for zone in info.zones or ()}
    restricted, closed = "", set[str]()
    for restriction in wire.restrictions or ():
        if (restriction.type or "").casefold() == "zone":
            closed.update((restriction.restriction_info.zones if restriction.restriction_info else None) or ())
        elif not restricted:
            restricted = restriction.reason_code or "restricted"
    return Sku(
        name=wire.name,
        family=wire.family or "",
        resources=Resources(
            cpu_millicores=int(_number(capabilities.get("vCPUs", "0")) * 1000),
            memory_bytes=int(_number(capabilities.get("MemoryGB", "0")) * _GIB),
            gpus=int(_number(capabilities.get("GPUs", "0"))),
        ),
        tee=_TEES.get(capabilities.get("ConfidentialComputingType", "").casefold(), "None"),
        zones=tuple(sorted(zones - closed)),
        restricted=restricted,
        restricted_zones=tuple(sorted(closed)),
        generation=capabilities.get("HyperVGenerations", ""),
        spot_capable=capabilities.get("LowPriorityCapable", "").casefold() == "true",
    )


def read_usage(answer: Answer, region: str) -> Quota | None:
    """Return a row of vCPU usage; None for what is not counted in vCPUs. Some names come with blanks around them."""
    wire = msgspec.json.decode(answer, type=_UsageWire)
    name = (wire.name.value or "").strip()
    if not (name.casefold().endswith("family") or name.casefold() in {"cores", "lowprioritycores"}):
        return None
    return Quota(region=region, family=name, used_vcpus=wire.current_value, limit_vcpus=wire.limit)


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not value.is_finite() or not 0 <= value <= _AMOUNT_MAX:
        raise ValueError(f"{text!r} is no amount")
    return value
