"""Runs whose answers are integers that anybody can work out with a pencil."""

import pytest

from burster.simulator.run import Outcome, simulate
from burster.simulator.summary import summarise


def waits_s(outcome: Outcome) -> list[float]:
    return [(pod.served_at_ms - pod.arrived_ms) / 1000 for pod in outcome.world.pods]


def places(outcome: Outcome) -> list[str]:
    return [pod.served_by for pod in outcome.world.pods]


def test_arrivals_that_never_meet_never_wait(build, make_task):
    outcome = simulate(build(*(make_task(10 * n, 9) for n in range(20))))
    assert waits_s(outcome) == [0] * 20
    assert outcome.cloud.launches == 0


def test_an_arrival_at_the_instant_of_a_finish_finds_the_room(build, make_task):
    outcome = simulate(build(make_task(0, 10), make_task(10, 10), make_task(20, 10)))
    assert waits_s(outcome) == [0, 0, 0]


@pytest.mark.parametrize(("slots", "rounds"), [(1, 4), (2, 3), (5, 6)])
def test_a_batch_waits_half_of_its_rounds_on_average(build, make_task, slots, rounds):
    batch = [make_task(0, 1, name=f"task-{n}") for n in range(slots * rounds)]
    outcome = simulate(build(*batch, nodes=slots, bursting=False))
    assert sum(waits_s(outcome)) / len(batch) == (rounds - 1) / 2
    assert outcome.ended_ms == rounds * 1000


def test_a_burst_waits_for_the_rule_and_the_boot_and_costs_its_vms_life(build, make_task):
    setup = build(make_task(0, 1000), make_task(1, 100))
    outcome = simulate(setup)
    assert places(outcome) == ["on-prem", "cloud"]
    assert waits_s(outcome) == [0, 5 + 60 + 10]
    (vm,) = outcome.cloud.gone
    assert (vm.created_ms, vm.gone_ms, vm.work_ms) == (6_000, 6_000 + 60_000 + 10_000 + 100_000 + 30_000, 100_000)
    summary = summarise(setup, outcome, 1.0)
    assert summary["cost_usd"]["compute"] == pytest.approx(0.2)
    assert summary["cost_usd"]["idle"] == pytest.approx(0.1)
    assert summary["cloud"]["vm_hours"] == pytest.approx(200 / 3600, abs=1e-6)


def test_room_within_the_rules_delay_keeps_a_pod_at_home(build, make_task):
    outcome = simulate(build(make_task(0, 5), make_task(1, 100)))
    assert places(outcome) == ["on-prem", "on-prem"]
    assert outcome.cloud.launches == 0


def test_no_policy_costs_nothing_and_is_first_come_first_served(build, make_task):
    setup = build(*(make_task(n, 10) for n in range(5)), bursting=False)
    outcome = simulate(setup)
    assert waits_s(outcome) == [0, 9, 18, 27, 36]
    assert summarise(setup, outcome, 1.0)["cost_usd"]["total"] == 0
    assert outcome.denials == {"NoPolicy": 4}, "each pod that waits is told once that no rule is about it"
    assert outcome.verdicts == {"Deny": 4, "Resolved": 4}


def test_with_no_room_at_all_every_pod_is_paid_for(build, make_task):
    setup = build(*(make_task(100 * n, 30 + n, cores=2) for n in range(8)), cores=1)
    outcome = simulate(setup)
    assert places(outcome) == ["cloud"] * 8
    assert waits_s(outcome) == [75] * 8
    paid_ms = sum(60_000 + 10_000 + (30 + n) * 1000 + 30_000 for n in range(8))
    assert summarise(setup, outcome, 1.0)["cost_usd"]["compute"] * 1_000_000 == pytest.approx(paid_ms)
    assert outcome.timeline.cpu_millicore_ms == 0


