"""What stands against offerings just now, whatever a pod asks for: a price list that is too old, refusals, quota without room.

Made for one walk over an index, so that what many offerings have in common is asked once: which of them were refused lately is found once
for each moment, a row's free vCPUs once for each walk. Called by ``offerings`` and ``why_not``; changes nothing but what is remembered.
"""

import sys
from typing import Final

from burster.engine.offers import capacity, quotas
from burster.engine.offers.offer_index import Objection, OfferIndex, QuotaKey, Row
from burster.engine.state import State, TargetEntry


_NONE: Final[frozenset[int]] = frozenset()


class Standing:
    """What stands against the rows of an index at one moment, until something is launched."""

    __slots__ = ("_free", "_no_quota", "_refused", "_target", "_too_old")

    def __init__(self, state: State, target: TargetEntry, index: OfferIndex) -> None:
        self._target = target
        self._too_old = prices_too_old(state, target)
        self._refused = _refused(state, index)
        self._free: dict[QuotaKey, int] = {}
        self._no_quota = not target.quotas and quotas.is_unknown(target)

    def against(self, row: Row) -> Objection | None:
        """Return the first thing against a row that time or somebody else may change, or None."""
        if self._too_old and row.listed:
            return "PricesTooOld"
        if row.position in self._refused:
            return "Cooling"
        if self._no_quota:
            return "QuotaUnknown"
        vcpus, known = row.vcpus, self._free
        for key in row.quota_keys:
            free = known.get(key)
            if free is None:
                free = known[key] = self._free_of(key)
            if free < vcpus:
                return "NoQuota"
        return None

    def _free_of(self, key: QuotaKey) -> int:
        """Return how many vCPUs a row has left; what burster launched since it was read is taken off, never added."""
        row = self._target.quotas.get(key)
        if row is None:
            return sys.maxsize
        return row.limit_vcpus - row.used_vcpus - self._target.launched.get(key, 0)


def prices_too_old(state: State, target: TargetEntry) -> bool:
    """Say whether a target's price list is older than anything may be launched by."""
    return target.prices_until_ms is not None and state.now_ms >= target.prices_until_ms


def _refused(state: State, index: OfferIndex) -> frozenset[int]:
    """Return the positions of rows that were refused lately, found once for each moment and each new refusal."""
    if not state.cooling and not state.family_blocks:
        return _NONE
    stamp = (state.now_ms, state.refusals, len(state.cooling), len(state.family_blocks))
    if index.refused is None or index.refused[0] != stamp:
        found = frozenset(row.position for row in index.rows if capacity.refusal_of(state, row.offering) is not None)
        index.refused = (stamp, found)
    return index.refused[1]
