"""A record says Released when its settlement is in the ledger, never before. One that somebody made say so is looked into, not believed."""

import msgspec
import pytest

from burster.model import stimuli as s
from burster.model.bursts import Burst
from tests.support.builders import T0, Engine, a_policy, a_target, a_vm, an_offering, with_one_task


def said_to_be_released(**status: object) -> Burst:
    """The record of a task that works in the cloud, after somebody has edited it."""
    before = with_one_task()
    key = before.burst().key
    before.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    burst = before.burst()
    edited = msgspec.structs.replace(
        burst.status, phase="Released", pod_uid="p", settled_micro_usd=0, released_at_ms=T0 + 60_000, **status
    )
    return msgspec.structs.replace(burst, uid="b", status=edited)


def adopting(record: Burst, *more: s.Stimulus, decided: tuple[str, ...], entries: tuple[s.Spend, ...] = ()) -> Engine:
    engine = Engine()
    engine.now += 120_000
    engine.sync(
        s.LedgerRestored(entries=entries, decided=decided, since_ms=T0 - 86_400_000),
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.BurstSeen(burst=record, created_at_ms=T0),
        *more,
    )
    return engine


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_pod_that_lives_comes_home(phase: str) -> None:
    record = said_to_be_released()
    pod = s.CloudPodSeen(burst_uid="b", burst_key=record.key, pod_uid="p", phase=phase)
    engine = adopting(record, pod, decided=(record.key,))
    assert engine.burst().status.phase == "Draining"
    engine.send(s.VmsObserved(key=record.key, vms=()))
    engine.send(s.StatusWritten(key=record.key, phase="Draining"))
    assert len(engine.asked("DeletePod")) == 1


def test_a_pod_that_was_stopped_on_the_way_home_is_let_go() -> None:
    record = said_to_be_released()
    pod = s.CloudPodSeen(burst_uid="b", burst_key=record.key, pod_uid="p", phase="Failed", terminating=True)
    engine = adopting(record, pod, decided=(record.key,))
    engine.send(s.VmsObserved(key=record.key, vms=()))
    engine.send(s.StatusWritten(key=record.key, phase="Draining"))
    assert len(engine.asked("DeletePod")) == 1


def test_its_vms_are_looked_for_and_paid() -> None:
    record = said_to_be_released()
    engine = adopting(record, decided=(record.key,))
    assert engine.burst().status.phase == "Releasing"
    assert engine.burst().status.settled_micro_usd is None
    assert len(engine.asked("ObserveVms")) == 1
    vm = a_vm(record, created_at=T0 + 1_000)
    engine.send(s.VmsObserved(key=record.key, vms=(vm,)))
    assert engine.burst().status.phase == "Releasing"
    for _ in range(20):
        engine.send(s.VmsObserved(key=record.key, vms=()), after_ms=30_000)
    assert engine.burst().status.phase == "Released"
    assert [spend.micro_usd > 0 for spend in engine.spends] == [True]


def test_one_that_the_ledger_has_settled_is_at_its_end() -> None:
    record = said_to_be_released()
    paid = s.Spend(burst=record.key, uid="b", policy=record.policy_key, target="azure", at_ms=T0, micro_usd=7)
    engine = adopting(record, decided=(record.key,), entries=(paid,))
    assert engine.burst().status.phase == "Released"
    assert engine.asked("ObserveVms") == []


def test_one_that_is_older_than_the_ledger_makes_it_good() -> None:
    record = said_to_be_released()
    engine = adopting(msgspec.structs.replace(record), decided=())
    assert engine.asked("ObserveVms") == []
