"""What happens on the way to a budget's limit: people are warned, nothing new starts, everything comes home; renewals go first."""

from typing import Any

import pytest

from burster.engine.accounting import budgets
from burster.engine.accounting.scopes import Scope
from burster.model import stimuli as s
from burster.model.decisions import Decision
from burster.model.limits import Budget, Limits
from burster.model.policies import Placement
from burster.model.scaling import Scaling
from burster.model.triggers import PrometheusTrigger, WorkloadRef
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, a_workload, an_offering
from tests.support.invariants import check_state


MINUTE, HOUR = 60_000, 3_600_000
WORST = 130_000  #: 120,000 micro-USD an hour for 5 min launch, 50 min lease and 10 min drain


def an_engine(budget: Budget, scope: str = "Policy", **policy: Any) -> Engine:
    limits = Limits(budget=budget)
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(uid="p-uid", **({"limits": limits} if scope == "Policy" else {}), **policy)),
        s.TargetSeen(
            target=a_target(
                **({"limits": limits} if scope == "Target" else {}),
                **({"namespace_limits": {"bank": limits}} if scope == "Namespace" else {}),
            )
        ),
        *([s.ClusterLimitsSeen(limits=limits)] if scope == "Cluster" else []),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    return engine


def send_pods(engine: Engine, count: int, name: str = "task") -> int:
    engine.send(*(s.PodSeen(pod=a_pod(f"{name}-{number}")) for number in range(count)))
    return len(engine.asked("RecordBurst"))


def warnings(engine: Engine) -> list[Decision]:
    return [decision for decision in engine.decisions if decision.verdict == "Warn"]


def the_scope(engine: Engine, kind: str) -> Scope:
    return next(scope for scope in engine.state.scopes.values() if scope.kind == kind)


def look_closely(engine: Engine, key: str, for_ms: int) -> None:
    """Let time pass minute by minute, as a running engine does."""
    for _ in range(for_ms // MINUTE):
        engine.wait(MINUTE)
        check_state(engine.state)
        if engine.phase(key) != "Serving":
            return


# Warnings


@pytest.mark.parametrize(("percent", "want"), [(49, 1), (50, 1), (51, 0), (100, 0), (0, 1)])
def test_people_are_warned_from_the_percentage_on(percent: int, want: int) -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST, warn_percent=percent))
    assert warnings(engine) == [], "nothing is spent yet"
    send_pods(engine, 1)
    assert len(warnings(engine)) == want


def test_a_warning_names_scope_window_and_numbers_and_is_an_event_on_the_policy() -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST, warn_percent=50))
    send_pods(engine, 1)
    (warning,) = warnings(engine)
    (reason,) = warning.reasons
    assert (warning.policy, warning.subject) == ("bank/tasks", "bank/tasks")
    assert reason.code == "BudgetWarning"
    assert reason.sentence == "$0.1300 of $0.2600 per day are spent or reserved for policy tasks."
    assert reason.numbers == {"used_micro_usd": WORST, "limit_micro_usd": 2 * WORST, "warn_percent": 50}
    (event,) = [one for one in engine.asked("EmitEvent") if one.kind == "BurstPolicy" and one.severity == "Warning"]
    assert (event.namespace, event.name, event.uid) == ("bank", "tasks", "p-uid")
    assert (event.severity, event.reason, event.message) == ("Warning", "BudgetWarning", reason.sentence)
    assert event.key == f"event/BurstPolicy/bank/tasks/BudgetWarning/day/{T0}"


@pytest.mark.parametrize(
    ("scope", "called"),
    [("Namespace", "namespace bank at target azure"), ("Target", "target azure"), ("Cluster", "the cluster")],
)
def test_other_scopes_warn_as_well(scope: str, called: str) -> None:
    engine = an_engine(Budget(per_day_micro_usd=WORST), scope)
    send_pods(engine, 1)
    (warning,) = warnings(engine)
    assert (warning.policy, warning.subject) == ("", called)
    assert warning.reasons[0].sentence.endswith(f"are spent or reserved for {called}.")
    assert not [one for one in engine.asked("EmitEvent") if one.kind == "BurstPolicy" and one.severity == "Warning"]


