"""Pods on nodes are followed while there are few of them; pods elsewhere in a large cluster cost nothing."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from burster.clients.kube import Kube, KubeSettings, Params
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.cluster.nodes import add_node, make_node
from burster.lab.lockstep import LabClock
from burster.model.pods import Resources
from burster.model.stimuli import CapacitySeen, PodSeen, Stimulus
from burster.policy.crds import crds
from burster.runtime.clock import SystemClock
from burster.sources import bursts, cloud_pods, events, namespaces, node_requests, nodes, pods, policies
from burster.sources.cloud_pods import CloudPods
from burster.sources.feed import Feed


Play = Callable[[Any], Any]
NODE = {"status": {"allocatable": {"cpu": "4"}}}


def on_node(cpu: str = "1") -> dict[str, Any]:
    """A pod on the node."""
    container = {"name": "a", "image": "a:1", "resources": {"requests": {"cpu": cpu}}}
    return {"spec": {"nodeName": "n1", "containers": [container]}}


@asynccontextmanager
async def capacity(kube: Kube, clock: LabClock, *, pods_max: int) -> AsyncIterator[list[Stimulus]]:
    """Run the source and yield what it posts."""
    posted: list[Stimulus] = []
    feed = Feed(kube, posted.append, clock, random.Random(1))
    task = asyncio.create_task(nodes.run(feed, pods_max=pods_max))
    try:
        await clock.settled()
        yield posted
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def told(posted: list[Stimulus]) -> tuple[bool, int]:
    last = posted[-1]
    assert isinstance(last, CapacitySeen)
    return last.requested_known, last.requested.cpu_millicores


def test_more_pods_than_the_bound_are_counted_and_not_read(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", NODE)
        for number in range(11):
            api.put(node_requests.PODS_PATH, f"p{number}", on_node())
        async with capacity(kube, clock, pods_max=10) as posted:
            unknown = CapacitySeen(
                nodes=1,
                allocatable=Resources(cpu_millicores=4_000),
                requested=Resources(),
                requested_known=False,
            )
            assert posted == [unknown]
            asked = [query for _, _, query in api.requests if query.get("limit") == "1"]
            assert len(asked) == 1
            assert not [query for _, _, query in api.requests if "fieldSelector" in query]

    play(scene)


def test_they_are_counted_again_and_followed_once_there_are_few(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", NODE)
        for number in range(3):
            api.put(node_requests.PODS_PATH, f"p{number}", on_node())
        async with capacity(kube, clock, pods_max=2) as posted:
            assert told(posted) == (False, 0)
            api.remove(node_requests.PODS_PATH, "p0")
            await clock.sleep(620)
            assert told(posted) == (True, 2_000)

    play(scene)


def test_a_cluster_that_grows_beyond_the_bound_is_let_go(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", NODE)
        api.put(node_requests.PODS_PATH, "p0", on_node())
        async with capacity(kube, clock, pods_max=2) as posted:
            assert told(posted) == (True, 1_000)
            api.put(node_requests.PODS_PATH, "p1", on_node("2"))
            await clock.sleep(2)
            assert told(posted) == (True, 3_000)
            api.put(node_requests.PODS_PATH, "p2", on_node())
            await clock.sleep(2)
            assert told(posted) == (False, 0)
            before = len(posted)
            for number in range(50):
                api.put(node_requests.PODS_PATH, f"q{number}", on_node())
            await clock.sleep(5)
            assert len(posted) == before

    play(scene)


def test_a_server_that_does_not_count_is_not_asked_for_all(play: Play):
    async def scene(api, kube, clock) -> None:
        api.counts = False
        api.put(nodes.NODES_PATH, "n1", NODE)
        for number in range(3):
            api.put(node_requests.PODS_PATH, f"p{number}", on_node())
        async with capacity(kube, clock, pods_max=100) as posted:
            assert told(posted) == (False, 0)

    play(scene)


def test_a_count_that_fails_is_asked_for_again_and_capacity_is_told_meanwhile(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", NODE)
        api.put(node_requests.PODS_PATH, "p0", on_node())
        refused = {"code": 500, "reason": "InternalError", "message": "etcd is away"}
        api.faults["LIST"].extend([refused, refused])
        async with capacity(kube, clock, pods_max=10) as posted:
            await clock.sleep(2)
            assert told(posted) == (False, 0)
            await clock.sleep(30)
            assert told(posted) == (True, 1_000)

    play(scene)


class Counting(Kube):
    """Counts what comes from the API server."""

    received = 0

    async def _send(self, *args: Any, **kwargs: Any) -> bytes:
        body = await super()._send(*args, **kwargs)
        self.received += len(body)
        return body

    async def watch(
        self, path: str, params: Params | None = None, *, inactivity_ms: int = 90_000
    ) -> AsyncGenerator[bytes]:
        async for line in super().watch(path, params, inactivity_ms=inactivity_ms):
            self.received += len(line)
            yield line


@pytest.mark.timeout(60)
async def test_pods_elsewhere_cost_not_a_byte(tmp_path: Path):
    clock = SystemClock()
    store = Store(clock.now_ms)
    for definition in crds().values():
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", definition)
    store.create("namespaces", "", {"metadata": {"name": "shop"}})
    add_node(store, make_node("n1", "8", "32Gi"))

    def run_one(number: int) -> None:
        body = {**on_node(), "metadata": {"name": f"p{number}", "namespace": "shop"}}
        store.create("pods", "shop", body)
        store.patch("pods", "shop", f"p{number}", {"status": {"phase": "Running"}}, kind="merge", subresource="status")

    for number in range(300):
        run_one(number)
    posted: list[Stimulus] = []
    async with ApiServer(store) as api:
        config = tmp_path / "kubeconfig"
        config.write_text(api.kubeconfig())
        async with await Counting.connect(KubeSettings(kubeconfig=str(config))) as kube:
            feed = Feed(kube, posted.append, clock, random.Random(1))
            index = CloudPods()
            running = [
                *(source.run(feed.apart()) for source in (pods, policies, bursts, namespaces)),
                nodes.run(feed.apart(), pods_max=200),
                cloud_pods.run(feed.apart(), index=index),
                events.run(feed.apart(), index=index),
            ]
            tasks = [asyncio.create_task(each) for each in running]
            try:
                await _until(lambda: any(isinstance(one, CapacitySeen) for one in posted))
                await asyncio.sleep(0.5)
                assert not [one for one in posted if isinstance(one, PodSeen)]
                assert kube.received < 20_000  # three hundred pods are ten times as much
                before, heard = kube.received, len(posted)
                for number in range(300, 600):
                    run_one(number)
                for number in range(300):
                    store.patch("pods", "shop", f"p{number}", {"metadata": {"labels": {"a": "b"}}}, kind="merge")
                waiting = {"metadata": {"name": "waits"}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
                store.create("pods", "shop", waiting)
                await _until(lambda: any(isinstance(one, PodSeen) for one in posted))
                # each new one is unscheduled for an instant only if it is created so: these were created on their node
                assert [type(one).__name__ for one in posted[heard:]] == ["PodSeen"]
                assert kube.received - before < 2_000
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happens():  # noqa: ASYNC110 - what is posted has no event
            await asyncio.sleep(0.02)
