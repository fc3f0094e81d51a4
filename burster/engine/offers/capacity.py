"""What the cloud refused lately: by size, by family from some number of vCPUs upwards, in a region or in one of its zones.

Written where a refusal is heard of, with its own time to live (``remember``, ``remember_pool``); read by ``offerings`` for every choice.
An offering is left alone while it is refused everywhere it could be: in its region, or in each of its zones. A refusal never shortens
what an earlier one has closed, nor opens a size that an earlier one has closed.
"""

from collections.abc import Iterator
from typing import Final, Literal

from burster.engine.state import State
from burster.model.decisions import Reason
from burster.model.offerings import Offering


#: What more than one family is in: all that is paid by the hour, all that is spot, everything.
Pool = Literal["cores", "lowprioritycores", "*"]
Refusal = tuple[int, Reason]
#: what the vCPUs of a refusal are, where the smallest size is meant too
_ANY_SIZE: Final = 0


def remember(
    state: State, offering: Offering, until_ms: int, reason: Reason, *, zone: str = "", family: bool = True
) -> None:
    """Leave a refused size alone until a time, and with it (``family``) every size of its family with as many vCPUs or more.

    ``zone`` empty: in the whole region. Of two refusals of a size, the one that lasts longer is kept.
    """
    state.refusals += 1
    key = f"{offering.key}/{zone}" if zone else offering.key
    known = state.cooling.get(key)
    if known is None or known[0] < until_ms:
        state.cooling[key] = (until_ms, reason)
    if family and offering.family:
        _block(state, family_key(offering, zone), offering.resources.cpu_millicores // 1000, until_ms, reason)


def remember_pool(
    state: State, offering: Offering, pool: Pool, until_ms: int, reason: Reason, *, from_vcpus: int = _ANY_SIZE
) -> None:
    """Leave everything of a pool alone in an offering's region that has so many vCPUs or more."""
    state.refusals += 1
    where = (offering.target, offering.region.lower(), "", pool)
    _block(state, where, from_vcpus, until_ms, reason)


def _block(state: State, where: tuple[str, str, str, str], vcpus: int, until_ms: int, reason: Reason) -> None:
    """Add a step to what is closed there: the more vCPUs, the longer; steps that another one covers, and old ones, go."""
    known = [step for step in state.family_blocks.get(where, ()) if step[1] > state.now_ms]
    if any(step[0] <= vcpus and step[1] >= until_ms for step in known):
        state.family_blocks[where] = tuple(known)
        return
    left = [step for step in known if step[0] < vcpus or step[1] > until_ms]
    state.family_blocks[where] = tuple(sorted((*left, (vcpus, until_ms, reason)), key=lambda step: step[0]))


def family_key(offering: Offering, zone: str = "") -> tuple[str, str, str, str]:
    """Return where a family's refusals are filed: target, region, zone (empty: all of them) and family, case ignored.

    What the cloud has left over and what it sells for good are two things: spot has families of its own.
    """
    family = offering.family.lower()
    return (offering.target, offering.region.lower(), zone, f"{family}/spot" if offering.spot else family)


def refusal_of(state: State, offering: Offering) -> Refusal | None:
    """Return until when an offering is left alone, and why; None: it may be asked for."""
    if not state.cooling and not state.family_blocks:
        return None
    everywhere = _longest(state, offering, "")
    if not offering.zones:
        return everywhere
    zonal = [_longest(state, offering, zone) for zone in offering.zones]
    known = [one for one in zonal if one is not None]
    if len(known) < len(zonal):
        return everywhere
    soonest = min(known, key=_until)
    return soonest if everywhere is None else max(everywhere, soonest, key=_until)


def open_zones(state: State, offering: Offering) -> tuple[str, ...]:
    """Return those of an offering's zones in which it was not refused lately, in their order."""
    if not state.cooling and not state.family_blocks:
        return offering.zones
    return tuple(zone for zone in offering.zones if _longest(state, offering, zone) is None)


def _longest(state: State, offering: Offering, zone: str) -> Refusal | None:
    now_ms = state.now_ms
    found: Refusal | None = state.cooling.get(f"{offering.key}/{zone}" if zone else offering.key)
    if found is not None and found[0] <= now_ms:
        found = None
    blocks = state.family_blocks
    if not blocks:
        return found
    vcpus = offering.resources.cpu_millicores // 1000
    for where in _filed(offering, zone):
        for from_vcpus, until_ms, reason in blocks.get(where, ()):
            if from_vcpus <= vcpus and until_ms > now_ms and (found is None or until_ms > found[0]):
                found = until_ms, reason
    return found


def _filed(offering: Offering, zone: str) -> tuple[tuple[str, str, str, str], ...]:
    own = family_key(offering, zone)
    if zone:
        return (own,)
    target, region = own[0], own[1]
    pool: Pool = "lowprioritycores" if offering.spot else "cores"
    return (own, (target, region, "", pool), (target, region, "", "*"))


def _until(refusal: Refusal) -> int:
    return refusal[0]


def thaws_at_ms(state: State) -> int | None:
    """Return when the first of the refusals ends, or None where there is none."""
    return min((until for until in _ends(state) if until > state.now_ms), default=None)


def _ends(state: State) -> Iterator[int]:
    yield from (until for until, _ in state.cooling.values())
    yield from (step[1] for steps in state.family_blocks.values() for step in steps)


def forget_old(state: State) -> None:
    """Drop what is over."""
    now_ms = state.now_ms
    state.cooling = {key: value for key, value in state.cooling.items() if value[0] > now_ms}
    left = {where: tuple(one for one in steps if one[1] > now_ms) for where, steps in state.family_blocks.items()}
    state.family_blocks = {where: steps for where, steps in left.items() if steps}
