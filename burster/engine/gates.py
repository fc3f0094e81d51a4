"""May this pod burst now, and where? The checks in the order in which they are told to people; the first refusal settles it.

Of the policy: (1) can the ledger be written, (2) is everything coming home, or is the
cluster stopped (``pauses``), (3) is the policy in force (``eligibility``) and not halted
(``storms``), (4) do enough pods wait, (5) has the policy room for one more, (6) can it burst at all, and how, (7) may such a pod go
(``eligibility``)?
Then of each target, in the policy's order: (8) is it there, (9) is its breaker closed, is it not being evacuated, (10) do its checks find
nothing that blocks, (11) does it allow the namespace, (12) does it give the proof that is asked for (``eligibility``), (13) is the pod no
peer pod already, (14) have namespace, target and cluster room for one more, (15) is there an offering (``offerings``), (16) is renting it
better than waiting (``wait``), (17) has its provider not more than its share, (18) have all scopes room for its vCPUs, and (19) for its
money (``budgets``)?

The first target that grants is taken. Where none does, the first refusal that time or room can change is told, with its numbers; what
stands against the other targets is told after it. Called by ``queues`` for queued pods. Answers with a Grant or a Refusal; changes nothing.
"""

from collections.abc import Sequence
from functools import lru_cache

from burster.engine import eligibility
from burster.engine.accounting import budgets, room
from burster.engine.accounting.money import worst_case_micro_usd
from burster.engine.answers import Grant, Refusal
from burster.engine.bursts.starting import Series
from burster.engine.bursts.storms import breaker_gate
from burster.engine.demand import countable, is_enough
from burster.engine.offers import consequences
from burster.engine.offers.offerings import Choice, ranked, still_has_room, targets_in_order
from burster.engine.offers.placement import choose_strategy, why_strategy
from burster.engine.pauses import cluster_gate
from burster.engine.releasing.leaving import leaving_gate
from burster.engine.releasing.wait import wait_gate
from burster.engine.state import PodEntry, PolicyEntry, State, TargetEntry
from burster.model.bursts import BurstStrategy
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.stimuli import NOT_CHECKED_YET


def judge(state: State, entry: PodEntry, policy: PolicyEntry) -> Grant | Refusal:
    """Return whether and where a queued pod may burst."""
    refusal = _policy_gates(state, policy)
    if refusal is not None:
        return refusal
    strategy = choose_strategy(policy.policy, entry.pod)
    if isinstance(strategy, Reason):
        return Refusal(verdict="Deny", reason=strategy)
    refusal = eligibility.pod_gate(state, policy.policy, entry.pod)
    if refusal is not None:
        return refusal
    refusals: list[Refusal] = []
    for name in targets_in_order(state, policy.policy):
        answer = _judge_target(state, entry, policy, name, strategy)
        if isinstance(answer, Grant):
            return answer
        refusals.append(answer)
    return _told(refusals)


def again(state: State, pod: Pod, series: Series) -> tuple[Reason, ...] | None:
    """Return why one more alike pod gets what the series' last one got, where all that a grant uses up still has room; None: judge it anew.

    Asked within one step and for pods of one shape only, so that rules, eligibility and the ranking can't have changed.
    """
    grant, rules, now_ms = series.grant, series.policy.policy, state.now_ms
    first = rules.placement.targets[0] == grant.target
    for scope in series.counting:
        if scope.limits.provider_shares and not (first and room.for_share((scope,), grant.offering.provider) is None):
            # what the last one got may have made room at a target that was passed over
            return None
        if not room.has_for(scope, series.spec.vcpus, now_ms):
            return None
    micro_usd = grant.reserve_micro_usd
    for scope in series.paying:
        if not scope.is_calm(micro_usd, now_ms) and budgets.refusal(scope, micro_usd, now_ms) is not None:
            return None
    if not still_has_room(rules, series.target, grant.offering):
        return None
    return (_pending_reason(state, pod, rules), *grant.reasons[1:])


