"""What the ARM stand-in sells: regions, VM sizes, quota families and prices.

Pure data from the published size tables and the retail price list of 2026-06-18; the server and tests read it,
nothing writes it. A size or price that the sources did not state is absent here: "no price listed" is a case burster
must survive, so it must exist in the lab.
"""

from functools import lru_cache
from typing import Final

import msgspec

from burster.model.offerings import Tee


#: Prices were read on this day.
PRICES_AS_OF: Final = "2026-06-18"

#: Region -> availability zones. westus has none, which is a case of its own.
REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "centralus": ("1", "2", "3"),
    "eastus": ("1", "2", "3"),
    "eastus2": ("1", "2", "3"),
    "northeurope": ("1", "2", "3"),
    "westeurope": ("1", "2", "3"),
    "westus": (),
    "westus3": ("1", "2", "3"),
}

_V6_REGIONS: Final = ("eastus", "westeurope", "westus", "westus3")
_V5_REGIONS: Final = ("centralus", "eastus2", "northeurope", "westeurope")
_ALL_REGIONS: Final = tuple(REGIONS)

_UP_TO_64: Final = (2, 4, 8, 16, 32, 48, 64)
_UP_TO_96: Final = (*_UP_TO_64, 96)
_UP_TO_128: Final = (*_UP_TO_96, 128)

#: Spot machines cost so much of the plain price.
SPOT_PERCENT: Final = 20

