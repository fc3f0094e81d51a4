"""A successor goes on with each machine from what its record says, at whatever moment its predecessor went."""

import msgspec
import pytest

from burster.engine import snapshot
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.policy.records import burst_from_object, burst_to_object
from tests.support.builders import an_offering
from tests.support.machine_life import (
    ADDRESS,
    MachineEngine,
    a_failure,
    a_lending_target,
    a_machine_policy,
    a_waiting_vm,
    the_vm,
    with_changes,
)


def at(phase: str) -> Burst:
    """A record as a predecessor left it in a phase."""
    engine = MachineEngine()
    engine.begin()
    if phase == "Reserved":
        return msgspec.structs.replace(engine.burst(), uid="b-1")
    steps = {
        "Placing": engine.to_placing,
        "Provisioning": engine.to_provisioning,
        "Attesting": engine.to_attesting,
        "Serving": engine.to_served,
    }
    if phase in steps:
        return steps[phase]()
    engine.to_served()
    engine.send(s.DrainRequested())
    if phase == "Draining":
        return engine.burst()
    return with_changes(engine.burst(), phase=phase)


def successor(burst: Burst, *, wanted: bool = True) -> MachineEngine:
    engine = MachineEngine()
    engine.now = (burst.status.placed_at_ms or engine.now) + 120_000
    engine.sync(
        s.PolicySeen(policy=a_machine_policy()),
        s.TargetSeen(target=a_lending_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.BurstSeen(burst=burst),
        *((a_waiting_vm(),) if wanted else ()),
    )
    return engine


@pytest.mark.parametrize("phase", ["Reserved", "Placing"])
def test_a_machine_that_may_have_been_asked_for_is_asked_for_under_the_same_name(phase: str) -> None:
    burst = at(phase)
    engine = successor(burst)
    (asked,) = engine.asked("LaunchMachine")
    assert asked.burst.spec.pod_name == burst.spec.pod_name
    engine.send(s.MachineLaunched(key=burst.key, vm_id="x"))
    assert engine.phase(burst.key) == "Provisioning"
    assert len(engine.state.bursts) == 1, "it is the one that is wanted"


def test_an_operation_is_followed_by_its_token() -> None:
    engine = successor(at("Provisioning"))
    (asked,) = engine.asked("ObserveVms")
    assert asked.burst.status.operation == "op-1"
    assert engine.see().status.phase == "Attesting"
    assert engine.asked("PublishEndpoint")


def test_what_was_being_proven_is_proven_again() -> None:
    engine = successor(at("Attesting"))
    assert not engine.asked("PublishEndpoint")
    assert engine.see(vtpm=False).status.reason == "VmMismatch"
    assert not engine.asked("PublishEndpoint")[0].ready, "a predecessor may have published it"


def test_what_serves_goes_on_is_looked_at_and_published_once_more() -> None:
    burst = at("Serving")
    engine = successor(burst)
    assert engine.phase(burst.key) == "Serving"
    assert engine.asked("ObserveVms")
    engine.see()
    (asked,) = engine.asked("PublishEndpoint")
    assert (asked.ready, asked.address) == (True, ADDRESS)
    engine.publish()
    engine.wait(60_000)
    engine.see()
    assert not engine.asked("PublishEndpoint")


def test_a_machine_that_went_while_nobody_watched_is_lost() -> None:
    engine = successor(at("Serving"))
    assert engine.see_none().status.phase == "Lost"


def test_an_end_goes_on_where_it_was() -> None:
    burst = at("Draining")
    engine = successor(burst)
    assert not engine.asked("PublishEndpoint")[0].ready
    engine.publish(ready=False)
    due = (burst.status.draining_at_ms or 0) + burst.spec.drain_ms
    engine.see(after_ms=0)
    assert not engine.asked("DeleteMachine")
    engine.wait(due - engine.now)
    assert engine.asked("DeleteMachine")


@pytest.mark.parametrize("phase", ["Failed", "Lost"])
def test_a_bad_end_goes_on_at_once(phase: str) -> None:
    engine = successor(at(phase))
    engine.publish(ready=False)
    if engine.asked("ObserveVms"):
        engine.see(after_ms=0)
    assert engine.asked("DeleteMachine")


def test_a_release_is_confirmed_by_the_cloud_once_more() -> None:
    burst = at("Releasing")
    engine = successor(burst)
    assert engine.asked("DeleteMachine")
    assert engine.deleted(burst.key).status.phase == "Released"
    assert engine.burst(burst.key).status.settled_micro_usd


def test_what_nobody_wants_any_more_goes_home() -> None:
    engine = successor(at("Serving"), wanted=False)
    key = next(iter(engine.state.bursts))
    for _ in range(120):
        engine.wait(15_000)
        if engine.phase(key) != "Serving":
            break
        if engine.asked("ObserveVms"):
            engine.see(after_ms=0)
    assert engine.phase(key) == "Draining"


@pytest.mark.parametrize("phase", ["Reserved", "Placing", "Provisioning", "Attesting", "Serving", "Draining", "Failed"])
def test_a_record_survives_its_way_through_the_api(phase: str) -> None:
    burst = at(phase)
    read = burst_from_object(burst_to_object(burst))
    assert read == burst


def test_a_state_with_machines_is_the_same_after_a_snapshot() -> None:
    engine = MachineEngine()
    engine.begin()
    burst = engine.to_served()
    copy = MachineEngine()
    copy.state, copy.now = snapshot.restore(snapshot.dump(engine.state)), engine.now
    looked = s.VmsObserved(key=burst.key, vms=(the_vm(burst, created_at=1, power_state="stopped"),))
    assert engine.send(looked, after_ms=60_000) == copy.send(looked, after_ms=60_000)
    assert snapshot.dump(engine.state) == snapshot.dump(copy.state)


def late_successor(phase: str) -> MachineEngine:
    """A successor that comes long after a machine had to be ready."""
    burst = at(phase)
    engine = MachineEngine()
    engine.now = (burst.status.placed_at_ms or engine.now) + burst.spec.ready_deadline_ms + 60_000
    engine.sync(
        s.PolicySeen(policy=a_machine_policy()),
        s.TargetSeen(target=a_lending_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.BurstSeen(burst=burst),
        a_waiting_vm(),
    )
    return engine


@pytest.mark.parametrize("phase", ["Provisioning", "Attesting"])
def test_what_came_up_while_nobody_was_there_is_looked_at_before_its_time_counts(phase: str) -> None:
    engine = late_successor(phase)
    engine.wait(500)
    assert engine.burst().status.phase == phase
    engine.see(after_ms=500)
    assert engine.publish().status.phase == "Serving"


def test_what_does_not_come_up_for_a_successor_either_has_its_end() -> None:
    engine = late_successor("Provisioning")
    engine.see(after_ms=500, provisioning_state="Creating", power_state="")
    engine.wait(300_000)
    assert engine.burst().status.reason == "NotReadyInTime"


def test_a_machine_that_the_cloud_had_no_room_for_while_nobody_was_there_costs_nothing() -> None:
    burst = at("Provisioning")
    engine = successor(burst)
    told = a_failure("Capacity", "AllocationFailed", "capacity")
    engine.send(s.VmsObserved(key=burst.key, vms=(), failure=told), after_ms=3_600_000)
    assert engine.burst(burst.key).status.phase == "Failed"
    assert engine.deleted(burst.key).status.settled_micro_usd == 0
