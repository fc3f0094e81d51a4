"""Why not this size: everything that a target offers, ranked, each with what it costs, what is free of it, and the first thing against it.

Called by `burster offerings` and by whoever explains a choice. It looks with the same eyes as ``offerings`` does when it chooses: the first
in the ranking is the one a pod would get. Changes nothing but what is remembered.
"""

from typing import Final

import msgspec

from burster.engine.offers import capacity, quotas
from burster.engine.offers.objections import explain, in_words
from burster.engine.offers.offer_index import Narrowing, Objection, OfferIndex, Row, narrowing_of, objections, price_of
from burster.engine.offers.offerings import FURTHEST, Crowd, index_of
from burster.engine.offers.standing import Standing
from burster.engine.state import State, TargetEntry
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import Policy


#: What is told of an offering that nothing stands against
CHOSEN: Final = Reason(code="Cheapest", sentence="It is the cheapest that fits.")
_DEARER: Final = Reason(code="Dearer", sentence="It fits, and costs more than the first.")


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """An offering and where it stands. ``rank`` begins with 1; None: it can't be had now, and ``reason`` is the first thing against it.

    ``price_per_fit``: what one such pod or machine pays per hour: as it has a VM of its own, all of its price; None where it does not fit.
    Free vCPUs are None where no row is known; for spot both are those of the one row that all spot VMs share. ``in_flight``: vCPUs that
    burster launched and the row may not count yet, already taken off.
    """

    offering: Offering
    rank: int | None
    reason: Reason
    price_micro_usd_per_hour: int | None
    price_per_fit_micro_usd_per_hour: int | None
    free_family_vcpus: int | None
    free_region_vcpus: int | None
    in_flight_vcpus: int
    open_zones: tuple[str, ...]
    refused_until_ms: int | None = None


def explain_all(state: State, policy: Policy | None, requests: Resources, target: TargetEntry) -> tuple[Explained, ...]:
    """Return every offering of a target: those that could be had by rank, then the others, what came furthest first.

    ``policy`` None: as a policy without any wish of its own would see it, with the target's own TEEs.
    """
    index, narrowing = _index(target, policy)
    rows = {row.offering.key: row for row in index.fit(requests).usable}
    crowd = Crowd(state, policy, target.target) if policy is not None and policy.placement.spread is not None else None
    standing = Standing(state, target, index)
    usable: list[Row] = []
    refused: list[tuple[int, Offering, Objection]] = []
    for offering, objection in objections(target.target, target.offerings, narrowing):
        against = objection or _against(standing, requests, offering, rows, crowd)
        if against is None:
            usable.append(rows[offering.key])
        else:
            refused.append((FURTHEST.index(against), offering, against))
    order = {id(row): position for position, row in enumerate(index.fit(requests).usable)}
    usable.sort(key=lambda row: order[id(row)])
    refused.sort(key=lambda one: (one[0], _price_rank(target, one[1]), one[1].key))
    return (
        *(
            _told(state, target, requests, row.offering, rank, CHOSEN if rank == 1 else _DEARER)
            for rank, row in enumerate(usable, start=1)
        ),
        *(
            _told(state, target, requests, offering, None, _reason(state, requests, target, objection, offering))
            for _, offering, objection in refused
        ),
    )


def _index(target: TargetEntry, policy: Policy | None) -> tuple[OfferIndex, Narrowing]:
    if policy is not None:
        return index_of(target, policy), narrowing_of(policy)
    narrowing: Narrowing = ((), target.target.tees, "Never", False)
    return OfferIndex(target.target, target.offerings, narrowing), narrowing


def _against(
    standing: Standing,
    requests: Resources,
    offering: Offering,
    rows: dict[str, Row],
    crowd: Crowd | None,
) -> Objection | None:
    """Return what stands against an offering that the rules allow, in the order in which it is asked for a choice."""
    row = rows.get(offering.key)
    if row is None:
        if not requests.fits_in(offering.resources):
            return "TooSmall"
        return "Restricted" if offering.restricted else "NoPrice"
    objection = standing.against(row)
    return "Crowded" if objection is None and crowd is not None and crowd.has(offering) else objection


def _reason(state: State, requests: Resources, target: TargetEntry, objection: Objection, offering: Offering) -> Reason:
    reason = explain(state, requests, target, objection, offering)
    if objection == "SizeNotAllowed":
        sentence = f"The policy or the target does not allow {offering.size}."
    elif objection == "TooSmall":
        sentence = f"{offering.size} has {in_words(offering.resources)}, and {in_words(requests)} is asked for."
    else:
        return reason
    return msgspec.structs.replace(reason, sentence=sentence)


def _told(
    state: State, target: TargetEntry, requests: Resources, offering: Offering, rank: int | None, reason: Reason
) -> Explained:
    price = price_of(target.target, offering)
    family, region, launched = quotas.free(target, offering)
    refusal = capacity.refusal_of(state, offering)
    return Explained(
        offering=offering,
        rank=rank,
        reason=reason,
        price_micro_usd_per_hour=price,
        price_per_fit_micro_usd_per_hour=price if requests.fits_in(offering.resources) else None,
        free_family_vcpus=family,
        free_region_vcpus=region,
        in_flight_vcpus=launched,
        open_zones=capacity.open_zones(state, offering),
        refused_until_ms=None if refusal is None else refusal[0],
    )


def _price_rank(target: TargetEntry, offering: Offering) -> tuple[bool, int]:
    price = price_of(target.target, offering)
    return price is None, price or 0
