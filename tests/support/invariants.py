"""What must hold after every step of the engine, whatever the world did."""

from burster.engine import ACTIVE, State, StepResult, next_due_ms
from burster.engine.gates import Grant, judge
from burster.engine.money import Account, limits_of, window_index
from burster.model import instructions as i
from burster.model.limits import Budget


def check_state(state: State) -> None:
    """Counts and money are what the bursts say."""
    active = [entry for entry in state.bursts.values() if entry.burst.status.phase in ACTIVE]
    for key, policy in state.policies.items():
        own = [entry for entry in active if entry.burst.policy_key == key]
        assert policy.active == len(own), f"{key} counts {policy.active} bursts and has {len(own)}"
        assert policy.vcpus == sum(entry.burst.spec.vcpus for entry in own)
    for name, target in state.targets.items():
        own = [entry for entry in active if entry.burst.spec.target == name]
        assert target.active == len(own), f"{name} counts {target.active} bursts and has {len(own)}"
        assert target.vcpus == sum(entry.burst.spec.vcpus for entry in own)
        assert all(vcpus >= 0 for vcpus in target.launched.values())
    accounts = {
        key: state.policy_account(key) for key in {entry.burst.policy_key for entry in active} | set(state.policies)
    }
    for key, account in accounts.items():
        held = sum(entry.held_micro_usd for entry in active if entry.burst.policy_key == key)
        assert account.outstanding_micro_usd == held >= 0, (
            f"{key}: {account.outstanding_micro_usd} outstanding, {held} held"
        )
    for name in {entry.burst.spec.target for entry in active} | set(state.targets):
        held = sum(entry.held_micro_usd for entry in active if entry.burst.spec.target == name)
        assert state.target_account(name).outstanding_micro_usd == held
    assert all(entry.held_micro_usd == 0 for entry in state.bursts.values() if entry.burst.status.phase not in ACTIVE)


def check_links(state: State) -> None:
    """A pod and the burst that answers it agree; nobody waits outside of every queue."""
    aging = {key for _, _, kind, key in state.timers if kind == "age"}
    for key, entry in state.pods.items():
        policy = state.policies.get(entry.policy)
        if entry.burst:
            assert policy is None or key not in policy.queued, f"{key} is answered and waits all the same"
        elif policy is not None and entry.pod.unschedulable:
            assert key in policy.queued or key in aging, f"{key} waits nowhere"
    for key in state.spares:
        assert not state.bursts[key].covers, f"{key} is spare and answers {state.bursts[key].covers}"
    for burst in state.bursts.values():
        if burst.covers and burst.covers in state.pods:
            assert state.pods[burst.covers].burst == burst.burst.key
    for policy in state.policies.values():
        assert len(policy.queue) <= 2 * len(policy.queued) + 65


def check_nobody_starves(state: State) -> None:
    """When nothing is left to look at, no waiting pod could go."""
    due = next_due_ms(state)
    if not state.ready or (due is not None and due <= state.now_ms):
        return
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
        policy = state.policies[decision.policy]
        _check_windows(policy.account, policy.policy.limits.budget, state.now_ms, decision.policy)
        target = state.targets[state.bursts[decision.burst].burst.spec.target]
        _check_windows(target.account, target.target.limits.budget, state.now_ms, target.target.name)


def _check_windows(account: Account, budget: Budget, now_ms: int, whose: str) -> None:
    for kind, limit in limits_of(budget):
        used = account.settled.get((kind, window_index(kind, now_ms)), 0) + account.outstanding_micro_usd
        assert used <= limit, f"{whose}: {used} of {limit} per {kind}"


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
        limits = (policy.limits, state.policies[burst.policy_key]), (target.limits, state.targets[target.name])
        for limit, entry in limits:
            assert limit.max_bursts is None or entry.active <= limit.max_bursts
            assert limit.max_vcpus is None or entry.vcpus <= limit.max_vcpus


def check_step(result: StepResult, started: set[str]) -> None:
    """Everything that must hold after one step."""
    check_state(result.state)
    check_links(result.state)
    check_nobody_starves(result.state)
    check_new_money(result)
    check_starts(result, started)
