"""Four scopes hold for every burst: what they count, what they refuse, and with which words."""

from typing import Any

import msgspec
import pytest

from burster.engine.accounting import budgets
from burster.engine.accounting.budgets import scope_of, scopes_of
from burster.engine.accounting.scopes import Scope
from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstSpec, BurstStatus
from burster.model.limits import Budget, LaunchRate, Limits
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, a_vm, an_offering
from tests.support.invariants import check_state


MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: 120,000 micro-USD an hour for 5 min launch, 50 min lease and 10 min drain
WORST = 130_000
LIMITED = {
    "Policy": lambda limits: ({"limits": limits}, {}, None),
    "Namespace": lambda limits: ({}, {"namespace_limits": {"bank": limits}}, None),
    "Target": lambda limits: ({}, {"limits": limits}, None),
    "Cluster": lambda limits: ({}, {}, limits),
}
CALLED = {
    "Policy": "policy tasks",
    "Namespace": "namespace bank at target azure",
    "Target": "target azure",
    "Cluster": "the cluster",
}


def an_engine(kind: str, limits: Limits) -> Engine:
    """An engine of which one scope is limited."""
    policy, target, cluster = LIMITED[kind](limits)
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(**policy)),
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *([] if cluster is None else [s.ClusterLimitsSeen(limits=cluster)]),
    )
    return engine


def send_pods(engine: Engine, count: int, **changes: Any) -> int:
    """Let pods come; return how many bursts begin."""
    pods = [s.PodSeen(pod=a_pod(f"task-{number}", **changes)) for number in range(count)]
    engine.send(*pods)
    return len(engine.asked("RecordBurst"))


def the_scope(engine: Engine, kind: str) -> Scope:
    return next(scope for scope in engine.state.scopes.values() if scope.kind == kind)


def refusal(engine: Engine, subject: str = "bank/task-2") -> tuple[str, str, dict[str, int]]:
    decision = next(one for one in engine.decisions if one.subject == subject)
    reason = decision.reasons[0]
    assert decision.verdict == "Wait"
    return reason.code, reason.sentence, reason.numbers


def finish(engine: Engine, key: str, after_ms: int) -> None:
    engine.send(engine.pod_event("Succeeded", key), after_ms=after_ms)
    engine.send(s.VmsObserved(key=key, vms=()))


@pytest.mark.parametrize("kind", LIMITED)
def test_every_scope_limits_the_number_of_bursts(kind: str) -> None:
    engine = an_engine(kind, Limits(max_bursts=2))
    assert send_pods(engine, 3) == 2
    code, sentence, numbers = refusal(engine)
    assert code == f"{kind}MaxBursts"
    assert sentence == f"2 bursts are out, and {CALLED[kind]} allows 2."
    assert numbers == {"active": 2, "max_bursts": 2}


@pytest.mark.parametrize("kind", LIMITED)
@pytest.mark.parametrize(("limit", "want"), [(5, 2), (6, 3)])
def test_every_scope_limits_vcpus(kind: str, limit: int, want: int) -> None:
    engine = an_engine(kind, Limits(max_vcpus=limit))
    assert send_pods(engine, 3) == want
    if want == 2:
        code, sentence, numbers = refusal(engine)
        assert code == f"{kind}MaxVcpus"
        assert sentence == f"4 vCPUs are out; 2 more would pass the 5 that {CALLED[kind]} allows."
        assert numbers == {"used_vcpus": 4, "wanted_vcpus": 2, "max_vcpus": 5}


@pytest.mark.parametrize("kind", LIMITED)
@pytest.mark.parametrize(("window", "field"), [("hour", "per_hour"), ("day", "per_day"), ("month", "per_month")])
@pytest.mark.parametrize("lacking", [0, 1])
def test_every_scope_limits_money_to_the_last_micro_usd(kind: str, window: str, field: str, lacking: int) -> None:
    engine = an_engine(kind, Limits(budget=Budget(**{f"{field}_micro_usd": 3 * WORST - lacking})))
    assert send_pods(engine, 3) == 3 - lacking
    if lacking:
        code, sentence, numbers = refusal(engine)
        assert code == f"{kind}Budget"
        assert sentence == (
            f"$0.1300 would have to be reserved, $0.2600 of $0.3900 per {window} are spent or reserved for {CALLED[kind]}."
        )
        assert numbers == {"wanted_micro_usd": WORST, "used_micro_usd": 2 * WORST, "limit_micro_usd": 3 * WORST - 1}


