"""What is in the cloud and nobody claims: deleted only where it surely was a burst's, reported once otherwise."""

import pytest

from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.offerings import Vm
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from tests.support.builders import (
    Engine,
    a_pod,
    a_policy,
    a_service_pod,
    a_target,
    a_vm,
    a_workload,
    an_offering,
)


GRACE = 300_000


def a_released(engine: Engine, pod: object = None) -> Burst:
    engine.send(s.PodSeen(pod=pod or a_pod()))
    key = list(engine.state.bursts)[-1]
    burst = engine.to_serving(key)
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=key, pod_uid=burst.status.pod_uid))
    for name in list(engine.state.pods):
        namespace, _, left = name.partition("/")
        engine.send(s.PodLeft(namespace=namespace, name=left, uid=f"uid-{left}", why="Gone"))
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released"
    return engine.burst(key)


def listed(engine: Engine, *vms: Vm, after_ms: int = 0, target: str = "azure") -> None:
    engine.now += after_ms
    engine.send(s.CloudListed(target=target, listed_at_ms=engine.now, vms=vms))


def stranger(name: str = "podvm-someone-0123abcd", **changes: object) -> Vm:
    values = {"name": name, "resource_id": name, "region": "westeurope", "size": "x", "provisioning_state": "Succeeded"}
    return Vm(**(values | changes))


def test_a_vm_that_outlives_its_released_burst_is_deleted_after_the_grace(ready: Engine) -> None:
    burst = a_released(ready)
    vm = a_vm(burst, created_at=ready.now - 900_000)
    listed(ready, vm, after_ms=GRACE - 1)
    assert not ready.asked("DeleteVm"), "counted from its release, not from its birth"
    listed(ready, vm, after_ms=1)
    assert [one.vm for one in ready.asked("DeleteVm")] == [vm.name]
    listed(ready, vm, after_ms=120_000)
    assert not ready.asked("DeleteVm"), "its deletion is under way"
    ready.send(
        s.InstructionFailed(instruction="DeleteVm", key=f"sweep/azure/{vm.name}", subject="azure", kind="Timeout")
    )
    listed(ready, vm, after_ms=120_000)
    assert ready.asked("DeleteVm"), "and is asked for again once it has failed"


def test_a_vm_of_unknown_age_is_given_the_grace_from_when_it_was_first_seen(ready: Engine) -> None:
    burst = a_released(ready)
    ready.now += 3_000_000
    vm = a_vm(burst, created_at=0, created_at_ms=None)
    listed(ready, vm)
    listed(ready, vm, after_ms=GRACE - 1)
    assert not ready.asked("DeleteVm")
    listed(ready, vm, after_ms=1)
    assert ready.asked("DeleteVm")


def test_listings_of_two_targets_do_not_make_each_other_forget(ready: Engine) -> None:
    ready.send(s.TargetSeen(target=a_target(name="other")))
    vm = stranger()
    for _ in range(4):
        listed(ready, vm, after_ms=100_000)
        listed(ready, target="other")
    assert ready.codes(vm.name) == ["VmUnclaimed"], "reported once, after its grace, however often it is seen"


@pytest.mark.parametrize("created", [None, 0])
def test_a_vm_of_another_cluster_is_reported_once_and_never_touched(ready: Engine, created: int | None) -> None:
    vm = stranger(created_at_ms=created)
    for _ in range(6):
        listed(ready, vm, after_ms=120_000)
        assert not ready.asked("DeleteVm")
    assert ready.codes(vm.name) == ["VmUnclaimed"]


def test_a_vm_of_a_name_that_a_moved_pod_had_is_somebody_elses_unless_it_was_seen(ready: Engine) -> None:
    a_released(ready)
    ready.now += GRACE
    theirs = stranger("podvm-task-1-ffffffff", created_at_ms=ready.now - GRACE)
    listed(ready, theirs)
    assert not ready.asked("DeleteVm"), "a user's own peer pod of that name: not ours to delete"
    assert ready.codes(theirs.name) == ["VmUnclaimed"]


def test_a_vm_that_was_never_seen_is_a_clones_by_its_name(ready: Engine) -> None:
    burst = a_released(ready, a_service_pod("web-1"))
    late = stranger(f"podvm-{burst.name}-ffffffff", created_at_ms=ready.now)
    listed(ready, late, after_ms=GRACE)
    assert [one.vm for one in ready.asked("DeleteVm")] == [late.name]


