"""Leases: each goes on only when its next period's money has been found, and in time before it ends.

Called by ``timers`` twice in each lease: first the money that the renewal will need is claimed, so that no new burst takes it, then it is
reserved, and what was spent so far is booked. Renewals go first: in a step they fall due before anything new is decided, they may use
the budgets up to their limits whatever stops new bursts, and a burst granted after the claim is never why a renewal is refused. What was
granted before the claim may be: a new burst doesn't wait for a lease that has most of its time before it and may never be renewed.
"""

from burster.engine.accounting import budgets
from burster.engine.accounting.costs import running_vms
from burster.engine.bursts import ending
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.quantities import cost_micro_usd, format_duration_ms, format_micro_usd


def look(state: State, key: str) -> None:
    """Claim, renew or end: whatever a lease is due for."""
    entry = state.bursts.get(key)
    if entry is None or entry.burst.status.phase not in ANSWERING:
        return
    due_ms = entry.burst.status.lease_until_ms - actions.renew_before_ms(entry.burst)
    if state.now_ms >= due_ms:
        _renew_or_end(state, entry)
    elif state.now_ms >= due_ms - actions.renew_before_ms(entry.burst):
        if not entry.claimed_micro_usd:
            actions.claim(state, entry, _next_micro_usd(entry, entry.burst.spec.lease_ms))
        state.at(due_ms, "lease", key)


def _renew_or_end(state: State, entry: BurstEntry) -> None:
    burst = entry.burst
    extension_ms = _extension_ms(state, entry)
    if state.now_ms > burst.status.lease_until_ms:
        _book_overdue(state)
    actions.book_spent(state, entry)
    wanted = _wanted_micro_usd(state, entry, extension_ms)
    reason = budgets.renewal_shortfall(state, burst.policy_key, burst.namespace, burst.spec.target, wanted)
    if reason is None:
        _renew(state, entry, extension_ms, wanted)
        return
    budgets.hold_off(state, burst.policy_key, burst.namespace, burst.spec.target, wanted)
    sentence = f"Its lease is not renewed: {reason.sentence}"
    ending.end(state, entry, "Draining", Reason(code="LeaseNotRenewed", sentence=sentence, numbers=reason.numbers))


def _book_overdue(state: State) -> None:
    """Book what all bursts have cost whose leases ran out while nobody looked: none is renewed with money that another has spent."""
    if state.overdue_booked == state.turn:
        return
    state.overdue_booked = state.turn
    for entry in state.bursts.values():
        if entry.burst.status.phase in ANSWERING and state.now_ms > entry.burst.status.lease_until_ms:
            actions.book_spent(state, entry)


def _extension_ms(state: State, entry: BurstEntry) -> int:
    """Return by how much a lease must be extended to hold for a while: one period, or several after a long absence."""
    lease_ms = max(1, entry.burst.spec.lease_ms)
    late_ms = state.now_ms + actions.renew_before_ms(entry.burst) - entry.burst.status.lease_until_ms
    return lease_ms * (max(0, late_ms) // lease_ms + 1)


def _wanted_micro_usd(state: State, entry: BurstEntry, extension_ms: int) -> int:
    """Return what is to be set aside for an extension.

    Of a lease that has run out, what is ahead of it: the time since then is spent, and booked when it was spent.
    """
    late_ms = state.now_ms - entry.burst.status.lease_until_ms
    if late_ms <= 0:
        return _next_micro_usd(entry, extension_ms)
    ahead_micro_usd = _next_micro_usd(entry, extension_ms - late_ms + entry.burst.spec.drain_ms)
    return max(0, ahead_micro_usd - entry.held_micro_usd)


def _next_micro_usd(entry: BurstEntry, extension_ms: int) -> int:
    """Return what a time that is ahead costs at most: for each VM that is there, and for one at least."""
    return running_vms(entry) * cost_micro_usd(entry.burst.spec.price_micro_usd_per_hour, extension_ms)


def _renew(state: State, entry: BurstEntry, extension_ms: int, wanted: int) -> None:
    actions.hold(state, entry, wanted)
    actions.claim(state, entry, 0)
    state.decide(
        "Renew",
        Reason(
            code="LeaseRenewed",
            sentence=f"Its lease goes on for {format_duration_ms(extension_ms)}; {format_micro_usd(wanted)} are set aside.",
            numbers={"reserved_micro_usd": wanted},
        ),
        policy=entry.burst.policy_key,
        subject=entry.burst.subject,
        burst=entry.burst.key,
    )
    actions.change_status(
        state,
        entry,
        lease_until_ms=entry.burst.status.lease_until_ms + extension_ms,
        reserved_micro_usd=entry.held_micro_usd,
    )
    actions.watch_lease(state, entry)
