"""Limits and money of every scope at once: what a policy's burst at a target counts against, and how that moves.

Four scopes hold for each burst: its policy, its namespace at the target, the target, and the cluster. The tightest decides, and what one
of them books all of them book. Called by ``gates`` (may money be set aside?), ``lifecycle_actions``, ``renewals`` and ``replicas`` (set
it aside, give it back, settle it), ``observe_world`` (rules came or changed) and ``step`` (who is served first).

On the way to a budget's limit: from ``warn_percent`` of what is spent and reserved people are warned, once a window; from
``stop_percent`` of the same nothing new starts, while leases may be renewed up to the limit itself; what happens from ``drain_percent``
on is in ``overspend``. The money of a lease that is renewed soon is claimed in time (``renewals``), and new bursts leave it alone.

Once a lease was not renewed for want of money, nothing new starts in that scope until the window that was short ends, at most for a day,
or its budget is changed. What the ended burst gives back would else start another one whose lease can't be renewed either, and so on: a
VM's start paid for again and again for work that never ends.

This room never ends a burst and never decides on one: it says what is left, and keeps the books.
"""

from typing import Final

from burster.engine.accounting.budget_reasons import (
    WHOLE,
    claimed_reason,
    drain_reason,
    held_off_reason,
    reached,
    shortfall_reason,
    stop_reason,
    warning_reason,
)
from burster.engine.accounting.money import Shortfall, WindowKind
from burster.engine.accounting.scopes import NO_LIMITS, Scope, ScopeKind
from burster.engine.answers import Refusal
from burster.engine.state import State
from burster.engine.turns import fair_order as fair_order  # noqa: PLC0414 - asked for here: it is about budgets
from burster.model.decisions import Reason
from burster.model.instructions import EmitEvent
from burster.model.limits import Limits
from burster.model.stimuli import ClusterLimitsSeen


#: For how long nothing new starts after a lease was not renewed, where the window that was short lasts longer.
HELD_OFF_MAX_MS: Final = 86_400_000
LOOK_MS: Final = 60_000  #: how often what is being spent is held against the budgets that drain


def scopes_of(state: State, policy_key: str, namespace: str, target_name: str) -> tuple[Scope, ...]:
    """Return the scopes of a policy's bursts at a target, the narrowest first; made where they are new."""
    chain = state.chains.get((policy_key, target_name))
    if chain is None:
        chain = state.chains[policy_key, target_name] = (
            scope_of(state, "Policy", policy_key),
            scope_of(state, "Namespace", f"{target_name}/{namespace}"),
            scope_of(state, "Target", target_name),
            scope_of(state, "Cluster", ""),
        )
    return chain


def scope_of(state: State, kind: ScopeKind, key: str) -> Scope:
    """Return one scope, made where it is new."""
    scope = state.scopes.get((kind, key))
    if scope is None:
        scope = state.scopes[kind, key] = Scope(kind=kind, key=key)
        scope.take(_rules_for(state, kind, key))
    return scope


def _rules_for(state: State, kind: ScopeKind, key: str) -> Limits:
    if kind == "Cluster":
        return state.cluster_limits
    if kind == "Policy":
        policy = state.policies.get(key)
        return policy.policy.limits if policy is not None else NO_LIMITS
    name, _, namespace = key.partition("/")
    target = state.targets.get(name)
    if target is None:
        return NO_LIMITS
    if kind == "Target":
        return target.target.limits
    own = target.target.namespace_limits
    return own.get(namespace) or own.get("*", NO_LIMITS)


def rules_changed(state: State, kind: ScopeKind, key: str) -> None:
    """Hold a scope, and those within it, to the rules as they are now. Called when a policy or target came, changed or went."""
    own = state.scopes.get((kind, key))
    affected = [] if own is None else [own]
    if kind == "Target":
        within = f"{key}/"
        affected += [each for each in state.scopes.values() if each.kind == "Namespace" and each.key.startswith(within)]
    for scope in affected:
        _hold_to(state, scope, _rules_for(state, scope.kind, scope.key))


def cluster_limits_seen(state: State, stimulus: ClusterLimitsSeen) -> None:
    """Hold everything together to these limits."""
    if state.cluster_limits == stimulus.limits:
        return
    state.cluster_limits = stimulus.limits
    rules_changed(state, "Cluster", "")
    for policy in state.policies.values():
        policy.reopened = True


def _hold_to(state: State, scope: Scope, limits: Limits) -> None:
    if limits == scope.limits:
        return
    remember = limits.launch_rate != scope.limits.launch_rate
    scope.take(limits)
    if remember:
        scope.launches.clear()
        for entry in state.bursts.values():
            burst = entry.burst
            if scope in scopes_of(state, burst.policy_key, burst.namespace, burst.spec.target):
                scope.launched(burst.spec.decided_at_ms)
        for at_ms, policy, target in state.former_launches:
            if scope in scopes_of(state, policy, policy.partition("/")[0], target):
                scope.launched(at_ms)
    watch(state, scope)