def test_each_window_warns_once_and_the_next_one_warns_anew() -> None:
    budget = Budget(per_hour_micro_usd=2 * WORST, per_day_micro_usd=20 * WORST, warn_percent=40)
    engine = an_engine(budget)
    send_pods(engine, 1)
    send_pods(engine, 1, "second")
    assert [one.reasons[0].sentence.split(" per ")[1].split()[0] for one in warnings(engine)] == ["hour"]
    for key in list(engine.state.bursts):
        engine.to_serving(key)
        engine.send(engine.pod_event("Succeeded", key))
        engine.send(s.VmsObserved(key=key, vms=()))
    assert len(warnings(engine)) == 1
    engine.wait(HOUR)
    send_pods(engine, 1, "third")
    assert len(warnings(engine)) == 2


def test_a_budget_that_is_changed_warns_anew() -> None:
    engine = an_engine(Budget(per_day_micro_usd=WORST))
    send_pods(engine, 1)
    engine.send(s.PolicySeen(policy=a_policy(budget=Budget(per_day_micro_usd=2 * WORST, warn_percent=70))))
    send_pods(engine, 1, "second")
    assert len(warnings(engine)) == 2


# Nothing new


@pytest.mark.parametrize("scope", ["Policy", "Namespace", "Target", "Cluster"])
@pytest.mark.parametrize(("percent", "want"), [(49, 2), (50, 2), (51, 3), (75, 3), (76, 4), (100, 4), (0, 0)])
def test_nothing_new_starts_from_the_percentage_on(scope: str, percent: int, want: int) -> None:
    engine = an_engine(Budget(per_day_micro_usd=4 * WORST, stop_percent=percent), scope)
    assert send_pods(engine, 5) == want


def test_a_stop_says_where_it_stands() -> None:
    engine = an_engine(Budget(per_month_micro_usd=4 * WORST, stop_percent=50))
    send_pods(engine, 3)
    (reason,) = next(one for one in engine.decisions if one.subject == "bank/task-2").reasons
    assert reason.code == "BudgetStop"
    assert reason.sentence == (
        "$0.2600 of $0.5200 per month are spent or reserved for policy tasks, and nothing new starts from 50 % on."
    )
    assert reason.numbers == {"used_micro_usd": 2 * WORST, "limit_micro_usd": 4 * WORST, "stop_percent": 50}


def test_what_does_not_fit_before_the_stop_is_refused_by_the_limit_itself() -> None:
    engine = an_engine(Budget(per_day_micro_usd=WORST - 1, stop_percent=50))
    send_pods(engine, 1)
    assert engine.codes("bank/task-0") == ["PolicyBudget"]


def test_a_stop_ends_with_its_window() -> None:
    engine = an_engine(Budget(per_hour_micro_usd=2 * WORST, stop_percent=1))
    send_pods(engine, 2)
    key = engine.to_serving(next(iter(engine.state.bursts))).key
    engine.send(engine.pod_event("Succeeded", key), after_ms=10 * MINUTE)
    engine.send(s.VmsObserved(key=key, vms=()))
    assert not engine.asked("RecordBurst"), "what is spent is more than one percent"
    engine.wait(T0 + HOUR - 1 - engine.now)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert len(engine.asked("RecordBurst")) == 1


def test_leases_are_renewed_beyond_the_stop_up_to_the_limit() -> None:
    engine = an_engine(Budget(per_day_micro_usd=230_000, stop_percent=50))
    send_pods(engine, 1)
    burst = engine.to_serving()
    engine.wait(burst.status.lease_until_ms - 300_000 - engine.now)
    assert engine.phase() == "Serving"
    assert engine.burst().status.lease_until_ms == burst.status.lease_until_ms + 3_000_000


