"""How many vCPUs a target's subscription may still have: the usages' rows as last read, and what burster launched since, on top.

A row is as old as the last poll. A VM is in it from when the cloud has accepted it; until a burst's VM has been seen, and for a minute
after, nobody knows whether a row counts it, so it is counted here as well: what is counted twice for a moment is never too much launched.
"""

from collections.abc import Container
from typing import Final

from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.offers.indexing import family_of
from burster.engine.offers.offer_index import quota_keys
from burster.engine.state import BurstEntry, State, TargetEntry
from burster.model.offerings import Offering, Quota
from burster.model.quantities import format_duration_ms


#: How long a VM that was seen may not be in the usages yet.
_COUNTED_AFTER_MS: Final = 60_000
#: A row that is older than this says how old it is.
_STALE_MS: Final = 900_000


def take(state: State, target: TargetEntry, rows: tuple[Quota, ...]) -> None:
    """Replace a target's rows; what burster launched and they may not count yet is counted on top."""
    target.quotas = {row_key(row, target.target.region): row for row in rows}
    target.quotas_read_ms = state.now_ms
    recount(state, {target.target.name})


def recount(state: State, names: Container[str]) -> None:
    """Count anew what is in flight at some targets: their rows or offerings are new, or a predecessor's bursts were taken over."""
    for name, target in state.targets.items():
        if name in names:
            target.launched = {}
    for burst in state.bursts.values():
        target = state.targets.get(burst.burst.spec.target)
        if target is None or target.target.name not in names:
            continue
        burst.launch_counted = False
        if burst.burst.status.phase in ACTIVE and _is_in_flight(state, target, burst):
            count(state, burst, launched=True)


def count(state: State, entry: BurstEntry, *, launched: bool) -> None:
    """Count a burst's vCPUs into what the target's rows may not know yet, or out of it."""
    target = state.targets.get(entry.burst.spec.target)
    if entry.launch_counted == launched or target is None:
        return
    entry.launch_counted = launched
    spec = entry.burst.spec
    for key in quota_keys(spec.region, family_of(target, spec.size), spot=spec.spot):
        target.launched[key] = max(0, target.launched.get(key, 0) + (spec.vcpus if launched else -spec.vcpus))


def row_key(row: Quota, region: str) -> tuple[str, str]:
    """Return what a row is filed under: region and name, without the case and the blanks that some come with."""
    return ((row.region or region).strip().lower(), row.family.strip().lower())


def _is_in_flight(state: State, target: TargetEntry, entry: BurstEntry) -> bool:
    """Say whether a burst's VM may be missing in the rows as they were read."""
    status = entry.burst.status
    if status.phase in {"Reserved", "Placing"}:
        return True
    if status.phase not in {"Provisioning", "Attesting"}:
        return False  # one that serves has a VM whose making has ended: that is counted
    began_ms = max((span[0] for span in entry.vms.values() if span[0] is not None), default=None)
    if began_ms is None:
        return status.phase == "Provisioning"
    read_ms = state.now_ms if target.quotas_read_ms is None else target.quotas_read_ms
    return read_ms < began_ms + _COUNTED_AFTER_MS


def is_unknown(target: TargetEntry) -> bool:
    """Say whether nothing launches because the quota could not be read, not even once."""
    unread = target.quotas_read_ms is None and "quota" in target.unread
    return unread and target.target.when_quota_unknown == "Refuse"


def free(target: TargetEntry, offering: Offering) -> tuple[int | None, int | None, int]:
    """Return how many vCPUs the offering's own row and the region's still have, None where nobody says, and how many are in flight.

    Spot has one row for all: it is both.
    """
    keys = quota_keys(offering.region, offering.family, spot=offering.spot)
    left = [_left(target, key) for key in (keys[0], keys[-1])]
    return left[0], left[1], target.launched.get(keys[0], 0)


def _left(target: TargetEntry, key: tuple[str, str]) -> int | None:
    row = target.quotas.get(key)
    return None if row is None else max(0, row.limit_vcpus - row.used_vcpus - target.launched.get(key, 0))


def in_words(state: State, target: TargetEntry, offering: Offering) -> str:
    """Return why the quota has no room for one more of an offering."""
    found = _short(target, offering)
    if found is None:
        return f"The vCPU quota for {offering.size} at {target.target.name} is used up."
    row, launched = found
    name = {"cores": "all families together", "lowprioritycores": "spot VMs"}.get(
        row.family.strip().lower(), row.family
    )
    if row.limit_vcpus == 0:
        return (
            f"The subscription's quota of {name} in {offering.region} is 0 vCPUs, so {offering.size} can't be had at "
            f"{target.target.name}: ask Azure for more."
        )
    flying = f", {launched} more are being launched" if launched else ""
    return (
        f"{offering.size} at {target.target.name} needs {_vcpus(offering)} vCPUs, and of the {row.limit_vcpus} that the subscription may "
        f"have of {name} in {offering.region} {row.used_vcpus} are used{flying}{_age(state, target)}."
    )


def numbers(target: TargetEntry, offering: Offering) -> dict[str, int]:
    """Return the numbers behind that."""
    found = _short(target, offering)
    if found is None:
        return {}
    row, launched = found
    return {
        "limit_vcpus": row.limit_vcpus,
        "used_vcpus": row.used_vcpus,
        "launched_vcpus": launched,
        "needed_vcpus": _vcpus(offering),
    }


def _short(target: TargetEntry, offering: Offering) -> tuple[Quota, int] | None:
    """Return the first row without room, and what is in flight of it."""
    for key in quota_keys(offering.region, offering.family, spot=offering.spot):
        row, launched = target.quotas.get(key), target.launched.get(key, 0)
        if row is not None and row.used_vcpus + launched + _vcpus(offering) > row.limit_vcpus:
            return row, launched
    return None


def _vcpus(offering: Offering) -> int:
    return offering.resources.cpu_millicores // 1000


def _age(state: State, target: TargetEntry) -> str:
    age_ms = 0 if target.quotas_read_ms is None else state.now_ms - target.quotas_read_ms
    return f", as of {format_duration_ms(age_ms)} ago" if age_ms > _STALE_MS else ""
