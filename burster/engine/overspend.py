"""Brings home what has spent too much: from ``drainAtPercent`` of a budget on, everything of its scope.

What is held against the budget is what is *spent*: settled in the window, and by every VM that runs, since the window began. Looked at
each whole minute while anything is out under such a budget, and at once when money is settled or a lease is renewed: called by
``timers``. Nothing new starts in the scope until the window ends (``budgets`` refuses it).
"""

from burster.engine import budgets, ending
from burster.engine.budget_reasons import drain_reason, reached
from burster.engine.lifecycle import ACTIVE, ANSWERING
from burster.engine.lifecycle_actions import real_cost_micro_usd
from burster.engine.money import WindowKind
from burster.engine.scopes import Scope
from burster.engine.state import BurstEntry, State


def look(state: State, _key: str = "") -> None:
    """Hold what is spent against every budget that drains, and bring home what is over."""
    watched = [each for each in state.scopes.values() if each.budget.drain_percent is not None and each.caps]
    if not watched:
        return
    out = [entry for entry in state.bursts.values() if entry.burst.status.phase in ACTIVE]
    for scope in watched:
        if scope.drained is not None and state.now_ms >= scope.drained_until_ms:
            scope.drained = None
        own = [entry for entry in out if scope in _scopes(state, entry)]
        if scope.drained is None:
            _hold_against(state, scope, own)
        if scope.drained is not None:
            for entry in own:
                if entry.burst.status.phase in ANSWERING:
                    ending.end(state, entry, "Draining", scope.drained)
        budgets.watch(state, scope)


def _scopes(state: State, entry: BurstEntry) -> tuple[Scope, ...]:
    burst = entry.burst
    return budgets.scopes_of(state, burst.policy_key, burst.namespace, burst.spec.target)


def _hold_against(state: State, scope: Scope, own: list[BurstEntry]) -> None:
    percent = scope.budget.drain_percent
    for kind, limit in scope.caps:
        spent = _spent_micro_usd(state, scope, own, kind)
        if scope.active and percent is not None and reached(spent, limit, percent):
            scope.drained = drain_reason(scope, kind, limit, spent)
            scope.drained_until_ms = scope.account.window(kind, state.now_ms, scope.budget.timezone).end_ms
            return


def _spent_micro_usd(state: State, scope: Scope, own: list[BurstEntry], kind: WindowKind) -> int:
    window = scope.account.window(kind, state.now_ms, scope.budget.timezone)
    running = sum(real_cost_micro_usd(state, entry, max(window.start_ms, entry.booked_until_ms)) for entry in own)
    return window.settled_micro_usd + running
