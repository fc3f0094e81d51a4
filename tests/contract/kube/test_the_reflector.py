"""burster's own reflector and its watch of waiting pods, on both servers: what it must live with is what they really do."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from burster.clients.kube import Kube, KubeSettings
from burster.model.stimuli import PodLeft, PodSeen, SourceSynced, Stimulus
from burster.runtime.clock import SystemClock
from burster.sources import pods
from burster.sources.feed import Feed
from burster.sources.reflector import Codec, Meta, Pace, Reflector

from .conftest import WIDGETS, Api, a_pod, a_widget


class Thing(msgspec.Struct):
    metadata: Meta
    spec: dict[str, str] = {}


class Log:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def seen(self, obj: Thing) -> str:
        self.told.append(f"{obj.metadata.name}={obj.spec['size']}")
        return obj.metadata.name

    def gone(self, key: str, last: Thing | None) -> None:
        self.told.append(f"gone {key}")

    def synced(self) -> None:
        self.told.append("synced")

    async def until(self, *told: str) -> None:
        async with asyncio.timeout(20):
            while self.told[-len(told) :] != [*told]:  # noqa: ASYNC110 - what is told has no event
                await asyncio.sleep(0.02)


@pytest.fixture
async def kube(api: Api) -> AsyncIterator[Kube]:
    async with await Kube.connect(KubeSettings(kubeconfig=str(api.endpoint.kubeconfig))) as kube:
        yield kube


def reflector_of(api: Api, kube: Kube, log: Log, pace: Pace) -> Reflector[Thing, str]:
    codec = Codec(Thing, lambda thing: (thing.metadata.uid, thing.metadata.resource_version))
    return Reflector(kube, api.path(WIDGETS), codec, log, SystemClock(), random.Random(1), pace=pace)


@asynccontextmanager
async def running(reflector: Reflector[Thing, str]) -> AsyncIterator[None]:
    task = asyncio.create_task(reflector.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_reads_pages_says_synced_and_goes_on_over_watches_that_the_server_ends(widgets: Api, kube: Kube):
    for number in range(7):
        await widgets.create(WIDGETS, a_widget(f"m{number}", size="small"))
    log = Log()
    reflector = reflector_of(widgets, kube, log, Pace(page=3, watch_min=1, watch_max=1))
    async with running(reflector):
        await log.until(*(f"m{number}=small" for number in range(7)), "synced")
        await asyncio.sleep(2.5)  # two watches have ended by now
        await widgets.merge(WIDGETS, "m1", {"spec": {"size": "large"}})
        await widgets.ok("DELETE", widgets.path(WIDGETS, "m0"))
        await log.until("synced", "m1=large", "gone m0")
    assert (reflector.stats.lists, reflector.stats.failures) == (1, 0)


async def test_after_a_history_that_is_lost_only_the_difference_is_told(widgets: Api, kube: Kube):
    for name in ("kept", "changed", "deleted"):
        await widgets.create(WIDGETS, a_widget(name, size="small"))
    log = Log()
    reflector = reflector_of(widgets, kube, log, Pace())
    async with running(reflector):
        await log.until("synced")
    before = len(log.told)
    await widgets.merge(WIDGETS, "changed", {"spec": {"size": "large"}})
    await widgets.ok("DELETE", widgets.path(WIDGETS, "deleted"))
    await widgets.create(WIDGETS, a_widget("added", size="small"))
    await asyncio.to_thread(widgets.endpoint.forget)
    reflector._version = "1"  # as of a connection that was away for very long
    async with running(reflector):
        await log.until("gone deleted")
        assert sorted(log.told[before:]) == ["added=small", "changed=large", "gone deleted"]
        await widgets.create(WIDGETS, a_widget("later", size="small"))
        await log.until("later=small")
    assert (reflector.stats.lists, reflector.stats.failures) == (2, 1)


async def test_a_pod_that_is_bound_comes_as_deleted_with_its_old_self_and_is_told_as_bound(api: Api, kube: Kube):
    posted: list[Stimulus] = []
    task = asyncio.create_task(pods.run(Feed(kube, posted.append, SystemClock(), random.Random(1))))
    try:
        await until(lambda: SourceSynced(source="pods") in posted)
        for name in ("bound", "deleted"):
            await api.create("pods", a_pod(name))
        ours = lambda kind: {one.pod.name if kind is PodSeen else one.name for one in posted if of(one, kind, api)}  # noqa: E731
        await until(lambda: ours(PodSeen) == {"bound", "deleted"})
        target = {"apiVersion": "v1", "kind": "Node", "name": "n1"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": target}
        await api.ok("POST", api.path("pods", "bound", "binding"), binding)
        await api.ok("DELETE", api.path("pods", "deleted"), params={"gracePeriodSeconds": "0"})
        await until(lambda: ours(PodLeft) == {"bound", "deleted"})
        left = {one.name: one.why for one in posted if isinstance(one, PodLeft) and of(one, PodLeft, api)}
        assert left == {"bound": "Bound", "deleted": "Gone"}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def of(stimulus: Stimulus, kind: type, api: Api) -> bool:
    """Say whether a fact is of a kind and about this test's namespace: others work on the same server."""
    if not isinstance(stimulus, kind):
        return False
    return (stimulus.pod if isinstance(stimulus, PodSeen) else stimulus).namespace == api.namespace


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happens():  # noqa: ASYNC110 - what is posted has no event
            await asyncio.sleep(0.02)
