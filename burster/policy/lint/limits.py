"""Lint of limits and money: what can never start, and what nothing stops."""

from collections.abc import Iterator
from typing import Final

from burster.model.limits import Budget
from burster.model.policies import Policy
from burster.model.quantities import MILLIS_PER_HOUR, format_duration_ms, format_micro_usd
from burster.policy.lint.base import BUDGET, LIMITS, PLACEMENT, Hit, Known, PolicyRule
from burster.policy.yaml_nodes import Path


_LONG_LEASE_MS: Final = MILLIS_PER_HOUR


def amounts(budget: Budget) -> tuple[tuple[str, str, int], ...]:
    """Return the amounts that are set: the window in words, the field's name, micro-USD."""
    rows = (
        ("hour", "perHour", budget.per_hour_micro_usd),
        ("day", "perDay", budget.per_day_micro_usd),
        ("month", "perMonth", budget.per_month_micro_usd),
    )
    return tuple((window, field, amount) for window, field, amount in rows if amount is not None)


def _nothing_allowed(policy: Policy, _known: Known) -> Iterator[Hit]:
    limits = policy.limits
    zeros: tuple[tuple[Path, int | None], ...] = (
        ((*LIMITS, "maxBursts"), limits.max_bursts),
        ((*LIMITS, "maxVcpus"), limits.max_vcpus),
        ((*LIMITS, "launchRate", "count"), limits.launch_rate.count if limits.launch_rate else None),
        *(((*BUDGET, field), amount) for _, field, amount in amounts(limits.budget)),
        *(((*LIMITS, "providerShares", name), share) for name, share in sorted(limits.provider_shares.items())),
    )
    for path, value in zeros:
        if value == 0:
            yield Hit(path, "0 allows nothing, so this policy never starts anything", _PAUSE)


_PAUSE: Final = "raise it; to switch a policy off use the annotation burster.dev/paused, which says so in its status"


def _too_small(policy: Policy, known: Known) -> Iterator[Hit]:
    """Yield where not even one burst of the cheapest size fits into a budget."""
    if policy.placement.strategy == "Signal":
        return
    for target in known.named(policy):
        costs = known.worst_cases(policy, target)
        if not costs:
            continue
        size, cost = next(iter(costs.items()))
        for budget, whose in ((policy.limits.budget, ""), (target.limits.budget, f" of target {target.name}")):
            for window, field, amount in amounts(budget):
                allowed = amount * budget.stop_percent // 100
                if 0 < allowed < cost:
                    yield Hit(
                        (*PLACEMENT, "targets") if whose else BUDGET,
                        f"{format_micro_usd(allowed)} per {window}{whose} is less than one burst at {target.name} may cost:"
                        f" {size}, the cheapest, sets {format_micro_usd(cost)} aside, so nothing ever starts there",
                        f"raise {field}, or shorten lease and drain",
                    )


def never_reached(budget: Budget) -> Iterator[Hit]:
    """Yield limits of money above that of a longer window: in cents, most likely, or meant for another window."""
    given = amounts(budget)
    for index, (window, field, amount) in enumerate(given):
        less = next(((longer, most) for longer, _, most in given[index + 1 :] if most < amount), None)
        if less is not None:
            longer, most = less
            yield Hit(
                (*BUDGET, field),
                f"{format_micro_usd(amount)} per {window} is never reached: only {format_micro_usd(most)} may be spent per {longer}",
                "check the unit (it is USD) and the window",
            )


def _never_reached(policy: Policy, _known: Known) -> Iterator[Hit]:
    yield from never_reached(policy.limits.budget)


def _size_too_dear(policy: Policy, known: Known) -> Iterator[Hit]:
    """Yield where some sizes fit into the budget and others never can."""
    for target in known.named(policy):
        costs = known.worst_cases(policy, target)
        tightest = min(((amount, window) for window, _, amount in amounts(policy.limits.budget)), default=None)
        if tightest is None or not costs:
            continue
        amount, window = tightest
        allowed = amount * policy.limits.budget.stop_percent // 100
        dear = [size for size, cost in costs.items() if cost > allowed]
        if dear and len(dear) < len(costs):
            yield Hit(
                BUDGET,
                f"{', '.join(dear)} at {target.name} can never be had: one burst sets {format_micro_usd(costs[dear[0]])} or"
                f" more aside, and the budget is {format_micro_usd(allowed)} per {window}",
                "raise the budget, shorten the lease, or leave these sizes out",
            )


def _lease_eats_the_day(policy: Policy, known: Known) -> Iterator[Hit]:
    """Yield where two bursts at once already break the day's budget though more are allowed."""
    day = policy.limits.budget.per_day_micro_usd
    most = policy.limits.max_bursts
    if day is None or (most is not None and most <= 1):
        return
    for target in known.named(policy):
        cheapest = next(iter(known.worst_cases(policy, target).values()), 0)
        if cheapest <= day < 2 * cheapest:
            lease = format_duration_ms(policy.placement.lease_ms)
            yield Hit(
                (*PLACEMENT, "lease"),
                f"a lease of {lease} sets {format_micro_usd(cheapest)} aside at {target.name}, so the day's budget of"
                f" {format_micro_usd(day)} is enough for one burst only",
                "shorten the lease: it is renewed as long as it is needed",
            )


def _no_budget(policy: Policy, known: Known) -> Iterator[Hit]:
    if amounts(policy.limits.budget):
        return
    bounded = [target.name for target in known.named(policy) if amounts(target.limits.budget)]
    if bounded and known.all_known(policy) and len(bounded) == len(policy.placement.targets):
        return
    yield Hit(
        LIMITS,
        "there is no budget: nothing but the target's own limits ends the spending",
        "set limits.budget, perDay at the least",
    )


def _no_count(policy: Policy, _known: Known) -> Iterator[Hit]:
    if policy.limits.max_bursts is None and policy.limits.max_vcpus is None and not policy.numeric:
        yield Hit(
            LIMITS,
            "neither maxBursts nor maxVcpus is set: every pending pod that matches may go to the cloud at once",
            "set limits.maxBursts",
        )


def _no_drain(policy: Policy, _known: Known) -> Iterator[Hit]:
    budget, lease_ms = policy.limits.budget, policy.placement.lease_ms
    if amounts(budget) and budget.drain_percent is None and lease_ms > _LONG_LEASE_MS:
        yield Hit(
            BUDGET,
            "drainAtPercent is not set: when the money is spent, what runs goes on until its lease ends, up to"
            f" {format_duration_ms(lease_ms)} later",
            "set drainAtPercent: 100, or shorten the lease",
        )


RULES: Final = (
    PolicyRule("nothing-allowed", "a limit of 0 keeps the policy from ever starting anything", _nothing_allowed),
    PolicyRule("budget-too-small", "a budget below the worst case of the cheapest size at known prices", _too_small),
    PolicyRule("budget-never-reached", "a budget above that of a longer window", _never_reached),
    PolicyRule("size-above-budget", "sizes that one burst of would break the budget", _size_too_dear),
    PolicyRule(
        "lease-above-day-budget", "a lease so long that a day's budget holds one burst only", _lease_eats_the_day
    ),
    PolicyRule("no-budget", "no budget at all", _no_budget),
    PolicyRule("no-count-limit", "no limit of the number of cloud pods", _no_count),
    PolicyRule("budget-without-drain", "a budget that does not bring running pods home, with long leases", _no_drain),
)
