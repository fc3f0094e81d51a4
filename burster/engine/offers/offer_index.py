"""What one target offers to one kind of rules, sorted by price, so that the choice for a pod is a short walk.

Made by ``offerings`` from a target, its offerings and the few fields of a policy that narrow them; kept with the target until any of them
changes. Knows nothing that changes from minute to minute: refusals, quota and spread are looked at during the walk.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from burster.model.offerings import Offering, Tee
from burster.model.pods import Resources
from burster.model.policies import Policy
from burster.model.targets import Target


Objection = Literal[
    "SizeNotAllowed",
    "ElsewhereOnly",
    "NotInZones",
    "WrongTee",
    "SpotNotAllowed",
    "SpotNotPossible",
    "SpotOnly",
    "TooSmall",
    "Restricted",
    "NoPrice",
    "PricesTooOld",
    "Cooling",
    "QuotaUnknown",
    "NoQuota",
    "Crowded",
]
#: What of a policy narrows a target's offerings: its sizes, its TEEs, what it says of spot, and whether it makes machines.
Narrowing = tuple[tuple[str, ...], tuple[Tee, ...], str, bool]
QuotaKey = tuple[str, str]
#: How many kinds of requests a fit is remembered for.
_REMEMBERED_MAX: Final = 2_048
_WHOLE: Final = 100_000  # milli-percent
CURRENCY: Final = "USD"  #: budgets and prices are in it, and in nothing else
SPOT_ROW: Final = "lowprioritycores"  #: the usages' row of spot vCPUs, in lower case


class Row(NamedTuple):
    """An offering that may be had, with what a choice looks at again and again."""

    price_micro_usd_per_hour: int
    cpu_millicores: int
    memory_bytes: int
    vcpus: int
    quota_keys: tuple[QuotaKey, ...]
    listed: bool  #: its price is the price list's, which may be too old
    offering: Offering
    position: int = 0  #: in the index


class Fit(NamedTuple):
    """What of an index holds a pod: the usable rows, the cheapest first, and an example of each that can't be used."""

    usable: tuple[Row, ...]
    restricted: Offering | None
    unpriced: Offering | None


class OfferIndex:
    """The offerings of a target that a policy may have at all."""

    __slots__ = ("_allowed", "_fits", "against", "places", "refused", "rows")

    def __init__(self, target: Target, offerings: tuple[Offering, ...], narrowing: Narrowing) -> None:
        self.against: dict[Objection, Offering] = {}  #: an example of each thing against the others
        self._allowed: list[Offering] = []
        rows: list[Row] = []
        declared = {offering.key.casefold() for offering in target.catalogue}
        for offering, objection in objections(target, offerings, narrowing):
            if objection is not None:
                self.against.setdefault(objection, offering)
                continue
            self._allowed.append(offering)
            price = price_of(target, offering)
            if not offering.restricted and price is not None:
                listed = offering.key.casefold() not in declared and is_list_price(target, offering)
                rows.append(_row(offering, price, listed=listed))
        #: those that could be had, the cheapest first
        self.rows = tuple(row._replace(position=position) for position, row in enumerate(sorted(rows, key=_rank)))
        #: (when and by what that was found, positions of rows that were refused lately): kept by ``standing``
        self.refused: tuple[tuple[int, int, int, int], frozenset[int]] | None = None
        self._fits: dict[Resources, Fit] = {}
        #: what the pods of a policy may be spread over here
        self.places = {by: frozenset(place_of(by, row.offering) for row in rows) for by in ("region", "zone", "family")}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing here at all for anybody under these rules."""
        return not self._allowed

    def fit(self, requests: Resources) -> Fit:
        """Return what holds these requests."""
        known = self._fits.get(requests)
        if known is None:
            if len(self._fits) >= _REMEMBERED_MAX:
                self._fits.clear()
            known = self._fits[requests] = self._find(requests)
        return known

    def _find(self, requests: Resources) -> Fit:
        cpu, memory = requests.cpu_millicores, requests.memory_bytes
        usable = [row for row in self.rows if cpu <= row[1] and memory <= row[2]]
        if requests.gpus or requests.devices:
            usable = [row for row in usable if requests.fits_in(row.offering.resources)]
        if usable:
            return Fit(tuple(usable), None, None)
        holding = [one for one in self._allowed if requests.fits_in(one.resources)]
        restricted = next((one for one in holding if one.restricted), None)
        unpriced = next((one for one in holding if not one.restricted), None)
        return Fit((), restricted, unpriced)


def objections(
    target: Target, offerings: Iterable[Offering], narrowing: Narrowing
) -> Iterator[tuple[Offering, Objection | None]]:
    """Yield each offering with the first thing against it that no pod and no time changes."""
    sizes = _folded(target.sizes), _folded(narrowing[0])
    zones = target.machines.zones if narrowing[3] and target.machines is not None else ()
    for offering in offerings:
        objection = _object_to(target, offering, sizes, narrowing)
        if objection is not None or not zones:
            yield offering, objection
            continue
        there = tuple(one for one in offering.zones if one in zones and one not in offering.blocked_zones)
        yield msgspec.structs.replace(offering, zones=there), None if there else "NotInZones"


def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def _object_to(
    target: Target, offering: Offering, sizes: tuple[frozenset[str], ...], narrowing: Narrowing
) -> Objection | None:
    """Return the first thing against an offering that no pod and no time changes."""
    size = offering.size.casefold()
    if any(allowed and size not in allowed for allowed in sizes):
        return "SizeNotAllowed"
    if offering.region.lower() != target.region.lower():
        return "ElsewhereOnly"
    if offering.restricted and not offering.family and offering.tee == "None":
        return "Restricted"  # the region does not have it: nobody knows what it would be
    if offering.tee == "None" or offering.tee not in narrowing[1] or offering.tee not in target.tees:
        return "WrongTee"
    return _object_to_spot(offering, narrowing[2], machine=narrowing[3])


def _object_to_spot(offering: Offering, wanted: str, *, machine: bool) -> Objection | None:
    """Return what a policy's word about spot says: cloud-api-adaptor makes no spot VMs, so for pods there is none."""
    if offering.spot:
        return "SpotNotAllowed" if wanted == "Never" else None if machine else "SpotNotPossible"
    if wanted != "Only":
        return None
    return "SpotOnly" if machine else "SpotNotPossible"


