"""vCPU quota by family and region: what is used, what is allowed, and ARM's sentence when it is too much.

Called by the cloud before a VM is accepted, and for the usages list. Every VM that is still there counts, also failed
and deallocated ones and those being deleted; so does what the lab says that others use. Spot machines count against
``lowPriorityCores`` alone.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from burster.lab.arm.catalogue import Size, families_in
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError
from burster.lab.arm.resources import VmRecord


_VMS_PER_REGION: Final = 25_000
_CORES: Final = "cores"
_SPOT: Final = "lowPriorityCores"
_VMS: Final = "virtualMachines"


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a region's usages."""

    name: str
    title: str
    used: int
    limit: int


def limit_of(config: ArmConfig, region: str, family: str) -> int:
    """Return the vCPUs allowed for a family, for ``cores`` or for ``lowPriorityCores``."""
    wanted = f"{region}/{family}".casefold()
    for key, limit in config.quotas.items():
        if key.casefold() == wanted:
            return limit
    return {_CORES: config.cores_quota, _SPOT: config.spot_quota}.get(family, config.family_quota)


class Quotas:
    """What every subscription uses in every region, kept up to date as VMs come and go."""

    def __init__(self, *, now_ms: Callable[[], int], config: Callable[[], ArmConfig]) -> None:
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self._config = config
        self._used: dict[tuple[str, str], Counter[str]] = {}

    def count(self, vm: VmRecord, sign: int) -> None:
        """Add a VM that is there from now on (+1), or take it away (-1)."""
        used = self._used.setdefault((vm.scope.subscription.casefold(), vm.region), Counter())
        for name in _names_of(vm):
            used[name] += sign * vm.size.vcpus
        used[_VMS] += sign

    def rows(self, subscription: str, region: str) -> list[UsageRow]:
        """Return the region's usages, families after the totals."""
        used = self._all_used(subscription, region)
        config = self._config()
        titles = {_CORES: "Total Regional vCPUs", _SPOT: "Total Regional Low-priority vCPUs"}
        titles |= {family: f"{family} vCPUs" for family in families_in(region)}
        rows = [
            UsageRow(name=name, title=title, used=used[name], limit=limit_of(config, region, name))
            for name, title in titles.items()
        ]
        return [
            rows[0],
            UsageRow(name=_VMS, title="Virtual Machines", used=used[_VMS], limit=_VMS_PER_REGION),
            *rows[1:],
        ]

    def check(self, subscription: str, region: str, size: Size, *, spot: bool, without: VmRecord | None = None) -> None:
        """Raise ArmError 409 where one more VM of that size, in place of one that goes, is more than family or region may have."""
        used = self._all_used(subscription, region)
        if without is not None and without.region == region:
            used.subtract(dict.fromkeys(_names_of(without), without.size.vcpus))
        wanted = (
            {_SPOT: "LowPriorityCores"}
            if spot
            else {size.family: f"{size.family} Cores", _CORES: "Total Regional Cores"}
        )
        for name, title in wanted.items():
            limit = limit_of(self._config(), region, name)
            if used[name] + size.vcpus > limit:
                raise quota_exceeded(title, region, limit=limit, used=used[name], vcpus=size.vcpus)

    def _all_used(self, subscription: str, region: str) -> Counter[str]:
        used = Counter(self._used.get((subscription.casefold(), region), Counter[str]()))
        at_ms = self._now_ms() - self._began_ms
        families = {family.casefold(): family for family in (*families_in(region), _CORES, _SPOT)}
        for other in self._config().others_use:
            if other.region.casefold() == region and other.is_at(at_ms):
                family = families.get(other.family.casefold(), other.family)
                used[family] += other.vcpus
                if family not in {_CORES, _SPOT}:
                    used[_CORES] += other.vcpus
        return used


def _names_of(vm: VmRecord) -> tuple[str, ...]:
    """Return the quotas that a VM counts against."""
    return (_SPOT,) if vm.spot else (vm.size.family, _CORES)


def quota_exceeded(title: str, region: str, *, limit: int, used: int, vcpus: int) -> ArmError:
    """Return ARM's refusal of a VM that is more than the quota named ``title`` allows."""
    return ArmError(
        409,
        "OperationNotAllowed",
        f"Operation could not be completed as it results in exceeding approved {title} quota. Additional details - "
        f"Deployment Model: Resource Manager, Location: {region}, Current Limit: {limit}, Current Usage: {used}, "
        f"Additional Required: {vcpus}, (Minimum) New Limit Required: {used + vcpus}.",
    )