@pytest.mark.parametrize("kind", LIMITED)
def test_every_scope_limits_how_fast_bursts_are_launched(kind: str) -> None:
    engine = an_engine(kind, Limits(launch_rate=LaunchRate(count=2, per_ms=MINUTE)))
    assert send_pods(engine, 5) == 2
    code, sentence, numbers = refusal(engine)
    assert code == f"{kind}LaunchRate"
    assert sentence == f"2 launches within 1m are all that {CALLED[kind]} allows, and they have been made."
    assert numbers == {"launches": 2, "per_ms": MINUTE}
    assert not any(type(one).__name__ == "RecordBurst" for one in engine.wait(MINUTE - 1))
    engine.wait(1)
    assert len(engine.asked("RecordBurst")) == 2, "the first two are just not within a minute any more"
    assert the_scope(engine, kind).launches == [T0 + MINUTE, T0 + MINUTE]


def test_launches_that_lie_apart_free_the_rate_one_by_one() -> None:
    engine = an_engine("Policy", Limits(launch_rate=LaunchRate(count=2, per_ms=MINUTE)))
    engine.send(s.PodSeen(pod=a_pod("task-a")))
    engine.send(s.PodSeen(pod=a_pod("task-b")), after_ms=20_000)
    engine.send(s.PodSeen(pod=a_pod("task-c")), s.PodSeen(pod=a_pod("task-d")), after_ms=20_000)
    assert not engine.asked("RecordBurst")
    engine.wait(20_000)
    assert len(engine.asked("RecordBurst")) == 1, "a minute after the first"
    engine.wait(19_999)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert len(engine.asked("RecordBurst")) == 1, "a minute after the second"


def test_a_rate_of_nothing_launches_nothing() -> None:
    engine = an_engine("Cluster", Limits(launch_rate=LaunchRate(count=0, per_ms=MINUTE)))
    assert send_pods(engine, 1) == 0
    assert engine.codes("bank/task-0") == ["ClusterLaunchRate"]
    engine.wait(DAY)
    assert not engine.state.bursts


def test_a_rate_that_is_changed_knows_what_was_launched_before() -> None:
    engine = an_engine("Policy", Limits())
    assert send_pods(engine, 2) == 2
    rate = LaunchRate(count=3, per_ms=MINUTE)
    engine.send(s.PolicySeen(policy=a_policy(limits=Limits(launch_rate=rate))), after_ms=1_000)
    pods = [s.PodSeen(pod=a_pod(f"later-{number}")) for number in range(3)]
    engine.send(*pods)
    assert len(engine.asked("RecordBurst")) == 1
    assert the_scope(engine, "Policy").launches == [T0, T0, T0 + 1_000]
    assert the_scope(engine, "Target").launches == []


@pytest.mark.parametrize("kind", LIMITED)
def test_two_policies_share_what_they_have_in_common_and_nothing_else(kind: str) -> None:
    engine = an_engine(kind, Limits(max_bursts=1))
    for_all = msgspec.structs.replace(engine.state.targets["azure"].target, allowed_namespaces=("*",))
    engine.send(s.PolicySeen(policy=a_policy("other", namespace="shop")), s.TargetSeen(target=for_all))
    engine.send(s.PodSeen(pod=a_pod("task-1")), s.PodSeen(pod=a_pod("shop-1", namespace="shop")))
    want = 1 if kind in {"Target", "Cluster"} else 2
    assert len(engine.asked("RecordBurst")) == want


