"""What a refusal of the cloud means for later choices: which sizes are left alone, where, and for how long.

Called by ``observe_pods`` when a sandbox failed for want of room or quota. How long depends on why (the numbers are those that Karpenter
uses on Azure): a size that the subscription may not have, 23 hours (spot: 1); a place that is full, 1 hour; a quota of nothing, 1 hour; a
quota that is used up, 10 minutes; anything else, 3 minutes. It must never forget a longer memory for a shorter one.
"""

from typing import Final

import msgspec

from burster.engine.offers import capacity
from burster.engine.state import BurstEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.errors import RemoteKind
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.stimuli import SandboxFailed


NOT_AVAILABLE_MS: Final = 82_800_000
SPOT_NOT_AVAILABLE_MS: Final = 3_600_000
FULL_MS: Final = 3_600_000
QUOTA_ZERO_MS: Final = 3_600_000
QUOTA_LOW_MS: Final = 600_000
OTHERWISE_MS: Final = 180_000
_NOT_AVAILABLE: Final = frozenset({"skunotavailable", "notavailableforsubscription"})
_ZONAL: Final = frozenset({"zonalallocationfailed", "overconstrainedzonalallocationrequest"})
_FULL: Final = _ZONAL | {
    "allocationfailed",
    "overconstrainedallocationrequest",
    "capacityreservationcapacityexceeded",
}
_QUOTA: Final = frozenset({"operationnotallowed", "quotaexceeded", "resourcequotaexceeded"})
#: The place itself is full, whatever the size: no address is left there.
_PLACE: Final = frozenset({"subnetisfull", "publicipcountlimitreached"})


def rest_ms(kind: RemoteKind, code: str, *, spot: bool = False, limit_vcpus: int | None = None) -> int:
    """Return how long a refused size is left alone. ``limit_vcpus``: the quota, where the refusal or the quota's rows state it."""
    known = code.casefold()
    if known in _PLACE:
        return OTHERWISE_MS
    if known in _NOT_AVAILABLE:
        return SPOT_NOT_AVAILABLE_MS if spot else NOT_AVAILABLE_MS
    if known in _FULL:
        return FULL_MS
    if kind == "Quota" or known in _QUOTA:
        return QUOTA_ZERO_MS if limit_vcpus == 0 else QUOTA_LOW_MS
    return OTHERWISE_MS


def refused(state: State, entry: BurstEntry, stimulus: SandboxFailed) -> None:
    """Remember that the cloud would not give a burst's size, and have everybody look again when that is over."""
    spec = entry.burst.spec
    target = state.targets.get(spec.target)
    offering = _offering_of(target, entry) if target is not None else None
    if target is None or offering is None:
        return
    code, known = stimulus.code, stimulus.code.casefold()
    limit_vcpus = stimulus.limit_vcpus
    if limit_vcpus is None:
        row = target.quotas.get((offering.region.strip().lower(), offering.family.strip().lower()))
        limit_vcpus = None if row is None else row.limit_vcpus
    rest = rest_ms(stimulus.kind, code, spot=offering.spot, limit_vcpus=limit_vcpus)
    until_ms = state.now_ms + rest
    reason = Reason(
        code=code or "Capacity", sentence=f"{spec.region} refused {spec.size} ({code or 'capacity'}) lately."
    )
    if known in _PLACE:
        for other in target.offerings:
            if other.region == offering.region:
                capacity.remember(state, other, until_ms, reason, family=False)
    else:
        if rest == QUOTA_ZERO_MS and limit_vcpus == 0 and known not in _FULL:
            # Nothing of the family can be had, however small.
            offering = msgspec.structs.replace(offering, resources=Resources())
        capacity.remember(state, offering, until_ms, reason)
    for key in state.policies:
        state.at(until_ms, "reopen", key)


def _offering_of(target: TargetEntry, entry: BurstEntry) -> Offering | None:
    """Return the offering that a burst was placed on; of several of one size, the one at its price."""
    spec = entry.burst.spec
    same = [one for one in target.offerings if (one.size, one.region) == (spec.size, spec.region)]
    priced = [one for one in same if one.price_micro_usd_per_hour == spec.price_micro_usd_per_hour]
    return next(iter(priced or same), None)
