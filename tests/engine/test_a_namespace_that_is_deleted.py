"""A namespace that is being deleted takes no new pod: a moved one can't come home there, and must not hold the namespace up for ever."""

from burster.model import stimuli as s
from tests.support.builders import Engine, with_one_task


def test_a_moved_pod_that_can_not_come_home_is_told_and_its_burst_ends() -> None:
    engine: Engine = with_one_task()
    burst = engine.to_serving()
    record = burst.key
    engine.send(s.DrainRequested())
    engine.send(s.StatusWritten(key=record, phase="Draining"))
    engine.send(s.PodDeleted(key=record), after_ms=10)
    engine.send(s.CloudPodGone(burst_key=record, burst_uid=burst.uid, pod_uid=burst.status.pod_uid), after_ms=5_000)
    for _ in range(10):
        if engine.asked("ReturnPod"):
            break
        engine.send(s.VmsObserved(key=record, vms=()), after_ms=30_000)
    (asked,) = engine.asked("ReturnPod")
    refused = s.InstructionFailed(
        instruction="ReturnPod",
        key=asked.key,
        subject=record,
        kind="Unauthorized",
        code="NamespaceTerminating",
        message="it is being terminated",
    )
    engine.send(refused)
    assert engine.codes()[-1] == "NotReturned"
    assert engine.phase(record) in {"Releasing", "Released"}
    for _ in range(10):
        assert engine.asked("ReturnPod") == []
        engine.send(s.VmsObserved(key=record, vms=()), after_ms=30_000)
    assert engine.phase(record) == "Released"
