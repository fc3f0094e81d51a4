"""What the lab's VMs really cost: the truth that burster's own accounts are compared with.

Written by the cloud when a VM begins and ends. A VM costs from the moment its creation was accepted until it is gone,
failed or not; one that was never allocated costs nothing. Amounts are micro-USD.
"""

from typing import Any

import msgspec

from burster.lab.arm.catalogue import price_micro_usd_per_hour
from burster.lab.arm.resources import VmRecord
from burster.model.quantities import cost_micro_usd


class BilledVm(msgspec.Struct, frozen=True, kw_only=True):
    """One VM's time. ``ended_at_ms`` None: it still runs. ``price_micro_usd_per_hour`` None: its price is not published."""

    name: str
    resource_id: str
    region: str
    size: str
    price_micro_usd_per_hour: int | None
    began_at_ms: int
    security_type: str = ""  #: as it was asked for: ConfidentialVM, or empty for a plain one
    ended_at_ms: int | None = None

    def cost_micro_usd(self, now_ms: int) -> int:
        """Return what it has cost up to now; 0 where the price is not known."""
        until_ms = now_ms if self.ended_at_ms is None else self.ended_at_ms
        return cost_micro_usd(self.price_micro_usd_per_hour or 0, max(0, until_ms - self.began_at_ms))


class Billing:
    """Every VM there ever was. Nothing is forgotten: it is the lab's evidence, as long as the lab's life."""

    def __init__(self) -> None:
        self._vms: dict[tuple[str, int], BilledVm] = {}

    @property
    def vms(self) -> tuple[BilledVm, ...]:
        """In the order in which they began."""
        return tuple(self._vms.values())

    def of(self, name: str) -> tuple[BilledVm, ...]:
        """Return every VM that had this name, in any case."""
        return tuple(vm for vm in self._vms.values() if vm.name.casefold() == name.casefold())

    def cost_micro_usd(self, now_ms: int) -> int:
        """Return what all of them have cost up to now."""
        return sum(vm.cost_micro_usd(now_ms) for vm in self._vms.values())

    def began(self, vm: VmRecord) -> None:
        """Start the meter."""
        profile: dict[str, Any] = vm.properties.get("securityProfile") or {}
        self._vms[vm.key, vm.incarnation] = BilledVm(
            name=vm.name,
            resource_id=vm.id,
            region=vm.region,
            size=vm.size.name,
            price_micro_usd_per_hour=price_micro_usd_per_hour(vm.region, vm.size),
            began_at_ms=vm.created_at_ms,
            security_type=profile.get("securityType") or "",
        )

    def ended(self, vm: VmRecord, at_ms: int) -> None:
        """Stop the meter; once stopped it stays."""
        billed = self._vms[vm.key, vm.incarnation]
        if billed.ended_at_ms is None:
            self._vms[vm.key, vm.incarnation] = msgspec.structs.replace(billed, ended_at_ms=at_ms)

    def never_allocated(self, vm: VmRecord) -> None:
        """Take the VM's time off the bill: there was no machine."""
        self.ended(vm, vm.created_at_ms)
