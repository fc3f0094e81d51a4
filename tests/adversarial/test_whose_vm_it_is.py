"""Names of pod VMs are shared by every pod of one name: a VM is taken for a burst's own only where it can be."""

from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod, a_policy, a_target, a_vm, an_offering


def an_engine() -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(sweep="Delete")),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


def test_a_vm_made_after_the_pod_had_gone_is_another_pods_and_is_never_swept_or_billed() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()))
    first = engine.to_serving()
    engine.send(engine.pod_event("Succeeded", first.key), after_ms=60_000)
    own = a_vm(first, created_at=engine.now - 200_000)
    others = a_vm(first, created_at=engine.now + 1_000, name="podvm-task-1-bbbbbbbb")
    for _ in range(8):
        engine.send(s.VmsObserved(key=first.key, vms=(own, others)), after_ms=60_000)
        assert others.name not in {one.vm for one in engine.asked("DeleteVm")}
    assert others.name not in engine.burst(first.key).status.vms
    engine.send(s.VmsObserved(key=first.key, vms=(others,)), after_ms=1_000)
    assert engine.phase(first.key) == "Released", "what is left is not its own"


def test_a_vm_that_another_burst_is_known_to_use_is_not_taken_over() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod(namespace="bank")))
    serving = engine.to_serving()
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    other = next(key for key in engine.state.bursts if key != serving.key)
    burst = engine.burst(other)
    engine.send(s.BurstRecorded(key=other, uid="b-2"))
    engine.send(s.PodPlaced(key=other, pod_uid="p-2"))
    engine.send(engine.pod_event("Running", other), after_ms=60_000)
    theirs = a_vm(burst, created_at=engine.now - 1_000, name=engine.burst(serving.key).status.vms[0])
    engine.send(s.VmsObserved(key=other, vms=(theirs,)))
    assert engine.phase(other) == "Attesting", "it has not been shown a VM of its own"
    assert engine.burst(other).status.vms == ()
