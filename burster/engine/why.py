"""Why a policy does what it does, and why a pod waits: every check of ``gates`` with its answer now, not only the first that fails.

Called by `burster why`, by tests and by whoever shows a state to people. Looks and changes nothing. The checks are asked in the order of
``gates``; a test holds the two to the same first answer.
"""

import msgspec

from burster.engine import eligibility
from burster.engine.accounting import budgets, room
from burster.engine.accounting.money import limits_of
from burster.engine.accounting.scopes import Scope
from burster.engine.answers import Refusal
from burster.engine.bursts.storms import breaker_gate
from burster.engine.demand import countable, is_enough
from burster.engine.gates import judge, target_gates
from burster.engine.numbers import metrics
from burster.engine.numbers.replica_gates import stand_in_for_machine
from burster.engine.offers.offerings import ranked, targets_in_order
from burster.engine.pauses import cluster_gate
from burster.engine.queues import counted
from burster.engine.releasing.leaving import leaving_gate
from burster.engine.state import PodEntry, PolicyEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.triggers import Trigger


#: How many different kinds of waiting pods are looked at for a policy's chain.
_SHAPES_MAX = 8


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the chain. ``about`` is the policy, a target, or a pod that stands for all alike."""

    check: str
    about: str
    holds: bool
    reason: Reason
    waits: bool = False  #: it does not hold now, and time or freed room may change that


class PodWhy(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pending pod stands: the policy that answers for it, the first blocker, and what else is in its way."""

    pod: str
    policy: str
    burst: str
    verdict: str
    reasons: tuple[Reason, ...]


def why_policy(state: State, key: str) -> tuple[Link, ...]:
    """Return a policy's whole chain, or nothing where there is no such policy."""
    policy = state.policies.get(key)
    if policy is None:
        return ()
    links = [*_of_the_rules(state, policy), *_of_demand(state, policy), *_of_scope(state, policy.scope, key)]
    for name in targets_in_order(state, policy.policy):
        links += _of_target(state, policy, name)
    return tuple(links)


def why_pod(state: State, key: str) -> PodWhy | None:
    """Return where a pending pod stands now, or None where it is not pending."""
    entry = state.pods.get(key)
    if entry is None:
        return None
    policy = state.policies.get(entry.policy)
    if policy is None:
        reason = Reason(code="NoPolicy", sentence="No policy of its namespace is about it.")
        return PodWhy(pod=key, policy="", burst="", verdict="Deny", reasons=(reason,))
    if entry.burst:
        phase = state.bursts[entry.burst].burst.status.phase if entry.burst in state.bursts else "gone"
        reason = Reason(code="Answered", sentence=f"{entry.burst} answers it and is {phase}.")
        return PodWhy(pod=key, policy=entry.policy, burst=entry.burst, verdict="Burst", reasons=(reason,))
    if key not in policy.queued:
        verdict, code = entry.verdict or ("Wait", "NotQueued")
        reason = Reason(code=code, sentence=_not_queued(state, entry, policy))
        return PodWhy(pod=key, policy=entry.policy, burst="", verdict=verdict, reasons=(reason,))
    answer = counted(policy.policy) or judge(state, entry, policy)
    if isinstance(answer, Refusal):
        reasons = (answer.reason, *answer.others)
        return PodWhy(pod=key, policy=entry.policy, burst="", verdict=answer.verdict, reasons=reasons)
    return PodWhy(pod=key, policy=entry.policy, burst="", verdict="Burst", reasons=answer.reasons)


def _not_queued(state: State, entry: PodEntry, policy: PolicyEntry) -> str:
    if not entry.pod.unschedulable:
        return "The scheduler has not given it up: it is gated, terminating, or not looked at yet."
    waited_ms = state.now_ms - (entry.pod.unschedulable_since_ms or 0)
    return (
        f"It has been pending for {format_duration_ms(max(0, waited_ms))} and is not in the policy's queue: the policy waits "
        f"{format_duration_ms(policy.policy.pending_for_ms)}, and a filter or a pause after a failure may hold it."
    )


def _link(check: str, about: str, refusal: Refusal | None, good: str) -> Link:
    if refusal is None:
        return Link(check=check, about=about, holds=True, reason=Reason(code="Holds", sentence=good))
    return Link(check=check, about=about, holds=False, reason=refusal.reason, waits=refusal.verdict == "Wait")


def _of_the_rules(state: State, policy: PolicyEntry) -> list[Link]:
    key, rules = policy.policy.key, policy.policy
    ledger = drain = None
    if not state.writable:
        reason = Reason(code="LedgerNotWritable", sentence=f"The ledger can't be written: {state.ledger_message}")
        ledger = Refusal(verdict="Deny", reason=reason)
    if state.draining:
        drain = Refusal(verdict="Deny", reason=Reason(code="ComingHome", sentence="Everything is coming home."))
    return [
        _link("Ledger", key, ledger, "The ledger can be written."),
        _link(
            "Drain",
            key,
            drain or cluster_gate(state) or leaving_gate(state, key),
            "Nobody has asked for everything to come home.",
        ),
        _link(
            "InForce", key, eligibility.policy_gate(state, policy), f"Generation {rules.generation} is in force now."
        ),
        _link("Breaker", key, breaker_gate(policy) if policy.tripped is not None else None, "Its breaker is closed."),
    ]