def test_a_quota_is_never_exceeded_and_the_rest_waits(build, make_task):
    tasks = [make_task(0, 600, name=f"task-{n}") for n in range(6)]
    setup = build(*tasks, cloud={"quota_vcpus": {"cores": 8}})
    outcome = simulate(setup)
    assert outcome.cloud.peak_vms == 2
    assert summarise(setup, outcome, 1.0)["pods"]["unserved"] == 0


def test_a_limit_of_bursts_is_never_exceeded(build, make_task):
    tasks = [make_task(0, 600, name=f"task-{n}") for n in range(6)]
    outcome = simulate(build(*tasks, max_bursts=1))
    assert outcome.cloud.peak_vms == 1
    assert "PolicyMaxBursts" in outcome.denials


def test_a_cloud_that_never_delivers_costs_nothing_and_loses_nobody(build, make_task):
    setup = build(
        make_task(0, 3000),
        make_task(1, 100),
        cloud={"failure_probability": 1.0, "failure_mix": {"AllocationFailed": 1}},
    )
    outcome = simulate(setup)
    assert places(outcome) == ["on-prem", "on-prem"]
    assert outcome.cloud.failures["AllocationFailed"] == outcome.cloud.launches > 0
    summary = summarise(setup, outcome, 1.0)
    assert summary["cost_usd"]["total"] == 0
    assert summary["cloud"]["left_at_end"] == 0


def test_a_clone_stands_in_until_its_replica_finds_room_and_then_comes_home(build, make_task, make_service):
    setup = build(make_task(0, 300), make_service(0, 1))
    outcome = simulate(setup)
    replica = outcome.world.pods[1]
    assert (replica.served_by, replica.served_at_ms) == ("cloud", 75_000)
    (vm,) = outcome.cloud.gone
    assert vm.work_ms == 300_000 - 75_000
    assert vm.gone_ms == 300_000 + 60_000 + 30_000  # the cool-down, then the deletion
    assert outcome.world.onprem.running == 1


def test_scaling_away_a_waiting_replica_leaves_it_unserved(build, make_task, make_service):
    setup = build(make_task(0, 300), make_service(0, 1), make_service(2, 0))
    outcome = simulate(setup)
    assert places(outcome) == ["on-prem", ""]
    assert summarise(setup, outcome, 1.0)["pods"]["unserved"] == 1
    assert outcome.cloud.launches == 0


def test_scaling_down_takes_who_waits_before_who_runs(build, make_service):
    outcome = simulate(build(make_service(0, 3), make_service(10, 2), nodes=2, bursting=False))
    assert places(outcome) == ["on-prem", "on-prem", ""]
    assert [pod.gone for pod in outcome.world.pods] == [False, False, True]
    assert outcome.world.onprem.running == 2


def test_a_pod_too_large_for_everything_ends_unserved(build, make_task):
    setup = build(make_task(0, 10), make_task(1, 10, cores=64))
    outcome = simulate(setup)
    assert places(outcome) == ["on-prem", ""]
    assert outcome.world.onprem.pending == 1
    assert outcome.denials


def test_doubling_the_price_doubles_the_cost(build, make_task):
    tasks = [make_task(n, 50 + n, name=f"task-{n}") for n in range(10)]
    one, two = build(*tasks), build(*tasks, price=7_200_000)
    cost = [summarise(setup, simulate(setup), 1.0)["cost_usd"]["compute"] for setup in (one, two)]
    assert cost[1] == pytest.approx(2 * cost[0])
    assert cost[0] > 0


def test_starting_later_changes_nothing_but_the_clock(build, make_task):
    early = [make_task(n, 40, name=f"task-{n}") for n in range(10)]
    late = [make_task(3600 + n, 40, name=f"task-{n}") for n in range(10)]
    first, second = simulate(build(*early)), simulate(build(*late))
    assert waits_s(first) == waits_s(second)
    assert places(first) == places(second)
    assert second.ended_ms - first.ended_ms == 3_600_000