def test_a_vm_that_an_active_burst_may_claim_is_spared_whoever_had_the_name_before(ready: Engine) -> None:
    former = a_released(ready)
    ready.send(s.PodSeen(pod=a_pod(uid="uid-2")))
    key = list(ready.state.bursts)[-1]
    burst = ready.to_serving(key)
    assert (burst.spec.pod_name, burst.key) != (former.spec.pod_name, former.key)
    ready.now += 10 * GRACE
    listed(ready, a_vm(burst, created_at=0))
    assert not ready.asked("DeleteVm")
    assert not [one for one in ready.decisions if one.verdict == "Sweep"]


def test_where_the_target_says_report_nothing_is_deleted() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(sweep="Report")),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    burst = a_released(engine)
    vm = a_vm(burst, created_at=0)
    for _ in range(3):
        listed(engine, vm, after_ms=GRACE)
        assert not engine.asked("DeleteVm")
    assert engine.codes(vm.name) == ["VmUnclaimed"]


def test_a_vm_that_outlives_its_pod_is_deleted_before_the_burst_is_released(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    vm = a_vm(burst, created_at=ready.now)
    ready.send(ready.pod_event("Succeeded"))
    ready.send(s.VmsObserved(key=burst.key, vms=(vm,)))
    assert not ready.asked("DeleteVm")
    ready.wait(GRACE)
    ready.send(s.VmsObserved(key=burst.key, vms=(vm,)))
    assert [one.vm for one in ready.asked("DeleteVm")] == [vm.name]
    ready.wait(60_000)
    ready.send(s.VmsObserved(key=burst.key, vms=(vm,)))
    assert not ready.asked("DeleteVm"), "once is enough"
    ready.send(s.VmDeleted(target="azure", vm=vm.name))
    ready.wait(60_000)
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.phase() == "Released"


def test_nothing_is_listed_before_every_record_is_known() -> None:
    engine = Engine()
    engine.send(s.TargetSeen(target=a_target()), s.Tick(kind="gc"))
    assert not engine.asked("ListCloud")
    engine.send(s.CloudListed(target="azure", listed_at_ms=engine.now, vms=(stranger(created_at_ms=0),)))
    assert not engine.decisions
    engine.sync()
    engine.send(s.Tick(kind="gc"), s.Tick(kind="gc"))
    assert len(engine.asked("ListCloud")) == 1


def test_where_nothing_is_swept_a_vm_that_outlived_its_pod_is_told_once_and_the_burst_waits() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(sweep="Report")),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    left = a_vm(burst, created_at=engine.now)
    engine.send(engine.pod_event("Succeeded"), after_ms=1_000)
    for _ in range(4):
        engine.send(s.VmsObserved(key=burst.key, vms=(left,)), after_ms=200_000)
    told = [decision for decision in engine.decisions if decision.verdict == "Sweep"]
    assert [decision.reasons[0].code for decision in told] == ["VmLeftBehind"]
    assert engine.phase() == "Releasing"
    engine.send(s.VmsObserved(key=burst.key, vms=()), after_ms=1_000)
    assert engine.phase() == "Released"


def test_a_vm_that_outlives_a_burst_is_swept_whatever_a_scaled_workload_is_called() -> None:
    """The moved task cloud-task-1 left its VM behind; the scaled workload is called cloud, and its one replica's VM is older."""
    engine = Engine()
    scale = a_policy(
        "scale",
        triggers=(ExternalTrigger(name="queue"),),
        workload=WorkloadSelector(kind="Deployment", name="own"),
        scaling=Scaling(target=WorkloadRef(name="cloud"), min_replicas=1, max_replicas=1),
        placement=Placement(targets=("azure",), strategy="Scale"),
    )
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=scale),
        s.PolicySeen(policy=a_policy()),
        a_workload(1),
    )
    assert engine.state.scale_books, "the workload's replica is counted"
    engine.send(s.PodSeen(pod=a_pod("cloud-task-1")))
    key = engine.burst().key
    burst = engine.to_serving(key)
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=key, pod_uid=burst.status.pod_uid))
    engine.send(s.PodLeft(namespace="bank", name="cloud-task-1", uid="uid-cloud-task-1", why="Gone"))
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released"
    left = a_vm(engine.burst(key), created_at=engine.now - 600_000)
    replica = a_vm(engine.burst(key), created_at=engine.now - 3_600_000, name="podvm-cloud-7d4f-aaaaa-0123abcd")
    for _ in range(2):
        engine.send(s.CloudListed(target="azure", listed_at_ms=engine.now, vms=(left, replica)))
        engine.now += 600_000
    assert [one.vm for one in engine.asked("DeleteVm")] == [left.name]
    assert not [one for one in engine.decisions if one.subject == replica.name]
