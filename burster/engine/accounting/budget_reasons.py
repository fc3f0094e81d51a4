"""How budgets refuse, warn and drain, in sentences. Made by ``budgets``, ``overspend`` and ``renewals``; decides nothing."""

from typing import Final

from burster.engine.accounting.money import Shortfall, WindowKind
from burster.engine.accounting.scopes import Scope
from burster.model.decisions import Reason
from burster.model.quantities import format_micro_usd


WHOLE: Final = 100  #: percent


def reached(amount: int, limit: int, percent: int) -> bool:
    """Say whether an amount is a percentage of a limit, or more."""
    return amount * WHOLE >= limit * percent


def shortfall_reason(scope: Scope, short: Shortfall) -> Reason:
    """Return the sentence that tells a reservation that does not fit."""
    return Reason(
        code=f"{scope.kind}Budget",
        sentence=(
            f"{format_micro_usd(short.wanted_micro_usd)} would have to be reserved, {format_micro_usd(short.used_micro_usd)} of "
            f"{format_micro_usd(short.limit_micro_usd)} per {short.window} are spent or reserved for {scope.called}."
        ),
        numbers={
            "wanted_micro_usd": short.wanted_micro_usd,
            "used_micro_usd": short.used_micro_usd,
            "limit_micro_usd": short.limit_micro_usd,
        },
    )


def stop_reason(scope: Scope, kind: WindowKind, limit: int, used: int) -> Reason:
    """Return the sentence that tells that nothing new starts any more."""
    percent = scope.budget.stop_percent
    return Reason(
        code="BudgetStop",
        sentence=(
            f"{format_micro_usd(used)} of {format_micro_usd(limit)} per {kind} are spent or reserved for {scope.called}, "
            f"and nothing new starts from {percent} % on."
        ),
        numbers={"used_micro_usd": used, "limit_micro_usd": limit, "stop_percent": percent},
    )


def claimed_reason(scope: Scope, kind: WindowKind, limit: int, used: int, wanted: int) -> Reason:
    """Return the sentence that tells that what is left is needed for renewals."""
    claimed = scope.claimed_micro_usd
    return Reason(
        code="RenewalsFirst",
        sentence=(
            f"{format_micro_usd(wanted)} would leave too little for the leases of {scope.called} that are renewed within minutes: they "
            f"need {format_micro_usd(claimed)}, and {format_micro_usd(used)} of {format_micro_usd(limit)} per {kind} are spent or reserved."
        ),
        numbers={
            "wanted_micro_usd": wanted,
            "claimed_micro_usd": claimed,
            "used_micro_usd": used,
            "limit_micro_usd": limit,
        },
    )


def held_off_reason(scope: Scope, short: Shortfall, until_ms: int) -> Reason:
    """Return the sentence that tells that nothing new starts after a lease was not renewed."""
    return Reason(
        code="BudgetHeldOff",
        sentence=(
            f"The {format_micro_usd(short.limit_micro_usd)} per {short.window} of {scope.called} did not suffice to renew a lease, "
            "so what comes free starts nothing new that would end the same way."
        ),
        numbers={
            "used_micro_usd": short.used_micro_usd,
            "limit_micro_usd": short.limit_micro_usd,
            "due_ms": until_ms,
        },
    )


def drain_reason(scope: Scope, kind: WindowKind, limit: int, spent: int) -> Reason:
    """Return the sentence that tells why everything of a scope comes home."""
    percent = scope.budget.drain_percent or 0
    return Reason(
        code="BudgetDrain",
        sentence=(
            f"{format_micro_usd(spent)} of {format_micro_usd(limit)} per {kind} are spent by {scope.called}, "
            f"and everything of it comes home from {percent} % on."
        ),
        numbers={"spent_micro_usd": spent, "limit_micro_usd": limit, "drain_percent": percent},
    )


def warning_reason(scope: Scope, kind: WindowKind, limit: int, used: int) -> Reason:
    """Return the sentence that tells people that a limit is near."""
    return Reason(
        code="BudgetWarning",
        sentence=f"{format_micro_usd(used)} of {format_micro_usd(limit)} per {kind} are spent or reserved for {scope.called}.",
        numbers={"used_micro_usd": used, "limit_micro_usd": limit, "warn_percent": scope.budget.warn_percent},
    )
