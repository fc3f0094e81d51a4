"""Which zone a machine goes to: one in which its size was not refused lately, where the fewest of its policy's machines are.

For machines only: cloud-api-adaptor chooses the zone of a peer pod's VM itself. Called by ``offerings`` (has any zone room under the
spread?) and where a machine starts. Changes nothing.
"""

from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.offers import capacity
from burster.engine.state import State
from burster.model.offerings import Offering
from burster.model.policies import Policy


def choose_zone(state: State, policy: Policy, offering: Offering) -> str | None:
    """Return the zone for one more machine; "" where the region has none, None where none may be used now.

    The emptiest one, the first by name of several. Where the policy demands a spread by zone, one that would pass its skew is none.
    """
    if not offering.zones:
        return ""
    usable = capacity.open_zones(state, offering)
    if not usable:
        return None
    counts = _counts(state, policy, offering)
    zone = min(usable, key=lambda one: (counts[one], one))
    spread = policy.placement.spread
    if spread is None or spread.by != "zone" or not spread.required:
        return zone
    return zone if counts[zone] + 1 - min(counts.values()) <= spread.max_skew else None


def _counts(state: State, policy: Policy, offering: Offering) -> dict[str, int]:
    """Count a policy's machines by the zones in which an offering is sold."""
    counts = dict.fromkeys(offering.zones, 0)
    region = offering.region.lower()
    for entry in state.bursts.values():
        spec = entry.burst.spec
        if (
            spec.zone in counts
            and spec.target == offering.target
            and spec.region.lower() == region
            and entry.burst.status.phase in ACTIVE
            and entry.burst.policy_key == policy.key
        ):
            counts[spec.zone] += 1
    return counts