_MIB_PER_GIB: Final = 1024
#: vCPUs at which the number of data disks grows, largest first.
_DATA_DISKS: Final = ((32, 64), (16, 48), (8, 24), (4, 12), (0, 8))


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes that differ only in how many vCPUs they have. ``name`` has one ``{n}`` for that number."""

    name: str
    family: str
    tee: Tee
    gib_per_vcpu: int
    vcpus: tuple[int, ...]
    regions: tuple[str, ...]
    temp_gib_per_vcpu: int = 0
    gpus: int = 0
    generations: str = "V2"  #: as the SKU list says it
    low_priority: bool = True  #: to be had as a spot machine
    host_encryption: bool = True
    #: region -> micro-USD per vCPU and hour, where a price is published
    micro_usd_per_vcpu_hour: dict[str, int] = {}


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """One VM size."""

    name: str
    family: str
    tee: Tee
    vcpus: int
    memory_mib: int
    gpus: int
    temp_mib: int
    max_data_disks: int
    series: Series


SERIES: Final[tuple[Series, ...]] = (
    Series(
        name="Standard_DC{n}es_v6",
        family="standardDCEV6Family",
        tee="TDX",
        gib_per_vcpu=4,
        vcpus=_UP_TO_128,
        regions=_V6_REGIONS,
        micro_usd_per_vcpu_hour={"eastus": 50_400, "westus3": 50_400, "westeurope": 60_400},
    ),
    Series(
        name="Standard_DC{n}eds_v6",
        family="standardDCEDV6Family",
        tee="TDX",
        gib_per_vcpu=4,
        vcpus=_UP_TO_128,
        regions=_V6_REGIONS,
        temp_gib_per_vcpu=55,
        micro_usd_per_vcpu_hour={"eastus": 62_300},
    ),
    Series(
        name="Standard_EC{n}es_v6",
        family="standardECEV6Family",
        tee="TDX",
        gib_per_vcpu=8,
        vcpus=_UP_TO_64,
        regions=_V6_REGIONS,
        micro_usd_per_vcpu_hour={"eastus": 66_150},
    ),
    Series(
        name="Standard_EC{n}eds_v6",
        family="standardECEDV6Family",
        tee="TDX",
        gib_per_vcpu=8,
        vcpus=_UP_TO_64,
        regions=_V6_REGIONS,
        temp_gib_per_vcpu=55,
        micro_usd_per_vcpu_hour={"eastus": 81_750},
    ),
    Series(
        name="Standard_DC{n}es_v5",
        family="standardDCEV5Family",
        tee="TDX",
        gib_per_vcpu=4,
        vcpus=_UP_TO_96,
        regions=_V5_REGIONS,
        micro_usd_per_vcpu_hour={"eastus2": 48_000, "westeurope": 57_500},
    ),
    Series(
        name="Standard_DC{n}eds_v5",
        family="standardDCEDV5Family",
        tee="TDX",
        gib_per_vcpu=4,
        vcpus=_UP_TO_96,
        regions=_V5_REGIONS,
        temp_gib_per_vcpu=55,
        micro_usd_per_vcpu_hour={"eastus2": 56_500},
    ),
    Series(
        name="Standard_EC{n}es_v5",
        family="standardECEV5Family",
        tee="TDX",
        gib_per_vcpu=8,
        vcpus=_UP_TO_64,
        regions=_V5_REGIONS,
        micro_usd_per_vcpu_hour={"eastus2": 63_000},
    ),
    Series(
        name="Standard_EC{n}eds_v5",
        family="standardECEDV5Family",
        tee="TDX",
        gib_per_vcpu=8,
        vcpus=_UP_TO_64,
        regions=_V5_REGIONS,
        temp_gib_per_vcpu=55,
        micro_usd_per_vcpu_hour={"eastus2": 72_000},
    ),
    # AMD SEV-SNP: confidential, but not what a policy that says TDX means; no price was stated
    Series(
        name="Standard_DC{n}as_v5",
        family="standardDCASv5Family",
        tee="SNP",
        gib_per_vcpu=4,
        vcpus=_UP_TO_96,
        regions=_ALL_REGIONS,
    ),
    Series(
        name="Standard_DC{n}ads_v5",
        family="standardDCADSv5Family",
        tee="SNP",
        gib_per_vcpu=4,
        vcpus=_UP_TO_96,
        regions=_ALL_REGIONS,
        temp_gib_per_vcpu=37,
    ),
    Series(
        name="Standard_EC{n}as_v5",
        family="standardECASv5Family",
        tee="SNP",
        gib_per_vcpu=8,
        vcpus=_UP_TO_64,
        regions=_ALL_REGIONS,
    ),
    Series(
        name="Standard_DC{n}as_v6",
        family="standardDCASv6Family",
        tee="SNP",
        gib_per_vcpu=4,
        vcpus=_UP_TO_96,
        regions=_V6_REGIONS,
    ),
    Series(
        name="Standard_NCC{n}ads_H100_v5",
        family="standardNCCadsH100v5Family",
        tee="SNP",
        gib_per_vcpu=8,
        vcpus=(40,),
        regions=("eastus2", "westeurope"),
        gpus=1,
        low_priority=False,
        micro_usd_per_vcpu_hour={"eastus2": 220_500},
    ),
    # plain sizes: what a confidential workload must never end up on; priced like their DCes siblings
    Series(
        name="Standard_D{n}s_v6",
        family="standardDSv6Family",
        tee="None",
        gib_per_vcpu=4,
        vcpus=_UP_TO_128,
        regions=_ALL_REGIONS,
        micro_usd_per_vcpu_hour={"eastus": 50_400, "westus3": 50_400},
    ),
    Series(
        name="Standard_D{n}s_v5",
        family="standardDSv5Family",
        generations="V1,V2",
        tee="None",
        gib_per_vcpu=4,
        vcpus=_UP_TO_96,
        regions=_ALL_REGIONS,
        micro_usd_per_vcpu_hour={"eastus2": 48_000},
    ),
)


def _size(series: Series, vcpus: int) -> Size:
    return Size(
        name=series.name.format(n=vcpus),
        family=series.family,
        tee=series.tee,
        vcpus=vcpus,
        memory_mib=vcpus * series.gib_per_vcpu * _MIB_PER_GIB,
        gpus=series.gpus,
        temp_mib=vcpus * series.temp_gib_per_vcpu * _MIB_PER_GIB,
        max_data_disks=next(disks for least, disks in _DATA_DISKS if vcpus >= least),
        series=series,
    )


_SIZES: Final[dict[str, Size]] = {
    size.name.casefold(): size for series in SERIES for size in (_size(series, vcpus) for vcpus in series.vcpus)
}


def find_size(name: str) -> Size | None:
    """Return the size of that name in any case, None where nobody ever heard of it."""
    return _SIZES.get(name.casefold())


def sizes_in(region: str) -> list[Size]:
    """Return every size the region offers, in the catalogue's order."""
    return [size for size in _SIZES.values() if region in size.series.regions]


@lru_cache(maxsize=64)
def families_in(region: str) -> tuple[str, ...]:
    """Return the quota families of the region, in the catalogue's order."""
    return tuple(dict.fromkeys(size.family for size in sizes_in(region)))


def price_micro_usd_per_hour(region: str, size: Size) -> int | None:
    """Return what the size costs there, None where no price is published. The price list has three decimals of a dollar."""
    per_vcpu = size.series.micro_usd_per_vcpu_hour.get(region)
    if per_vcpu is None or region not in size.series.regions:
        return None
    return (per_vcpu * size.vcpus + 500) // 1000 * 1000


def spot_micro_usd_per_hour(region: str, size: Size) -> int | None:
    """Return what the size costs there as a spot machine, None where no price is published or it isn't sold so."""
    price = price_micro_usd_per_hour(region, size)
    return None if price is None or not size.series.low_priority else price * SPOT_PERCENT // 100
