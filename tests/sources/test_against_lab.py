"""The sources against the lab's API server: what the real selectors, bookmarks and pods that leave look like."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from burster.clients.kube import Kube, KubeSettings, delete_options
from burster.clients.kube_sync import KubeSync
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.lockstep import LabClock, run_lockstep
from burster.model.errors import RemoteError
from burster.model.stimuli import CapacitySeen, CloudPodGone, CloudPodSeen, PodLeft, PodSeen, SourceSynced, Stimulus
from burster.sources import cloud_pods, nodes, pods
from burster.sources.cloud_pods import CloudPods
from burster.sources.feed import Feed


Scene = Callable[[ApiServer, Kube, LabClock], Awaitable[Any]]


@pytest.fixture
def lab(tmp_path: Path) -> Callable[[Scene], Any]:
    def run(scene: Scene) -> Any:
        async def main(clock: LabClock) -> Any:
            store = Store(clock.now_ms)
            async with ApiServer(store) as server:
                path = tmp_path / "kubeconfig"
                path.write_text(server.kubeconfig())
                async with await Kube.connect(KubeSettings(kubeconfig=str(path))) as kube:
                    return await scene(server, kube, clock)

        return run_lockstep(main)

    return run


@asynccontextmanager
async def running(source: Any, kube: Kube, clock: LabClock, **options: Any) -> AsyncIterator[list[Stimulus]]:
    posted: list[Stimulus] = []
    task = asyncio.create_task(source.run(Feed(kube, posted.append, clock, random.Random(1)), **options))
    try:
        await clock.settled()
        yield posted
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def a_pod(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "default", "name": name, **metadata},
        "spec": {
            "containers": [{"name": "a", "image": "i", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]
        },
    }


def a_node(name: str) -> dict[str, Any]:
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"allocatable": capacity, "capacity": capacity},
    }


def test_a_pending_pod_is_seen_at_the_instant_it_is_written_and_leaves_when_it_is_bound(lab: Callable[[Scene], Any]):
    async def scene(server: ApiServer, kube: Kube, clock: LabClock) -> None:
        store = server.store
        store.create("nodes", "", a_node("n1"))
        async with running(pods, kube, clock) as posted:
            assert posted == [SourceSynced(source="pods")]
            store.create("pods", "default", a_pod("a"))
            store.create("pods", "default", a_pod("b"))
            store.create("pods", "default", a_pod("clone", labels={"burster.dev/burst": "x"}))
            status = {
                "status": {
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "0/1 nodes are available",
                            "lastTransitionTime": "2026-01-05T08:00:00Z",
                        }
                    ]
                }
            }
            store.patch("pods", "default", "a", status, subresource="status")
            await clock.settled()
            seen = [one.pod for one in posted[1:] if isinstance(one, PodSeen)]
            assert [pod.name for pod in seen] == ["a", "b", "a"]
            assert seen[-1].unschedulable
            assert seen[-1].requests.cpu_millicores == 500
            before = len(posted)
            store.bind("default", "a", "n1")
            await kube.delete("/api/v1/namespaces/default/pods/b", delete_options(uid=seen[1].uid))
            await clock.settled()
            left = [one for one in posted[before:] if isinstance(one, PodLeft)]
            assert sorted((one.name, one.why) for one in left) == [("a", "Bound"), ("b", "Gone")]

    lab(scene)


def test_cloud_pods_and_capacity_follow_the_same_server(lab: Callable[[Scene], Any]):
    async def scene(server: ApiServer, kube: Kube, clock: LabClock) -> None:
        store = server.store
        store.create("nodes", "", a_node("n1"))
        store.patch("nodes", "", "n1", {"status": a_node("n1")["status"]}, subresource="status")
        async with (
            running(cloud_pods, kube, clock, index=CloudPods()) as posted,
            running(nodes, kube, clock) as capacity,
        ):
            mine = a_pod("c", labels={"burster.dev/burst": "b"}, annotations={"burster.dev/burst-uid": "bu"})
            store.create("pods", "default", mine)
            store.create("pods", "default", a_pod("plain"))
            await clock.settled()
            assert [type(one) for one in posted] == [SourceSynced, CloudPodSeen]
            store.bind("default", "plain", "n1")
            await clock.sleep(2)
            last = capacity[-1]
            assert isinstance(last, CapacitySeen)
            assert (last.nodes, last.allocatable.cpu_millicores, last.requested.cpu_millicores) == (1, 4_000, 500)
            store.delete("pods", "default", "c")
            await clock.settled()
            assert isinstance(posted[-1], CloudPodGone)

    lab(scene)


def test_watches_that_are_cut_and_an_hour_that_passes_lose_nothing(lab: Callable[[Scene], Any]):
    async def scene(server: ApiServer, kube: Kube, clock: LabClock) -> None:
        async with running(pods, kube, clock) as posted:
            for number in range(60):
                server.store.create("pods", "default", a_pod(f"p{number}"))
                if number % 7 == 0:
                    server.cut_watches()
                if number % 3 == 0:
                    server.store.delete("pods", "default", f"p{number}")
                await clock.sleep(60)
            present: set[str] = set()
            for one in posted:
                if isinstance(one, PodSeen):
                    present.add(one.pod.name)
                elif isinstance(one, PodLeft):
                    present.discard(one.name)
            assert present == {f"p{number}" for number in range(60) if number % 3}

    lab(scene)


def test_the_transport_tells_the_servers_refusals_apart(lab: Callable[[Scene], Any]):
    async def scene(server: ApiServer, kube: Kube, clock: LabClock) -> list[str]:
        path = "/api/v1/namespaces/default/pods"
        kinds: list[str] = []
        await kube.create(path, a_pod("a"))
        stale = delete_options(uid="other")
        for attempt in (
            kube.create(path, a_pod("a")),
            kube.get(f"{path}/none"),
            kube.create(path, {**a_pod("b"), "spec": {}}),
            kube.delete(f"{path}/a", stale),
        ):
            with pytest.raises(RemoteError) as caught:
                await attempt
            kinds.append(caught.value.kind)
        return kinds

    assert lab(scene) == ["AlreadyExists", "NotFound", "Invalid", "Conflict"]


def test_the_synchronous_client_reads_the_same_server_from_a_thread(lab: Callable[[Scene], Any], tmp_path: Path):
    def ask() -> list[str]:
        with KubeSync.connect(kubeconfig=str(tmp_path / "kubeconfig")) as kube:
            return [pod["metadata"]["name"] for pod in kube.list("/api/v1/pods", {"labelSelector": "!x"})]

    async def scene(server: ApiServer, kube: Kube, clock: LabClock) -> list[str]:
        server.store.create("pods", "default", a_pod("a"))
        return await asyncio.to_thread(ask)

    assert lab(scene) == ["a"]