def test_a_star_limits_each_namespace_that_has_no_limits_of_its_own() -> None:
    limits = {"*": Limits(max_bursts=1), "shop": Limits(max_bursts=2)}
    engine = Engine()
    engine.sync(
        *(s.PolicySeen(policy=a_policy(namespace=name)) for name in ("bank", "shop", "farm")),
        s.TargetSeen(target=a_target(namespace_limits=limits, allowed_namespaces=("*",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    names = ("bank", "shop", "farm")
    engine.send(*(s.PodSeen(pod=a_pod(f"{name}-{n}", namespace=name)) for name in names for n in range(3)))
    counts = [scope_of(engine.state, "Namespace", f"azure/{name}").active for name in names]
    assert counts == [1, 2, 1]


def test_the_narrowest_scope_that_refuses_is_told() -> None:
    engine = Engine()
    one = Limits(max_bursts=1)
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(limits=one, namespace_limits={"bank": one})),
        s.ClusterLimitsSeen(limits=one),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    send_pods(engine, 3)
    assert refusal(engine)[0] == "NamespaceMaxBursts"


@pytest.mark.parametrize("kind", LIMITED)
def test_limits_that_are_raised_let_the_next_pod_go_at_once(kind: str) -> None:
    engine = an_engine(kind, Limits(max_bursts=1))
    assert send_pods(engine, 3) == 1
    policy, target, cluster = LIMITED[kind](Limits(max_bursts=2))
    engine.send(
        s.PolicySeen(policy=a_policy(**policy)),
        s.TargetSeen(target=a_target(**target)),
        *([] if cluster is None else [s.ClusterLimitsSeen(limits=cluster)]),
    )
    assert len(engine.asked("RecordBurst")) == 1


def test_the_same_cluster_limits_again_are_no_news() -> None:
    engine = an_engine("Cluster", Limits(max_bursts=1))
    send_pods(engine, 2)
    engine.send(s.ClusterLimitsSeen(limits=Limits(max_bursts=1)))
    assert not any(policy.reopened for policy in engine.state.policies.values())
    assert the_scope(engine, "Cluster").limits == Limits(max_bursts=1)


def test_what_is_given_back_is_given_back_to_every_scope() -> None:
    engine = an_engine("Policy", Limits())
    assert send_pods(engine, 2) == 2
    scopes = scopes_of(engine.state, "bank/tasks", "bank", "azure")
    assert [scope.kind for scope in scopes] == ["Policy", "Namespace", "Target", "Cluster"]
    assert [(one.active, one.vcpus, one.vcpus_by_provider) for one in scopes] == [(2, 4, {"azure": 4})] * 4
    assert [one.account.outstanding_micro_usd for one in scopes] == [2 * WORST] * 4
    key = engine.to_serving("bank/" + next(iter(engine.state.bursts)).split("/")[1]).key
    finish(engine, key, 10 * MINUTE)
    cost = engine.spends[0].micro_usd
    assert cost > 0
    assert [(one.active, one.vcpus, one.vcpus_by_provider) for one in scopes] == [(1, 2, {"azure": 2})] * 4
    assert [one.account.outstanding_micro_usd for one in scopes] == [WORST] * 4
    assert [one.account.settled_total_micro_usd for one in scopes] == [cost] * 4


def test_an_empty_amount_is_never_lacking_and_a_scope_without_a_budget_never_refuses() -> None:
    engine = an_engine("Policy", Limits(budget=Budget(per_day_micro_usd=WORST)))
    where = ("bank/tasks", "bank", "azure")
    assert budgets.shortfall(engine.state, *where, WORST) is None
    assert budgets.shortfall(engine.state, *where, WORST + 1) is not None
    budgets.reserve(engine.state, *where, WORST)
    assert budgets.shortfall(engine.state, *where, 0) is None
    assert budgets.shortfall(engine.state, *where, 1) is not None
    budgets.release(engine.state, *where, WORST)
    budgets.settle(engine.state, *where, WORST, engine.now)
    assert budgets.shortfall(engine.state, *where, 0) is None
    assert budgets.shortfall(engine.state, *where, 1) is not None
    assert budgets.shortfall(engine.state, "bank/other", "bank", "azure", 10**12) is None


def test_what_a_faster_clock_has_written_down_counts_as_spent_now() -> None:
    engine = an_engine("Policy", Limits(budget=Budget(per_hour_micro_usd=WORST)))
    spend = s.Spend(burst="bank/x", uid="u", policy="bank/tasks", target="azure", at_ms=T0 + DAY, micro_usd=1)
    engine.send(s.LedgerRestored(entries=(spend,)))
    assert send_pods(engine, 1) == 0
    assert engine.wait(HOUR)
    assert len(engine.asked("RecordBurst")) == 1


def a_record(number: int, phase: str, *, decided_at: int = T0, **status: Any) -> Burst:
    spec = BurstSpec(
        policy="tasks",
        target="azure",
        strategy="Move",
        pod_name=f"task-{number}",
        region="westeurope",
        size="Standard_DC2es_v6",
        runtime_class="kata-remote",
        vcpus=2,
        price_micro_usd_per_hour=120_000,
        reserved_micro_usd=WORST,
        decided_at_ms=decided_at - 10_000 * number,
        lease_ms=3_000_000,
        drain_ms=600_000,
        launch_deadline_ms=300_000,
        ready_deadline_ms=900_000,
    )
    values = {"phase": phase, "pod_uid": f"p-{number}", "placed_at_ms": T0 - 10_000, "reserved_micro_usd": WORST}
    values |= {"lease_until_ms": T0 + 3_000_000} | status
    return Burst(namespace="bank", name=f"burst-{number}", uid=f"b-{number}", spec=spec, status=BurstStatus(**values))


def test_after_a_restart_every_scope_counts_what_there_is_in_whatever_order_it_is_told() -> None:
    rate = LaunchRate(count=9, per_ms=MINUTE)
    limits = Limits(launch_rate=rate, budget=Budget(per_day_micro_usd=2 * WORST + 77))
    released = a_record(3, "Released", settled_micro_usd=77, released_at_ms=T0 - 1_000)
    spend = s.Spend(burst="bank/burst-9", uid="b-9", policy="bank/tasks", target="azure", at_ms=T0 - 5, micro_usd=100)
    facts: list[s.Stimulus] = [
        s.LedgerRestored(entries=(spend,)),
        *(s.BurstSeen(burst=a_record(number, "Provisioning")) for number in (1, 2)),
        s.BurstSeen(burst=released),
        s.PolicySeen(policy=a_policy(limits=limits)),
        s.TargetSeen(target=a_target(namespace_limits={"bank": limits}, limits=limits)),
        s.ClusterLimitsSeen(limits=limits),
    ]
    for order in (facts, facts[::-1]):
        engine = Engine()
        for fact in order:
            engine.send(fact)
        for scope in scopes_of(engine.state, "bank/tasks", "bank", "azure"):
            assert (scope.active, scope.vcpus, scope.vcpus_by_provider) == (2, 4, {"azure": 4})
            assert scope.account.outstanding_micro_usd == 2 * WORST
            assert scope.account.settled_total_micro_usd == 177
            assert scope.launches == [T0 - 30_000, T0 - 20_000, T0 - 10_000]
            assert scope.limits == limits
        check_state(engine.state)


def test_a_policy_that_goes_and_comes_again_has_still_spent_what_it_has() -> None:
    engine = an_engine("Policy", Limits(budget=Budget(per_day_micro_usd=WORST)))
    send_pods(engine, 1)
    engine.send(s.PolicyGone(key="bank/tasks"))
    scope = scope_of(engine.state, "Policy", "bank/tasks")
    assert scope.limits == Limits(), "nobody is refused by a rule that is not there"
    engine.send(s.PolicySeen(policy=a_policy(limits=Limits(budget=Budget(per_day_micro_usd=WORST)))))
    assert engine.state.policies["bank/tasks"].scope is scope
    assert scope.account.outstanding_micro_usd == WORST
    engine.send(s.PodSeen(pod=a_pod("another")))
    assert engine.codes("bank/another") == ["PolicyBudget"]


def test_a_target_that_goes_takes_its_own_and_its_namespaces_limits_with_it() -> None:
    limits = Limits(max_bursts=5)
    engine = an_engine("Target", limits)
    engine.send(s.TargetSeen(target=a_target(limits=limits, namespace_limits={"bank": limits})))
    send_pods(engine, 1)
    chain = scopes_of(engine.state, "bank/tasks", "bank", "azure")
    assert [scope.limits for scope in chain] == [Limits(), limits, limits, Limits()]
    engine.send(s.TargetGone(name="azure"))
    assert [scope.limits for scope in chain] == [Limits()] * 4
    assert [scope.active for scope in chain] == [1] * 4


def test_a_scope_that_nobody_has_rules_for_is_forgotten_when_its_money_is_in_no_month_any_more() -> None:
    engine = an_engine("Policy", Limits())
    send_pods(engine, 1)
    key = engine.to_serving().key
    finish(engine, key, 10 * MINUTE)
    engine.send(s.PolicyGone(key="bank/tasks"))
    engine.send(s.Tick(kind="gc"), after_ms=31 * DAY)
    assert ("Policy", "bank/tasks") in engine.state.scopes
    engine.send(s.Tick(kind="gc"), after_ms=2 * DAY)
    assert set(engine.state.scopes) == {("Target", "azure")}
    assert engine.state.chains == {}
    assert engine.state.targets["azure"].scope is engine.state.scopes["Target", "azure"]


def test_a_running_bursts_spending_moves_from_reserved_to_settled_at_each_renewal() -> None:
    engine = an_engine("Policy", Limits())
    send_pods(engine, 1)
    burst = engine.to_serving()
    started = burst.status.vm_started_at_ms or 0
    scope = the_scope(engine, "Policy")
    engine.wait(burst.status.lease_until_ms - 300_000 - engine.now)
    first = -(-120_000 * (engine.now - started) // HOUR)
    assert scope.account.settled_total_micro_usd == first
    assert scope.account.outstanding_micro_usd == WORST + 100_000 - first == engine.burst().status.reserved_micro_usd
    engine.wait(3_000_000)
    second = -(-120_000 * (engine.now - started) // HOUR)
    assert scope.account.settled_total_micro_usd == second
    assert scope.account.outstanding_micro_usd == WORST + 200_000 - second
    check_state(engine.state)
    finish(engine, burst.key, 7 * MINUTE)
    cost = -(-120_000 * (engine.now - started) // HOUR)
    assert engine.burst().status.settled_micro_usd == engine.spends[0].micro_usd == cost
    assert (scope.account.settled_total_micro_usd, scope.account.outstanding_micro_usd) == (cost, 0)
    per_quarter = [scope.account.settled[quarter] for quarter in sorted(scope.account.settled)]
    assert all(29_999 <= amount <= 30_001 for amount in per_quarter[1:-1]), "a quarter of an hour's price in each"


def test_a_service_that_runs_for_days_is_held_against_each_days_budget_by_that_days_cost() -> None:
    engine = an_engine("Policy", Limits(budget=Budget(per_day_micro_usd=24 * 120_000 + WORST)))
    send_pods(engine, 1)
    engine.to_serving()
    for _ in range(5 * 24 * 6):
        engine.wait(10 * MINUTE)
    assert engine.phase() == "Serving", "2.88 USD a day are within 3.01, however many days it runs"


def test_what_was_booked_before_a_restart_is_booked_again() -> None:
    record = a_record(
        1,
        "Serving",
        decided_at=T0 - 6 * HOUR,
        vms=("podvm-task-1-0123abcd",),
        vm_started_at_ms=T0 - 6 * HOUR,
        serving_at_ms=T0 - 6 * HOUR,
        lease_until_ms=T0 + 20 * MINUTE,
        reserved_micro_usd=100_000,
    )
    engine = Engine()
    engine.send(s.PolicySeen(policy=a_policy()), s.TargetSeen(target=a_target()), s.BurstSeen(burst=record))
    scope = the_scope(engine, "Cluster")
    assert scope.account.settled_total_micro_usd == 6 * 120_000
    assert scope.account.window("hour", T0 - 1).settled_micro_usd == 120_000
    assert scope.account.outstanding_micro_usd == 60_000, "20 min of lease and 10 of drain"
    check_state(engine.state)


def test_money_for_a_second_vm_is_taken_from_all_scopes() -> None:
    engine = an_engine("Policy", Limits())
    send_pods(engine, 1)
    burst = engine.to_serving()
    vms = (a_vm(burst, created_at=T0), a_vm(burst, created_at=T0, name="podvm-task-0-ffffffff"))
    engine.send(s.VmsObserved(key=burst.key, vms=vms))
    held = {scope.account.outstanding_micro_usd for scope in engine.state.scopes.values()}
    assert held == {engine.burst().status.reserved_micro_usd}
    assert held != {WORST}
