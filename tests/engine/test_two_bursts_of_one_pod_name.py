"""A pod that is moved again while an earlier burst of its name is still released: a VM's name does not tell the two apart."""

from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod, a_vm


def test_a_vm_made_after_the_later_decision_is_the_later_bursts_even_in_the_same_instant(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    earlier = ready.to_serving()
    ready.send(ready.pod_event("Succeeded"), after_ms=600_000)
    ready.send(s.CloudPodGone(burst_uid=earlier.uid, burst_key=earlier.key, pod_uid=earlier.status.pod_uid))
    assert ready.phase(earlier.key) == "Releasing"

    ready.send(s.PodSeen(pod=a_pod(uid="uid-task-1-again", since=ready.now)))
    later = next(entry.burst for key, entry in ready.state.bursts.items() if key != earlier.key)
    vm = a_vm(later, created_at=ready.now, name="podvm-task-1-0000beef")
    ready.send(s.VmsObserved(key=earlier.key, vms=(vm,)))

    assert vm.name not in ready.burst(earlier.key).status.vms
    assert ready.phase(earlier.key) == "Released"


def test_a_vm_that_is_older_than_the_later_decision_stays_the_earlier_ones(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    earlier = ready.to_serving()
    ready.send(ready.pod_event("Succeeded"), after_ms=600_000)
    second = a_vm(earlier, created_at=ready.now - 1_000, name="podvm-task-1-0000beef")
    ready.send(s.PodSeen(pod=a_pod(uid="uid-task-1-again", since=ready.now)))
    ready.send(s.VmsObserved(key=earlier.key, vms=(second,)))

    assert second.name in ready.burst(earlier.key).status.vms
    assert ready.phase(earlier.key) == "Releasing"
