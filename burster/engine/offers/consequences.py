"""What follows from a refusal of the cloud: the next size, zone, region or target, waiting, or a stop; and what is left alone how long.

One table says what each matter leads to. Called where a refusal is heard of: for a pod's sandbox (``observe_pods``) and for a machine.
It remembers (``capacity``), stops a target, and has everybody look again when that is over. It ends no burst: who asks does.

A target is one region, so the next region is the next target. What is said next is part of the decision's reasons.
"""

from typing import Final, Literal, NamedTuple

import msgspec

from burster.engine.offers import capacity, cooling
from burster.engine.state import BurstEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.offerings import CloudFailure, Matter, Offering
from burster.model.pods import Resources
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import SandboxFailed


Consequence = Literal["NextSize", "NextZone", "NextRegion", "NextTarget", "Wait", "Stop"]

CONSEQUENCES: Final[dict[Matter, Consequence]] = {
    "capacity": "NextSize",
    "zonal-capacity": "NextZone",
    "sku-restricted": "NextSize",
    "family-quota": "NextSize",
    "regional-quota": "NextRegion",
    "spot-quota": "NextSize",  # one that is no spot
    "address-space": "NextTarget",
    "throttled": "Wait",
    "auth": "Stop",
    "policy": "Stop",
    "conflict": "Wait",
    "exists": "Wait",
    "absent": "Wait",
    "configuration": "Stop",
    "guest": "Wait",  # whoever's image it is: storms of it are counted
    "service": "Wait",
    "network": "Wait",
    "deadline": "Wait",
    "unknown": "Wait",
}
#: For how long a target is stopped at most: then one launch is the check
STOPPED_MS: Final = 3_600_000
#: Codes of "configuration" that are about one size: another will do
_OF_A_SIZE: Final = frozenset({"vmsizenotsupported", "instancetypenotsupported", "instancetypenotfound"})
#: and those that are about one zone
_OF_A_ZONE: Final = frozenset({"invalidavailabilityzone"})
#: Codes of "configuration" that are about the place. With any other, what was asked for may be wrong, and that is the asker's own affair.
_OF_THE_PLACE: Final = frozenset({
    "resourcegroupnotfound",
    "subscriptionnotfound",
    "galleryimagenotfound",
    "platformimagenotfound",
    "imagenotfound",
    "invalidresourcereference",
    "invalidresourcelocation",
    "locationnotavailableforresourcetype",
    "missingsubscriptionregistration",
    "noregisteredproviderfound",
})  # fmt: skip
#: How ARM says that the size and the security type do not go together: the installation makes plain VMs, or the size is no confidential one
_NOT_CONFIDENTIAL: Final = "security type"
_MESSAGE_MAX: Final = 300


class Outcome(NamedTuple):
    """What follows. ``next`` is told after what went wrong; ``until_ms``: until when that is left alone, None where nothing is.

    ``blames_workload``: what was asked for will never work, wherever it goes.
    """

    consequence: Consequence
    next: Reason
    until_ms: int | None = None
    blames_workload: bool = False


def follow(state: State, entry: BurstEntry, failure: CloudFailure) -> Outcome:
    """Return what follows from a refusal of a burst's machine, having taken note of it."""
    consequence, mine = consequence_of(failure)
    if consequence == "Stop" and mine:
        return Outcome("Stop", _workloads_own(failure), blames_workload=True)
    if consequence == "Wait":
        return Outcome("Wait", Reason(code="TriedAgain", sentence="The same is tried again."))
    spec = entry.burst.spec
    target = state.targets.get(spec.target)
    if target is None:
        return Outcome(consequence, Reason(code=consequence, sentence=f"Target {spec.target} is gone."))
    if consequence == "Stop":
        return _stop(state, target, failure)
    offering = _offering_of(target, entry)
    if offering is None:
        return Outcome(consequence, Reason(code=consequence, sentence=f"{spec.target} offers {spec.size} no more."))
    return _leave_alone(state, target, offering, spec.zone, failure, consequence)


def consequence_of(failure: CloudFailure) -> tuple[Consequence, bool]:
    """Return what a refusal leads to, and whether what was asked for is to blame for it."""
    about = cooling.matter_of(failure.kind, failure.code, failure.matter)
    code = failure.code.casefold()
    if about == "configuration":
        if code in _OF_A_SIZE:
            return "NextSize", False
        if code in _OF_A_ZONE:
            return "NextZone", False
        of_the_place = code in _OF_THE_PLACE or _NOT_CONFIDENTIAL in failure.message
        return "Stop", not of_the_place
    if about in {"unknown", "conflict"} and failure.kind in {"Capacity", "Quota"}:
        return "NextSize", False
    return CONSEQUENCES[about], False


def _stop(state: State, target: TargetEntry, failure: CloudFailure) -> Outcome:
    """Have a target take nothing more, until it is edited, its checks find nothing wrong, or the time is over."""
    until_ms = state.now_ms + STOPPED_MS
    why = f"{failure.code or failure.kind}: {failure.message[:_MESSAGE_MAX]}".rstrip(" .")
    told = Reason(
        code="TargetStopped",
        sentence=(
            f"Its cloud refused a launch, and would refuse the next one too ({why}). Nothing new starts at {target.target.name} until "
            f"the target is edited, its checks find nothing wrong, or {format_duration_ms(STOPPED_MS)} have passed."
        ),
    )
    if target.stopped is None or target.stopped[0] <= state.now_ms:
        state.decide("Warn", told, subject=target.target.name)
    target.stopped = (until_ms, told)
    _reopen_at(state, until_ms)
    state.at(until_ms, "status", target.target.name)
    return Outcome("Stop", told, until_ms)


