"""Which offering a pod gets at a target: the cheapest that fits, that has not been refused lately, that the quota and the spread allow.

Called by ``gates`` for each target in the policy's order, and by ``demand`` and ``queues`` to tell pods that no offering could hold. The
rank is by price per fit: what one pod pays for the place it gets. A peer pod has a VM of its own, so one such pod fits into each VM,
whatever is left over, and its price per fit is the VM's price per hour. Ties go to fewer vCPUs, then less memory, then the size's name,
then its zones. Changes nothing but what it remembers.
"""

from typing import Final

from burster.engine.offers import capacity
from burster.engine.offers.indexing import family_of as family_of  # noqa: PLC0414 - who asks about offerings asks here
from burster.engine.offers.indexing import index_of as index_of  # noqa: PLC0414 - the same
from burster.engine.offers.objections import explain
from burster.engine.offers.offer_index import Objection, OfferIndex, QuotaKey, Row, place_of, quota_keys
from burster.engine.offers.standing import Standing
from burster.engine.offers.standing import prices_too_old as prices_too_old  # noqa: PLC0414 - who asks about offerings asks here
from burster.engine.offers.zones import choose_zone
from burster.engine.state import PolicyEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy
from burster.model.targets import Target


#: When no size is left, the objection that came furthest is the one a person can do something about.
FURTHEST: Final[tuple[Objection, ...]] = (
    "Crowded",
    "NoQuota",
    "QuotaUnknown",
    "Cooling",
    "PricesTooOld",
    "NoPrice",
    "Restricted",
    "TooSmall",
    "SpotOnly",
    "SpotNotPossible",
    "SpotNotAllowed",
    "WrongTee",
    "NotInZones",
    "ElsewhereOnly",
    "SizeNotAllowed",
)
#: What time, or room that comes free, can change.
_PASSING: Final[frozenset[Objection]] = frozenset({"Crowded", "NoQuota", "QuotaUnknown", "Cooling", "PricesTooOld"})


class Choice:
    """The offering found for a pod, or the reasons against every one.

    ``waits``: time or room that comes free can change a refusal; ``again_at_ms`` is when time does.
    """

    __slots__ = ("again_at_ms", "offering", "price_micro_usd_per_hour", "reason", "waits")

    def __init__(
        self,
        offering: Offering | None,
        price_micro_usd_per_hour: int,
        reason: Reason,
        *,
        waits: bool = False,
        again_at_ms: int | None = None,
    ) -> None:
        self.offering = offering
        self.price_micro_usd_per_hour = price_micro_usd_per_hour
        self.reason = reason
        self.waits = waits
        self.again_at_ms = again_at_ms


def ranked(state: State, policy: Policy, pod: Pod, target: TargetEntry) -> Choice:
    """Return the best offering of a target that this pod may have now, or the one reason that there is none."""
    index = index_of(target, policy)
    fit = index.fit(pod.requests)
    spread = policy.placement.spread
    crowd = None if spread is None else Crowd(state, policy, target.target)
    second: Row | None = None
    against: dict[Objection, Offering] = {}
    standing = Standing(state, target, index)
    for row in fit.usable:
        objection = standing.against(row)
        if objection is None and crowd is not None and crowd.has(row.offering):
            objection = "Crowded"
            second = second or row
        if objection is None:
            return _chosen(row)
        if objection not in against:
            against[objection] = row.offering
    if second is not None and spread is not None and not spread.required:
        return _chosen(second)
    if fit.restricted is not None:
        against["Restricted"] = fit.restricted
    if fit.unpriced is not None:
        against["NoPrice"] = fit.unpriced
    return _refused(state, pod.requests, target, index, against)


def _chosen(row: Row) -> Choice:
    offering = row.offering
    reason = Reason(code="Cheapest", sentence=f"{offering.size} is the cheapest size that fits.")
    return Choice(offering, row.price_micro_usd_per_hour, reason)


class Crowd:
    """The places that a policy's spread has no room in, found once for a walk over many offerings."""

    __slots__ = ("_by", "_places", "_policy", "_state", "_target")

    def __init__(self, state: State, policy: Policy, target: Target) -> None:
        spread = policy.placement.spread
        self._state, self._policy, self._target = state, policy, target
        self._by = "" if spread is None else spread.by
        # a machine's zone is burster's to choose, so whether one has room is asked where it is chosen
        chosen = self._by == "zone" and policy.placement.strategy == "Machine"
        self._places = None if chosen else crowded_places(state, policy)

    def has(self, offering: Offering) -> bool:
        """Say whether one more of an offering would pass the skew."""
        if self._places is None:
            return choose_zone(self._state, self._policy, self._target, offering) is None
        return bool(self._by) and place_of(self._by, offering) in self._places


