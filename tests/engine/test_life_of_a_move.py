"""A pending bare pod moves to the cloud, works, ends; its VM is confirmed gone and its money settled."""

from burster.model import stimuli as s
from tests.support.builders import T0, Engine, a_pod, a_vm


def test_the_record_comes_first_then_the_pod_then_the_proof(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    assert [type(i).__name__ for i in ready.instructions if type(i).__name__ != "EmitEvent"] == ["RecordBurst"]
    burst = ready.burst()
    assert (burst.spec.strategy, burst.spec.size, burst.status.phase) == ("Move", "Standard_DC2es_v6", "Reserved")

    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    assert ready.asked("PlacePod")
    assert ready.phase() == "Placing"
    ready.send(s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Gone"))
    ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    assert ready.phase() == "Provisioning"
    ready.send(ready.pod_event("Running"), after_ms=60_000)
    assert ready.phase() == "Attesting"
    assert ready.asked("ObserveVms")
    ready.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=T0 + 10_000),)))
    assert ready.phase() == "Serving"


def test_a_finished_task_settles_to_its_vms_real_time(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    created = ready.burst().status.vm_started_at_ms
    assert created is not None
    ready.send(ready.pod_event("Succeeded"), after_ms=600_000)
    assert ready.phase() == "Releasing"
    ready.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=created, provisioning_state="Deleting"),)))
    assert ready.phase() == "Releasing", "a VM that is still there is not released"
    ready.wait(5_000)
    assert ready.asked("ObserveVms")
    ready.send(s.VmsObserved(key=burst.key, vms=()), after_ms=1_000)
    status = ready.burst().status
    assert (status.phase, status.outcome) == ("Released", "Succeeded")
    assert status.settled_micro_usd == -(-120_000 * (ready.now - created) // 3_600_000)
    assert [spend.micro_usd for spend in ready.spends] == [status.settled_micro_usd]
    assert ready.state.policies["bank/tasks"].account.outstanding_micro_usd == 0
    assert ready.state.targets["azure"].active == 0
