"""What VMs cost that nobody claims: money like any other, in the target's budget and the cluster's.

A VM that is this cluster's for certain, and no record's, costs from its creation to its confirmed end, at the price of its size. It is
booked once an hour and at its end, each time under a key of its own, so that a restart books nothing twice. What is not known to be this
cluster's costs somebody else.
"""

from typing import Final

from burster.engine.accounting import budgets
from burster.engine.entries import TargetEntry
from burster.engine.offers.offer_index import price_of
from burster.engine.state import State
from burster.engine.sweeping.leftovers import Leftover
from burster.engine.sweeping.scope import Owner, place_of
from burster.model.offerings import Vm
from burster.model.quantities import cost_micro_usd
from burster.model.stimuli import LEAK, Spend


_BOOKED_EVERY_MS: Final = 3_600_000
_BOOKED_KEPT_MS: Final = 32 * 86_400_000


def take_in(state: State, entry: TargetEntry, one: Leftover, vm: Vm, owner: Owner | None) -> None:
    """Note what an unclaimed VM costs, and book it where it is time."""
    if not one.proof or not (one.due or owner is None):
        return
    one.size = vm.size
    if one.cost_since_ms is None:
        began_ms = min(vm.created_at_ms if vm.created_at_ms is not None else one.first_seen_ms, state.now_ms)
        if owner is not None and owner.saw_it:
            began_ms = max(began_ms, owner.released_at_ms)  # until then it was the burst's, and is paid for
        one.cost_since_ms = max(began_ms, _booked_until_ms(state, entry, vm.name))
    if owner is not None:
        one.price_micro_usd_per_hour = owner.price_micro_usd_per_hour
    else:
        one.price_micro_usd_per_hour = max(one.price_micro_usd_per_hour, price_of_size(entry, vm.size))
    if one.due and (not one.cost_micro_usd or state.now_ms - one.cost_since_ms >= _BOOKED_EVERY_MS):
        _book(state, one, state.now_ms)


def _booked_until_ms(state: State, entry: TargetEntry, vm: str) -> int:
    """Return until when a VM's cost is booked, be it at another target of its group, or at one that is gone and may have been of it."""
    place = place_of(entry.target)
    booked_ms = 0
    for name, until_ms in state.leaks_booked.get(vm, {}).items():
        other = state.targets.get(name)
        if other is None or place_of(other.target) == place:
            booked_ms = max(booked_ms, until_ms)
    return booked_ms


def close(state: State, one: Leftover, at_ms: int) -> None:
    """Book what is left to book of a VM that is gone."""
    if one.cost_since_ms is not None:
        _book(state, one, at_ms)


def price_of_size(entry: TargetEntry, size: str) -> int:
    """Return what a size costs an hour at a target; of an unknown one, what the target assumes, else what its dearest known size costs."""
    known = [
        (offering.size.casefold(), price)
        for offering in entry.offerings
        if not offering.spot and (price := price_of(entry.target, offering)) is not None
    ]
    same = [price for name, price in known if name == size.casefold()]
    if same:
        return max(same)
    assumed = entry.target.assumed_price_micro_usd_per_hour
    return assumed if assumed is not None else max((price for _, price in known), default=0)


def _book(state: State, one: Leftover, at_ms: int) -> None:
    since_ms = one.cost_since_ms if one.cost_since_ms is not None else at_ms
    cost = cost_micro_usd(one.price_micro_usd_per_hour, max(0, at_ms - since_ms))
    if not cost:
        return
    one.cost_since_ms = at_ms
    one.cost_micro_usd += cost
    spend = Spend(
        burst=f"{LEAK}{one.resource.name}",
        uid=f"{LEAK}{one.target}/{one.resource.name}/{at_ms}",
        policy="",
        target=one.target,
        at_ms=at_ms,
        micro_usd=cost,
    )
    book(state, spend, since_ms)
    state.spends.append(spend)


def book(state: State, spend: Spend, since_ms: int | None = None) -> None:
    """Book what an unclaimed VM has cost, now or before a restart: once."""
    state.settled[spend.uid] = (spend.at_ms, spend.micro_usd)
    state.settled_total_micro_usd += spend.micro_usd
    state.leaked_total_micro_usd += spend.micro_usd
    budgets.settle_leak(state, spend.target, spend.micro_usd, spend.at_ms, since_ms)
    booked = state.leaks_booked.setdefault(spend.burst.removeprefix(LEAK), {})
    booked[spend.target] = max(booked.get(spend.target, 0), spend.at_ms)


def forget_old(state: State) -> None:
    """Forget until when VMs were booked that nobody has seen for longer than a budget's window."""
    oldest_ms = state.now_ms - _BOOKED_KEPT_MS
    state.leaks_booked = {vm: booked for vm, booked in state.leaks_booked.items() if max(booked.values()) > oldest_ms}