def still_has_room(policy: Policy, target: TargetEntry, offering: Offering) -> bool:
    """Say whether the offering that was the best a moment ago still is: nothing but quota and spread can have changed."""
    if policy.placement.spread is not None:
        return False
    if not target.quotas:
        return True
    vcpus = offering.resources.cpu_millicores // 1000
    return _quota_room(target, quota_keys(offering.region, offering.family, spot=offering.spot), vcpus)


def _quota_room(target: TargetEntry, keys: tuple[QuotaKey, ...], vcpus: int) -> bool:
    for key in keys:
        quota = target.quotas.get(key)
        # A row is as old as the last poll; what burster itself launched since is counted on top, never subtracted.
        if quota is not None and quota.used_vcpus + target.launched.get(key, 0) + vcpus > quota.limit_vcpus:
            return False
    return True


def could_hold(state: State, policy: Policy, requests: Resources) -> bool:
    """Say whether any offering of any of a policy's targets could hold a pod, were there nothing else against it.

    Pods that are counted for machines need no place of their own, so all of them count.
    """
    return policy.machine is not None or any(
        index_of(state.targets[name], policy).fit(requests).usable
        for name in policy.placement.targets
        if name in state.targets
    )


def why_none_holds(state: State, policy: Policy, pod: Pod) -> Choice | None:
    """Return what stands against a pod that no offering could hold: at the last of the targets there are; None without a target."""
    choice: Choice | None = None
    for name in policy.placement.targets:
        if name in state.targets:
            choice = ranked(state, policy, pod, state.targets[name])
    return choice


def targets_in_order(state: State, policy: Policy) -> tuple[str, ...]:
    """Return a policy's targets as they are to be asked: in its own order, but those where a wanted spread has no room go last."""
    targets, spread = policy.placement.targets, policy.placement.spread
    if spread is None or spread.required or len(targets) == 1 or spread.by not in {"target", "region"}:
        return targets
    crowded = crowded_places(state, policy)
    full = [name for name in targets if name in state.targets and _place_of_target(state, spread.by, name) in crowded]
    return (*(name for name in targets if name not in full), *full)


def _place_of_target(state: State, by: str, name: str) -> str:
    return name if by == "target" else state.targets[name].target.region.lower()


def crowded_places(state: State, policy: Policy) -> frozenset[str]:
    """Return the places where one more burst of a policy would pass the skew of its spread, counted as Kubernetes counts it.

    One more there, less what the emptiest place has, is to be ``max_skew`` at most. The places are those of every offering that the
    policy could have. Bursts whose zone the cloud chose count nowhere, and a zone that is not known is always crowded.
    """
    spread = policy.placement.spread
    entry = state.policies.get(policy.key)
    if spread is None or entry is None:
        return frozenset()
    counts = _counts(state, policy, entry, spread.by)
    least = min((count for place, count in counts.items() if place), default=0)
    return frozenset(place for place, count in counts.items() if not place or count + 1 - least > spread.max_skew)


def _counts(state: State, policy: Policy, entry: PolicyEntry, by: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in policy.placement.targets:
        target = state.targets.get(name)
        if target is not None:
            index = index_of(target, policy)
            places = {name} if by == "target" and index.places["region"] else index.places.get(by, frozenset[str]())
            counts.update(dict.fromkeys(sorted(places), 0))
    for (target_name, region, size), running in entry.places.items():
        target = state.targets.get(target_name)
        place = target_name
        if by != "target":
            place = _place_of_size(target, by, region, size) if target is not None else ""
        if place in counts:
            counts[place] += running
    return counts


def _place_of_size(target: TargetEntry, by: str, region: str, size: str) -> str:
    if by == "region":
        return region.lower()
    same = (one for one in target.offerings if (one.size, one.region) == (size, region))
    return next((place_of(by, one) for one in same), "")


def _refused(
    state: State, wanted: Resources, target: TargetEntry, index: OfferIndex, against: dict[Objection, Offering]
) -> Choice:
    if not target.offerings:
        sentence = f"What {target.target.name} offers is not known yet."
        return Choice(None, 0, Reason(code="NoOfferings", sentence=sentence), waits=True)
    if not against:
        against = index.against if index.is_empty else {"TooSmall": target.offerings[0]}
    objection: Objection = next(o for o in FURTHEST if o in against)
    reason = explain(state, wanted, target, objection, against[objection])
    waits = objection in _PASSING
    return Choice(None, 0, reason, waits=waits, again_at_ms=capacity.thaws_at_ms(state) if waits else None)