def _row(offering: Offering, price: int, *, listed: bool) -> Row:
    return Row(
        price_micro_usd_per_hour=price,
        cpu_millicores=offering.resources.cpu_millicores,
        memory_bytes=offering.resources.memory_bytes,
        vcpus=offering.resources.cpu_millicores // 1000,
        quota_keys=quota_keys(offering.region, offering.family, spot=offering.spot),
        listed=listed,
        offering=offering,
    )


def _rank(row: Row) -> tuple[int, int, int, str, bool, tuple[str, ...]]:
    offering = row.offering
    return (
        row.price_micro_usd_per_hour,
        row.cpu_millicores,
        row.memory_bytes,
        offering.size,
        offering.spot,
        offering.zones,
    )


def narrowing_of(policy: Policy) -> Narrowing:
    """Return what of a policy narrows a target's offerings: policies that are alike in it share an index."""
    placement = policy.placement
    return (placement.sizes, policy.confidential.tees, placement.spot, placement.strategy == "Machine")


def join_offerings(target: Target, listed: tuple[Offering, ...]) -> tuple[Offering, ...]:
    """Return what a target offers: its own catalogue, and what its cloud lists besides."""
    if not target.catalogue:
        return listed
    declared = {offering.key.casefold() for offering in target.catalogue}
    return (*target.catalogue, *(one for one in listed if one.key.casefold() not in declared))


def price_of(target: Target, offering: Offering) -> int | None:
    """Return what is reserved per hour: the negotiated price, else the list price less discount, else what the target assumes.

    None: unknown, which is refused. A discount is rounded up to the micro-USD, so that no price is ever set aside too low.
    """
    agreed = _agreed(target, offering)
    if agreed is not None:
        return agreed
    listed = offering.price_micro_usd_per_hour
    if listed is None or offering.currency != CURRENCY:
        return target.assumed_price_micro_usd_per_hour
    return -(-listed * (_WHOLE - target.discount_milli_percent) // _WHOLE)


def is_list_price(target: Target, offering: Offering) -> bool:
    """Say whether what is reserved for an offering comes from the price list, and is as old as that."""
    return offering.price_micro_usd_per_hour is not None and _agreed(target, offering) is None


def _agreed(target: Target, offering: Offering) -> int | None:
    """Return the price that was negotiated for a size. On Azure it is not that of the size's spot variant."""
    table = target.negotiated_micro_usd_per_hour
    if not table or (offering.spot and offering.provider == "azure"):
        return None
    size = offering.size.casefold()
    return table.get(offering.size, next((price for name, price in table.items() if name.casefold() == size), None))


@lru_cache(maxsize=4_096)
def quota_keys(region: str, family: str, *, spot: bool = False) -> tuple[QuotaKey, ...]:
    """Return the quota rows that a size counts against: its family's and the region's total; as spot, the one that all spot VMs share."""
    where = region.strip().lower()
    if spot:
        return ((where, SPOT_ROW),)
    return (where, family.strip().lower()), (where, "cores")


def place_of(by: str, offering: Offering) -> str:
    """Return where bursts of an offering lie, in the terms of a spread. A zone that the cloud chooses among several is not known: ""."""
    if by == "target":
        return offering.target
    if by == "region":
        return offering.region.lower()
    if by == "family":
        return offering.family.lower()
    return offering.zones[0] if len(offering.zones) == 1 else ""