def _of_demand(state: State, policy: PolicyEntry) -> list[Link]:
    key, rules = policy.policy.key, policy.policy
    links: list[Link] = []
    if rules.pending is not None:
        pending, wanted = countable(state, policy), rules.pending.min_count
        sentence = f"{pending} pods are pending that a target could hold; the policy acts from {wanted}."
        reason = Reason(code="Pending", sentence=sentence, numbers={"pending": pending, "min_count": wanted})
        enough = is_enough(state, policy)
        links.append(Link(check="Demand", about=key, holds=enough and pending > 0, reason=reason, waits=True))
    triggers = [one for one in rules.triggers if one is not rules.pending or rules.numeric]
    links += [_of_trigger(state, policy, trigger) for trigger in triggers]
    if policy.scaler is not None and policy.scaler.chain:
        number = policy.scaler.granted
        links += [
            Link(check="Replicas", about=key, holds=number > 0, reason=reason, waits=True)
            for reason in policy.scaler.chain
        ]
    return links


def _of_trigger(state: State, policy: PolicyEntry, trigger: Trigger) -> Link:
    fact = metrics.fact_of(state, policy, trigger)
    if fact.value_milli is None:
        reason = Reason(code="TriggerMissing", sentence=f"{fact.name} is missing: {fact.missing}")
    else:
        state_now = "active" if fact.active else "not active"
        sentence = (
            f"{fact.name} is {fact.value_milli / 1000:g}, and {state_now} above {trigger.activation_milli / 1000:g}."
        )
        numbers = {"value_milli": fact.value_milli, "activation_milli": trigger.activation_milli}
        reason = Reason(code="TriggerActive" if fact.active else "TriggerInactive", sentence=sentence, numbers=numbers)
    return Link(check="Trigger", about=trigger.name, holds=fact.active, reason=reason, waits=True)


def _of_scope(state: State, scope: Scope, about: str) -> list[Link]:
    limits, now_ms = scope.limits, state.now_ms
    count = f"{scope.active} bursts are out" + ("" if limits.max_bursts is None else f" of {limits.max_bursts}")
    links = [_link("Count", about, room.for_one_more(scope, now_ms), f"In {scope.called} {count}.")]
    for kind, limit in limits_of(limits.budget):
        window = scope.account.window(kind, now_ms, limits.budget.timezone)
        reserved = scope.account.outstanding_micro_usd
        used = window.settled_micro_usd + reserved
        links.append(
            Link(
                check="Budget",
                about=about,
                holds=used < limit,
                waits=True,
                reason=Reason(
                    code="Budget",
                    sentence=(
                        f"Of {format_micro_usd(limit)} per {kind} for {scope.called}, {format_micro_usd(window.settled_micro_usd)} are"
                        f" spent and {format_micro_usd(reserved)} reserved."
                    ),
                    numbers={"limit_micro_usd": limit, "used_micro_usd": used},
                ),
            )
        )
    return links


def _of_target(state: State, policy: PolicyEntry, name: str) -> list[Link]:
    target = state.targets.get(name)
    if target is None:
        reason = Reason(code="TargetMissing", sentence=f"There is no valid BurstTarget {name}.")
        return [Link(check="Target", about=name, holds=False, reason=reason)]
    rules = policy.policy
    links = [
        _link(
            "Target",
            name,
            target_gates(target, rules.namespace, machine=rules.placement.strategy == "Machine"),
            f"{name} is open for namespace {rules.namespace}.",
        ),
        _link(
            "Proof", name, eligibility.target_gate(state, rules, target), f"{name} gives the proof that is asked for."
        ),
    ]
    for scope in budgets.scopes_of(state, rules.key, rules.namespace, name)[1:]:
        links += _of_scope(state, scope, name)
    links += [_of_shape(state, policy, target, pod) for pod in _examples(state, policy)]
    return links


def _examples(state: State, policy: PolicyEntry) -> list[Pod]:
    """Return one waiting pod of each shape, the one that is tried first; of machines, what stands in for each."""
    if policy.policy.machine is not None:
        return [stand_in_for_machine(policy.policy).pod]
    found: dict[object, Pod] = {}
    for key in sorted(policy.queued, key=lambda key: policy.queued[key]):
        entry = state.pods[key]
        if len(found) < _SHAPES_MAX:
            found.setdefault(entry.shape, entry.pod)
    return list(found.values())


def _of_shape(state: State, policy: PolicyEntry, target: TargetEntry, pod: Pod) -> Link:
    refusal = eligibility.pod_gate(state, policy.policy, pod)
    if refusal is not None:
        return _link("Pod", pod.key, refusal, "")
    choice = ranked(state, policy.policy, pod, target)
    return Link(
        check="Offering",
        about=f"{pod.key if pod.name else 'a machine'} at {target.target.name}",
        holds=choice.offering is not None,
        reason=choice.reason,
        waits=choice.waits,
    )
