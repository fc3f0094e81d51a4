"""Which offering a pod gets at a target: the cheapest that fits, that has not been refused lately, that the quota and the spread allow.

Called by ``gates`` for each target in the policy's order, and by ``demand`` and ``queues`` to tell pods that no offering could hold. The
rank is by price per fit: what one pod pays for the place it gets. A peer pod has a VM of its own, so one such pod fits into each VM,
whatever is left over, and its price per fit is the VM's price per hour. Ties go to fewer vCPUs, then less memory, then the size's name,
then its zones. Changes nothing but what it remembers.
"""

from typing import Final

from burster.engine.offers import capacity
from burster.engine.offers.offer_index import Objection, OfferIndex, QuotaKey, Row, narrowing_of, place_of, quota_keys
from burster.engine.state import PolicyEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms, format_memory_bytes


#: How many different narrowings of one target are kept indexed.
_INDEXES_MAX: Final = 256
#: When no size is left, the objection that came furthest is the one a person can do something about.
_FURTHEST: Final[tuple[Objection, ...]] = (
    "Crowded",
    "NoQuota",
    "Cooling",
    "NoPrice",
    "Restricted",
    "TooSmall",
    "SpotNotPossible",
    "SpotNotAllowed",
    "WrongTee",
    "ElsewhereOnly",
    "SizeNotAllowed",
)
#: What time, or room that comes free, can change.
_PASSING: Final[frozenset[Objection]] = frozenset({"Crowded", "NoQuota", "Cooling"})


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
    crowded = frozenset[str]() if spread is None else crowded_places(state, policy)
    second: Row | None = None
    against: dict[Objection, Offering] = {}
    for row in fit.usable:
        objection = _objection_now(state, target, row)
        if objection is None and spread is not None and place_of(spread.by, row.offering) in crowded:
            objection = "Crowded"
            second = second or row
        if objection is None:
            return _chosen(row)
        against.setdefault(objection, row.offering)
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


def _objection_now(state: State, target: TargetEntry, row: Row) -> Objection | None:
    if (state.cooling or state.family_blocks) and capacity.refusal_of(state, row.offering) is not None:
        return "Cooling"
    if target.quotas and not _quota_room(target, row.quota_keys, row.vcpus):
        return "NoQuota"
    return None


def still_has_room(policy: Policy, target: TargetEntry, offering: Offering) -> bool:
    """Say whether the offering that was the best a moment ago still is: nothing but quota and spread can have changed."""
    if policy.placement.spread is not None:
        return False
    if not target.quotas:
        return True
    vcpus = offering.resources.cpu_millicores // 1000
    return _quota_room(target, quota_keys(offering.region, offering.family), vcpus)


def _quota_room(target: TargetEntry, keys: tuple[QuotaKey, QuotaKey], vcpus: int) -> bool:
    for key in keys:
        quota = target.quotas.get(key)
        # A row is as old as the last poll; what burster itself launched since is counted on top, never subtracted.
        if quota is not None and quota.used_vcpus + target.launched.get(key, 0) + vcpus > quota.limit_vcpus:
            return False
    return True


def index_of(target: TargetEntry, policy: Policy) -> OfferIndex:
    """Return what a target offers under a policy's rules, made anew only where the target, its offerings or the rules have changed."""
    _check_indexed(target)
    narrowing = narrowing_of(policy)
    index = target.indexes.get(narrowing)
    if index is None:
        if len(target.indexes) >= _INDEXES_MAX:
            target.indexes.clear()
        index = target.indexes[narrowing] = OfferIndex(target.target, target.offerings, narrowing)
    return index


def family_of(target: TargetEntry, size: str) -> str:
    """Return the family of a size that a target offers; "" for one that it does not."""
    _check_indexed(target)
    if not target.families:
        target.families = {offering.size: offering.family for offering in reversed(target.offerings)}
    return target.families.get(size, "")


def _check_indexed(target: TargetEntry) -> None:
    """Drop what was made of a target's former rules or offerings."""
    if target.indexed is None or target.indexed[0] is not target.target or target.indexed[1] is not target.offerings:
        target.indexed = (target.target, target.offerings)
        target.indexes.clear()
        target.families = {}


def could_hold(state: State, policy: Policy, requests: Resources) -> bool:
    """Say whether any offering of any of a policy's targets could hold a pod, were there nothing else against it."""
    return any(
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
    objection: Objection = next(o for o in _FURTHEST if o in against)
    reason = _explain(state, wanted, target.target.name, target.target.region, objection, against[objection])
    waits = objection in _PASSING
    return Choice(None, 0, reason, waits=waits, again_at_ms=capacity.thaws_at_ms(state) if waits else None)


def _explain(
    state: State, wanted: Resources, name: str, region: str, objection: Objection, offering: Offering
) -> Reason:
    sentences: dict[Objection, str] = {
        "TooSmall": f"No allowed confidential size at {name} has {_in_words(wanted)}.",
        "WrongTee": f"{offering.size} at {name} is {offering.tee}, which the policy or the target does not accept.",
        "Restricted": f"The subscription may not use {offering.size} at {name}: {offering.restricted}.",
        "NoPrice": f"The price of {offering.size} at {name} is not known, and the target assumes none.",
        "Cooling": _cooling_sentence(state, offering),
        "NoQuota": f"The vCPU quota for {offering.size} at {name} is used up.",
        "SizeNotAllowed": f"The policy and the target together allow none of the sizes that {name} offers.",
        "ElsewhereOnly": f"{offering.size} is offered in {offering.region}, and {name} is in {region}.",
        "SpotNotAllowed": f"{offering.size} at {name} is a spot size, and the policy says placement.spot: Never.",
        "SpotNotPossible": (
            f"The policy asks for spot, which no peer pod at {name} can be: cloud-api-adaptor makes no spot VMs. "
            "Use placement.spot: Never."
        ),
        "Crowded": (
            f"One more at {name} would pass the skew that placement.spread allows; room elsewhere, or a burst that comes home, "
            "makes it possible."
        ),
    }
    codes: dict[Objection, str] = {
        "TooSmall": "NoSizeFits",
        "WrongTee": "TeeNotOffered",
        "Restricted": "SizeRestricted",
        "NoPrice": "PriceUnknown",
        "Cooling": "CapacityRefused",
        "NoQuota": "QuotaExhausted",
        "SizeNotAllowed": "NoSizeAllowed",
        "ElsewhereOnly": "NotInRegion",
        "SpotNotAllowed": "SpotNotAllowed",
        "SpotNotPossible": "SpotNotPossible",
        "Crowded": "SpreadTooUneven",
    }
    numbers = {"cpu_millicores": wanted.cpu_millicores, "memory_bytes": wanted.memory_bytes, "gpus": wanted.gpus}
    return Reason(code=codes[objection], sentence=sentences[objection], numbers={**numbers, **dict(wanted.devices)})


def _in_words(wanted: Resources) -> str:
    """Return what a pod asks for, extended resources by their own names."""
    text = f"{wanted.cpu_millicores}m cpu and {format_memory_bytes(wanted.memory_bytes)} memory"
    if wanted.gpus:
        text += f" and {wanted.gpus} GPU"
    return text + "".join(f" and {count} {name}" for name, count in wanted.devices)


def _cooling_sentence(state: State, offering: Offering) -> str:
    until, reason = capacity.refusal_of(state, offering) or (state.now_ms, Reason(code="", sentence=""))
    return f"{reason.sentence} It is tried again in {format_duration_ms(max(0, until - state.now_ms))}."
