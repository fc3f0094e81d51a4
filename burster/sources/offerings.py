"""What a target offers: VM sizes that exist and are ours to use, with TEE, vCPUs, memory, GPUs, zones and price.

Called by the runtime at start and by the offerings tick. It lists every size the target names, also those that can't be used, with the
reason: the engine refuses them and says why. A size that may be spot is two offerings. It must never fill in a fact that ARM or the price
list did not state. Where the sizes can't be read it raises RemoteError, and the caller keeps what it knew; where only the prices can't,
sizes come without, and with the reason.
"""

from collections.abc import Iterator
from typing import Protocol

from burster.clients.arm_facts import Sku
from burster.clients.prices import RegionPrices
from burster.model.errors import RemoteError
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.stimuli import OfferingsSeen
from burster.model.targets import Target


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
    """Return what the target offers now. Raises RemoteError where nobody says which sizes there are."""
    skus = await arm.skus(target)
    if not skus:
        raise RemoteError(
            "Protocol",
            f"the SKU list of {target.region} is empty: check that the region exists and that the subscription may use it",
            code="NoSkus",
        )
    try:
        known = await prices.region_prices(target.region)
    except RemoteError as error:
        known = RegionPrices(region=target.region, micro_usd_per_hour={}, origin="retail", problem=str(error))
    return OfferingsSeen(
        target=target.name,
        offerings=build_offerings(target, skus, known),
        prices_as_of=known.as_of,
        prices_usable_ms=known.usable_ms,
        prices_problem=known.problem,
    )


def build_offerings(target: Target, skus: list[Sku], prices: RegionPrices) -> tuple[Offering, ...]:
    """Join sizes and prices, in the order of the target's own list; each size once, spelled as ARM spells it, then as spot."""
    by_name = {sku.name.casefold(): sku for sku in skus}
    wanted = dict.fromkeys(name.casefold() for name in target.sizes)
    spelled = {name.casefold(): name for name in reversed(target.sizes)}
    return tuple(
        offering
        for name in wanted
        for offering in (
            _offerings(target, by_name[name], prices) if name in by_name else (_absent(target, spelled[name]),)
        )
    )


def _offerings(target: Target, sku: Sku, prices: RegionPrices) -> Iterator[Offering]:
    yield _offering(target, sku, prices, spot=False)
    if sku.spot_capable:
        yield _offering(target, sku, prices, spot=True)


def _offering(target: Target, sku: Sku, prices: RegionPrices, *, spot: bool) -> Offering:
    price = prices.of(sku.name, spot=spot)
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
        blocked_zones=sku.restricted_zones,
        spot=spot,
        generation=sku.generation,
        currency=prices.currency,
        price_as_of=prices.as_of if price is not None else "",
        price_problem=prices.doubt_of(sku.name, spot=spot),
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
