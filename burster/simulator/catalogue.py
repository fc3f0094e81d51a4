"""The VM sizes that a scenario offers where it names none of its own: Azure's Intel TDX sizes, and its one confidential GPU size.

Used by scenarios only. The price is what the retail list said for Linux on demand in June 2026, per vCPU and hour; where the list
has no price for a region the price is unknown, and burster refuses what it can't reserve. Live prices come from the cloud, never from
here.
"""

import re
from typing import Final

from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.targets import Target


PRICES_AS_OF: Final = "2026-06-18"
_SIZE = re.compile(r"Standard_(DC|EC)(\d{1,3})e(d?)s_v([56])")
_GIB: Final = 1 << 30
_GIB_PER_VCPU: Final = {"DC": 4, "EC": 8}
#: (series, version, has a local disk) -> region -> micro-USD per vCPU and hour
_PRICES: Final[dict[tuple[str, str, bool], dict[str, int]]] = {
    ("DC", "6", False): {"eastus": 50_400, "westus3": 50_400, "westeurope": 60_400},
    ("DC", "6", True): {"eastus": 62_300},
    ("EC", "6", False): {"eastus": 66_100},
    ("EC", "6", True): {"eastus": 81_800},
    ("DC", "5", False): {"eastus2": 48_000, "westeurope": 57_500},
    ("DC", "5", True): {"eastus2": 56_500},
    ("EC", "5", False): {"eastus2": 63_000},
    ("EC", "5", True): {"eastus2": 72_000},
}

#: Where machines may say in which zones they are to be; of a peer pod's VM nobody does.
ZONES: Final = ("1", "2", "3")
_GPU_SIZE: Final = "Standard_NCC40ads_H100_v5"
_GPU_PRICES: Final = {"eastus2": 8_820_000}


def offering_of(target: Target, size: str) -> Offering | None:
    """Return what a target offers under a size's name, or None for a size that is in no series known here."""
    if size == _GPU_SIZE:
        return Offering(
            target=target.name,
            provider=target.provider,
            region=target.region,
            size=size,
            family="standardNCCadsH100v5Family",
            resources=Resources(cpu_millicores=40_000, memory_bytes=320 * _GIB, gpus=1),
            tee="SNP",
            price_micro_usd_per_hour=_GPU_PRICES.get(target.region),
        )
    match = _SIZE.fullmatch(size)
    if match is None:
        return None
    series, vcpus, disk, version = match[1], int(match[2]), bool(match[3]), match[4]
    price = _PRICES[series, version, disk].get(target.region)
    return Offering(
        target=target.name,
        provider=target.provider,
        region=target.region,
        size=size,
        family=f"standard{series}E{'D' if disk else ''}V{version}Family",
        resources=Resources(cpu_millicores=vcpus * 1000, memory_bytes=vcpus * _GIB_PER_VCPU[series] * _GIB),
        tee="TDX",
        price_micro_usd_per_hour=None if price is None else price * vcpus,
        zones=ZONES if target.machines is not None else (),
    )