# Everything comes home


@pytest.mark.parametrize("scope", ["Policy", "Namespace", "Target", "Cluster"])
def test_everything_of_a_scope_comes_home_in_the_minute_in_which_too_much_is_spent(scope: str) -> None:
    # The VM is there from 40 s on: 30 minutes of it cost 60,000.
    engine = an_engine(Budget(per_day_micro_usd=200_000, drain_percent=30), scope)
    send_pods(engine, 1)
    key = engine.to_serving().key
    started = engine.burst().status.vm_started_at_ms or 0
    look_closely(engine, key, HOUR)
    assert engine.phase(key) == "Draining"
    assert engine.burst(key).status.reason == "BudgetDrain"
    spent = -(-120_000 * (engine.now - started) // HOUR)
    assert 60_000 <= spent < 62_000 + 2_000
    reason = next(one for one in engine.decisions if one.burst == key and one.verdict == "Release").reasons[0]
    assert reason.numbers == {"spent_micro_usd": spent, "limit_micro_usd": 200_000, "drain_percent": 30}
    assert reason.sentence.startswith("$0.0")
    assert " of $0.2000 per day are spent by " in reason.sentence
    assert reason.sentence.endswith(", and everything of it comes home from 30 % on.")


def test_what_is_reserved_drains_nobody() -> None:
    engine = an_engine(Budget(per_day_micro_usd=WORST, drain_percent=60))
    send_pods(engine, 1)
    key = engine.to_serving().key
    look_closely(engine, key, 30 * MINUTE)
    assert engine.phase(key) == "Serving", "all of it is reserved, and half of it spent"


def test_nothing_new_starts_while_everything_comes_home_nor_until_the_window_ends() -> None:
    engine = an_engine(Budget(per_hour_micro_usd=3 * WORST, drain_percent=5))
    send_pods(engine, 1)
    key = engine.to_serving().key
    look_closely(engine, key, 30 * MINUTE)
    assert engine.phase(key) == "Draining"
    send_pods(engine, 1, "second")
    assert engine.codes("bank/second-0") == ["BudgetDrain"]
    engine.send(engine.pod_event("Succeeded", key))
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released"
    assert not engine.asked("RecordBurst"), "it is spent also when it is settled"
    engine.wait(T0 + HOUR - 1 - engine.now)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert len(engine.asked("RecordBurst")) == 1


def test_what_was_spent_before_a_restart_refuses_new_bursts_as_a_drain_does() -> None:
    engine = an_engine(Budget(per_day_micro_usd=10 * WORST, drain_percent=10))
    spend = s.Spend(burst="bank/x", uid="u", policy="bank/tasks", target="azure", at_ms=T0 - 1, micro_usd=WORST)
    engine.send(s.LedgerRestored(entries=(spend,)), s.PodSeen(pod=a_pod()))
    assert engine.codes("bank/task-1") == ["BudgetDrain"]
    less = an_engine(Budget(per_day_micro_usd=10 * WORST, drain_percent=10))
    spend = s.Spend(burst="bank/x", uid="u", policy="bank/tasks", target="azure", at_ms=T0 - 1, micro_usd=WORST - 1)
    less.send(s.LedgerRestored(entries=(spend,)), s.PodSeen(pod=a_pod()))
    assert less.codes("bank/task-1") == ["Pending"]


def test_a_budget_that_is_raised_ends_the_drain() -> None:
    engine = an_engine(Budget(per_day_micro_usd=3 * WORST, drain_percent=5))
    send_pods(engine, 1)
    look_closely(engine, engine.to_serving().key, 30 * MINUTE)
    assert the_scope(engine, "Policy").drained is not None
    engine.send(s.PolicySeen(policy=a_policy(budget=Budget(per_day_micro_usd=30 * WORST, drain_percent=5))))
    send_pods(engine, 1, "second")
    assert engine.codes("bank/second-0") == ["Pending"]


def test_a_budget_that_is_lowered_below_what_is_spent_drains_at_the_next_look() -> None:
    engine = an_engine(Budget(per_day_micro_usd=30 * WORST, drain_percent=50))
    send_pods(engine, 1)
    key = engine.to_serving().key
    engine.wait(10 * MINUTE)
    engine.send(s.PolicySeen(policy=a_policy(budget=Budget(per_day_micro_usd=20_000, drain_percent=50))))
    engine.wait(MINUTE)
    assert engine.phase(key) == "Draining"


def test_only_the_window_that_is_open_counts_for_a_drain() -> None:
    engine = an_engine(Budget(per_hour_micro_usd=10 * WORST, drain_percent=10))
    send_pods(engine, 1)
    key = engine.to_serving().key
    look_closely(engine, key, 10 * HOUR)
    assert engine.phase(key) == "Serving", "each hour costs 120,000, and 130,000 would be too much"


def test_a_burst_that_is_not_placed_yet_is_withdrawn_by_a_drain() -> None:
    engine = an_engine(Budget(per_day_micro_usd=4 * WORST, drain_percent=5))
    engine.send(s.PodSeen(pod=a_pod("task-1")))
    first = next(iter(engine.state.bursts))
    engine.to_serving(first)
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    second = next(key for key in engine.state.bursts if key != first)
    look_closely(engine, first, 30 * MINUTE)
    assert engine.state.bursts[second].withdraw is not None
    assert engine.state.bursts[second].withdraw.code == "BudgetDrain"


def test_a_budget_that_does_not_drain_is_never_looked_at() -> None:
    engine = an_engine(Budget(per_day_micro_usd=4 * WORST))
    send_pods(engine, 1)
    assert not [timer for timer in engine.state.timers if timer[2] == "budget"]
    drains = an_engine(Budget(drain_percent=10))
    send_pods(drains, 1)
    assert not [timer for timer in drains.state.timers if timer[2] == "budget"], "it has no limit"


def test_a_budget_that_drains_is_looked_at_each_whole_minute_while_anything_is_out() -> None:
    engine = an_engine(Budget(per_day_micro_usd=4 * WORST, drain_percent=90))
    engine.wait(1)
    send_pods(engine, 2)

    def looks() -> list[int]:
        return [due for due, _, kind, _ in engine.state.timers if kind == "budget"]

    assert looks() == [T0 + MINUTE]
    engine.wait(MINUTE - 1)
    assert looks() == [T0 + 2 * MINUTE]
    for key in list(engine.state.bursts):
        engine.to_serving(key)
        engine.send(engine.pod_event("Succeeded", key))
        engine.send(s.VmsObserved(key=key, vms=()))
    engine.wait(5 * MINUTE)
    assert looks() == []


# Renewals go first


def claimed(engine: Engine) -> int:
    return the_scope(engine, "Policy").claimed_micro_usd


def test_a_renewals_money_is_claimed_from_twice_its_lead_before_the_lease_ends() -> None:
    engine = an_engine(Budget(per_day_micro_usd=10 * WORST))
    send_pods(engine, 1)
    lease_until = engine.to_serving().status.lease_until_ms
    engine.wait(lease_until - 600_000 - 1 - engine.now)
    assert claimed(engine) == 0
    engine.wait(1)
    assert claimed(engine) == 100_000
    engine.wait(300_000 - 1)
    assert (claimed(engine), engine.burst().status.lease_until_ms) == (100_000, lease_until)
    engine.wait(1)
    assert (claimed(engine), engine.burst().status.lease_until_ms) == (0, lease_until + 3_000_000)


@pytest.mark.parametrize(("spare", "want"), [(0, "Pending"), (1, "RenewalsFirst")])
def test_a_new_burst_leaves_the_money_that_is_claimed(spare: int, want: str) -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST + 100_000 - spare))
    send_pods(engine, 1)
    lease_until = engine.to_serving().status.lease_until_ms
    engine.wait(lease_until - 600_000 - engine.now)
    send_pods(engine, 1, "second")
    assert engine.codes("bank/second-0") == [want]
    engine.wait(300_000)
    assert engine.burst(next(iter(engine.state.bursts))).status.lease_until_ms > lease_until, (
        "it is renewed in any case"
    )


