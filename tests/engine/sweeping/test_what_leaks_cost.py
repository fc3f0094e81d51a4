"""A VM that nobody claims costs from its creation to its confirmed end: in the target's budget and the cluster's, booked once an hour."""

from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from tests.engine.sweeping.conftest import GRACE, TAGS, TWO_MINUTES, Make, Swept, a_leak
from tests.support.builders import T0, a_pod, a_target, an_offering


HOUR = 3_600_000
PRICE = 120_000  # of a Standard_DC2es_v6, per hour


def leaked(engine: Swept) -> int:
    return sum(one.micro_usd for one in engine.spends if one.burst.startswith("leak/"))


def test_it_costs_from_its_creation_until_it_is_confirmed_gone(at: Make) -> None:
    engine = at(sweep_exclusive=True, sweep="Report")
    vm = a_leak(created_at_ms=engine.now - 10 * 60_000)
    for _ in range(85):
        engine.listed(vm, after_ms=TWO_MINUTES)
    engine.listed(after_ms=TWO_MINUTES)
    assert leaked(engine) == PRICE * (10 + 86 * 2) // 60
    assert [one.at_ms - T0 for one in engine.spends] == [
        TWO_MINUTES,
        TWO_MINUTES + HOUR,
        TWO_MINUTES + 2 * HOUR,
        86 * TWO_MINUTES,
    ]
    assert {(one.policy, one.target) for one in engine.spends} == {("", "azure")}
    assert len({one.uid for one in engine.spends}) == len(engine.spends)
    assert engine.state.leaked_total_micro_usd == engine.state.settled_total_micro_usd == leaked(engine)


def test_what_is_not_known_to_be_ours_costs_somebody_else(at: Make) -> None:
    for target in ({"sweep_tags": TAGS}, {}):
        engine = at(**target)
        for _ in range(40):
            engine.listed(a_leak(created_at_ms=T0), after_ms=TWO_MINUTES)
        assert not engine.spends


def test_it_counts_in_the_targets_budget_and_the_clusters(at: Make) -> None:
    engine = at(sweep_exclusive=True, limits=Limits(budget=Budget(per_day_micro_usd=8 * PRICE)))
    engine.send(s.ClusterLimitsSeen(limits=Limits(budget=Budget(per_day_micro_usd=8 * PRICE))))
    engine.listed(a_leak(created_at_ms=engine.now - 10 * HOUR))  # two of which were yesterday
    engine.send(s.PodSeen(pod=a_pod()), after_ms=1_000)
    assert not engine.state.bursts
    assert "Budget" in engine.codes("bank/task-1")[-1]
    assert engine.state.scopes["Cluster", ""].account.settled_total_micro_usd == 10 * PRICE


def test_an_unknown_size_costs_what_the_dearest_known_one_does_or_what_the_target_assumes(at: Make) -> None:
    for target, price in (({}, 2 * PRICE), ({"assumed_price_micro_usd_per_hour": 5}, 5)):
        engine = at(sweep_exclusive=True, **target)
        engine.listed(a_leak(created_at_ms=engine.now - HOUR, size="Standard_New"))
        assert leaked(engine) == price


def test_a_restart_books_nothing_twice(at: Make) -> None:
    first = at(sweep_exclusive=True)
    vm = a_leak(created_at_ms=T0)
    for _ in range(35):
        first.listed(vm, after_ms=TWO_MINUTES)
    second = at(sweep_exclusive=True)
    second.now = first.now
    second.send(s.LedgerRestored(entries=tuple(first.spends)))
    assert second.state.leaked_total_micro_usd == leaked(first)
    second.listed(vm, after_ms=HOUR)
    second.listed(after_ms=TWO_MINUTES)
    assert leaked(first) + leaked(second) == PRICE * (second.now - T0) // HOUR


def test_a_vm_that_a_listing_forgets_for_a_while_is_paid_for_once_and_whole(at: Make) -> None:
    engine = at(sweep_exclusive=True, sweep="Report")
    vm = a_leak(created_at_ms=T0)
    for things in ((vm,), (vm,), (), (vm,), ()):
        engine.listed(*things, after_ms=GRACE)
    assert leaked(engine) == PRICE * 5 * GRACE // HOUR


def test_a_vm_of_a_burst_that_is_over_costs_from_then_on(at: Make) -> None:
    engine = at()
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid))
    engine.send(s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Gone"))
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert engine.phase() == "Released"
    paid = engine.spends[-1].micro_usd
    vm = a_leak(engine.burst().status.vms[0], created_at_ms=engine.now - HOUR)
    engine.listed(vm, after_ms=TWO_MINUTES)
    engine.listed(after_ms=1_000)
    assert engine.spends[-1].micro_usd == paid, "a listing that lags costs nothing"
    engine.listed(vm, after_ms=GRACE)
    engine.send(s.VmDeleted(target="azure", vm=vm.name), after_ms=60_000)
    released = engine.burst().status.released_at_ms or 0
    assert leaked(engine) - PRICE * (engine.now - released) // HOUR in {0, 1, 2}, "rounded up each time"


def test_a_restart_books_nothing_twice_though_another_target_of_the_group_is_listed_first(at: Make) -> None:
    first = at(sweep_exclusive=True, sweep="Report")
    vm = a_leak(created_at_ms=T0)
    for _ in range(35):
        first.listed(vm, after_ms=TWO_MINUTES)
    second = at(sweep_exclusive=True, sweep="Report")
    second.send(s.TargetSeen(target=a_target(name="sibling", sweep_exclusive=True)))
    second.send(s.OfferingsSeen(target="sibling", offerings=(an_offering(2, target="sibling"),)))
    second.now = first.now
    second.send(s.LedgerRestored(entries=tuple(first.spends)))
    second.listed(vm, after_ms=HOUR, target="sibling")
    second.listed(after_ms=TWO_MINUTES, target="sibling")
    assert leaked(first) + leaked(second) == PRICE * (second.now - T0) // HOUR


def test_a_target_that_goes_leaves_what_was_booked_to_the_next_of_its_group(at: Make) -> None:
    engine = at(sweep_exclusive=True, sweep="Report")
    engine.send(s.TargetSeen(target=a_target(name="sibling", sweep_exclusive=True)))
    engine.send(s.OfferingsSeen(target="sibling", offerings=(an_offering(2, target="sibling"),)))
    vm = a_leak(created_at_ms=T0)
    for _ in range(35):
        engine.listed(vm, after_ms=TWO_MINUTES)
    engine.send(s.TargetGone(name="azure"))
    engine.send(s.Tick(kind="gc"))
    engine.listed(vm, after_ms=HOUR, target="sibling")
    engine.listed(after_ms=TWO_MINUTES, target="sibling")
    assert leaked(engine) <= PRICE * (engine.now - T0) // HOUR
