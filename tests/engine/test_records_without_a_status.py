"""A record whose status was never written: its successor gives it what the decision gave, and counts no time since 1970."""

from typing import Any

import pytest

from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstStatus
from burster.model.limits import Budget
from burster.model.policies import Policy
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering


MINUTE = 60_000
HOURLY = a_policy(budget=Budget(per_hour_micro_usd=2_000_000))


def decided(strategy: str) -> Burst:
    """Return the record that a predecessor decided on at T0 and wrote, without the status, which is written apart from it."""
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=HOURLY),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_service_pod("web-1") if strategy == "Clone" else a_pod()),
    )
    burst = engine.burst()
    assert (burst.spec.strategy, burst.spec.decided_at_ms) == (strategy, T0)
    return Burst(namespace=burst.namespace, name=burst.name, uid="b-1", spec=burst.spec)


def adopt(record: Burst, *facts: s.Stimulus, after_ms: int, policy: Policy = HOURLY) -> Engine:
    engine = Engine()
    engine.now = T0 + after_ms
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.BurstSeen(burst=record),
        *facts,
    )
    return engine


def cloud_pod(record: Burst, phase: str, **changes: Any) -> s.CloudPodSeen:
    values = {
        "burst_uid": record.uid,
        "burst_key": record.key,
        "pod_uid": "p-1",
        "phase": phase,
        "size": record.spec.size,
        "runtime_class": record.spec.runtime_class,
        "node_name": "worker-1",
        "created_at_ms": T0 + 1_000,
    }
    return s.CloudPodSeen(**(values | changes))


@pytest.mark.parametrize("strategy", ["Clone", "Move"])
@pytest.mark.parametrize("after_ms", [0, MINUTE, 54 * MINUTE])
def test_its_lease_is_the_one_that_it_was_decided_with(strategy: str, after_ms: int) -> None:
    record = decided(strategy)
    engine = adopt(record, s.PodSeen(pod=a_service_pod("web-1") if strategy == "Clone" else a_pod()), after_ms=after_ms)
    status = engine.burst(record.key).status
    assert status.lease_until_ms == T0 + 300_000 + 3_000_000
    assert status.reserved_micro_usd == record.spec.reserved_micro_usd
    written = engine.asked("WriteStatus")[-1].burst.status
    assert (written.lease_until_ms, written.reserved_micro_usd) == (status.lease_until_ms, status.reserved_micro_usd)


def test_its_renewal_is_of_one_period_and_bars_nobody() -> None:
    record = decided("Clone")
    engine = adopt(record, s.PodSeen(pod=a_service_pod("web-1")), after_ms=10_000)
    engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
    engine.send(cloud_pod(record, "Running"), after_ms=MINUTE)
    vm = a_vm(record, created_at=T0 + 20_000)
    engine.send(s.VmsObserved(key=record.key, vms=(vm,)))
    assert engine.phase(record.key) == "Serving"
    engine.wait(40 * MINUTE)
    assert "LeaseRenewed" not in engine.codes(), "the first lease and its launch have 55 minutes"
    engine.wait(10 * MINUTE)
    assert engine.codes().count("LeaseRenewed") == 1
    assert engine.burst(record.key).status.lease_until_ms == T0 + 300_000 + 2 * 3_000_000
    engine.send(s.PodSeen(pod=a_service_pod("db-1", deployment="db")))
    assert "BudgetHeldOff" not in engine.codes()
    assert engine.codes("bank/db-1")[-1] == "Pending"


def test_a_lease_that_ended_before_anybody_came_is_renewed_for_the_time_since_the_decision() -> None:
    record = decided("Move")
    engine = adopt(record, s.PodSeen(pod=a_pod()), after_ms=3 * 60 * MINUTE, policy=a_policy())
    engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
    engine.wait(1)
    assert engine.codes().count("LeaseRenewed") == 1
    assert engine.now < engine.burst(record.key).status.lease_until_ms <= engine.now + 3_300_000


def test_what_was_written_is_kept() -> None:
    record = decided("Clone")
    status = BurstStatus(phase="Placing", reserved_micro_usd=7, lease_until_ms=T0 + 1_000_000)
    written = Burst(namespace=record.namespace, name=record.name, uid="b-1", spec=record.spec, status=status)
    engine = adopt(written, s.PodSeen(pod=a_service_pod("web-1")), after_ms=1_000)
    now = engine.burst(record.key).status
    assert (now.lease_until_ms, now.reserved_micro_usd) == (T0 + 1_000_000, 7)


def test_a_pod_that_its_predecessor_placed_has_the_deadline_from_its_own_creation() -> None:
    record = decided("Clone")
    engine = adopt(record, s.PodSeen(pod=a_service_pod("web-1")), cloud_pod(record, "Pending"), after_ms=10 * MINUTE)
    engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
    assert engine.burst(record.key).status.placed_at_ms == T0 + 1_000
    engine.wait(5 * MINUTE)
    assert engine.phase(record.key) == "Provisioning"
    engine.wait(1_000)
    assert engine.burst(record.key).status.reason == "NotReadyInTime"


def test_a_pod_that_nobody_has_seen_is_placed_when_its_placing_is_answered() -> None:
    record = decided("Clone")
    engine = adopt(record, s.PodSeen(pod=a_service_pod("web-1")), after_ms=10 * MINUTE)
    engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"), after_ms=1_000)
    assert engine.burst(record.key).status.placed_at_ms == T0 + 10 * MINUTE + 1_000