def _told(refusals: Sequence[Refusal]) -> Refusal:
    """Return one refusal for all targets: the first that can change by itself, else the first; asked again as soon as any may change."""
    if len(refusals) == 1:
        return refusals[0]
    told = next((one for one in refusals if one.verdict == "Wait"), refusals[0])
    return Refusal(
        verdict=told.verdict,
        reason=told.reason,
        whole_policy=all(one.whole_policy for one in refusals),
        again_at_ms=min((one.again_at_ms for one in refusals if one.again_at_ms is not None), default=None),
        others=tuple(one.reason for one in refusals if one is not told),
    )


def _policy_gates(state: State, policy: PolicyEntry) -> Refusal | None:
    if not state.writable:
        sentence = f"The ledger can't be written, so nothing new is started: {state.ledger_message}"
        return Refusal(verdict="Deny", reason=Reason(code="LedgerNotWritable", sentence=sentence), whole_policy=True)
    if state.draining:
        reason = Reason(code="ComingHome", sentence="Everything is coming home; nothing new is started.")
        return Refusal(verdict="Deny", reason=reason, whole_policy=True)
    refusal = _halted(state, policy) or eligibility.policy_gate(state, policy)
    if refusal is not None:
        return refusal
    if policy.tripped is not None:
        return breaker_gate(policy)
    if not is_enough(state, policy):
        return _too_few(state, policy)
    return room.for_one_more(policy.scope, state.now_ms)


def _halted(state: State, policy: PolicyEntry) -> Refusal | None:
    return cluster_gate(state) or leaving_gate(state, policy.policy.key)


