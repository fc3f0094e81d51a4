"""What a burst counts against while it lives, and that it lets go of exactly that."""

from burster.engine.bursts.lifecycle_actions import observe_again
from burster.model import stimuli as s
from burster.model.offerings import Quota
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering, with_one_task


ROW = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=0, limit_vcpus=100)


def test_what_was_launched_is_counted_once_and_let_go_of_at_the_end() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.QuotaSeen(target="azure", rows=(ROW,)),
        s.PodSeen(pod=a_pod()),
    )
    launched = engine.state.targets["azure"].launched
    assert set(launched.values()) == {2}
    assert engine.state.bursts[engine.burst().key].launch_counted
    key = engine.burst().key
    engine.send(
        s.InstructionFailed(instruction="RecordBurst", key=f"record/{key}", subject=key, kind="Invalid", message="no")
    )
    assert set(engine.state.targets["azure"].launched.values()) == {0}


def test_a_burst_whose_vm_is_not_there_yet_is_looked_for_again_while_it_attests() -> None:
    engine = with_one_task()
    burst = engine.burst()
    engine.send(s.BurstRecorded(key=burst.key, uid="b"), after_ms=5)
    engine.send(s.PodPlaced(key=burst.key, pod_uid="p"), after_ms=5)
    engine.send(engine.pod_event("Running", burst.key), after_ms=60_000)
    engine.send(s.VmsObserved(key=burst.key, vms=()), after_ms=10)
    assert (engine.phase(), engine.asked("ObserveVms")) == ("Attesting", [])
    asked = []
    for _ in range(4):
        engine.wait(5_000)
        asked += engine.asked("ObserveVms")
    assert ([one.burst.key for one in asked], engine.phase()) == ([burst.key], "Attesting")


def test_a_task_whose_pod_cant_be_created_in_the_cloud_comes_home() -> None:
    engine = with_one_task()
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"), after_ms=5)
    engine.send(
        s.InstructionFailed(instruction="PlacePod", key=f"place/{key}", subject=key, kind="Invalid", message="no")
    )
    assert engine.phase(key) == "Failed"
    assert [one.burst.key for one in engine.asked("ReturnPod")] == [key]
    assert engine.state.bursts[key].ended_by_us


def test_the_cloud_is_asked_again_less_and_less_often() -> None:
    engine = with_one_task()
    entry = engine.state.bursts[engine.burst().key]
    delays = []
    for _ in range(25):
        engine.state.now_ms += 10_000_000
        observe_again(engine.state, entry)
        (due_ms,) = [at for at, kind, _ in engine.state.timer_keys if kind == "observe" and at > engine.state.now_ms]
        delays.append((due_ms - engine.state.now_ms) // 1000)
    assert delays == [5] * 5 + [10] * 6 + [20] * 6 + [40] * 6 + [60] * 2
