"""Limits of number in one scope: bursts, launches in a time, vCPUs, and how much of them one provider may have.

Asked by ``gates`` and ``replicas`` before anything new starts; changes nothing. What counts is kept by ``budgets``.

Provider shares limit how much hangs on one provider. Something may start at a provider as long as that has not more than its share of
the vCPUs that run in the scope already; a share of 0 % bars it, one of 100 % never does. So the first burst of a scope may start
anywhere, and where shares sum up to 100 % or more there is always a provider that may go on, whatever the sizes: all of them being above
their shares would be more than there is. A provider can pass its share by the one burst that was started last, but not by many small
ones: once it is above, nothing starts there until the others have caught up. Where others come home and leave it with more than its share,
that is no reason to end anything.
"""

from collections.abc import Iterable
from typing import Final

from burster.engine.accounting.scopes import Scope
from burster.engine.answers import Refusal
from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms


_ALL: Final = 100


def for_one_more(scope: Scope, now_ms: int) -> Refusal | None:
    """Return why nothing more may start in a scope, however small, or None."""
    limits = scope.limits
    if limits.max_bursts is not None and scope.active >= limits.max_bursts:
        reason = Reason(
            code=f"{scope.kind}MaxBursts",
            sentence=f"{scope.active} bursts are out, and {scope.called} allows {limits.max_bursts}.",
            numbers={"active": scope.active, "max_bursts": limits.max_bursts},
        )
        return Refusal(verdict="Wait", reason=reason, whole_policy=True)
    rate = limits.launch_rate
    if rate is None or len(scope.launches) < rate.count:
        return None
    again_at_ms = scope.launches[-rate.count] + rate.per_ms if rate.count else None
    if again_at_ms is not None and now_ms >= again_at_ms:
        return None
    reason = Reason(
        code=f"{scope.kind}LaunchRate",
        sentence=(
            f"{rate.count} launches within {format_duration_ms(rate.per_ms)} are all that {scope.called} allows, "
            "and they have been made."
        ),
        numbers={"launches": rate.count, "per_ms": rate.per_ms},
    )
    return Refusal(verdict="Wait", reason=reason, whole_policy=True, again_at_ms=again_at_ms)


def has_for(scope: Scope, vcpus: int, now_ms: int) -> bool:
    """Say whether a scope has room for one burst more, of so many vCPUs: what ``for_one_more`` and ``for_vcpus`` say, without words."""
    limits = scope.limits
    if limits.max_bursts is not None and scope.active >= limits.max_bursts:
        return False
    if limits.max_vcpus is not None and scope.vcpus + vcpus > limits.max_vcpus:
        return False
    return limits.launch_rate is None or for_one_more(scope, now_ms) is None


def for_share(scopes: Iterable[Scope], provider: str) -> Refusal | None:
    """Return why nothing may start at a provider because too much runs there already, or None."""
    for scope in scopes:
        share = scope.limits.provider_shares.get(provider, _ALL) if scope.limits.provider_shares else _ALL
        there = scope.vcpus_by_provider.get(provider, 0)
        if share >= _ALL or (share > 0 and there * _ALL <= share * scope.vcpus):
            continue
        reason = Reason(
            code=f"{scope.kind}ProviderShare",
            sentence=f"{there} of {scope.vcpus} vCPUs of {scope.called} are at {provider}, which may have {share} % of them.",
            numbers={"provider_vcpus": there, "all_vcpus": scope.vcpus, "max_percent": share},
        )
        return Refusal(verdict="Wait", reason=reason)
    return None


def for_vcpus(scopes: Iterable[Scope], vcpus: int) -> Refusal | None:
    """Return which scope has no room for so many vCPUs, or None."""
    for scope in scopes:
        limit = scope.limits.max_vcpus
        if limit is not None and scope.vcpus + vcpus > limit:
            reason = Reason(
                code=f"{scope.kind}MaxVcpus",
                sentence=f"{scope.vcpus} vCPUs are out; {vcpus} more would pass the {limit} that {scope.called} allows.",
                numbers={"used_vcpus": scope.vcpus, "wanted_vcpus": vcpus, "max_vcpus": limit},
            )
            return Refusal(verdict="Wait", reason=reason)
    return None
