"""A placing whose answer was lost, and whose retry is told that nothing can be placed: the cloud pod that is there comes home."""

import pytest

from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod, a_service_pod


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
