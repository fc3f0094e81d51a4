"""What the cloud refused lately: by size, by family from some number of vCPUs upwards, in a region or in one of its zones.

Written where a refusal is heard of, with its own time to live (``remember``); read by ``offerings`` for every choice. An offering is left
alone while it is refused everywhere it could be: in its region, or in each of its zones.
"""

from collections.abc import Iterator

from burster.engine.state import State
from burster.model.decisions import Reason
from burster.model.offerings import Offering


def remember(
    state: State, offering: Offering, until_ms: int, reason: Reason, *, zone: str = "", family: bool = True
) -> None:
    """Leave a refused size alone until a time, and with it (``family``) every size of its family with as many vCPUs or more.

    ``zone`` empty: in the whole region. Of two refusals of a size, or of a family, the one that lasts longer is kept.
    """
    key = f"{offering.key}/{zone}" if zone else offering.key
    known = state.cooling.get(key)
    if known is None or known[0] < until_ms:
        state.cooling[key] = (until_ms, reason)
    if not family or not offering.family:
        return
    where = family_key(offering, zone)
    vcpus = offering.resources.cpu_millicores // 1000
    block = state.family_blocks.get(where)
    if block is None or block[1] <= state.now_ms or (until_ms, -vcpus) > (block[1], -block[0]):
        state.family_blocks[where] = (vcpus, until_ms, reason)


def family_key(offering: Offering, zone: str = "") -> tuple[str, str, str, str]:
    """Return where a family's refusals are filed: target, region, zone (empty: all of them) and family, case ignored."""
    return (offering.target, offering.region.lower(), zone, offering.family.lower())


def refusal_of(state: State, offering: Offering) -> tuple[int, Reason] | None:
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


def _longest(state: State, offering: Offering, zone: str) -> tuple[int, Reason] | None:
    found: tuple[int, Reason] | None = state.cooling.get(f"{offering.key}/{zone}" if zone else offering.key)
    if found is not None and found[0] <= state.now_ms:
        found = None
    block = state.family_blocks.get(family_key(offering, zone))
    if block is not None and block[1] > state.now_ms and offering.resources.cpu_millicores // 1000 >= block[0]:
        _, until_ms, reason = block
        if found is None or until_ms > found[0]:
            return until_ms, reason
    return found


def _until(refusal: tuple[int, Reason]) -> int:
    return refusal[0]


def thaws_at_ms(state: State) -> int | None:
    """Return when the first of the refusals ends, or None where there is none."""
    return min((until for until in _ends(state) if until > state.now_ms), default=None)


def _ends(state: State) -> Iterator[int]:
    yield from (until for until, _ in state.cooling.values())
    yield from (until for _, until, _ in state.family_blocks.values())


def forget_old(state: State) -> None:
    """Drop what is over."""
    state.cooling = {key: value for key, value in state.cooling.items() if value[0] > state.now_ms}
    state.family_blocks = {where: block for where, block in state.family_blocks.items() if block[1] > state.now_ms}