def test_a_refusal_for_renewals_names_the_numbers() -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST))
    send_pods(engine, 1)
    lease_until = engine.to_serving().status.lease_until_ms
    engine.wait(lease_until - 600_000 - engine.now)
    send_pods(engine, 1, "second")
    (reason,) = next(one for one in engine.decisions if one.subject == "bank/second-0").reasons
    assert reason.sentence == (
        "$0.1300 would leave too little for the leases of policy tasks that are renewed within minutes: they need $0.1000, "
        "and $0.1300 of $0.2600 per day are spent or reserved."
    )
    assert reason.numbers == {
        "wanted_micro_usd": WORST,
        "claimed_micro_usd": 100_000,
        "used_micro_usd": WORST,
        "limit_micro_usd": 2 * WORST,
    }


def test_a_claim_is_let_go_when_the_burst_ends_and_who_waited_for_it_goes() -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST + 99_999))
    send_pods(engine, 1)
    burst = engine.to_serving()
    engine.wait(burst.status.lease_until_ms - 600_000 - engine.now)
    send_pods(engine, 1, "second")
    assert engine.codes("bank/second-0") == ["RenewalsFirst"]
    engine.send(engine.pod_event("Succeeded", burst.key))
    assert claimed(engine) == 0
    assert engine.codes("bank/second-0")[-1] == "Pending"