def _too_few(state: State, policy: PolicyEntry) -> Refusal:
    pending = countable(state, policy)
    min_count = policy.policy.pending.min_count if policy.policy.pending else 1
    return Refusal(
        verdict="Wait",
        reason=Reason(
            code="TooFew",
            sentence=f"{pending} pods are pending; the policy acts from {min_count}.",
            numbers={"pending": pending, "min_count": min_count},
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
    rules, pod = policy.policy, entry.pod
    refusal = (
        target_gates(target, pod.namespace, machine=strategy == "Machine")
        or _stop_gate(state, target)
        or eligibility.target_gate(state, rules, target)
        or _peer_pod_gate(target, pod.runtime_class)
    )
    if refusal is not None:
        return refusal
    scopes = budgets.scopes_of(state, rules.key, pod.namespace, name)
    for scope in scopes[1:]:
        refusal = room.for_one_more(scope, state.now_ms)
        if refusal is not None:
            return refusal
    choice = ranked(state, rules, pod, target)
    offering = choice.offering
    if offering is None:
        verdict = "Wait" if choice.waits else "Deny"
        return Refusal(verdict=verdict, reason=choice.reason, again_at_ms=choice.again_at_ms)
    price = choice.price_micro_usd_per_hour
    wanted = worst_case_micro_usd(
        price_micro_usd_per_hour=price,
        launch_ms=target.target.launch_deadline_ms,
        lease_ms=rules.placement.lease_ms,
        drain_ms=rules.placement.drain_ms,
    )
    refusal = (
        wait_gate(state, policy, pod, offering, price)
        or room.for_share(scopes, offering.provider)
        or room.for_vcpus(scopes, offering.resources.cpu_millicores // 1000)
        or budgets.shortfall(state, rules.key, pod.namespace, name, wanted)
    )
    if refusal is not None:
        return refusal
    return Grant(
        strategy=strategy,
        target=name,
        offering=offering,
        price_micro_usd_per_hour=price,
        reserve_micro_usd=wanted,
        reasons=_grant_reasons(state, entry, policy, strategy, offering, choice, wanted),
    )


def target_gates(target: TargetEntry, namespace: str, *, machine: bool) -> Refusal | None:
    """Return why nothing of a namespace may start at a target, or None. ``machine``: it is to be no peer pod but a VM of burster's own."""
    rules = target.target
    if target.tripped is not None:
        sentence = f"The breaker of {rules.name} is open until somebody edits it: {target.tripped.sentence}"
        return Refusal(verdict="Deny", reason=Reason(code="BreakerOpen", sentence=sentence), whole_policy=True)
    if target.draining:
        sentence = f"{rules.name} is being evacuated; nothing new is started there."
        return Refusal(verdict="Deny", reason=Reason(code="TargetEvacuated", sentence=sentence), whole_policy=True)
    refusal = _checks_gate(target, machine=machine)
    if refusal is not None:
        return refusal
    if "*" not in rules.allowed_namespaces and namespace not in rules.allowed_namespaces:
        sentence = f"Target {rules.name} does not list namespace {namespace} in allowedNamespaces."
        return Refusal(verdict="Deny", reason=Reason(code="NamespaceNotAllowed", sentence=sentence), whole_policy=True)
    return None


def _checks_gate(target: TargetEntry, *, machine: bool) -> Refusal | None:
    """Refuse where the checks before any launch have found something, or were not made yet: no launch on doubt."""
    for problem in target.problems:
        if problem.blocks and not (machine and problem.peer_pods):
            sentence = f"Nothing new starts at {target.target.name}: {problem.sentence} {problem.cure}".rstrip()
            # what was not checked yet will be; the rest is for a person
            verdict = "Wait" if problem.code == NOT_CHECKED_YET else "Deny"
            return Refusal(verdict=verdict, reason=Reason(code=problem.code, sentence=sentence), whole_policy=True)
    return None


def _stop_gate(state: State, target: TargetEntry) -> Refusal | None:
    """Return why nothing new starts at a target whose cloud has refused what it would refuse again, or None."""
    stop = consequences.stopped(state, target)
    return None if stop is None else Refusal(verdict="Wait", reason=stop[1], whole_policy=True, again_at_ms=stop[0])


def _peer_pod_gate(target: TargetEntry, runtime_class: str) -> Refusal | None:
    """Refuse a pod that is a peer pod already: CAA's webhook has wiped what it asks for, so it would be placed as if it needed nothing."""
    if not runtime_class or runtime_class != target.target.runtime_class:
        return None
    sentence = f"It is a peer pod of RuntimeClass {runtime_class} already: what it waits for is a slot on a worker, not a burst."
    return Refusal(verdict="Deny", reason=Reason(code="AlreadyPeerPod", sentence=sentence))


def _pending_reason(state: State, pod: Pod, rules: Policy) -> Reason:
    since_ms = pod.unschedulable_since_ms or state.now_ms
    return _waited(max(0, state.now_ms - since_ms), rules.pending_for_ms)


@lru_cache(maxsize=1_024)
def _waited(waited_ms: int, pending_for_ms: int) -> Reason:
    return Reason(
        code="Pending",
        sentence=(
            f"No on-prem node has taken it for {format_duration_ms(waited_ms)} "
            f"(the policy waits {format_duration_ms(pending_for_ms)})."
        ),
        numbers={"pending_ms": waited_ms, "pending_for_ms": pending_for_ms},
    )


def _grant_reasons(  # noqa: PLR0913, PLR0917 - the whole story of a grant in one place
    state: State,
    entry: PodEntry,
    policy: PolicyEntry,
    strategy: BurstStrategy,
    offering: Offering,
    choice: Choice,
    wanted: int,
) -> tuple[Reason, ...]:
    return (
        _pending_reason(state, entry.pod, policy.policy),
        Reason(code=f"Strategy{strategy}", sentence=why_strategy(policy.policy, entry.pod, strategy)),
        Reason(
            code=choice.reason.code,
            sentence=f"{choice.reason.sentence} It is {offering.tee} in {offering.region}.",
            numbers={
                "price_micro_usd_per_hour": choice.price_micro_usd_per_hour,
                "vcpus": offering.resources.cpu_millicores // 1000,
            },
        ),
        Reason(
            code="Reserved",
            sentence=f"{format_micro_usd(wanted)} are set aside for launch, lease and drain.",
            numbers={"reserved_micro_usd": wanted},
        ),
    )
