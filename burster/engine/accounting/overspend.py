"""Brings home what has spent too much: from ``drainAtPercent`` of a budget on, everything of its scope.

What is held against the budget is what is *spent*: settled in the window, and by every VM and replica that runs, since the window began.
Looked at each whole minute while anything is out under such a budget, and at once when money is settled, as it is at each renewal: called
by ``timers``. Nothing new starts in the scope until the window ends (``budgets`` refuses it). Scaled workloads come home at
their next sync: ``replica_scale`` looks at ``drained``.
"""

from burster.engine.accounting import budgets
from burster.engine.accounting.budget_reasons import drain_reason, reached
from burster.engine.accounting.costs import real_cost_micro_usd
from burster.engine.accounting.money import WindowKind
from burster.engine.accounting.scopes import Scope
from burster.engine.bursts import ending
from burster.engine.bursts.lifecycle import ACTIVE, ANSWERING
from burster.engine.bursts.lifecycle_actions import where
from burster.engine.numbers.scaler import ScaleBook
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.quantities import cost_micro_usd


class _Out:
    """What is out in one scope."""

    __slots__ = ("books", "bursts")

    def __init__(self) -> None:
        self.bursts: list[BurstEntry] = []
        self.books: list[ScaleBook] = []


def look(state: State, _key: str = "") -> None:
    """Hold what is spent against every budget that drains, and bring home what is over."""
    watched = {
        key: (scope, _Out())
        for key, scope in state.scopes.items()
        if scope.budget.drain_percent is not None and scope.caps
    }
    if not watched:
        return
    _sort_out(state, watched)
    for scope, out in watched.values():
        if scope.drained is not None and state.now_ms >= scope.drained_until_ms:
            scope.drained = None
        if scope.drained is None:
            _hold_against(state, scope, out)
        if scope.drained is not None:
            _bring_home(state, scope.drained, out)
        budgets.watch(state, scope)


def _sort_out(state: State, watched: dict[tuple[str, str], tuple[Scope, _Out]]) -> None:
    for entry in state.bursts.values():
        if entry.burst.status.phase in ACTIVE:
            for scope in budgets.scopes_of(state, *where(entry)):
                if (found := watched.get((scope.kind, scope.key))) is not None:
                    found[1].bursts.append(entry)
    for book in state.scale_books.values():
        if book.leases:
            for scope in budgets.scopes_of(state, book.policy, book.policy.partition("/")[0], book.target):
                if (found := watched.get((scope.kind, scope.key))) is not None:
                    found[1].books.append(book)


def _hold_against(state: State, scope: Scope, out: _Out) -> None:
    percent = scope.budget.drain_percent
    for kind, limit in scope.caps:
        spent = _spent_micro_usd(state, scope, out, kind)
        if scope.active and percent is not None and reached(spent, limit, percent):
            scope.drained = drain_reason(scope, kind, limit, spent)
            scope.drained_until_ms = scope.account.window(kind, state.now_ms, scope.budget.timezone).end_ms
            return


def _spent_micro_usd(state: State, scope: Scope, out: _Out, kind: WindowKind) -> int:
    window = scope.account.window(kind, state.now_ms, scope.budget.timezone)
    by_bursts = sum(_running_micro_usd(state, entry, window.start_ms) for entry in out.bursts)
    by_replicas = sum(
        cost_micro_usd(book.price_micro_usd_per_hour, max(0, state.now_ms - max(window.start_ms, lease.since_ms)))
        for book in out.books
        for lease in book.leases
    )
    return window.settled_micro_usd + by_bursts + by_replicas


def _running_micro_usd(state: State, entry: BurstEntry, since_ms: int) -> int:
    """Return what a burst has spent since then that is not booked yet."""
    return real_cost_micro_usd(state, entry, max(since_ms, entry.booked_until_ms))


def _bring_home(state: State, reason: Reason, out: _Out) -> None:
    for entry in out.bursts:
        if entry.burst.status.phase in ANSWERING:
            ending.end(state, entry, "Draining", reason)
