"""May this pod burst now, and where? The checks in the order in which they are told to people; the first refusal settles it.

Called by ``step`` for queued pods. Answers with a Grant or a refusal; changes nothing.
"""

from burster.engine.answers import Grant, Refusal
from burster.engine.demand import countable, is_enough
from burster.engine.money import Account, Shortfall, worst_case_micro_usd
from burster.engine.offerings import ranked, targets_in_order
from burster.engine.placement import choose_strategy
from burster.engine.state import PodEntry, PolicyEntry, State, TargetEntry
from burster.model.bursts import BurstStrategy
from burster.model.decisions import Reason
from burster.model.limits import Budget, Limits
from burster.model.offerings import Offering
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms, format_micro_usd


def judge(state: State, entry: PodEntry, policy: PolicyEntry) -> Grant | Refusal:
    """Return whether and where a queued pod may burst."""
    refusal = _whole_policy_gate(state, policy)
    if refusal is not None:
        return refusal
    strategy = choose_strategy(policy.policy, entry.pod)
    if isinstance(strategy, Reason):
        return Refusal(verdict="Deny", reason=strategy)
    refusals: list[Refusal] = []
    for name in targets_in_order(state, policy.policy):
        answer = _judge_target(state, entry, policy, name, strategy)
        if isinstance(answer, Grant):
            return answer
        refusals.append(answer)
    # With several targets the last one's refusal is told, and waits as long as the first that can change.
    again = [refusal.again_at_ms for refusal in refusals if refusal.again_at_ms is not None]
    last = refusals[-1]
    return Refusal(
        verdict="Wait" if any(r.verdict == "Wait" for r in refusals) else "Deny",
        reason=last.reason,
        whole_policy=all(refusal.whole_policy for refusal in refusals),
        again_at_ms=min(again) if again else None,
    )


def _whole_policy_gate(state: State, policy: PolicyEntry) -> Refusal | None:
    rules = policy.policy
    if not state.writable:
        sentence = f"The ledger can't be written, so nothing new is started: {state.ledger_message}"
        return Refusal(verdict="Deny", reason=Reason(code="LedgerNotWritable", sentence=sentence), whole_policy=True)
    if state.draining:
        return Refusal(
            verdict="Deny",
            reason=Reason(code="ComingHome", sentence="Everything is coming home; nothing new is started."),
            whole_policy=True,
        )
    if rules.paused:
        return Refusal(
            verdict="Deny",
            reason=Reason(code="Paused", sentence="The policy is paused by its annotation burster.dev/paused."),
            whole_policy=True,
        )
    min_count = rules.pending.min_count if rules.pending else 1
    if not is_enough(state, policy):
        pending = countable(state, policy)
        return Refusal(
            verdict="Wait",
            reason=Reason(
                code="TooFew",
                sentence=f"{pending} pods are pending; the policy acts from {min_count}.",
                numbers={"pending": pending, "min_count": min_count},
            ),
            whole_policy=True,
        )
    return _count_gate(policy.active, rules.limits, "policy", rules.name, "PolicyMaxBursts")


def _count_gate(active: int, limits: Limits, what: str, name: str, code: str) -> Refusal | None:
    if limits.max_bursts is None or active < limits.max_bursts:
        return None
    return Refusal(
        verdict="Wait",
        reason=Reason(
            code=code,
            sentence=f"{active} bursts are out, and {what} {name} allows {limits.max_bursts}.",
            numbers={"active": active, "max_bursts": limits.max_bursts},
        ),
        whole_policy=True,
    )


def _judge_target(
    state: State, entry: PodEntry, policy: PolicyEntry, name: str, strategy: BurstStrategy
) -> Grant | Refusal:
    target = state.targets.get(name)
    if target is None:
        reason = Reason(code="TargetMissing", sentence=f"There is no valid BurstTarget {name}.")
        return Refusal(verdict="Deny", reason=reason, whole_policy=True)
    refusal = _target_gate(target, entry.pod.namespace) or _peer_pod_gate(target, entry.pod.runtime_class)
    if refusal is not None:
        return refusal
    choice = ranked(state, policy.policy, entry.pod, target)
    if choice.offering is None:
        verdict = "Wait" if choice.waits else "Deny"
        return Refusal(verdict=verdict, reason=choice.reason, again_at_ms=choice.again_at_ms)
    refusal = _vcpu_gate(policy, target, choice.offering)
    if refusal is not None:
        return refusal
    placement = policy.policy.placement
    wanted = worst_case_micro_usd(
        price_micro_usd_per_hour=choice.price_micro_usd_per_hour,
        launch_ms=target.target.launch_deadline_ms,
        lease_ms=placement.lease_ms,
        drain_ms=placement.drain_ms,
    )
    refusal = _money_gate(state, policy, target, wanted)
    if refusal is not None:
        return refusal
    return Grant(
        strategy=strategy,
        target=name,
        offering=choice.offering,
        price_micro_usd_per_hour=choice.price_micro_usd_per_hour,
        reserve_micro_usd=wanted,
        reasons=_grant_reasons(state, entry, policy.policy, strategy, choice.offering, choice.reason, wanted),
    )


def _peer_pod_gate(target: TargetEntry, runtime_class: str) -> Refusal | None:
    """Refuse a pod that is a peer pod already: CAA's webhook has wiped what it asks for, so it would be placed as if it needed nothing."""
    if not runtime_class or runtime_class != target.target.runtime_class:
        return None
    sentence = f"It is a peer pod of RuntimeClass {runtime_class} already: what it waits for is a slot on a worker, not a burst."
    return Refusal(verdict="Deny", reason=Reason(code="AlreadyPeerPod", sentence=sentence))


