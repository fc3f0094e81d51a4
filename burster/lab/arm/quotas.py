"""vCPU quota by family and region: what is used, what is allowed, and ARM's sentence when it is too much.

Called by the cloud before a VM is accepted, and for the usages list. Every VM that is still there counts, also failed
ones and those being deleted.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from burster.lab.arm.catalogue import Size, families_in
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError


_VMS_PER_REGION: Final = 25_000


class Counted(Protocol):
    """What counts against a quota."""

    @property
    def region(self) -> str:
        """Where it is."""
        ...

    @property
    def size(self) -> Size:
        """What it is."""
        ...


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a region's usages."""

    name: str
    title: str
    used: int
    limit: int


def limit_of(config: ArmConfig, region: str, family: str) -> int:
    """Return the vCPUs allowed for a family, or for ``cores``."""
    wanted = f"{region}/{family}".casefold()
    for key, limit in config.quotas.items():
        if key.casefold() == wanted:
            return limit
    return config.cores_quota if family == "cores" else config.family_quota


def usage_rows(config: ArmConfig, region: str, vms: Iterable[Counted]) -> list[UsageRow]:
    """Return the region's usages, families after the totals."""
    count, used = 0, Counter[str]()
    for vm in vms:
        if vm.region == region:
            count += 1
            used[vm.size.family] += vm.size.vcpus
    return [
        UsageRow(
            name="cores", title="Total Regional vCPUs", used=used.total(), limit=limit_of(config, region, "cores")
        ),
        UsageRow(name="virtualMachines", title="Virtual Machines", used=count, limit=_VMS_PER_REGION),
        UsageRow(name="lowPriorityCores", title="Total Regional Low-priority vCPUs", used=0, limit=0),
        *(
            UsageRow(name=family, title=f"{family} vCPUs", used=used[family], limit=limit_of(config, region, family))
            for family in families_in(region)
        ),
    ]


def check_quota(config: ArmConfig, region: str, size: Size, vms: Iterable[Counted]) -> None:
    """Raise ArmError 409 where one more VM of that size is more than the family, or the region, may have."""
    rows = {row.name: row for row in usage_rows(config, region, vms)}
    for row, name in ((rows[size.family], f"{size.family} Cores"), (rows["cores"], "Total Regional Cores")):
        needed = row.used + size.vcpus
        if needed > row.limit:
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Operation could not be completed as it results in exceeding approved {name} quota. Additional details - "
                f"Deployment Model: Resource Manager, Location: {region}, Current Limit: {row.limit}, Current Usage: {row.used}, "
                f"Additional Required: {size.vcpus}, (Minimum) New Limit Required: {needed}.",
            )
