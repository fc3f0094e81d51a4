"""Storms as they come: fifty pods of one broken image, a place that fails for everybody, and a controller that dies in the middle."""

import pytest

from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef, WorkloadRef
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


MINUTE = 60_000


def an_engine(*facts: s.Stimulus) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *facts,
    )
    return engine


def clear_away(engine: Engine, key: str) -> None:
    """A failed clone's pod and VM go."""
    burst = engine.burst(key)
    engine.send(s.StatusWritten(key=key, phase="Failed"), s.VmsObserved(key=key, vms=()))
    engine.send(s.PodDeleted(key=key, gone=True), s.VmsObserved(key=key, vms=()))
    engine.wait(MINUTE)  # until every listing shows what the kubelet may have started last
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released", burst


def try_and_fail(engine: Engine, key: str) -> int:
    """The kubelet tries for as long as it is let; return how many VMs that was."""
    engine.send(s.BurstRecorded(key=key, uid=f"u-{key}"), s.PodPlaced(key=key, pod_uid=f"p-{key}"))
    vms = 0
    while engine.phase(key) == "Provisioning":
        vms += 1
        failed = s.SandboxFailed(
            burst_key=key, pod_uid=f"p-{key}", count=vms, kind="Timeout", code="DeadlineExceeded", message="no agent"
        )
        engine.send(failed, after_ms=4 * MINUTE)
    clear_away(engine, key)
    return vms


def test_fifty_pods_of_one_broken_image_do_not_each_buy_a_vm_all_day() -> None:
    engine = an_engine()
    first = [s.PodSeen(pod=a_service_pod(f"web-{number}", "web")) for number in range(3)]
    engine.send(*first)
    vms = sum(try_and_fail(engine, key) for key in list(engine.state.bursts))
    assert vms == 3 * 3
    engine.send(*(s.PodSeen(pod=a_service_pod(f"web-{number}", "web")) for number in range(3, 50)))
    assert not engine.asked("RecordBurst")
    day = engine.now + 24 * 60 * MINUTE
    trials = 0
    while engine.now < day:
        engine.send(s.Tick(kind="evaluate"), after_ms=MINUTE)
        records = engine.asked("RecordBurst")
        assert len(records) <= 1
        for record in records:
            trials += 1
            assert try_and_fail(engine, record.burst.key) == 1
    assert trials <= 24 * 60 // 30, "one every half hour at most"
    assert engine.state.targets["azure"].tripped is None, "others may still go there"


def test_everything_that_is_tried_at_a_broken_place_is_ten_at_most_before_somebody_has_to_look() -> None:
    engine = an_engine()
    launches = 0
    for number in range(40):
        engine.send(s.PodSeen(pod=a_pod(f"task-{number}")))
        records = engine.asked("RecordBurst")
        launches += len(records)
        for record in records:
            key = record.burst.key
            engine.send(s.BurstRecorded(key=key, uid=f"u-{key}"), s.PodPlaced(key=key, pod_uid=f"p-{key}"))
            engine.wait(20 * MINUTE)
    assert engine.state.targets["azure"].tripped is not None
    assert launches <= 11
    assert engine.codes("bank/task-39") == ["BreakerOpen"]


def failed_record(number: int, reason: str = "NotReadyInTime", **status: int) -> Burst:
    name = f"web-{number}"
    spec = BurstSpec(
        policy="tasks",
        target="azure",
        strategy="Clone",
        pod_name=f"burst-{name}",
        for_pod=PodRef(name=name, uid=f"uid-{name}"),
        workload=WorkloadRef(api_version="apps/v1", kind="Deployment", name=f"w{number}"),
        region="westeurope",
        size="Standard_DC2es_v6",
        runtime_class="kata-remote",
        vcpus=2,
        price_micro_usd_per_hour=120_000,
        reserved_micro_usd=130_000,
        decided_at_ms=T0 - 70_000,
        lease_ms=3_000_000,
        drain_ms=600_000,
        launch_deadline_ms=300_000,
        ready_deadline_ms=900_000,
    )
    values = {"draining_at_ms": T0 - 1_000, "released_at_ms": T0 - 500, "settled_micro_usd": 5} | status
    done = BurstStatus(phase="Released", reason=reason, **values)
    return Burst(namespace="bank", name=f"burst-{name}", uid=f"u-{name}", spec=spec, status=done)


@pytest.mark.parametrize("reason", ["NotReadyInTime", "AdmissionMismatch", "SandboxStorm"])
def test_a_successor_counts_the_failures_that_the_records_tell_of(reason: str) -> None:
    engine = an_engine(*(s.BurstSeen(burst=failed_record(number, reason)) for number in range(3)))
    assert engine.state.launch_failures == [
        (T0 - 1_000, f"bank/Deployment/w{number}", "bank/tasks", "azure") for number in range(3)
    ]
    engine.send(s.PodSeen(pod=a_service_pod("bad-1", "bad")))
    key = engine.state.pods["bank/bad-1"].burst
    engine.send(s.BurstRecorded(key=key, uid="u"), s.PodPlaced(key=key, pod_uid="p"))
    engine.send(s.SandboxFailed(burst_key=key, pod_uid="p", count=3, kind="Timeout", code="", message=""))
    assert engine.state.targets["azure"].tripped is not None


def test_a_successor_does_not_count_what_was_no_failure_to_launch() -> None:
    records = [
        failed_record(0, "DemandGone"),
        failed_record(1, "NotReadyInTime", serving_at_ms=T0 - 60_000),
        failed_record(2, "AllocationFailed"),
    ]
    engine = an_engine(*(s.BurstSeen(burst=one) for one in records))
    assert engine.state.launch_failures == []
    assert engine.state.served_at_ms == {"azure": T0 - 60_000, "bank/tasks": T0 - 60_000}


@pytest.mark.parametrize(
    ("status", "want"),
    [
        ({"draining_at_ms": T0 + 99}, T0),
        ({"draining_at_ms": None}, T0 - 500),
        ({"draining_at_ms": None, "released_at_ms": None}, T0),
    ],
)
def test_a_failure_without_a_time_or_in_the_future_counts_as_of_now(status: dict[str, int], want: int) -> None:
    engine = an_engine(s.BurstSeen(burst=failed_record(0, **status)))
    assert [one[0] for one in engine.state.launch_failures] == [want]


def test_late_news_of_a_burst_that_has_failed_is_not_counted_again() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web")))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="u"), s.PodPlaced(key=key, pod_uid="p"))
    failed = s.SandboxFailed(burst_key=key, pod_uid="p", count=3, kind="Timeout", code="", message="")
    engine.send(failed, failed)
    engine.send(failed)
    assert engine.state.failing["bank/Deployment/web"].failures == 1
    assert len(engine.state.launch_failures) == 1
    assert engine.state.parked["bank/web-1"][1] == 1


def test_a_refused_size_is_no_storm_and_the_pod_goes_to_the_next() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web")))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="u"), s.PodPlaced(key=key, pod_uid="p"))
    engine.send(s.SandboxFailed(burst_key=key, pod_uid="p", count=99, kind="Quota", code="QuotaExceeded", message=""))
    assert (engine.state.failing, engine.state.launch_failures, engine.state.parked) == ({}, [], {})