def _target_gate(target: TargetEntry, namespace: str) -> Refusal | None:
    rules = target.target
    if target.tripped is not None:
        sentence = f"The breaker of {rules.name} is open until somebody edits it: {target.tripped.sentence}"
        return Refusal(verdict="Deny", reason=Reason(code="BreakerOpen", sentence=sentence), whole_policy=True)
    if target.draining:
        reason = Reason(
            code="TargetEvacuated", sentence=f"{rules.name} is being evacuated; nothing new is started there."
        )
        return Refusal(verdict="Deny", reason=reason, whole_policy=True)
    if "*" not in rules.allowed_namespaces and namespace not in rules.allowed_namespaces:
        sentence = f"Target {rules.name} does not list namespace {namespace} in allowedNamespaces."
        return Refusal(verdict="Deny", reason=Reason(code="NamespaceNotAllowed", sentence=sentence), whole_policy=True)
    return _count_gate(target.active, rules.limits, "target", rules.name, "TargetMaxBursts")


def _vcpu_gate(policy: PolicyEntry, target: TargetEntry, offering: Offering) -> Refusal | None:
    vcpus = offering.resources.cpu_millicores // 1000
    for scope, used, limit, code in (
        (f"policy {policy.policy.name}", policy.vcpus, policy.policy.limits.max_vcpus, "PolicyMaxVcpus"),
        (f"target {target.target.name}", target.vcpus, target.target.limits.max_vcpus, "TargetMaxVcpus"),
    ):
        if limit is not None and used + vcpus > limit:
            sentence = f"{used} vCPUs are out; {vcpus} more would pass the {limit} that {scope} allows."
            numbers = {"used_vcpus": used, "wanted_vcpus": vcpus, "max_vcpus": limit}
            return Refusal(verdict="Wait", reason=Reason(code=code, sentence=sentence, numbers=numbers))
    return None


def _money_gate(state: State, policy: PolicyEntry, target: TargetEntry, wanted: int) -> Refusal | None:
    rules = policy.policy
    for scope, code, account, budget in (
        (f"policy {rules.name}", "PolicyBudget", policy.account, rules.limits.budget),
        (f"target {target.target.name}", "TargetBudget", target.account, target.target.limits.budget),
    ):
        short = account.shortfall(budget, wanted, state.now_ms)
        if short is not None:
            return Refusal(verdict="Wait", reason=shortfall_reason(code, scope, short), again_at_ms=short.again_at_ms)
    return None


def renewal_shortfall(
    state: State, policy_account: Account, policy_budget: Budget, target: TargetEntry | None, wanted: int
) -> Reason | None:
    """Return why a lease can't be renewed, or None where it may."""
    if not state.writable:
        return Reason(code="LedgerNotWritable", sentence="The ledger can't be written, so no lease is renewed.")
    if target is None:
        return Reason(code="TargetMissing", sentence="Its BurstTarget is gone, and with it what may be spent there.")
    short = policy_account.shortfall(policy_budget, wanted, state.now_ms)
    if short is not None:
        return shortfall_reason("PolicyBudget", "the policy", short)
    short = target.account.shortfall(target.target.limits.budget, wanted, state.now_ms)
    if short is not None:
        return shortfall_reason("TargetBudget", f"target {target.target.name}", short)
    return None


def shortfall_reason(code: str, scope: str, short: Shortfall) -> Reason:
    """Return the sentence that tells a refused reservation."""
    return Reason(
        code=code,
        sentence=(
            f"{format_micro_usd(short.wanted_micro_usd)} would have to be reserved, {format_micro_usd(short.used_micro_usd)} of "
            f"{format_micro_usd(short.limit_micro_usd)} per {short.window} are spent or reserved for {scope}."
        ),
        numbers={
            "wanted_micro_usd": short.wanted_micro_usd,
            "used_micro_usd": short.used_micro_usd,
            "limit_micro_usd": short.limit_micro_usd,
        },
    )


def _grant_reasons(  # noqa: PLR0913, PLR0917 - the whole story of a grant in one place
    state: State,
    entry: PodEntry,
    policy: Policy,
    strategy: BurstStrategy,
    offering: Offering,
    cheapest: Reason,
    wanted: int,
) -> tuple[Reason, ...]:
    since = entry.pod.unschedulable_since_ms or state.now_ms
    waited = max(0, state.now_ms - since)
    kind = entry.pod.workload.kind if entry.pod.workload else "bare Pod"
    return (
        Reason(
            code="Pending",
            sentence=(
                f"No on-prem node has taken it for {format_duration_ms(waited)} "
                f"(the policy waits {format_duration_ms(policy.pending_for_ms)})."
            ),
            numbers={"pending_ms": waited, "pending_for_ms": policy.pending_for_ms},
        ),
        Reason(code=f"Strategy{strategy}", sentence=f"{strategy}, because it is a {kind}."),
        Reason(
            code=cheapest.code,
            sentence=f"{cheapest.sentence} It is {offering.tee} in {offering.region}.",
            numbers={
                "price_micro_usd_per_hour": offering.price_micro_usd_per_hour or 0,
                "vcpus": offering.resources.cpu_millicores // 1000,
            },
        ),
        Reason(
            code="Reserved",
            sentence=f"{format_micro_usd(wanted)} are set aside for launch, lease and drain.",
            numbers={"reserved_micro_usd": wanted},
        ),
    )
