"""Pods that wait, and that no burst would help."""

from burster.model import stimuli as s
from burster.model.pods import Resources
from tests.support.builders import Engine, a_pod


def test_a_peer_pod_that_waits_for_a_slot_is_not_burst_as_one_that_asks_for_nothing(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod(runtime_class="kata-remote", requests=Resources())))
    assert ready.codes("bank/task-1") == ["AlreadyPeerPod"]
    assert not ready.asked("RecordBurst")
