"""Every phase ends by itself: what can't be recorded or placed in time gives its money back, and nothing is left of it."""

from typing import Any

import pytest

from burster.engine import ACTIVE, next_due_ms
from burster.model import stimuli as s
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering


ANSWERED = ["Unavailable", "Throttled", "Protocol"]
UNHEARD = ["Timeout", "Unreachable"]


def an_engine(pod: Any, **policy: Any) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(**policy)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        s.PodSeen(pod=pod),
    )
    return engine


TASK = a_pod(since=T0 - 60_000)
SERVICE = a_service_pod("web-1", "web", since=T0 - 60_000)


def failing(engine: Engine, kind: str, until_ms: int, tag: str, **more: Any) -> None:
    """Have every attempt fail until then."""
    key = next(iter(engine.state.bursts), "")
    while engine.now < T0 + until_ms and key in engine.state.bursts:
        asked = [one for one in engine.asked(tag) if one.burst.key == key]
        answers = [
            s.InstructionFailed(instruction=tag, key=one.key, subject=key, kind=kind, message="no", **more)
            for one in asked
        ]
        if answers:
            engine.send(*answers, after_ms=10)
            if key in engine.state.bursts and engine.phase(key) not in {"Reserved", "Placing"}:
                return
            continue
        due = next_due_ms(engine.state)
        assert due is not None
        engine.now = max(engine.now + 1, min(due, T0 + until_ms))
        engine.send()
        if key in engine.state.bursts and engine.phase(key) not in {"Reserved", "Placing"}:
            return


def outstanding(engine: Engine) -> int:
    return engine.state.scopes["Policy", "bank/tasks"].account.outstanding_micro_usd


@pytest.mark.parametrize("pod", [TASK, SERVICE], ids=["task", "service"])
@pytest.mark.parametrize("kind", ANSWERED)
def test_a_record_that_is_never_taken_gives_its_money_back_at_the_launch_deadline(pod, kind):
    engine = an_engine(pod)
    (key,) = engine.state.bursts
    deadline_ms = engine.burst(key).spec.launch_deadline_ms
    assert outstanding(engine) > 0
    failing(engine, kind, deadline_ms - 1, "RecordBurst")
    assert engine.phase(key) == "Reserved"
    failing(engine, kind, deadline_ms + 120_000, "RecordBurst")
    assert key not in engine.state.bursts
    assert outstanding(engine) == 0
    assert "NotRecordedInTime" in engine.codes(f"bank/{pod.name}")


@pytest.mark.parametrize("pod", [TASK, SERVICE], ids=["task", "service"])
@pytest.mark.parametrize("kind", ANSWERED)
def test_a_pod_that_can_never_be_placed_gives_its_money_back_when_no_vm_is_left(pod, kind):
    engine = an_engine(pod)
    (key,) = engine.state.bursts
    deadline_ms = engine.burst(key).spec.launch_deadline_ms
    engine.send(s.BurstRecorded(key=key, uid="uid-b"))
    failing(engine, kind, deadline_ms - 1, "PlacePod")
    assert engine.phase(key) == "Placing"
    failing(engine, kind, deadline_ms + 120_000, "PlacePod")
    assert engine.phase(key) in {"Failed", "Releasing"}
    assert "NotPlacedInTime" in engine.codes(f"bank/{pod.name}")
    assert outstanding(engine) > 0, "an attempt that nobody heard the end of may have brought a VM to life"
    for _ in range(20):
        answers: list[s.Stimulus] = [s.VmsObserved(key=key, vms=()) for _ in engine.asked("ObserveVms")]
        answers += [s.PodReturned(key=key) for _ in engine.asked("ReturnPod")]
        engine.send(*answers, after_ms=5_000)
    assert engine.phase(key) == "Released"
    assert outstanding(engine) == 0
    assert engine.state.parked[f"bank/{pod.name}"][0] > engine.now


@pytest.mark.parametrize("kind", UNHEARD)
@pytest.mark.parametrize("tag", ["RecordBurst", "PlacePod"])
def test_what_nobody_has_answered_is_not_given_up(kind, tag):
    engine = an_engine(TASK)
    (key,) = engine.state.bursts
    if tag == "PlacePod":
        engine.send(s.BurstRecorded(key=key, uid="uid-b"))
    failing(engine, kind, 3_600_000, tag)
    assert engine.phase(key) == ("Placing" if tag == "PlacePod" else "Reserved")


def test_a_dry_run_waits_for_as_long_as_the_pod_does():
    engine = an_engine(TASK)
    (key,) = engine.state.bursts
    engine.send(s.BurstRecorded(key=key, uid="dry-run-1"))
    failing(engine, "Unavailable", 3_600_000, "PlacePod", code="DryRun")
    assert engine.phase(key) == "Placing"


def test_a_pod_that_shows_in_the_watch_is_placed_whatever_the_answers_were():
    engine = an_engine(SERVICE)
    (key,) = engine.state.bursts
    engine.send(s.BurstRecorded(key=key, uid="uid-b"))
    failing(engine, "Unavailable", 100_000, "PlacePod")
    engine.send(s.CloudPodSeen(burst_uid="uid-b", burst_key=key, pod_uid="uid-c", phase="Pending"))
    failing(engine, "Unavailable", 600_000, "PlacePod")
    assert engine.phase(key) not in {"Placing", "Released"}
    assert engine.burst(key).status.pod_uid == "uid-c"


def test_no_active_phase_waits_for_ever_without_a_wish():
    """Wherever a burst is, either something is under way for it or a timer will look at it."""
    engine = an_engine(SERVICE)
    (key,) = engine.state.bursts
    seen = set()

    def check() -> None:
        entry = engine.state.bursts[key]
        seen.add(entry.burst.status.phase)
        mine = [one for one in engine.state.timers if key in one[3]]
        assert entry.under_way or mine, entry.burst.status.phase

    check()
    engine.send(s.BurstRecorded(key=key, uid="uid-b"))
    check()
    engine.send(s.PodPlaced(key=key, pod_uid="uid-c"))
    check()
    engine.send(engine.pod_event("Running", key))
    check()
    engine.send(s.VmsObserved(key=key, vms=(a_vm(engine.burst(key), created_at=engine.now),)))
    check()
    engine.send(s.DrainRequested())
    check()
    engine.send(s.CloudPodGone(burst_uid="uid-b", burst_key=key, pod_uid="uid-c"))
    check()
    assert seen >= ACTIVE - {"Failed", "Lost"}
