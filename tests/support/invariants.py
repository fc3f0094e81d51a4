"""What must hold after every step of the engine, whatever the world did."""

from burster.engine import ACTIVE, ANSWERING, State, StepResult, next_due_ms
from burster.engine.accounting.budgets import scopes_of
from burster.engine.accounting.money import limits_of, window_of
from burster.engine.accounting.scopes import Scope
from burster.engine.answers import Grant
from burster.engine.bursts.lifecycle_actions import where
from burster.engine.gates import judge
from burster.engine.shapes import shape_of
from burster.model import instructions as i


def check_state(state: State) -> None:
    """Counts and money are what the bursts say, in every scope."""
    active = [entry for entry in state.bursts.values() if entry.burst.status.phase in ACTIVE]
    for scope in state.scopes.values():
        own = [entry for entry in active if scope in scopes_of(state, *where(entry))]
        assert scope.active == len(own), f"{scope.called} counts {scope.active} bursts and has {len(own)}"
        assert scope.vcpus == sum(entry.burst.spec.vcpus for entry in own)
        assert sum(scope.vcpus_by_provider.values()) == scope.vcpus
        assert all(vcpus >= 0 for vcpus in scope.vcpus_by_provider.values())
        held = sum(entry.held_micro_usd for entry in own)
        assert scope.account.outstanding_micro_usd == held >= 0, (
            f"{scope.called}: {scope.account.outstanding_micro_usd} outstanding, {held} held"
        )
        assert scope.claimed_micro_usd == sum(entry.claimed_micro_usd for entry in own) >= 0
        assert scope.account.recent_micro_usd == sum(scope.account.settled.values()) >= 0
        for window in scope.account.windows.values():
            quarters = range(window.start_ms // 900_000, -(-window.end_ms // 900_000))
            assert window.settled_micro_usd == sum(scope.account.settled.get(quarter, 0) for quarter in quarters)
    for key, policy in state.policies.items():
        assert policy.scope is state.scopes["Policy", key]
    for name, target in state.targets.items():
        assert target.scope is state.scopes["Target", name]
        assert all(vcpus >= 0 for vcpus in target.launched.values())
    assert all(entry.held_micro_usd == 0 for entry in state.bursts.values() if entry.burst.status.phase not in ACTIVE)
    assert all(
        entry.claimed_micro_usd == 0 for entry in state.bursts.values() if entry.burst.status.phase not in ANSWERING
    )


def check_links(state: State) -> None:
    """A pod and the burst that answers it agree; nobody waits outside of every queue."""
    aging = {key for _, _, kind, key in state.timers if kind == "age"}
    for key, entry in state.pods.items():
        policy = state.policies.get(entry.policy)
        if entry.burst:
            assert policy is None or key not in policy.queued, f"{key} is answered and waits all the same"
        elif policy is not None and entry.pod.unschedulable:
            left_out = entry.verdict is not None and entry.verdict[1] in {"FilteredOut", "NotByPods"}
            assert left_out or key in policy.queued or key in aging, f"{key} waits nowhere"
    for key in state.spares:
        assert not state.bursts[key].covers, f"{key} is spare and answers {state.bursts[key].covers}"
    for burst in state.bursts.values():
        if burst.covers and burst.covers in state.pods:
            assert state.pods[burst.covers].burst == burst.burst.key
    for policy in state.policies.values():
        assert len(policy.queue) + len(policy.arrived) <= 2 * len(policy.queued) + 65
        waiting = [state.pods[key] for key in policy.queued]
        assert sum(policy.shapes.values()) == len(waiting)
        assert all(entry.shape is shape_of(entry.pod) for entry in waiting)


def check_nobody_starves(state: State) -> None:
    """When nothing is left to look at, no waiting pod could go."""
    due = next_due_ms(state)
    if not state.ready or (due is not None and due <= state.now_ms):
        return
    for key, entry in state.pods.items():
        assert entry.verdict is not None or entry.burst or not entry.pod.unschedulable, f"{key} was told nothing"
    for policy in state.policies.values():
        for key in policy.queued:
            answer = judge(state, state.pods[key], policy)
            assert not isinstance(answer, Grant), f"{key} could go, and nobody looks"


def check_new_money(result: StepResult) -> None:
    """Where money was set aside in a step that settled nothing, every window still holds."""
    state = result.state
    if result.spends or not any(decision.verdict in {"Burst", "Renew"} for decision in result.decisions):
        return
    for decision in result.decisions:
        if decision.verdict not in {"Burst", "Renew"} or decision.policy not in state.policies:
            continue
        for scope in scopes_of(state, *where(state.bursts[decision.burst])):
            _check_windows(scope, state.now_ms)


def _check_windows(scope: Scope, now_ms: int) -> None:
    for kind, limit in limits_of(scope.limits.budget):
        start_ms, end_ms = window_of(kind, now_ms, scope.limits.budget.timezone)
        settled = sum(
            amount for quarter, amount in scope.account.settled.items() if start_ms <= quarter * 900_000 < end_ms
        )
        used = settled + scope.account.outstanding_micro_usd
        assert used <= limit, f"{scope.called}: {used} of {limit} per {kind}"


def check_starts(result: StepResult, started: set[str]) -> None:
    """Nothing is started but for who may be, where it may be."""
    state = result.state
    for instruction in result.instructions:
        if not isinstance(instruction, i.RecordBurst) or instruction.burst.key in started:
            continue
        started.add(instruction.burst.key)
        burst = instruction.burst
        taken = [
            entry.burst.key
            for entry in state.bursts.values()
            if entry.burst.spec.strategy == "Move"
            and entry.burst.spec.for_pod.uid == burst.spec.for_pod.uid
            and entry.burst.status.placed_at_ms is not None
        ]
        assert not taken, f"{burst.key} is for a pod that {taken} has taken"
        policy, target = state.policies[burst.policy_key].policy, state.targets[burst.spec.target].target
        assert state.writable
        assert not state.draining
        assert not policy.paused
        assert not policy.paused_scale_out
        assert state.stop is None
        assert burst.namespace in target.allowed_namespaces
        assert burst.spec.strategy == ("Clone" if burst.spec.workload is not None else "Move")
        offering = next(o for o in state.targets[target.name].offerings if o.size == burst.spec.size)
        assert offering.tee == "TDX"
        assert not offering.restricted
        assert burst.spec.size in target.sizes
        price = offering.price_micro_usd_per_hour
        assert burst.spec.price_micro_usd_per_hour == (
            target.assumed_price_micro_usd_per_hour if price is None else price
        )
        for scope in scopes_of(state, *where(state.bursts[burst.key])):
            limits = scope.limits
            assert limits.max_bursts is None or scope.active <= limits.max_bursts
            assert limits.max_vcpus is None or scope.vcpus <= limits.max_vcpus
            rate = limits.launch_rate
            if rate is not None:
                lately = [at_ms for at_ms in scope.launches if at_ms > state.now_ms - rate.per_ms]
                assert len(lately) <= rate.count


def check_step(result: StepResult, started: set[str]) -> None:
    """Everything that must hold after one step."""
    check_state(result.state)
    check_links(result.state)
    check_nobody_starves(result.state)
    check_new_money(result)
    check_starts(result, started)
