"""What the lab's VMs and their parts really cost: the truth that burster's own accounts are compared with.

Written by the cloud when something begins and ends. A VM costs from the moment its creation was accepted until it is
gone or deallocated, failed or not; one that was never allocated costs nothing. Disks and public addresses cost as long
as they are there, whether anything uses them or not; they have an account of their own. Amounts are micro-USD.
"""

from typing import Any, Final

import msgspec

from burster.lab.arm.catalogue import price_micro_usd_per_hour, spot_micro_usd_per_hour
from burster.lab.arm.resources import DISK_KIND, PUBLIC_IP_KIND, Attachment, VmRecord
from burster.model.quantities import cost_micro_usd


#: a 32 GiB disk by its kind, and an address: assumptions of the order of the public list, linear in size
_DISK_MICRO_USD_PER_GIB_HOUR: Final = {"Premium_LRS": 226, "StandardSSD_LRS": 103, "Standard_LRS": 66}
_PUBLIC_IP_MICRO_USD_PER_HOUR: Final = 5_000


class BilledVm(msgspec.Struct, frozen=True, kw_only=True):
    """One VM's time. ``ended_at_ms`` None: it still runs. ``price_micro_usd_per_hour`` None: its price is not published."""

    name: str
    resource_id: str
    region: str
    size: str
    price_micro_usd_per_hour: int | None
    began_at_ms: int
    security_type: str = ""  #: as it was asked for: ConfidentialVM, or empty for a plain one
    spot: bool = False  #: the price is that of a spot machine
    tags: dict[str, str] = {}  #: as it was asked for
    ended_at_ms: int | None = None

    def cost_micro_usd(self, now_ms: int) -> int:
        """Return what it has cost up to now; 0 where the price is not known."""
        return _cost(self, now_ms)


class BilledPart(msgspec.Struct, frozen=True, kw_only=True):
    """The time of a disk, network interface or public address."""

    kind: str
    name: str
    resource_id: str
    region: str
    price_micro_usd_per_hour: int
    began_at_ms: int
    ended_at_ms: int | None = None

    def cost_micro_usd(self, now_ms: int) -> int:
        """Return what it has cost up to now."""
        return _cost(self, now_ms)


class Billing:
    """Everything there ever was. Nothing is forgotten: it is the lab's evidence, as long as the lab's life."""

    def __init__(self) -> None:
        self._vms: dict[tuple[str, int], BilledVm] = {}
        self._parts: dict[tuple[str, int], BilledPart] = {}
        self._running: dict[str, int] = {}

    @property
    def vms(self) -> tuple[BilledVm, ...]:
        """In the order in which they began."""
        return tuple(self._vms.values())

    @property
    def parts(self) -> tuple[BilledPart, ...]:
        """Disks, network interfaces and public addresses, in the order in which they began."""
        return tuple(self._parts.values())

    def of(self, name: str) -> tuple[BilledVm, ...]:
        """Return every VM that had this name, in any case."""
        return tuple(vm for vm in self._vms.values() if vm.name.casefold() == name.casefold())

    def cost_micro_usd(self, now_ms: int) -> int:
        """Return what all VMs have cost up to now."""
        return sum(vm.cost_micro_usd(now_ms) for vm in self._vms.values())

    def parts_cost_micro_usd(self, now_ms: int) -> int:
        """Return what everything besides VMs has cost up to now."""
        return sum(part.cost_micro_usd(now_ms) for part in self._parts.values())

    def began(self, vm: VmRecord) -> None:
        """Start the meter."""
        profile: dict[str, Any] = vm.properties.get("securityProfile") or {}
        price = spot_micro_usd_per_hour if vm.spot else price_micro_usd_per_hour
        self._vms[vm.key, vm.incarnation] = BilledVm(
            name=vm.name,
            resource_id=vm.id,
            region=vm.region,
            size=vm.size.name,
            price_micro_usd_per_hour=price(vm.region, vm.size),
            began_at_ms=vm.created_at_ms,
            security_type=profile.get("securityType") or "",
            spot=vm.spot,
            tags=vm.tags,
        )

    def ended(self, vm: VmRecord, at_ms: int) -> None:
        """Stop the meter; once stopped it stays."""
        billed = self._vms[vm.key, vm.incarnation]
        if billed.ended_at_ms is None:
            self._vms[vm.key, vm.incarnation] = msgspec.structs.replace(billed, ended_at_ms=at_ms)

    def never_allocated(self, vm: VmRecord) -> None:
        """Take the VM's time off the bill: there was no machine."""
        self.ended(vm, vm.created_at_ms)

    def part_began(self, part: Attachment) -> None:
        """Start the meter of a disk, interface or address."""
        number = self._running[part.key] = len(self._parts)
        self._parts[part.key, number] = BilledPart(
            kind=part.kind,
            name=part.name,
            resource_id=part.id,
            region=part.region,
            price_micro_usd_per_hour=_part_price(part),
            began_at_ms=part.created_at_ms,
        )

    def part_ended(self, part: Attachment, at_ms: int) -> None:
        """Stop it."""
        key = part.key, self._running.pop(part.key)
        self._parts[key] = msgspec.structs.replace(self._parts[key], ended_at_ms=at_ms)


def _part_price(part: Attachment) -> int:
    if part.kind == DISK_KIND:
        return _DISK_MICRO_USD_PER_GIB_HOUR.get(part.sku, 0) * part.size_gib
    return _PUBLIC_IP_MICRO_USD_PER_HOUR if part.kind == PUBLIC_IP_KIND else 0


def _cost(billed: BilledVm | BilledPart, now_ms: int) -> int:
    until_ms = now_ms if billed.ended_at_ms is None else billed.ended_at_ms
    return cost_micro_usd(billed.price_micro_usd_per_hour or 0, max(0, until_ms - billed.began_at_ms))
