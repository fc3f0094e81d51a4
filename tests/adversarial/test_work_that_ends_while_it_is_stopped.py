"""A task that succeeds within the grace of its deletion is done: it is not brought home to run again, whoever was watching."""

from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod


def draining(ready: Engine) -> str:
    ready.send(s.PodSeen(pod=a_pod()))
    key = ready.to_serving().key
    ready.send(s.DrainRequested(), after_ms=1_000)
    ready.send(s.StatusWritten(key=key, phase="Draining"))
    assert ready.asked("DeletePod")
    ready.send(s.PodDeleted(key=key))
    return key


def test_its_outcome_is_on_record_before_its_pod_is_let_go(ready: Engine) -> None:
    key = draining(ready)
    ready.send(ready.pod_event("Succeeded", key, terminating=True), after_ms=20_000)
    assert ready.burst(key).status.outcome == "Succeeded"
    assert not ready.asked("DeletePod"), "not before the record says so"
    ready.send(s.StatusWritten(key=key, phase=ready.phase(key)))
    assert ready.asked("DeletePod")
    ready.send(s.PodDeleted(key=key, gone=True))
    ready.send(s.VmsObserved(key=key, vms=()), after_ms=5_000)
    ready.send(s.VmsObserved(key=key, vms=()), after_ms=5_000)
    assert ready.phase(key) == "Released"
    assert not [one for one in ready.decisions if one.reasons[0].code == "PodReturned"]
    assert not ready.asked("ReturnPod")


def test_the_watchs_last_word_counts_where_there_was_none_before(ready: Engine) -> None:
    key = draining(ready)
    gone = s.CloudPodGone(burst_uid="", burst_key=key, pod_uid=ready.burst(key).status.pod_uid, phase="Succeeded")
    ready.send(gone, after_ms=20_000)
    ready.send(s.VmsObserved(key=key, vms=()), after_ms=5_000)
    assert ready.burst(key).status.outcome == "Succeeded"
    assert not ready.asked("ReturnPod")


def test_one_that_was_stopped_is_let_go_at_once_and_comes_home(ready: Engine) -> None:
    key = draining(ready)
    ready.send(ready.pod_event("Failed", key, terminating=True), after_ms=5_000)
    assert ready.asked("DeletePod")
    ready.send(s.CloudPodGone(burst_uid="", burst_key=key, pod_uid=ready.burst(key).status.pod_uid, phase="Failed"))
    ready.send(s.VmsObserved(key=key, vms=()), after_ms=5_000)
    if not ready.asked("ReturnPod"):
        ready.send(s.VmsObserved(key=key, vms=()), after_ms=5_000)
    assert ready.asked("ReturnPod")
