"""What rules of the lint are made of: what they look at, and what they find.

A rule is a function of a compiled policy (or target) and of what is known around it; it yields a hit for each thing that is legal and
still likely to be regretted. ``lint`` runs the rules and puts their hits on lines. Rules read no clock: the time is an argument.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from burster.model.policies import Policy
from burster.model.quantities import cost_micro_usd
from burster.model.targets import Target
from burster.policy.yaml_nodes import Path


class Hit(msgspec.Struct, frozen=True):
    """One thing found: the field, a sentence about it, and what to do."""

    path: Path
    message: str
    advice: str


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known around a policy: targets by name, and list prices: target -> size in lower case -> micro-USD per hour."""

    at_ms: int
    targets: Mapping[str, Target] = {}
    list_prices: Mapping[str, Mapping[str, int]] = {}

    def named(self, policy: Policy) -> tuple[Target, ...]:
        """Return the targets a policy names, those that are known."""
        return tuple(self.targets[name] for name in policy.placement.targets if name in self.targets)

    def all_known(self, policy: Policy) -> bool:
        """Whether every target that a policy names is known, so that nothing else can be true elsewhere."""
        return all(name in self.targets for name in policy.placement.targets)

    def price(self, target: Target, size: str) -> int | None:
        """Return what an hour of a size costs there: as negotiated, else the list's price less the discount, else as assumed."""
        negotiated = target.negotiated_micro_usd_per_hour.get(size)
        if negotiated is not None:
            return negotiated
        declared = {offering.size: offering.price_micro_usd_per_hour for offering in target.catalogue}
        listed = declared[size] if size in declared else self.list_prices.get(target.name, {}).get(size.casefold())
        if listed is None:
            return target.assumed_price_micro_usd_per_hour
        return -(-listed * (_WHOLE - target.discount_milli_percent) // _WHOLE)

    def worst_cases(self, policy: Policy, target: Target) -> dict[str, int]:
        """Return what must be set aside for one burst by size, for the sizes whose price is known; the cheapest first."""
        sizes = [size for size in target.sizes if not policy.placement.sizes or size in policy.placement.sizes]
        prices = {size: price for size in sizes if (price := self.price(target, size)) is not None}
        span_ms = target.launch_deadline_ms + policy.placement.lease_ms + policy.placement.drain_ms
        costs = {size: cost_micro_usd(price, span_ms) for size, price in prices.items()}
        return dict(sorted(costs.items(), key=lambda item: (item[1], item[0])))


_WHOLE = 100_000  #: 100 % in milli-percent

PolicyCheck = Callable[[Policy, Known], Iterator[Hit]]
TargetCheck = Callable[[Target, Known], Iterator[Hit]]


class PolicyRule(NamedTuple):
    """A rule about policies: its code, what it is about in a sentence, and the check."""

    code: str
    about: str
    check: PolicyCheck


class TargetRule(NamedTuple):
    """A rule about targets."""

    code: str
    about: str
    check: TargetCheck


SPEC = ("spec",)
LIMITS = ("spec", "limits")
BUDGET = ("spec", "limits", "budget")
PLACEMENT = ("spec", "placement")
CONFIDENTIAL = ("spec", "confidential")


def trigger_path(index: int, *rest: str | int) -> Path:
    """Return the path of a trigger, or of something in it."""
    return ("spec", "triggers", index, *rest)