def stopped(state: State, target: TargetEntry) -> tuple[int, Reason] | None:
    """Return until when a target takes nothing because its cloud refused it something, and why."""
    return target.stopped if target.stopped is not None and target.stopped[0] > state.now_ms else None


def checked_anew(target: TargetEntry) -> bool:
    """A target was edited, or its checks find nothing wrong: let it take something again. Say whether it was stopped."""
    before, target.stopped = target.stopped, None
    return before is not None


def _leave_alone(
    state: State, target: TargetEntry, offering: Offering, zone: str, failure: CloudFailure, wanted: Consequence
) -> Outcome:
    about = cooling.matter_of(failure.kind, failure.code, failure.matter)
    limit = failure.limit_vcpus if failure.limit_vcpus is not None else _limit(target, offering, about)
    rest = cooling.rest_ms(failure.kind, failure.code, matter=about, spot=offering.spot, limit_vcpus=limit)
    until_ms, vcpus = state.now_ms + rest, offering.resources.cpu_millicores // 1000
    where, size = offering.region, offering.size
    reason = Reason(
        code=failure.code or "Capacity", sentence=f"{where} refused {size} ({failure.code or 'capacity'}) lately."
    )
    what = f"{size} is left alone in {where}"
    if about == "address-space":
        capacity.remember_pool(state, offering, "*", until_ms, reason)
        what = f"{target.target.name} has no address left and is left alone"
    elif about in {"regional-quota", "spot-quota"}:
        least = 0 if limit == 0 else vcpus
        pool: capacity.Pool = "lowprioritycores" if offering.spot or about == "spot-quota" else "cores"
        capacity.remember_pool(state, offering, pool, until_ms, reason, from_vcpus=least)
        capacity.remember(state, offering, until_ms, reason, family=False)
        kind = "spot size" if pool == "lowprioritycores" else "size"
        what = f"every {kind} of {least} vCPUs or more is left alone in {where}"
    elif wanted == "NextZone" and zone:
        capacity.remember(state, offering, until_ms, reason, zone=zone)
        what = f"{size} is left alone in zone {zone} of {where}"
    elif about == "family-quota" and limit == 0:
        # nothing of the family can be had, however small
        capacity.remember(state, msgspec.structs.replace(offering, resources=Resources()), until_ms, reason)
        what = f"the whole family {offering.family} is left alone in {where}"
    else:
        capacity.remember(state, offering, until_ms, reason, family=about != "configuration")
    _reopen_at(state, until_ms)
    machines = target.target.machines
    named = machines.zones if machines is not None else ()
    left = [one for one in capacity.open_zones(state, offering) if not named or one in named]
    if wanted == "NextZone" and not (zone and left):
        wanted = "NextSize"
    told = f"{_NEXT[wanted]} {what} for {format_duration_ms(rest)}."
    return Outcome(wanted, Reason(code=wanted, sentence=told, numbers={"until_ms": until_ms}), until_ms)


_NEXT: Final[dict[Consequence, str]] = {
    "NextSize": "Another size is tried next:",
    "NextZone": "Another zone is tried next:",
    "NextRegion": "Another region is tried next:",
    "NextTarget": "Another target is tried next:",
}


def _limit(target: TargetEntry, offering: Offering, about: Matter) -> int | None:
    """Return what the quota's rows say where the refusal does not."""
    row = {
        "family-quota": offering.family.strip().lower(),
        "regional-quota": "cores",
        "spot-quota": "lowprioritycores",
    }.get(about)
    found = None if row is None else target.quotas.get((offering.region.strip().lower(), row))
    return None if found is None else found.limit_vcpus


def _reopen_at(state: State, until_ms: int) -> None:
    for key in state.policies:
        state.at(until_ms, "reopen", key)


def _workloads_own(failure: CloudFailure) -> Reason:
    sentence = f"The same request would be refused anywhere ({failure.code or failure.kind}): what it is made of has to change."
    return Reason(code="RequestRefused", sentence=sentence)


def _offering_of(target: TargetEntry, entry: BurstEntry) -> Offering | None:
    """Return the offering that a burst was placed on; of several of one size, the one at its price."""
    spec = entry.burst.spec
    same = [one for one in target.offerings if (one.size, one.region) == (spec.size, spec.region)]
    kind = [one for one in same if one.spot == spec.spot] or same
    priced = [one for one in kind if one.price_micro_usd_per_hour == spec.price_micro_usd_per_hour]
    return next(iter(priced or kind), None)


def failure_of(stimulus: SandboxFailed) -> CloudFailure:
    """Return what a kubelet's event tells of as the cloud's own refusal; what it is about is found by code or kind where nobody says it."""
    about = cooling.matter_of(stimulus.kind, stimulus.code, stimulus.matter)
    return CloudFailure(
        kind=stimulus.kind,
        code=stimulus.code,
        matter=about,
        message=stimulus.message,
        limit_vcpus=stimulus.limit_vcpus,
    )
