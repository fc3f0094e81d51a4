"""Which zone a machine goes to: one in which its size was not refused lately, where the fewest of its policy's machines are.

For machines only, and only where the target names zones for them: else Azure chooses, as cloud-api-adaptor has it choose for peer pods.
Called by ``offerings`` (has any zone room under the spread?) and by ``starting``, for each machine that starts. Changes nothing.
"""

from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.offers import capacity
from burster.engine.state import State
from burster.model.offerings import Offering
from burster.model.policies import Policy
from burster.model.targets import Target


def choose_zone(state: State, policy: Policy, target: Target, offering: Offering) -> str | None:
    """Return the zone for one more machine; "" where the cloud chooses, None where none may be used now.

    ``offering``: with the zones that the target allows. Of these the one with the fewest of the policy's machines, then of the target's,
    then the first by name. Where the policy demands a spread by zone, one that would pass its skew is none, nor is one that nobody knows.
    """
    spread = policy.placement.spread
    demanded = spread if spread is not None and spread.by == "zone" and spread.required else None
    if target.machines is None or not target.machines.zones:
        return "" if demanded is None else None
    usable = capacity.open_zones(state, offering)
    if not usable:
        return None
    own, every = _counts(state, policy, offering)
    zone = min(usable, key=lambda one: (own[one], every[one], one))
    if demanded is not None and own[zone] + 1 - min(own.values()) > demanded.max_skew:
        return None
    return zone


def _counts(state: State, policy: Policy, offering: Offering) -> tuple[dict[str, int], dict[str, int]]:
    """Count the policy's machines, and all of the target's, by the zones in which an offering is sold."""
    own, every = dict.fromkeys(offering.zones, 0), dict.fromkeys(offering.zones, 0)
    region = offering.region.lower()
    for entry in state.bursts.values():
        spec = entry.burst.spec
        if spec.zone not in every or spec.target != offering.target or spec.region.lower() != region:
            continue
        if entry.burst.status.phase in ACTIVE:
            every[spec.zone] += 1
            own[spec.zone] += entry.burst.policy_key == policy.key
    return own, every