def count(  # noqa: PLR0913 - the four scopes' names, and what is counted
    state: State, policy_key: str, namespace: str, target_name: str, *, provider: str, bursts: int, vcpus: int
) -> None:
    """Count bursts (or replicas) and their vCPUs in; out where the numbers are negative."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        scope.active += bursts
        scope.vcpus += vcpus
        scope.vcpus_by_provider[provider] = scope.vcpus_by_provider.get(provider, 0) + vcpus
        if bursts > 0 and scope.limits.budget.drain_percent is not None:
            watch(state, scope)
        if scope.limits.provider_shares:
            _reopen_shared(state)


def start(state: State, scopes: tuple[Scope, ...], *, provider: str, vcpus: int, micro_usd: int) -> None:
    """Book a burst that starts now: ``reserve``, ``count`` and ``launched`` at once, as thousands may start in one step."""
    for scope in scopes:
        scope.account.outstanding_micro_usd += micro_usd
        scope.active += 1
        scope.vcpus += vcpus
        there = scope.vcpus_by_provider
        there[provider] = there.get(provider, 0) + vcpus
        if not scope.binds:
            continue
        limits = scope.limits
        if scope.caps:
            if not scope.is_calm(0, state.now_ms):
                _warn(state, scope)
            if limits.budget.drain_percent is not None:
                watch(state, scope)
        if limits.launch_rate is not None:
            scope.launched(state.now_ms)
        if limits.provider_shares:
            _reopen_shared(state)


def launched(state: State, policy_key: str, namespace: str, target_name: str, at_ms: int) -> None:
    """Note a launch for the launch rates."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        if scope.limits.launch_rate is not None:
            scope.launched(at_ms)


def shortfall(state: State, policy_key: str, namespace: str, target_name: str, micro_usd: int) -> Refusal | None:
    """Return why an amount can't be set aside for something new, or None where every scope has it."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        if scope.caps and not scope.is_calm(micro_usd, state.now_ms):
            answer = refusal(scope, micro_usd, state.now_ms)
            if answer is not None:
                return answer
    return None


def refusal(scope: Scope, wanted: int, now_ms: int) -> Refusal | None:
    """Return why one scope does not let so much be set aside for something new, or None."""
    budget, account = scope.budget, scope.account
    stopped = scope.stopped(now_ms)
    if stopped is not None:
        return Refusal(verdict="Wait", reason=stopped[0], whole_policy=True, again_at_ms=stopped[1])
    for kind, limit in scope.caps:
        window = account.window(kind, now_ms, budget.timezone)
        settled = window.settled_micro_usd
        used = settled + account.outstanding_micro_usd
        if budget.drain_percent is not None and reached(settled, limit, budget.drain_percent) and settled:
            reason = drain_reason(scope, kind, limit, settled)
            return Refusal(verdict="Wait", reason=reason, whole_policy=True, again_at_ms=window.end_ms)
        if budget.stop_percent < WHOLE and reached(used, limit, budget.stop_percent):
            reason = stop_reason(scope, kind, limit, used)
            return Refusal(verdict="Wait", reason=reason, whole_policy=True, again_at_ms=window.end_ms)
        if used + wanted > limit:
            short = Shortfall(
                window=kind,
                limit_micro_usd=limit,
                used_micro_usd=used,
                wanted_micro_usd=wanted,
                again_at_ms=window.end_ms,
            )
            return Refusal(verdict="Wait", reason=shortfall_reason(scope, short), again_at_ms=window.end_ms)
        if used + wanted + scope.claimed_micro_usd > limit:
            reason = claimed_reason(scope, kind, limit, used, wanted)
            return Refusal(verdict="Wait", reason=reason, again_at_ms=window.end_ms)
    return None


def renewal_shortfall(state: State, policy_key: str, namespace: str, target_name: str, micro_usd: int) -> Reason | None:
    """Return why a lease can't be renewed, or None where it may: up to the limits themselves, whatever stops new bursts."""
    if not state.writable:
        return Reason(code="LedgerNotWritable", sentence="The ledger can't be written, so no lease is renewed.")
    if target_name not in state.targets:
        return Reason(code="TargetMissing", sentence="Its BurstTarget is gone, and with it what may be spent there.")
    for scope in scopes_of(state, policy_key, namespace, target_name):
        short = scope.account.shortfall(scope.budget, micro_usd, state.now_ms) if scope.caps else None
        if short is not None:
            return shortfall_reason(scope, short)
    return None


def hold_off(state: State, policy_key: str, namespace: str, target_name: str, micro_usd: int) -> None:
    """Start nothing new, for a while, in the scopes that have not had the money for a renewal."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        short = scope.account.shortfall(scope.budget, micro_usd, state.now_ms) if scope.caps else None
        if short is not None and not scope.is_held_off(state.now_ms):
            until_ms = min(short.again_at_ms, state.now_ms + HELD_OFF_MAX_MS)
            scope.hold_off(held_off_reason(scope, short, until_ms), until_ms)


def held_off(state: State, policy_key: str, namespace: str, target_name: str) -> Reason | None:
    """Return why nothing new starts in any of these scopes after a lease was not renewed, or None."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        if scope.is_held_off(state.now_ms):
            return scope.held_off
    return None


