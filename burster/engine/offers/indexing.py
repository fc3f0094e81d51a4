"""The index of a target's offerings for a policy's rules, made when it is first asked for and kept while neither changes."""

from typing import Final

from burster.engine.offers.offer_index import OfferIndex, narrowing_of
from burster.engine.state import TargetEntry
from burster.model.policies import Policy


#: How many different narrowings of one target are kept indexed.
_INDEXES_MAX: Final = 256


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
