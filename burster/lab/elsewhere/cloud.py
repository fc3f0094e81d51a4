"""The small cloud: machines by id, each with a price, made and deleted in some time, refused while it is full or has an outage.

Called by ``adaptor``, by nobody else: it has no API that burster knows. What it charges is what tests hold the settled money against.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from burster.model.quantities import cost_micro_usd


class SmallCloudError(Exception):
    """The cloud refused; its message is what CAA passes on."""


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nothing can be made; counted from the cloud's start."""

    from_ms: int
    until_ms: int
    message: str = "insufficient capacity in availability domain eu-de-1a"


class SmallCloudOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How it behaves. ``prices`` are micro-USD per hour; a size without one does not exist there."""

    prices: dict[str, int]
    boot_ms: int = 25_000
    delete_ms: int = 6_000
    machines_max: int = 1_000
    outages: tuple[Outage, ...] = ()


class Machine(msgspec.Struct, kw_only=True):
    """One machine, kept after its end for the bill."""

    id: str
    name: str
    size: str
    made_at_ms: int
    gone_at_ms: int | None = None


class SmallCloud:
    """See the module."""

    def __init__(self, options: SmallCloudOptions, now_ms: Callable[[], int]) -> None:
        self._options: Final = options
        self._now_ms: Final = now_ms
        self._began_ms: Final = now_ms()
        self.machines: dict[str, Machine] = {}
        self.refused = 0

    @property
    def there(self) -> list[Machine]:
        """Machines that exist now."""
        return [machine for machine in self.machines.values() if machine.gone_at_ms is None]

    async def create(self, name: str, size: str) -> str:
        """Return a new machine's id when it has booted. Raises SmallCloudError; what was begun is there then, as in any cloud."""
        self._refuse(size)
        machine = Machine(id=f"sv-{len(self.machines) + 1:06x}", name=name, size=size, made_at_ms=self._now_ms())
        self.machines[machine.id] = machine
        await asyncio.sleep(self._options.boot_ms / 1_000)
        return machine.id

    async def delete(self, machine_id: str) -> None:
        """Return when a machine is gone; one that is not there counts as gone."""
        machine = self.machines.get(machine_id)
        if machine is None or machine.gone_at_ms is not None:
            return
        await asyncio.sleep(self._options.delete_ms / 1_000)
        if machine.gone_at_ms is None:
            machine.gone_at_ms = self._now_ms()

    def bill_micro_usd(self) -> int:
        """Return what everything has cost until now."""
        now_ms, prices = self._now_ms(), self._options.prices
        return sum(
            cost_micro_usd(prices[one.size], (now_ms if one.gone_at_ms is None else one.gone_at_ms) - one.made_at_ms)
            for one in self.machines.values()
        )

    def _refuse(self, size: str) -> None:
        since_ms = self._now_ms() - self._began_ms
        problem = ""
        for outage in self._options.outages:
            if outage.from_ms <= since_ms < outage.until_ms:
                problem = outage.message
        if size not in self._options.prices:
            problem = f"flavor {size} not found"
        elif len(self.there) >= self._options.machines_max:
            problem = "quota exceeded: instances"
        if problem:
            self.refused += 1
            raise SmallCloudError(problem)
