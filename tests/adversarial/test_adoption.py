"""A record found at start, in every phase, with its cloud pod there, ended or missing: the successor goes on where the other stopped."""

from typing import Any

import pytest

from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef
from burster.model.triggers import WorkloadRef
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering


def a_record(strategy: str, phase: str, **status: Any) -> Burst:
    pod = "task-1" if strategy == "Move" else "web-1"
    placed = {"pod_uid": "p-1", "placed_at_ms": T0 - 60_000} if phase not in {"Reserved", "Placing"} else {}
    spec = BurstSpec(
        policy="tasks",
        target="azure",
        strategy=strategy,
        pod_name=pod if strategy == "Move" else "burst-web-1-0123abcd",
        for_pod=PodRef(name=pod, uid=f"uid-{pod}"),
        workload=WorkloadRef(api_version="apps/v1", kind="Deployment", name="on-prem-deployment")
        if strategy == "Clone"
        else None,
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
    values = {"phase": phase, "reserved_micro_usd": 130_000, "lease_until_ms": T0 + 3_000_000} | placed | status
    return Burst(namespace="bank", name="burst-1", uid="b-1", spec=spec, status=BurstStatus(**values))


def adopt(record: Burst, cloud_pod: str = "", *facts: s.Stimulus, policy: bool = True, **pod: Any) -> Engine:
    engine = Engine()
    seen: list[s.Stimulus] = [s.PolicySeen(policy=a_policy())] if policy else []
    seen += [s.TargetSeen(target=a_target()), s.OfferingsSeen(target="azure", offerings=(an_offering(2),))]
    seen.append(s.BurstSeen(burst=record))
    if cloud_pod:
        values = {"pod_uid": "p-1", "size": record.spec.size, "runtime_class": "kata-remote"} | pod
        seen.append(s.CloudPodSeen(burst_uid="b-1", burst_key=record.key, phase=cloud_pod, **values))
    engine.sync(*seen, *facts)
    return engine


def asked(engine: Engine) -> set[str]:
    return {type(one).__name__ for one in engine.instructions} - {"EmitEvent", "WriteStatus"}


@pytest.mark.parametrize("strategy", ["Clone", "Move"])
@pytest.mark.parametrize(
    ("phase", "cloud_pod", "want_phase", "want_asked"),
    [
        pytest.param("Reserved", "", "Placing", {"PlacePod"}, id="recorded, perhaps placed"),
        pytest.param("Reserved", "Pending", "Placing", {"PlacePod"}, id="recorded, and placed in truth"),
        pytest.param("Placing", "", "Placing", {"PlacePod"}, id="being placed"),
        pytest.param("Placing", "Running", "Placing", {"PlacePod"}, id="placed, the answer lost"),
        pytest.param("Provisioning", "Pending", "Provisioning", set(), id="waiting for its VM"),
        pytest.param("Provisioning", "Running", "Attesting", {"ObserveVms"}, id="running meanwhile"),
        pytest.param("Provisioning", "", "Releasing", {"ObserveVms"}, id="placed, and deleted meanwhile"),
        pytest.param("Attesting", "Running", "Attesting", {"ObserveVms"}, id="being verified"),
        pytest.param("Attesting", "", "Releasing", {"ObserveVms"}, id="deleted while being verified"),
        pytest.param("Serving", "", "Releasing", {"ObserveVms"}, id="deleted while serving"),
        pytest.param("Releasing", "", "Releasing", {"ObserveVms"}, id="gone, VMs to be confirmed"),
    ],
)
def test_a_successor_asks_for_what_the_phase_needs(
    strategy: str, phase: str, cloud_pod: str, want_phase: str, want_asked: set[str]
) -> None:
    pending = a_pod() if strategy == "Move" else a_service_pod("web-1")
    facts = [s.PodSeen(pod=pending)] if strategy == "Clone" or phase in {"Reserved", "Placing"} else []
    engine = adopt(a_record(strategy, phase), cloud_pod, *facts)
    assert engine.phase("bank/burst-1") == want_phase
    assert asked(engine) == want_asked | (
        {"RecordBurst"} if want_phase == "Releasing" and strategy == "Clone" else set()
    )
    account = engine.state.policies["bank/tasks"].account
    assert account.outstanding_micro_usd == 130_000 * len(engine.state.bursts)


@pytest.mark.parametrize("phase", ["Provisioning", "Attesting", "Serving"])
@pytest.mark.parametrize("outcome", ["Succeeded", "Failed"])
def test_a_task_that_ended_while_nobody_watched_is_over_and_not_brought_home(phase: str, outcome: str) -> None:
    engine = adopt(a_record("Move", phase), outcome)
    assert (engine.phase(), engine.burst().status.outcome) == ("Releasing", outcome)
    engine.send(s.VmsObserved(key="bank/burst-1", vms=()))
    assert engine.phase() == "Released"
    assert not engine.asked("ReturnPod")


@pytest.mark.parametrize("phase", ["Draining", "Failed", "Lost"])
def test_a_task_that_ended_by_itself_while_it_was_being_stopped_is_not_brought_home(phase: str) -> None:
    engine = adopt(a_record("Move", phase), "Succeeded", terminating=True)
    assert (engine.phase(), engine.burst().status.outcome) == ("Releasing", "Succeeded")
    assert not engine.asked("DeletePod")


@pytest.mark.parametrize("phase", ["Draining", "Failed", "Lost"])
def test_a_task_that_was_stopped_comes_home_although_its_pod_says_failed(phase: str) -> None:
    engine = adopt(a_record("Move", phase), "Failed", terminating=True)
    assert "DeletePod" in asked(engine), "its finalizer is taken off"
    engine.send(s.VmsObserved(key="bank/burst-1", vms=()))
    engine.send(s.CloudPodGone(burst_uid="b-1", burst_key="bank/burst-1", pod_uid="p-1"))
    engine.send(s.VmsObserved(key="bank/burst-1", vms=()))
    assert engine.asked("ReturnPod")


@pytest.mark.parametrize("phase", ["Draining", "Failed", "Lost"])
@pytest.mark.parametrize("strategy", ["Clone", "Move"])
def test_a_stop_is_gone_on_with(phase: str, strategy: str) -> None:
    engine = adopt(a_record(strategy, phase, vms=("podvm-x-0123abcd",), vm_started_at_ms=T0 - 50_000), "Running")
    assert asked(engine) == {"DeletePod"}, "the record says that it ends: nothing needs to be waited for"


def test_a_stopped_task_whose_pod_is_gone_comes_home_once_its_vm_is_gone() -> None:
    record = a_record("Move", "Draining")
    engine = adopt(record)
    assert asked(engine) == {"ObserveVms"}
    engine.send(s.VmsObserved(key=record.key, vms=(a_vm(record, created_at=T0 - 50_000),)))
    assert not engine.asked("ReturnPod"), "the task may still be at work in that VM"
    engine.wait(5_000)
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert asked(engine) == {"ReturnPod"}
    engine.send(s.PodReturned(key=record.key))
    assert engine.phase() == "Releasing", (
        "the kubelet may have tried again until the pod was gone: no listing shows that at once"
    )
    engine.wait(55_000)
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert engine.phase() == "Released"
    assert engine.spends[0].micro_usd == -(-120_000 * 55_000 // 3_600_000)


def test_a_clone_that_nobody_waits_for_any_more_is_used_for_its_sibling_before_it_is_ended() -> None:
    engine = adopt(a_record("Clone", "Provisioning"), "Pending", s.PodSeen(pod=a_service_pod("web-2")))
    assert engine.state.bursts["bank/burst-1"].covers == "bank/web-2"
    engine = adopt(a_record("Clone", "Provisioning"), "Pending")
    assert engine.phase() == "Draining"


def test_a_serving_clone_that_nobody_waits_for_is_kept_for_the_cooldown() -> None:
    engine = adopt(a_record("Clone", "Serving", serving_at_ms=T0), "Running")
    assert asked(engine) == {"MarkVerified"}
    engine.wait(299_999)
    assert engine.phase() == "Serving"
    engine.wait(1)
    assert engine.phase() == "Draining"


def test_a_pod_that_was_queued_before_its_record_was_read_is_not_burst_twice() -> None:
    engine = Engine()
    engine.send(s.PolicySeen(policy=a_policy()), s.TargetSeen(target=a_target()), s.PodSeen(pod=a_pod()))
    engine.send(s.OfferingsSeen(target="azure", offerings=(an_offering(2),)))
    engine.sync(s.BurstSeen(burst=a_record("Move", "Placing")))
    assert list(engine.state.bursts) == ["bank/burst-1"]


def test_what_the_ledger_knows_as_settled_is_not_settled_again() -> None:
    engine = Engine()
    spend = s.Spend(burst="bank/burst-1", uid="b-1", policy="bank/tasks", target="azure", at_ms=T0, micro_usd=77)
    engine.send(s.LedgerRestored(entries=(spend,)))
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.BurstSeen(burst=a_record("Move", "Releasing")),
    )
    assert engine.phase() == "Released"
    assert engine.burst().status.settled_micro_usd == 77
    assert engine.spends == []
    account = engine.state.policies["bank/tasks"].account
    assert (account.outstanding_micro_usd, account.settled_total_micro_usd) == (0, 77)


def test_a_lost_ledger_is_made_good_from_the_records_that_are_left() -> None:
    record = a_record("Move", "Released", settled_micro_usd=500, released_at_ms=T0 - 1_000)
    engine = Engine()
    engine.sync(s.BurstSeen(burst=record), s.PolicySeen(policy=a_policy()))
    engine.send(s.TargetSeen(target=a_target()))
    assert [spend.micro_usd for spend in engine.spends] == [500]
    assert engine.state.targets["azure"].account.settled_total_micro_usd == 500, (
        "a target that is seen later knows it too"
    )


def test_a_burst_whose_policy_went_while_nobody_watched_comes_home() -> None:
    engine = adopt(a_record("Move", "Serving"), "Running", policy=False)
    assert (engine.phase(), engine.burst().status.reason) == ("Draining", "PolicyGone")


def test_a_record_that_was_deleted_while_nobody_watched_is_brought_to_its_end_and_let_go() -> None:
    record = a_record("Clone", "Serving", vms=("podvm-x-0123abcd",))
    engine = adopt(
        Burst(namespace="bank", name="burst-1", uid="b-1", spec=record.spec, status=record.status, deleting=True),
        "Running",
    )
    assert engine.phase() == "Draining"
    engine.send(s.CloudPodGone(burst_uid="b-1", burst_key=record.key, pod_uid="p-1"))
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert engine.asked("ForgetBurst"), "its owner waits for the finalizer"


def test_a_lease_that_ran_out_long_ago_is_renewed_once_for_all_the_time() -> None:
    engine = adopt(a_record("Move", "Serving", lease_until_ms=T0 - 86_400_000), "Running")
    assert engine.codes().count("LeaseRenewed") == 1
    status = engine.burst().status
    assert engine.now < status.lease_until_ms <= engine.now + 3_300_000
    assert engine.state.policies["bank/tasks"].account.outstanding_micro_usd == status.reserved_micro_usd
