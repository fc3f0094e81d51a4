"""Kubernetes events: what repeats is one with a count, each object has an allowance, and memory is bounded."""

import asyncio

import pytest

from burster.adaptors.cluster_events import ALLOWANCE, REFILL_MS, REMEMBERED, WINDOW_MS, EventRecorder
from burster.model.errors import RemoteError
from burster.model.instructions import EmitEvent
from tests.support.builders import T0
from tests.support.fake_cluster import FakeCluster, FakeKube


class Clock:
    def __init__(self):
        self.ms = T0

    def __call__(self):
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(api: FakeKube, clock: Clock) -> EventRecorder:
    return EventRecorder(api, clock)


def event(message="It costs $0.1200 an hour.", reason="BurstStarted", *, at=T0, name="task-1", **changes):
    values = {"kind": "Pod", "namespace": "bank", "name": name, "uid": "uid-1"} | changes
    return EmitEvent(key=f"event/{values['kind']}/bank/{name}/{reason}/{at}", reason=reason, message=message, **values)


def written(cluster: FakeCluster):
    return [(one["reason"], one["count"]) for one in cluster.all("events")]


async def test_what_differs_in_numbers_only_is_one_event_with_the_latest_words(cluster, recorder, clock):
    for number in range(5):
        clock.ms = T0 + number * 60_000
        await recorder.emit(event(f"burst-web-{number}a9f costs ${number}.00.", at=clock.ms))
    assert written(cluster) == [("BurstStarted", 5)]
    (one,) = cluster.all("events")
    assert one["message"] == "burst-web-4a9f costs $4.00."
    assert (one["firstTimestamp"], one["lastTimestamp"]) == ("2026-01-05T08:00:00Z", "2026-01-05T08:04:00Z")


@pytest.mark.parametrize(
    "other",
    [
        {"message": "Another thing."},
        {"reason": "BurstReleased"},
        {"severity": "Warning"},
        {"uid": "uid-2"},
        {"name": "task-2"},
        {"kind": "Burst"},
    ],
)
async def test_anything_else_is_an_event_of_its_own(cluster, recorder, other):
    await recorder.emit(event())
    await recorder.emit(event(**({"at": T0 + 1} | other)))
    assert [count for _, count in written(cluster)] == [1, 1]


async def test_after_ten_quiet_minutes_it_is_another_one(cluster, recorder, clock):
    await recorder.emit(event())
    clock.ms += WINDOW_MS
    await recorder.emit(event(at=clock.ms))
    assert written(cluster) == [("BurstStarted", 2)]
    clock.ms += WINDOW_MS + 1
    await recorder.emit(event(at=clock.ms))
    assert sorted(count for _, count in written(cluster)) == [1, 2]


async def test_one_that_has_expired_is_written_anew_with_its_count(cluster, recorder):
    await recorder.emit(event())
    (one,) = cluster.all("events")
    cluster.remove("events", "bank", one["metadata"]["name"])
    await recorder.emit(event(at=T0 + 1))
    assert written(cluster) == [("BurstStarted", 2)]


async def test_an_instruction_that_is_repeated_is_one(cluster, api, clock):
    await EventRecorder(api, clock).emit(event())
    await EventRecorder(api, clock).emit(event())
    assert written(cluster) == [("BurstStarted", 1)]


async def test_an_object_has_an_allowance_and_what_is_beyond_it_is_counted(cluster, recorder, clock):
    for number in range(100):
        await recorder.emit(event(f"Thing {number}.", at=T0 + number))
    assert written(cluster) == [("BurstStarted", ALLOWANCE)]
    assert recorder.held_back == 100 - ALLOWANCE
    await recorder.emit(event(name="task-2"))
    assert len(written(cluster)) == 2, "another object has its own"
    clock.ms += REFILL_MS
    await recorder.emit(event("Thing 100.", at=clock.ms))
    assert ("BurstStarted", 101) in written(cluster)
    await recorder.emit(event("Thing 101.", at=clock.ms + 1))
    assert ("BurstStarted", 101) in written(cluster), "one in five minutes"


async def test_many_at_once_are_one_request_at_a_time(cluster, recorder):
    await asyncio.gather(*(recorder.emit(event(at=T0 + number)) for number in range(16)))
    await recorder.emit(event(at=T0 + 16))
    assert written(cluster) == [("BurstStarted", 17)]


async def test_memory_is_bounded(recorder):
    for number in range(REMEMBERED + 100):
        await recorder.emit(event(name=f"task-{number}", uid=f"uid-{number}"))
    assert len(recorder._series) == REMEMBERED
    assert len(recorder._allowances) == REMEMBERED


async def test_one_that_could_not_be_written_is_not_added_to(cluster, recorder):
    request, broken = cluster.request, [True]

    def fail(verb, *rest, **more):
        if broken:
            broken.clear()
            raise RemoteError("Unavailable", "no")
        return request(verb, *rest, **more)

    cluster.request = fail
    with pytest.raises(RemoteError):
        await recorder.emit(event())
    await recorder.emit(event(at=T0 + 1))
    assert written(cluster) == [("BurstStarted", 1)]


async def test_an_event_on_a_target_is_in_the_namespace_that_takes_it(cluster, recorder, clock):
    for _ in range(2):
        await recorder.emit(event("It can't be used.", "TargetRefused", kind="BurstTarget", namespace="", name="azure"))
        clock.ms += 60_000
    (one,) = cluster.all("events")
    assert (one["metadata"]["namespace"], one["count"]) == ("default", 2)
    assert one["involvedObject"] == {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstTarget",
        "name": "azure",
        "uid": "uid-1",
    }
