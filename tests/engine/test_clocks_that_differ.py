"""An API server and a cloud whose clocks are ahead of the controller's: a pod waits as long as the policy says, and a VM costs no less."""

import pytest

from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod, a_policy, a_target, a_vm, an_offering


AHEAD_MS = 240_000
PENDING_FOR_MS = 30_000


def an_engine() -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(pending_for_ms=PENDING_FOR_MS)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


@pytest.mark.parametrize("ahead_ms", [0, AHEAD_MS])
def test_a_pod_waits_from_when_it_was_seen_where_its_time_has_not_come(ahead_ms: int) -> None:
    engine = an_engine()
    pod = a_pod(since=engine.now + ahead_ms)
    engine.send(s.PodSeen(pod=pod))
    engine.wait(PENDING_FOR_MS - 10_000)
    engine.send(s.PodSeen(pod=a_pod(since=pod.unschedulable_since_ms, resource_version="2")))  # somebody else's edit
    assert engine.asked("RecordBurst") == []
    engine.wait(10_000)
    assert len(engine.asked("RecordBurst")) == 1


def test_a_vm_whose_time_has_not_come_costs_from_when_its_pod_was_placed() -> None:
    costs: list[int] = []
    for ahead_ms in (0, AHEAD_MS):
        engine = an_engine()
        engine.send(s.PodSeen(pod=a_pod(since=engine.now - PENDING_FOR_MS)))
        burst = engine.burst()
        engine.send(s.BurstRecorded(key=burst.key, uid="b"), s.PodPlaced(key=burst.key, pod_uid="p"))
        made_at_ms = engine.now + ahead_ms
        engine.send(engine.pod_event("Running", burst.key), after_ms=60_000)
        vm = a_vm(engine.burst(), created_at=made_at_ms)
        engine.send(s.VmsObserved(key=burst.key, vms=(vm,)))
        engine.send(engine.pod_event("Succeeded", burst.key), after_ms=60_000)
        for _ in range(20):
            engine.send(s.VmsObserved(key=burst.key, vms=()), after_ms=30_000)
        costs.append(sum(spend.micro_usd for spend in engine.spends))
    assert costs[1] >= costs[0] > 0
