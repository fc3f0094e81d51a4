"""The money of a scaled workload's replicas: a lease for each, reserved before it starts, renewed in time, settled when it has left.

Called by ``replica_scale``. burster sees how many replicas there are and not which: one that leaves is taken to be the oldest, so that
what is booked is never less than the truth. A workload's status counts no pod that is being deleted, while its VM is paid for until the
pod has stopped and the cloud has deleted it: ``REPLICA_GOING_MS`` more is booked for each that leaves. What a running replica has cost
is booked at each renewal, so that a restart loses no more than one lease period of it. It never decides how many there should be.
"""

from typing import Final

from burster.engine.accounting import budgets
from burster.engine.answers import Grant
from burster.engine.numbers.replica_gates import REPLICA_GOING_MS, dearest_place
from burster.engine.numbers.scaler import ReplicaLease, ScaleBook
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.quantities import cost_micro_usd
from burster.model.stimuli import Spend, WorkloadSeen


_RENEW_BEFORE_MAX_MS: Final = 300_000
#: For how long a replica that does not go is paid in advance, each time that is noticed.
_OUTLIVING_MS: Final = 300_000
_LAUNCHES_KEPT_MS: Final = 86_400_000


def staying(book: ScaleBook) -> int:
    """Return how many replicas are paid for and are not to go."""
    return sum(not one.ending for one in book.leases)


def leaving(book: ScaleBook) -> int:
    """Return how many replicas are to go, as nobody could pay for them any longer."""
    return sum(one.ending for one in book.leases)


def open_lease(state: State, book: ScaleBook, grant: Grant) -> None:
    """Set the money for one more replica aside and count it in."""
    offering, target = grant.offering, state.targets[grant.target]
    if not book.leases:
        book.target, book.size, book.provider = grant.target, offering.size, offering.provider
        book.vcpus = offering.resources.cpu_millicores // 1000
        book.price_micro_usd_per_hour = 0
    # replicas of two prices are told apart by nobody: the dearer one holds for all
    book.price_micro_usd_per_hour = max(book.price_micro_usd_per_hour, grant.price_micro_usd_per_hour)
    book.launch_ms = target.target.launch_deadline_ms
    _lease(state, book, grant.reserve_micro_usd)
    budgets.launched(state, *_where(book), state.now_ms)
    state.former_launches.append((state.now_ms, book.policy, book.target))


def forget_old(state: State) -> None:
    """Keep the launches that a rate which somebody declares now may look back at."""
    since_ms = state.now_ms - _LAUNCHES_KEPT_MS
    state.former_launches = [one for one in state.former_launches if one[0] >= since_ms]


def take_over(state: State, entry: PolicyEntry, book: ScaleBook, seen: WorkloadSeen, there: int) -> None:
    """Count replicas in that somebody else has started, or a predecessor: they are there, so their money can't be refused any more."""
    if there <= len(book.leases):
        return
    if not book.leases:
        place = dearest_place(state, entry.policy, seen)
        if place is None:
            return  # nothing tells what they cost: looked at again with the next news
        book.target, book.size, book.price_micro_usd_per_hour, book.vcpus, book.provider = place
        book.launch_ms = state.targets[book.target].target.launch_deadline_ms
    worst_ms = book.launch_ms + book.lease_ms + book.drain_ms
    while len(book.leases) < there:
        _lease(state, book, cost_micro_usd(book.price_micro_usd_per_hour, worst_ms))


def _lease(state: State, book: ScaleBook, micro_usd: int) -> None:
    until_ms = state.now_ms + book.launch_ms + book.lease_ms
    book.leases.append(ReplicaLease(since_ms=state.now_ms, until_ms=until_ms, held_micro_usd=micro_usd))
    budgets.reserve(state, *_where(book), micro_usd)
    _count(state, book, 1)
    state.at(until_ms - _renew_before_ms(book), "scaling", book.policy)


def settle_gone(state: State, book: ScaleBook, there: int) -> None:
    """Settle the oldest leases until there are as many as replicas; those that were to go first."""
    gone = len(book.leases) - there
    if gone <= 0:
        return
    book.leases.sort(key=lambda one: (not one.ending, one.since_ms))
    leaving, book.leases = book.leases[:gone], book.leases[gone:]
    _settle(state, book, leaving, going_ms=REPLICA_GOING_MS)
    for one in leaving:
        budgets.release(state, *_where(book), one.held_micro_usd)
        _count(state, book, -1)
    for policy in state.policies.values():
        policy.reopened = True


