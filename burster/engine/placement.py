"""Which strategy, and which offering: the cheapest place that fits and gives the proof that is asked for.

Pure ranking over what the targets offer; called by ``gates``.
"""

from typing import Final, Literal

from burster.engine.state import State, TargetEntry
from burster.model.bursts import BurstStrategy
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms, format_memory_bytes


#: Owners whose pods serve and may run here and there at once.
SERVICES: Final = frozenset({"Deployment", "ReplicaSet"})


def choose_strategy(policy: Policy, pod: Pod) -> BurstStrategy | Reason:
    """Return how this pod bursts, or why it can't.

    A task may run only once, so only services are cloned. Pods with a controller can be moved only by the admission webhook
    (design section 6), which this version does not have.
    """
    kind = pod.workload.kind if pod.workload else ""
    wanted = policy.placement.strategy
    if wanted == "Auto":
        wanted = "Clone" if kind in SERVICES else "Move"
    if wanted == "Clone":
        if kind in SERVICES:
            return "Clone"
        what = f"a {kind}'s pod" if kind else "a bare pod"
        return Reason(
            code="CloneWouldRunTwice",
            sentence=f"Clone is for services, and this is {what}: a second copy could do its work twice. Use strategy Auto or Move.",
        )
    if pod.owner is not None:
        return Reason(
            code="MoveNeedsWebhook",
            sentence=(
                f"Moving a pod that a {pod.owner.kind} controls needs burster's admission webhook, which is not part of this version; "
                "bare pods can be moved."
            ),
        )
    return "Move"


class Choice:
    """The offering found for a pod, or the reasons against every one."""

    __slots__ = ("offering", "price_micro_usd_per_hour", "reason")

    def __init__(self, offering: Offering | None, price_micro_usd_per_hour: int, reason: Reason) -> None:
        self.offering = offering
        self.price_micro_usd_per_hour = price_micro_usd_per_hour
        self.reason = reason


Objection = Literal[
    "TooSmall", "WrongTee", "Restricted", "NoPrice", "Cooling", "NoQuota", "SizeNotAllowed", "ElsewhereOnly"
]
#: When no size is left, the objection that came furthest is the one a person can do something about.
_FURTHEST: Final[tuple[Objection, ...]] = (
    "NoQuota",
    "Cooling",
    "NoPrice",
    "Restricted",
    "TooSmall",
    "WrongTee",
    "ElsewhereOnly",
    "SizeNotAllowed",
)


def choose_offering(state: State, policy: Policy, pod: Pod, target: TargetEntry) -> Choice:
    """Return the cheapest offering of a target that this pod may have; ties go to the smaller, then to the name."""
    best: tuple[int, int, str] | None = None
    found: Offering | None = None
    against: dict[Objection, Offering] = {}
    for offering in target.offerings:
        objection = object_to(state, policy, pod, target, offering)
        if objection is not None:
            against.setdefault(objection, offering)
            continue
        price = price_of(target, offering)
        rank = (price or 0, offering.resources.cpu_millicores, offering.size)
        if best is None or rank < best:
            best, found = rank, offering
    if found is not None:
        price = price_of(target, found) or 0
        return Choice(found, price, Reason(code="Cheapest", sentence=f"{found.size} is the cheapest size that fits."))
    return Choice(None, 0, _explain(state, pod, target, against))


def object_to(  # noqa: PLR0911 - a list of objections, one return each
    state: State, policy: Policy, pod: Pod, target: TargetEntry, offering: Offering
) -> Objection | None:
    """Return the first thing against an offering, or None."""
    if not _size_allowed(offering.size, target.target.sizes) or not _size_allowed(
        offering.size, policy.placement.sizes
    ):
        return "SizeNotAllowed"
    if offering.region.lower() != target.target.region.lower():
        return "ElsewhereOnly"
    if offering.tee == "None" or offering.tee not in policy.confidential.tees or offering.tee not in target.target.tees:
        return "WrongTee"
    if not pod.requests.fits_in(offering.resources):
        return "TooSmall"
    if offering.restricted:
        return "Restricted"
    if price_of(target, offering) is None:
        return "NoPrice"
    cooling = state.cooling.get(offering.key)
    if cooling is not None and cooling[0] > state.now_ms:
        return "Cooling"
    return None if _quota_room(target, offering) else "NoQuota"


def _size_allowed(size: str, allowed: tuple[str, ...]) -> bool:
    return not allowed or size in allowed or size.lower() in {other.lower() for other in allowed}


def price_of(target: TargetEntry, offering: Offering) -> int | None:
    """Return what is reserved per hour: the known price, else what the target assumes, else None (refused)."""
    if offering.price_micro_usd_per_hour is not None:
        return offering.price_micro_usd_per_hour
    return target.target.assumed_price_micro_usd_per_hour


def quota_keys(region: str, family: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the two quota rows that a size counts against: its family's and the region's total."""
    where = region.strip().lower()
    return (where, family.strip().lower()), (where, "cores")


def _quota_room(target: TargetEntry, offering: Offering) -> bool:
    vcpus = offering.resources.cpu_millicores // 1000
    for key in quota_keys(offering.region, offering.family):
        row = target.quotas.get(key)
        # A row is as old as the last poll; what burster itself launched since is counted on top, never subtracted.
        if row is not None and row.used_vcpus + target.launched.get(key, 0) + vcpus > row.limit_vcpus:
            return False
    return True


def _explain(state: State, pod: Pod, target: TargetEntry, against: dict[Objection, Offering]) -> Reason:
    name = target.target.name
    if not target.offerings:
        return Reason(code="NoOfferings", sentence=f"What {name} offers is not known yet.")
    objection: Objection = next(o for o in _FURTHEST if o in against)
    offering = against[objection]
    wants = f"{pod.requests.cpu_millicores}m cpu and {format_memory_bytes(pod.requests.memory_bytes)} memory"
    if pod.requests.gpus:
        wants += f" and {pod.requests.gpus} GPU"
    sentences: dict[Objection, str] = {
        "TooSmall": f"No allowed confidential size at {name} has {wants}.",
        "WrongTee": f"{offering.size} at {name} is {offering.tee}, which the policy or the target does not accept.",
        "Restricted": f"The subscription may not use {offering.size} at {name}: {offering.restricted}.",
        "NoPrice": f"The price of {offering.size} at {name} is not known, and the target assumes none.",
        "Cooling": _cooling_sentence(state, offering),
        "NoQuota": f"The vCPU quota for {offering.size} at {name} is used up.",
        "SizeNotAllowed": f"The policy and the target together allow none of the sizes that {name} offers.",
        "ElsewhereOnly": f"{offering.size} is offered in {offering.region}, and {name} is in {target.target.region}.",
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
    }
    numbers = {
        "cpu_millicores": pod.requests.cpu_millicores,
        "memory_bytes": pod.requests.memory_bytes,
        "gpus": pod.requests.gpus,
    }
    return Reason(code=codes[objection], sentence=sentences[objection], numbers=numbers)


def _cooling_sentence(state: State, offering: Offering) -> str:
    until, reason = state.cooling.get(offering.key, (state.now_ms, Reason(code="", sentence="")))
    return f"{reason.sentence} It is tried again in {format_duration_ms(max(0, until - state.now_ms))}."
