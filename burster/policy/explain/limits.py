"""Limits and money in sentences, with what one burst may cost at the prices that are known."""

from collections.abc import Iterator

from burster.model.limits import Limits
from burster.model.policies import Policy
from burster.model.quantities import cost_micro_usd, format_duration_ms, format_micro_usd
from burster.model.targets import Target
from burster.policy.explain.words import all_of, any_of
from burster.policy.lint.base import Known
from burster.policy.lint.limits import amounts


_ALL = 100


def limit_sentences(limits: Limits, uses: str, spends: str) -> Iterator[str]:
    """Yield what may be used and spent at most."""
    counts = [
        f"{limit} {what}"
        for limit, what in ((limits.max_bursts, "cloud pods"), (limits.max_vcpus, "vCPUs"))
        if limit is not None
    ]
    yield (
        f"{uses} at most {all_of(counts)} at one time."
        if counts
        else f"{uses} any number of cloud pods: there is no limit."
    )
    rate = limits.launch_rate
    if rate is not None:
        yield f"{uses} at most {rate.count} launches in any {format_duration_ms(rate.per_ms)}."
    budget = limits.budget
    money = [f"{format_micro_usd(amount)} per {window}" for window, _, amount in amounts(budget)]
    yield (
        f"{spends} at most {', '.join(money)} ({budget.timezone}), worst cases counted before anything starts."
        if money
        else f"{spends} without a limit of its own."
    )
    if money:
        yield _steps(limits)
    if limits.provider_shares:
        shares = [f"{share} % at {provider}" for provider, share in sorted(limits.provider_shares.items())]
        yield f"Of the vCPUs in use at most {all_of(shares)}."


def _steps(limits: Limits) -> str:
    budget = limits.budget
    home = (
        "what runs goes on to the end of its lease"
        if budget.drain_percent is None
        else f"at {budget.drain_percent} % spent everything comes home"
    )
    return f"At {budget.warn_percent} % of a budget people are told, at {budget.stop_percent} % nothing new starts, and {home}."


def worst_case_sentences(policy: Policy, targets: tuple[Target, ...], known: Known | None) -> Iterator[str]:
    """Yield what is set aside for one burst at each target, in time and, where prices are known, in money."""
    placement = policy.placement
    for target in targets:
        parts = (target.launch_deadline_ms, placement.lease_ms, placement.drain_ms)
        shown = " + ".join(map(format_duration_ms, parts))
        yield (
            f"Before a burst starts at {target.name}, the price of {format_duration_ms(sum(parts))} is set aside ({shown})."
        )
        if known is not None:
            yield from _in_money(policy, target, known)


def _in_money(policy: Policy, target: Target, known: Known) -> Iterator[str]:
    costs = known.worst_cases(policy, target)
    unknown = [
        size
        for size in target.sizes
        if size not in costs and (not policy.placement.sizes or size in policy.placement.sizes)
    ]
    if costs:
        cheapest, dearest = next(iter(costs.items())), list(costs.items())[-1]
        text = f"There that is {format_micro_usd(cheapest[1])} on {cheapest[0]}"
        if dearest[0] != cheapest[0]:
            text += f" and {format_micro_usd(dearest[1])} on {dearest[0]}, the dearest"
        fits = [
            f"{amount * policy.limits.budget.stop_percent // _ALL // cheapest[1]} in the budget per {window}"
            for window, _, amount in amounts(policy.limits.budget)
            if cheapest[1]
        ]
        yield f"{text}: of the cheapest size {all_of(fits)} at one time." if fits else f"{text}."
        price = known.price(target, cheapest[0])
        if price is not None:
            lease = cost_micro_usd(price, policy.placement.lease_ms)
            yield f"Each renewal of its lease sets {format_micro_usd(lease)} more aside."
    if unknown:
        yield f"No price is known for {any_of(unknown)} at {target.name}: nothing starts there on such a size."