def reserve(state: State, policy_key: str, namespace: str, target_name: str, micro_usd: int) -> None:
    """Set money aside in every scope; the caller has asked ``shortfall`` or ``renewal_shortfall`` first."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        scope.account.outstanding_micro_usd += micro_usd
        if scope.caps:
            _warn(state, scope)


def release(state: State, policy_key: str, namespace: str, target_name: str, micro_usd: int) -> None:
    """Give a reservation back in every scope."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        scope.account.release(micro_usd)


def settle(  # noqa: PLR0913, PLR0917 - the four scopes' names, how much and for when
    state: State,
    policy_key: str,
    namespace: str,
    target_name: str,
    micro_usd: int,
    at_ms: int,
    since_ms: int | None = None,
) -> None:
    """Book in every scope what was spent until ``at_ms``, evenly from ``since_ms`` on where that is known.

    Nothing was spent in the future: what a faster clock has written down counts as spent now.
    """
    _settle(state, scopes_of(state, policy_key, namespace, target_name), micro_usd, at_ms, since_ms)


def settle_leak(state: State, target_name: str, micro_usd: int, at_ms: int, since_ms: int | None = None) -> None:
    """Book what was spent at a target for no policy: it counts at the target and in the cluster."""
    scopes = (scope_of(state, "Target", target_name), scope_of(state, "Cluster", ""))
    _settle(state, scopes, micro_usd, at_ms, since_ms)


def _settle(state: State, scopes: tuple[Scope, ...], micro_usd: int, at_ms: int, since_ms: int | None) -> None:
    for scope in scopes:
        scope.account.settle(micro_usd, min(at_ms, state.now_ms), since_ms)
        _warn(state, scope)
        if scope.budget.drain_percent is not None:
            state.at(state.now_ms, "budget", "")


def watch(state: State, scope: Scope) -> None:
    """Have what a scope spends held against its budget, each whole minute while anything of it is out."""
    if scope.budget.drain_percent is not None and scope.caps and scope.active:
        state.at((state.now_ms // LOOK_MS + 1) * LOOK_MS if state.ready else state.now_ms, "budget", "")


def _warn(state: State, scope: Scope) -> None:
    budget = scope.budget
    for kind, limit in scope.caps:
        window = scope.account.window(kind, state.now_ms, budget.timezone)
        used = window.settled_micro_usd + scope.account.outstanding_micro_usd
        if not used or not reached(used, limit, budget.warn_percent) or scope.warned.get(kind) == window.start_ms:
            continue
        scope.warned[kind] = window.start_ms
        reason = warning_reason(scope, kind, limit, used)
        is_policy = scope.kind == "Policy"
        state.decide(
            "Warn", reason, policy=scope.key if is_policy else "", subject=scope.key if is_policy else scope.called
        )
        _tell(state, scope, kind, reason)


def _tell(state: State, scope: Scope, kind: WindowKind, reason: Reason) -> None:
    policy = state.policies.get(scope.key) if scope.kind == "Policy" else None
    if policy is None:
        return
    state.instructions.append(
        EmitEvent(
            key=f"event/BurstPolicy/{scope.key}/{reason.code}/{kind}/{state.now_ms}",
            namespace=policy.policy.namespace,
            kind="BurstPolicy",
            name=policy.policy.name,
            uid=policy.policy.uid,
            severity="Warning",
            reason=reason.code,
            message=reason.sentence,
        )
    )


def claim(state: State, policy_key: str, namespace: str, target_name: str, micro_usd: int) -> None:
    """Keep money for a renewal from new bursts; a negative amount lets go of it."""
    for scope in scopes_of(state, policy_key, namespace, target_name):
        scope.claimed_micro_usd += micro_usd
    if micro_usd < 0:
        _reopen(state)


def _reopen_shared(state: State) -> None:
    """More of one provider may make room for another: for those who were refused because one had too much."""
    for key in state.share_waits:
        policy = state.policies.get(key)
        if policy is not None:
            policy.reopened = True
            if policy.policy.numeric:
                state.shares_moved.add(key)
    state.share_waits.clear()


def _reopen(state: State) -> None:
    for policy in state.policies.values():
        policy.reopened = True


def forget_empty(state: State) -> None:
    """Drop the scopes that nobody has rules for and nothing is in: a deleted policy's, once its money is in no window any more."""
    gone = [
        key
        for key, scope in state.scopes.items()
        if scope.limits == NO_LIMITS and scope.is_empty(state.now_ms) and not _is_known(state, scope)
    ]
    for key in gone:
        del state.scopes[key]
    if gone:
        state.chains.clear()


def _is_known(state: State, scope: Scope) -> bool:
    return scope.key in (state.policies if scope.kind == "Policy" else state.targets)
