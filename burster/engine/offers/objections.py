"""What stands against an offering, told: a code, a sentence for people, and the numbers behind it.

Called by ``offerings`` where no size is left, and by ``why_not`` for every size. It finds no objection itself.
"""

from burster.engine.offers import capacity, quotas
from burster.engine.offers.offer_index import Objection
from burster.engine.state import State, TargetEntry
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.quantities import format_duration_ms, format_memory_bytes


def explain(state: State, wanted: Resources, target: TargetEntry, objection: Objection, offering: Offering) -> Reason:
    """Return the reason why a pod that wants so much may not have an offering."""
    name, region = target.target.name, target.target.region
    sentences: dict[Objection, str] = {
        "TooSmall": f"No allowed confidential size at {name} has {in_words(wanted)}.",
        "WrongTee": f"{offering.size} at {name} is {offering.tee}, which the policy or the target does not accept.",
        "Restricted": f"The subscription may not use {offering.size} at {name}: {offering.restricted}.",
        "NoPrice": f"The price of {offering.size} at {name} is not known, and the target assumes none.{_doubt(offering)}",
        "PricesTooOld": (
            f"The price list at {name}{_since(offering)} is older than it may be: nobody knows what {offering.size} costs now."
            f"{_more(target.prices_problem)}"
        ),
        "Cooling": _cooling_sentence(state, offering),
        "NoQuota": quotas.in_words(state, target, offering),
        "QuotaUnknown": (
            f"The vCPU quota at {name} could not be read yet, and the target says whenQuotaUnknown: Refuse."
            f"{_more(target.unread.get('quota', ''))}"
        ),
        "SizeNotAllowed": f"The policy and the target together allow none of the sizes that {name} offers.",
        "ElsewhereOnly": f"{offering.size} is offered in {offering.region}, and {name} is in {region}.",
        "NotInZones": f"{offering.size} can't be had in any of the zones that {name} names for machines.",
        "SpotNotAllowed": f"{offering.size} at {name} is a spot size, and the policy says placement.spot: Never.",
        "SpotNotPossible": (
            f"The policy asks for spot, which no peer pod at {name} can be: cloud-api-adaptor makes no spot VMs. "
            "Use placement.spot: Never."
        ),
        "SpotOnly": f"{offering.size} at {name} is no spot size, and the policy says placement.spot: Only.",
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
        "PricesTooOld": "PricesTooOld",
        "Cooling": "CapacityRefused",
        "NoQuota": "QuotaExhausted",
        "QuotaUnknown": "QuotaUnknown",
        "SizeNotAllowed": "NoSizeAllowed",
        "ElsewhereOnly": "NotInRegion",
        "NotInZones": "NotInZones",
        "SpotNotAllowed": "SpotNotAllowed",
        "SpotNotPossible": "SpotNotPossible",
        "SpotOnly": "SpotNotOffered",
        "Crowded": "SpreadTooUneven",
    }
    numbers = {"cpu_millicores": wanted.cpu_millicores, "memory_bytes": wanted.memory_bytes, "gpus": wanted.gpus}
    if objection == "NoQuota":
        numbers |= quotas.numbers(target, offering)
    return Reason(code=codes[objection], sentence=sentences[objection], numbers={**numbers, **dict(wanted.devices)})


def _doubt(offering: Offering) -> str:
    return f" The list says: {offering.price_problem}." if offering.price_problem else ""


def _more(said: str) -> str:
    return f" {said}" if said else ""


def _since(offering: Offering) -> str:
    return f" of {offering.price_as_of}" if offering.price_as_of else ""


def in_words(wanted: Resources) -> str:
    """Return what a pod asks for, extended resources by their own names."""
    text = f"{wanted.cpu_millicores}m cpu and {format_memory_bytes(wanted.memory_bytes)} memory"
    if wanted.gpus:
        text += f" and {wanted.gpus} GPU"
    return text + "".join(f" and {count} {name}" for name, count in wanted.devices)


def _cooling_sentence(state: State, offering: Offering) -> str:
    until, reason = capacity.refusal_of(state, offering) or (state.now_ms, Reason(code="", sentence=""))
    return f"{reason.sentence} It is tried again in {format_duration_ms(max(0, until - state.now_ms))}."
