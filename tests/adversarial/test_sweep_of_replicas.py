"""The VMs of a scaled workload's replicas have no record, and are nobody's waste while they are as many as the replicas."""

from burster.model import stimuli as s
from burster.model.offerings import Vm
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from tests.support.builders import Engine, a_policy, a_target, a_workload, an_offering


GRACE = 300_000


def an_engine(replicas: int) -> Engine:
    engine = Engine()
    policy = a_policy(
        triggers=(ExternalTrigger(name="queue"),),
        workload=WorkloadSelector(),
        scaling=Scaling(target=WorkloadRef(name="cloud"), min_replicas=replicas, max_replicas=replicas),
        placement=Placement(targets=("azure",), strategy="Scale"),
    )
    offerings = s.OfferingsSeen(target="azure", offerings=(an_offering(2),))
    engine.sync(s.TargetSeen(target=a_target()), offerings, s.PolicySeen(policy=policy), a_workload(replicas))
    return engine


def a_vm(name: str, created_at_ms: int | None) -> Vm:
    return Vm(
        name=name,
        resource_id=name,
        region="westeurope",
        size="x",
        provisioning_state="Succeeded",
        created_at_ms=created_at_ms,
    )


def listed(engine: Engine, *vms: Vm, after_ms: int = 0, target: str = "azure") -> list[str]:
    before = len(engine.decisions)
    engine.now += after_ms
    engine.send(s.CloudListed(target=target, listed_at_ms=engine.now, vms=vms))
    assert not engine.asked("DeleteVm")
    return [one.subject for one in engine.decisions[before:] if one.verdict == "Sweep"]


def test_as_many_as_there_are_replicas_are_theirs() -> None:
    engine = an_engine(2)
    old = engine.now - 3_600_000
    ours = (a_vm("podvm-cloud-7d4f-aaaaa-0123abcd", old), a_vm("podvm-cloud-7d4f-bbbbb-0123abcd", old))
    another = a_vm("podvm-cloudy-7d4f-ccccc-0123abcd", old)
    assert listed(engine, *ours, another) == [another.name]
    assert listed(engine, *ours, another, after_ms=2 * GRACE) == []


def test_one_too_many_is_told_after_the_grace_from_when_it_was_one_too_many() -> None:
    engine = an_engine(1)
    old = a_vm("podvm-cloud-7d4f-aaaaa-0123abcd", engine.now - 3_600_000)
    young = a_vm("podvm-cloud-7d4f-bbbbb-0123abcd", engine.now - 60_000)
    assert listed(engine, old) == []
    assert listed(engine, old, young, after_ms=1_000) == []
    assert listed(engine, old, young, after_ms=GRACE - 1) == []
    assert listed(engine, old, young, after_ms=1) == [old.name]
    assert listed(engine, old, young, after_ms=GRACE) == []