def test_a_clock_of_the_cluster_that_is_wrong_puts_no_placing_before_the_decision_nor_after_now() -> None:
    record = decided("Clone")
    for created_at_ms, want in ((T0 - MINUTE, T0), (T0 + 60 * MINUTE, T0 + 10 * MINUTE), (0, T0 + 10 * MINUTE)):
        pod = cloud_pod(record, "Pending", created_at_ms=created_at_ms)
        engine = adopt(record, s.PodSeen(pod=a_service_pod("web-1")), pod, after_ms=10 * MINUTE)
        engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
        assert engine.burst(record.key).status.placed_at_ms == want


def test_a_task_that_ran_and_ended_unwatched_costs_the_time_since_its_pod_was_made() -> None:
    record = decided("Move")
    engine = adopt(record, cloud_pod(record, "Succeeded"), after_ms=30 * MINUTE)
    engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
    assert engine.phase(record.key) == "Releasing"
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert engine.phase(record.key) == "Released"
    assert engine.spends[0].micro_usd == -(-120_000 * (30 * MINUTE - 1_000) // 3_600_000)


@pytest.mark.parametrize("phase", ["Provisioning", "Attesting", "Serving"])
def test_a_status_that_somebody_has_cut_keeps_its_deadline_and_its_cost(phase: str) -> None:
    record = decided("Clone")
    status = BurstStatus(phase=phase, pod_uid="p-1", vms=("podvm-x-00000001",))
    cut = Burst(namespace=record.namespace, name=record.name, uid="b-1", spec=record.spec, status=status)
    engine = adopt(cut, s.PodSeen(pod=a_service_pod("web-1")), cloud_pod(record, "Running"), after_ms=10 * MINUTE)
    status = engine.burst(record.key).status
    assert (status.placed_at_ms, status.lease_until_ms) == (T0, T0 + 3_300_000)
    engine.send(s.CloudPodGone(burst_uid="b-1", burst_key=record.key, pod_uid="p-1"), after_ms=5 * MINUTE)
    engine.send(s.VmsObserved(key=record.key, vms=()))
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert engine.phase(record.key) == "Released"
    assert engine.spends[0].micro_usd == -(-120_000 * 15 * MINUTE // 3_600_000)


# -- what ran out while nobody was there


@pytest.mark.parametrize("written", [True, False])
def test_a_pod_that_came_up_unwatched_is_verified_although_its_deadline_has_passed(written: bool) -> None:
    record = decided("Move")
    status = BurstStatus(
        phase="Provisioning", reserved_micro_usd=1, lease_until_ms=T0 + 60 * MINUTE, pod_uid="p-1", placed_at_ms=T0
    )
    if written:
        record = Burst(namespace=record.namespace, name=record.name, uid="b-1", spec=record.spec, status=status)
    engine = adopt(record, cloud_pod(record, "Running"), after_ms=30 * MINUTE)
    if not written:
        engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
    assert (engine.phase(record.key), len(engine.asked("ObserveVms"))) == ("Attesting", 1)
    engine.send(s.VmsObserved(key=record.key, vms=(a_vm(record, created_at=T0 + MINUTE),)), after_ms=MINUTE)
    assert engine.phase(record.key) == "Serving"


def test_a_pod_that_came_up_unwatched_and_can_not_be_verified_is_given_up_all_the_same() -> None:
    record = decided("Move")
    engine = adopt(record, cloud_pod(record, "Running"), after_ms=30 * MINUTE)
    engine.send(s.PodPlaced(key=record.key, pod_uid="p-1"))
    engine.wait(5 * MINUTE - 1)
    assert engine.phase(record.key) == "Attesting"
    engine.wait(1)
    assert engine.burst(record.key).status.reason == "NotReadyInTime"


def test_a_renewal_after_a_long_absence_sets_aside_what_is_ahead_and_not_what_is_spent_already() -> None:
    policy = a_policy(budget=Budget(per_hour_micro_usd=400_000))
    record = decided("Clone")
    status = BurstStatus(
        phase="Serving",
        reserved_micro_usd=130_000,
        lease_until_ms=T0 + 55 * MINUTE,
        pod_uid="p-1",
        placed_at_ms=T0,
        serving_at_ms=T0 + MINUTE,
        vms=("podvm-x-00000001",),
        vm_started_at_ms=T0,
    )
    late = Burst(namespace=record.namespace, name=record.name, uid="b-1", spec=record.spec, status=status)
    pod = s.PodSeen(pod=a_service_pod("web-1"))
    engine = adopt(late, pod, cloud_pod(record, "Running"), after_ms=600 * MINUTE, policy=policy)
    assert engine.phase(record.key) == "Serving", engine.codes()
    assert engine.codes().count("LeaseRenewed") == 1
    until_ms = engine.burst(record.key).status.lease_until_ms
    assert engine.now < until_ms <= engine.now + 55 * MINUTE
    ahead = -(-120_000 * (until_ms - engine.now) // 3_600_000)
    account = engine.state.policies["bank/tasks"].account
    assert ahead <= account.outstanding_micro_usd <= ahead + 130_000
