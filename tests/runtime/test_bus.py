"""What waits to be decided about: the latest of each object, in one order, bounded."""

import random

import pytest

from burster.model import stimuli as s
from burster.runtime.bus import Bus, BusOverflowError, object_key
from tests.support.builders import a_pod, a_policy


def seen(name: str = "task-1", **changes: object) -> s.PodSeen:
    return s.PodSeen(pod=a_pod(name, **changes))


def cloud_pod(phase: str, **changes: object) -> s.CloudPodSeen:
    return s.CloudPodSeen(burst_uid="b", burst_key="bank/b", pod_uid="p", phase=phase, **changes)


GONE = s.CloudPodGone(burst_uid="b", burst_key="bank/b", pod_uid="p")


def left(name: str = "task-1") -> s.PodLeft:
    return s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why="Bound")


LEFT = left()


def posted(*facts: s.Stimulus) -> list[s.Stimulus]:
    bus = Bus()
    for fact in facts:
        bus.post(fact)
    return bus.take(1_000)


@pytest.mark.parametrize(
    ("facts", "want"),
    [
        pytest.param((seen(), seen(cpu=5)), (seen(cpu=5),), id="a later word about a pod replaces the earlier"),
        pytest.param((seen(), LEFT), (LEFT,), id="also that it left"),
        pytest.param((LEFT, seen()), (seen(),), id="whatever was said last counts"),
        pytest.param((LEFT, seen(uid="uid-2")), (LEFT, seen(uid="uid-2")), id="another uid is another pod"),
        pytest.param((cloud_pod("Pending"), cloud_pod("Running")), (cloud_pod("Running"),), id="a cloud pod's latest"),
        pytest.param((cloud_pod("Running"), GONE), (GONE,), id="a cloud pod that goes"),
        pytest.param(
            (cloud_pod("Running"), cloud_pod("Succeeded", terminating=True), GONE),
            (cloud_pod("Succeeded", terminating=True), GONE),
            id="but how its work ended is kept beside its going",
        ),
        pytest.param(
            (s.StatusWritten(key="b", phase="Draining"), s.StatusWritten(key="b", phase="Releasing")),
            (s.StatusWritten(key="b", phase="Draining"), s.StatusWritten(key="b", phase="Releasing")),
            id="each phase that was written",
        ),
        pytest.param((s.Tick(kind="gc"), s.Tick(kind="gc")), (s.Tick(kind="gc"),), id="ticks do not pile up"),
    ],
)
def test_what_is_told(facts: tuple[s.Stimulus, ...], want: tuple[s.Stimulus, ...]) -> None:
    assert posted(*facts) == list(want)


def test_the_order_does_not_hang_on_who_posted_first() -> None:
    facts = [seen(f"task-{n}") for n in range(20)]
    facts += [s.BurstRecorded(key=f"bank/{n}", uid="u") for n in range(5)]
    facts += [s.PolicySeen(policy=a_policy()), s.SourceSynced(source="pods"), s.Tick(kind="gc"), left("gone"), GONE]
    want = posted(*facts)
    for seed in range(20):
        random.Random(seed).shuffle(facts)
        assert posted(*facts) == want


def test_rules_come_before_outcomes_and_those_before_the_world() -> None:
    kinds = [type(fact).__name__ for fact in posted(s.Tick(kind="gc"), seen(), GONE, s.PolicySeen(policy=a_policy()))]
    assert kinds == ["PolicySeen", "CloudPodGone", "PodSeen", "Tick"]


def test_too_much_is_refused_and_what_is_known_may_still_change() -> None:
    bus = Bus(limit=2)
    bus.post(seen("a"))
    bus.post(seen("b"))
    bus.post(seen("a", cpu=7))
    with pytest.raises(BusOverflowError):
        bus.post(seen("c"))
    assert len(bus) == 2


async def test_what_is_left_over_is_still_there_to_be_waited_for() -> None:
    bus = Bus()
    for number in range(5):
        bus.post(seen(f"task-{number}"))
    assert len(bus.take(3)) == 3
    await bus.wait()
    assert len(bus.take(3)) == 2
    assert not bus._filled.is_set()


def test_every_stimulus_has_a_key_and_a_place() -> None:
    from typing import get_args

    from burster.runtime.bus import _ORDER

    assert set(_ORDER) == set(get_args(s.Stimulus))
    assert len({object_key(s.LedgerHealth(writable=True)), object_key(s.DrainCancelled())}) == 2


def test_what_is_told_of_one_burst_never_takes_the_place_of_what_is_told_of_another() -> None:
    for one, another in zip(outcomes("bank/a"), outcomes("bank/b"), strict=True):
        assert object_key(one) != object_key(another), type(one).__name__


def outcomes(key: str) -> list[s.Stimulus]:
    """Each kind of outcome that is told by the key of its burst, once."""
    return [
        s.BurstRecorded(key=key, uid="u"),
        s.PodPlaced(key=key, pod_uid="p"),
        s.MachineLaunched(key=key),
        s.VmsObserved(key=key, vms=()),
        s.EndpointPublished(key=key, ready=True),
        s.PodDeleted(key=key, gone=True),
        s.MachineDeleted(key=key),
        s.PodReturned(key=key),
        s.StatusWritten(key=key, phase="Serving"),
        s.RecordDeleted(key=key),
    ]
