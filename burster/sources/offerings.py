"""What a target offers: VM sizes that exist and are ours to use, with TEE, vCPUs, memory, GPUs and price.

Called by the runtime at start and by the offerings tick. It lists every size the target names, also those that can't
be used, with the reason: the engine refuses them and says why. It must never fill in a fact that ARM or the price
list did not state. On failure it raises RemoteError, and the caller keeps what it knew.
"""

from typing import Protocol

from burster.clients.arm_facts import Sku
from burster.clients.prices import RegionPrices
from burster.model.errors import RemoteError
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.stimuli import OfferingsSeen
from burster.model.targets import Target


class PricesUnreadError(RemoteError):
    """The sizes are known, and nobody says what they cost."""


class SkuReader(Protocol):
    """Who knows the sizes: burster.clients.arm.Arm."""

    async def skus(self, target: Target) -> list[Sku]:
        """Return the sizes of the target's region."""
        ...


class PriceReader(Protocol):
    """Who knows the prices: burster.clients.prices.Prices."""

    async def region_prices(self, region: str) -> RegionPrices:
        """Return the prices of a region."""
        ...


async def observe_offerings(target: Target, arm: SkuReader, prices: PriceReader) -> OfferingsSeen:
    """Return what the target offers now. Raises RemoteError, PricesUnreadError where only the prices are wanting."""
    skus = await arm.skus(target)
    try:
        known = await prices.region_prices(target.region)
    except RemoteError as error:
        raise PricesUnreadError(error.kind, str(error), code=error.code, retry_after_ms=error.retry_after_ms) from error
    return OfferingsSeen(target=target.name, offerings=build_offerings(target, skus, known))


def build_offerings(target: Target, skus: list[Sku], prices: RegionPrices) -> tuple[Offering, ...]:
    """Join sizes and prices, in the order of the target's own list; each size once, spelled as ARM spells it."""
    by_name = {sku.name.casefold(): sku for sku in skus}
    wanted = dict.fromkeys(name.casefold() for name in target.sizes)
    spelled = {name.casefold(): name for name in reversed(target.sizes)}
    return tuple(
        _offering(target, by_name[name], prices) if name in by_name else _absent(target, spelled[name])
        for name in wanted
    )


def _offering(target: Target, sku: Sku, prices: RegionPrices) -> Offering:
    price = prices.of(sku.name)
    return Offering(
        target=target.name,
        provider=target.provider,
        region=target.region,
        size=sku.name,
        family=sku.family,
        resources=sku.resources,
        tee=sku.tee,
        price_micro_usd_per_hour=price,
        restricted=sku.restricted,
        zones=sku.zones,
    )


def _absent(target: Target, size: str) -> Offering:
    """Return a size that the region does not have: listed, so that somebody can be told."""
    return Offering(
        target=target.name,
        provider=target.provider,
        region=target.region,
        size=size,
        family="",
        resources=Resources(),
        tee="None",
        price_micro_usd_per_hour=None,
        restricted=f"not offered in {target.region}",
    )