def never_came(state: State, book: ScaleBook, there: int) -> None:
    """Give back whole what was set aside for replicas that were never asked for in the end: the youngest."""
    while len(book.leases) > there:
        one = book.leases.pop()
        budgets.release(state, *_where(book), one.held_micro_usd)
        _count(state, book, -1)


def close(state: State, book: ScaleBook) -> None:
    """Settle everything: nobody looks after these replicas any more."""
    settle_gone(state, book, 0)


def renew(state: State, book: ScaleBook) -> Reason | None:
    """Renew the leases that are due, each with money of its own; return why one could not be, or None."""
    refused: Reason | None = None
    due = [one for one in book.leases if state.now_ms >= one.until_ms - _renew_before_ms(book)]
    if not due:
        return None
    _settle(state, book, due)
    for one in due:
        if one.ending:
            _outlive(state, book, one)
            continue
        reason = _extend(state, book, one)
        if reason is not None:
            sentence = f"A replica's lease is not renewed: {reason.sentence}"
            refused = Reason(code="LeaseNotRenewed", sentence=sentence, numbers=reason.numbers)
            one.ending = True
            state.at(one.until_ms, "scaling", book.policy)
    return refused


def keep_leaving(state: State, book: ScaleBook) -> Reason | None:
    """Let a replica that was to go stay, if its lease can be paid now; return why it can't, None where it stays or none is to go."""
    one = next((lease for lease in book.leases if lease.ending), None)
    if one is None:
        return None
    reason = budgets.held_off(state, *_where(book)) or _extend(state, book, one)
    one.ending = reason is not None
    return reason


def _extend(state: State, book: ScaleBook, one: ReplicaLease) -> Reason | None:
    lease_ms = max(1, book.lease_ms)
    late_ms = max(0, state.now_ms + _renew_before_ms(book) - one.until_ms)
    extension_ms = lease_ms * (late_ms // lease_ms + 1)
    wanted = cost_micro_usd(book.price_micro_usd_per_hour, extension_ms)
    reason = budgets.renewal_shortfall(state, *_where(book), wanted)
    if reason is None:
        one.held_micro_usd += wanted
        one.until_ms += extension_ms
        budgets.reserve(state, *_where(book), wanted)
        state.at(one.until_ms - _renew_before_ms(book), "scaling", book.policy)
    else:
        budgets.hold_off(state, *_where(book), wanted)
    return reason


def _outlive(state: State, book: ScaleBook, one: ReplicaLease) -> None:
    """A replica that was to go is still there: what it costs is taken from what others could have been granted."""
    if state.now_ms < one.until_ms:
        return
    ahead = cost_micro_usd(book.price_micro_usd_per_hour, book.drain_ms + _OUTLIVING_MS)
    missing = max(0, ahead - one.held_micro_usd)
    one.held_micro_usd += missing
    one.until_ms = state.now_ms + _OUTLIVING_MS + _renew_before_ms(book)
    budgets.reserve(state, *_where(book), missing)
    state.at(one.until_ms, "scaling", book.policy)


def _settle(state: State, book: ScaleBook, leases: list[ReplicaLease], *, going_ms: int = 0) -> None:
    """Book what these replicas have cost since they were last booked, and will until they are gone; that much is reserved no more."""
    total, since_ms = 0, state.now_ms
    for one in leases:
        cost = cost_micro_usd(book.price_micro_usd_per_hour, max(0, state.now_ms - one.since_ms) + going_ms)
        part = min(cost, one.held_micro_usd)
        one.held_micro_usd -= part
        budgets.release(state, *_where(book), part)
        total, since_ms = total + cost, min(since_ms, one.since_ms)
        one.since_ms = state.now_ms
    if not total:
        return
    book.settlements += 1
    budgets.settle(state, *_where(book), total, state.now_ms, since_ms)
    namespace = book.policy.partition("/")[0]
    spend = Spend(
        burst=f"{namespace}/{book.workload.name}",
        uid=f"scale/{book.policy}/{state.now_ms}/{book.settlements}",
        policy=book.policy,
        target=book.target,
        at_ms=state.now_ms,
        micro_usd=total,
    )
    state.settled_total_micro_usd += total
    state.settled[spend.uid] = (spend.at_ms, total)
    state.spends.append(spend)


def _where(book: ScaleBook) -> tuple[str, str, str]:
    return book.policy, book.policy.partition("/")[0], book.target


def _count(state: State, book: ScaleBook, replicas: int) -> None:
    budgets.count(state, *_where(book), provider=book.provider, bursts=replicas, vcpus=replicas * book.vcpus)


def _renew_before_ms(book: ScaleBook) -> int:
    return min(book.lease_ms // 10, _RENEW_BEFORE_MAX_MS)
