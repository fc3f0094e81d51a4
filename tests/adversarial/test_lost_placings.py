"""A placing whose answer was lost, and whose retry is told that nothing can be placed: the cloud pod that is there comes home."""

import pytest

from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod, a_service_pod, a_vm


@pytest.mark.parametrize("pod", [a_pod(), a_service_pod("web-1")], ids=["a moved task", "a clone"])
def test_a_cloud_pod_that_the_watch_has_shown_is_drained_and_not_forgotten(ready: Engine, pod: s.Pod) -> None:
    ready.send(s.PodSeen(pod=pod))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b"))
    failed = s.InstructionFailed(instruction="PlacePod", key=f"place/{burst.key}", subject=burst.key, kind="Timeout")
    ready.send(failed)
    ready.send(ready.pod_event("Pending", burst.key, pod_uid="p-lost"))
    ready.wait(2_000)
    ready.send(
        s.InstructionFailed(instruction="PlacePod", key=f"place/{burst.key}", subject=burst.key, kind="Conflict")
    )
    assert ready.phase(burst.key) == "Draining"
    assert ready.burst(burst.key).status.pod_uid == "p-lost"
    ready.send(s.VmsObserved(key=burst.key, vms=()), s.StatusWritten(key=burst.key, phase="Draining"))
    assert ready.asked("DeletePod")


@pytest.mark.parametrize("kind", ["Invalid", "Unauthorized", "Conflict"])
@pytest.mark.parametrize("pod", [a_pod(), a_service_pod("web-1")], ids=["a moved task", "a clone"])
def test_a_cloud_pod_that_the_watch_shows_only_after_the_refusal_comes_home_too(
    ready: Engine, pod: s.Pod, kind: s.RemoteKind
) -> None:
    ready.send(s.PodSeen(pod=pod))
    burst = ready.burst()
    failed = s.InstructionFailed(instruction="PlacePod", key=f"place/{burst.key}", subject=burst.key, kind="Timeout")
    ready.send(s.BurstRecorded(key=burst.key, uid="b"))
    ready.send(failed)
    ready.wait(2_000)
    refused = s.InstructionFailed(instruction="PlacePod", key=f"place/{burst.key}", subject=burst.key, kind=kind)
    if burst.spec.strategy == "Move":
        ready.send(s.PodLeft(namespace="bank", name=pod.name, uid=pod.uid, why="Gone"))
    ready.send(refused)
    asked: list[str] = []
    vms = (a_vm(burst, created_at=ready.now),)
    ready.send(ready.pod_event("Running", burst.key, pod_uid="p-late"))
    for _ in range(8):
        asked += [type(one).__name__ for one in ready.instructions]
        if "DeletePod" in asked and vms:
            ready.send(s.PodDeleted(key=burst.key))
            ready.send(s.CloudPodGone(burst_uid="b", burst_key=burst.key, pod_uid="p-late"))
            vms = ()
        phase = ready.phase(burst.key)
        answers = [s.StatusWritten(key=burst.key, phase=phase), s.VmsObserved(key=burst.key, vms=vms)]
        ready.send(*answers, s.PodReturned(key=burst.key) if "ReturnPod" in asked else s.Tick(kind="evaluate"))
        asked += [type(one).__name__ for one in ready.instructions]
        ready.wait(16_000)
    assert asked.count("DeletePod") == 1
    assert ("ReturnPod" in asked) == (burst.spec.strategy == "Move")
    assert ready.burst(burst.key).status.pod_uid == "p-late"
    assert ready.phase(burst.key) == "Released"