def test_a_new_burst_does_not_wait_for_leases_that_have_long_to_go() -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST))
    assert send_pods(engine, 2) == 2


def test_a_negative_claim_looks_at_everybody_again() -> None:
    engine = an_engine(Budget(per_day_micro_usd=2 * WORST))
    where = ("bank/tasks", "bank", "azure")
    budgets.claim(engine.state, *where, 10)
    assert not engine.state.policies["bank/tasks"].reopened
    assert claimed(engine) == 10
    budgets.claim(engine.state, *where, -10)
    assert engine.state.policies["bank/tasks"].reopened
    assert claimed(engine) == 0


# Replicas


def test_what_a_scaled_workload_spends_is_held_against_the_budget_and_it_comes_home() -> None:
    cloud = WorkloadRef(kind="Deployment", name="cloud", api_version="apps/v1")
    limits = Limits(budget=Budget(per_day_micro_usd=1_000_000, drain_percent=10))
    policy = a_policy(
        triggers=(
            PrometheusTrigger(name="load", server_address="https://prom.example", query="load", threshold_milli=1_000),
        ),
        scaling=Scaling(target=cloud, max_replicas=2),
        placement=Placement(targets=("azure",), strategy="Scale"),
        limits=limits,
    )
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target(allowed_metric_endpoints=("https://prom.example",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    asked = [0]

    def go_on(*stimuli: s.Stimulus, after_ms: int = 0) -> None:
        """Let something happen, and the workload be scaled at once."""
        engine.send(*stimuli, after_ms=after_ms)
        while wishes := engine.asked("SetScale"):
            asked.append(wishes[0].replicas)
            engine.send(s.ScaleSet(policy="bank/tasks", replicas=asked[-1]), a_workload(asked[-1]))

    go_on(a_workload(0))
    while not any(scope.drained for scope in engine.state.scopes.values()):
        go_on(s.MetricRead(policy="bank/tasks", trigger="load", at_ms=engine.now, value_milli=2_000))
        go_on(after_ms=15_000)
        assert engine.now < T0 + HOUR
    assert max(asked) == 2
    assert 24 * MINUTE <= engine.now - T0 <= 28 * MINUTE, "two at 120,000 an hour spend 100,000 in 25 minutes"
    go_on(after_ms=15_000)
    assert asked[-1] == 0
