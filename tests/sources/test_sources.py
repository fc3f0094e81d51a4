"""Each source, from a scripted API server to stimuli."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from burster.model.bursts import Burst, BurstSpec, PodRef
from burster.model.pods import Resources
from burster.model.stimuli import (
    BurstGone,
    BurstSeen,
    CapacitySeen,
    CloudPodGone,
    CloudPodSeen,
    PodLeft,
    PodSeen,
    PolicyGone,
    PolicyRefused,
    PolicySeen,
    SandboxFailed,
    SourceSynced,
    Stimulus,
    TargetGone,
    TargetRefused,
    TargetSeen,
)
from burster.policy.records import burst_to_object
from burster.sources import bursts, cloud_pods, events, node_requests, nodes, pods, policies
from burster.sources.cloud_pods import CloudPods
from burster.sources.feed import Feed


Play = Callable[[Any], Any]


@asynccontextmanager
async def running(source: Any, kube: Any, clock: Any, **options: Any) -> AsyncIterator[list[Stimulus]]:
    posted: list[Stimulus] = []
    task = asyncio.create_task(source.run(Feed(kube, posted.append, clock, random.Random(1)), **options))
    try:
        await clock.settled()
        yield posted
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def a_pod(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", **metadata},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Pending"},
    }


def test_pods_are_told_then_synced(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(pods.PATH, "a", a_pod())
        api.put(pods.PATH, "clone", a_pod(labels={"burster.dev/burst": "b"}))
        async with running(pods, kube, clock) as posted:
            assert [type(one) for one in posted] == [PodSeen, SourceSynced]
            assert posted[0].pod.key == "shop/a"
            query = api.requests[0][2]
            assert query["fieldSelector"] == "status.phase=Pending,spec.nodeName="
            assert query["labelSelector"] == "!burster.dev/burst"

    play(scene)


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        pytest.param({"metadata": {"name": "a", "uid": "uid-a"}, "spec": {"nodeName": "n1"}}, "Bound", id="bound"),
        pytest.param({"metadata": {"name": "a", "uid": "uid-a"}, "status": {"phase": "Failed"}}, "Gone", id="failed"),
        pytest.param({"metadata": {"name": "a", "uid": "else"}, "spec": {"nodeName": "n1"}}, "Gone", id="a namesake"),
        pytest.param(None, "Gone", id="deleted"),
        pytest.param({"metadata": 7}, "Gone", id="nonsense"),
    ],
)
def test_a_pod_that_leaves_is_read_again_to_learn_why(play: Play, answer: dict[str, Any] | None, want: str):
    async def scene(api, kube, clock) -> None:
        api.put(pods.PATH, "a", a_pod())
        async with running(pods, kube, clock) as posted:
            if answer is not None:
                api.single["/api/v1/namespaces/shop/pods/a"] = answer
            api.remove(pods.PATH, "a")
            await clock.settled()
            assert posted[2:] == [PodLeft(namespace="shop", name="a", uid="uid-a", why=want)]

    play(scene)


def test_a_pod_that_was_being_deleted_needs_no_second_look(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(pods.PATH, "a", a_pod())
        async with running(pods, kube, clock) as posted:
            api.remove(pods.PATH, "a", deletionTimestamp="2026-01-05T09:00:00Z")
            await clock.settled()
            assert posted[2:] == [PodLeft(namespace="shop", name="a", uid="uid-a", why="Gone")]
            assert api.count("GET") == 0

    play(scene)


def test_reading_why_is_tried_again_and_ends(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(pods.PATH, "a", a_pod())
        api.put(pods.PATH, "b", a_pod())
        bound = {"metadata": {"name": "a", "uid": "uid-a"}, "spec": {"nodeName": "n1"}}
        api.single["/api/v1/namespaces/shop/pods/a"] = bound
        away = {"code": 503, "reason": "ServiceUnavailable", "message": "away"}
        async with running(pods, kube, clock) as posted:
            api.faults["GET"].extend([away, away])
            api.remove(pods.PATH, "a")
            await clock.sleep(3)
            assert posted[3:] == [PodLeft(namespace="shop", name="a", uid="uid-a", why="Bound")]
            api.faults["GET"].extend([away] * 10)
            api.remove(pods.PATH, "b")
            await clock.sleep(10)
            assert posted[4:] == [PodLeft(namespace="shop", name="b", uid="uid-b", why="Gone")]

    play(scene)


def test_cloud_pods_come_and_go_and_are_known_by_uid(play: Play):
    async def scene(api, kube, clock) -> None:
        index = CloudPods()
        mine = a_pod(labels={"burster.dev/burst": "b"}, annotations={"burster.dev/burst-uid": "bu"})
        api.put(cloud_pods.PATH, "c", mine)
        api.put(cloud_pods.PATH, "unlinked", a_pod(labels={"burster.dev/burst": "b"}))
        async with running(cloud_pods, kube, clock, index=index) as posted:
            assert [type(one) for one in posted] == [CloudPodSeen, SourceSynced]
            assert index.burst_of("uid-c") == "shop/b"
            api.remove(cloud_pods.PATH, "c")
            await clock.settled()
            assert posted[2:] == [
                CloudPodGone(burst_uid="bu", burst_key="shop/b", pod_uid="uid-c", phase="Pending", name="c")
            ]
            assert index.burst_of("uid-c") is None

    play(scene)


def test_failed_sandboxes_are_counted_over_events_and_matched_by_uid_even_if_the_pod_is_known_later(play: Play):
    async def scene(api, kube, clock) -> None:
        index = CloudPods()
        index.add("p1", "shop/b1")

        def complain(name: str, pod_uid: str, message: str, **count: Any) -> None:
            # as every API server demands, in the namespace of the pod that it is about
            about = {"metadata": {"namespace": "shop"}, "involvedObject": {"uid": pod_uid}, "message": message}
            api.put(events.PATH, name, about | count)

        text = 'failed to create sandbox: Code="SkuNotAvailable" Message="not here"'
        complain("e1", "p1", text, count=2)
        async with running(events, kube, clock, index=index) as posted:
            complain("e2", "p2", "rpc error: timed out", series={"count": 4})
            complain("e3", "p1", text)
            complain("e4", "", "about nobody")
            await clock.settled()
            assert [(one.burst_key, one.count) for one in posted] == [("shop/b1", 2), ("shop/b1", 3)]
            assert isinstance(posted[0], SandboxFailed)
            assert (posted[0].kind, posted[0].code) == ("Capacity", "SkuNotAvailable")
            index.add("p2", "shop/b2")
            assert [(one.burst_key, one.count) for one in posted[2:]] == [("shop/b2", 4)]

    play(scene)


def test_burst_records(play: Play):
    burst = Burst(
        namespace="shop",
        name="b",
        spec=BurstSpec(
            policy="p",
            target="t",
            strategy="Clone",
            pod_name="b",
            for_pod=PodRef(name="a", uid="ua"),
            region="r",
            size="s",
            runtime_class="kata-remote",
            price_micro_usd_per_hour=1,
            reserved_micro_usd=2,
            decided_at_ms=1_767_600_000_000,
            lease_ms=1,
            drain_ms=1,
            launch_deadline_ms=1,
            ready_deadline_ms=1,
        ),
    )

    async def scene(api, kube, clock) -> None:
        api.put(bursts.PATH, "b", burst_to_object(burst))
        api.put(bursts.PATH, "odd", {"metadata": {"namespace": "shop"}, "spec": {"policy": 7}})
        async with running(bursts, kube, clock) as posted:
            assert [type(one) for one in posted] == [BurstSeen, SourceSynced]
            assert posted[0].burst.spec == burst.spec
            assert posted[0].burst.uid == "uid-b"
            api.remove(bursts.PATH, "b")
            await clock.settled()
            assert posted[2:] == [BurstGone(key="shop/b", uid="uid-b")]

    play(scene)


def a_policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"namespace": "shop"},
        "spec": {
            "workload": {"namePattern": "web.*"},
            "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "5s"}}],
            "placement": {"targets": ["azure"]},
            **spec,
        },
    }


def test_a_policy_that_stops_compiling_is_refused_and_only_a_deletion_ends_it(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(policies.POLICIES_PATH, "p", a_policy())
        api.put(
            policies.TARGETS_PATH, "broken", {"apiVersion": "burster.dev/v1alpha1", "kind": "BurstTarget", "spec": 7}
        )
        async with running(policies, kube, clock) as posted:
            assert [type(one) for one in posted if not isinstance(one, SourceSynced)].count(PolicySeen) == 1
            assert {one.source for one in posted if isinstance(one, SourceSynced)} == {"policies", "targets"}
            assert not any(isinstance(one, TargetSeen) for one in posted)
            before = len(posted)
            broken = a_policy(unknownField=1)
            broken["metadata"]["generation"] = 4
            api.put(policies.POLICIES_PATH, "p", broken)
            api.put(policies.POLICIES_PATH, "p", a_policy())
            api.put(policies.POLICIES_PATH, "p", broken)
            api.remove(policies.POLICIES_PATH, "p")
            await clock.settled()
            told = posted[before:]
            assert [type(one) for one in told] == [PolicyRefused, PolicySeen, PolicyRefused, PolicyGone]
            assert (told[0].key, told[0].uid, told[0].generation) == ("shop/p", "uid-p", 4)
            assert "unknownField" in told[0].message
            assert told[3] == PolicyGone(key="shop/p")


def test_rules_that_were_made_anew_while_nobody_watched_are_there(play: Play):
    async def scene(api, kube, clock) -> None:
        target = {"apiVersion": "burster.dev/v1alpha1", "kind": "BurstTarget", "spec": 7}
        api.put(policies.POLICIES_PATH, "p", a_policy())
        api.put(policies.TARGETS_PATH, "t", target)
        async with running(policies, kube, clock) as posted:
            before = len(posted)
            for path, name in ((policies.POLICIES_PATH, "p"), (policies.TARGETS_PATH, "t")):
                anew = api.objects[path][name]
                api.remove(path, name)
                api.put(path, name, {**anew, "metadata": {**anew["metadata"], "uid": f"anew-{name}"}})
            api.forget_history()
            api.cut()
            await clock.sleep(60)
            assert [type(one) for one in posted[before:]] == [PolicySeen, TargetRefused]
            api.remove(policies.POLICIES_PATH, "p")
            api.remove(policies.TARGETS_PATH, "t")
            await clock.settled()
            assert posted[before + 2 :] == [PolicyGone(key="shop/p"), TargetGone(name="t")]

    play(scene)


def test_a_policy_that_never_compiled_is_refused_too_and_gone_when_it_is_deleted(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(policies.POLICIES_PATH, "p", a_policy(**{"x" * 5_000: 1}))
        async with running(policies, kube, clock) as posted:
            (refused,) = [one for one in posted if isinstance(one, PolicyRefused)]
            assert len(refused.message) == 1_000
            api.remove(policies.POLICIES_PATH, "p")
            await clock.settled()
            assert posted[-1] == PolicyGone(key="shop/p")

    play(scene)


def test_capacity_is_summed_and_told_at_most_once_a_second(play: Play):
    def node(cpu: str, **spec: Any) -> dict[str, Any]:
        return {"spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "nvidia.com/gpu": "1"}}}

    def pod_on(name: str) -> dict[str, Any]:
        pod = a_pod()
        return {**pod, "spec": {**pod["spec"], "nodeName": name}}

    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", node("4"))
        api.put(nodes.NODES_PATH, "n2", node("8"))
        api.put(nodes.NODES_PATH, "cordoned", node("16", unschedulable=True))
        api.put(node_requests.PODS_PATH, "a", pod_on("n2"))
        api.put(node_requests.PODS_PATH, "b", pod_on("cordoned"))
        async with running(nodes, kube, clock) as posted:
            first = CapacitySeen(
                nodes=2,
                allocatable=Resources(cpu_millicores=12_000, memory_bytes=2**31, gpus=2),
                requested=Resources(cpu_millicores=1_000),
            )
            assert posted == [first]
            for number in range(50):
                api.put(node_requests.PODS_PATH, f"p{number}", pod_on("n2"))
            api.put(nodes.NODES_PATH, "n2", node("6"))
            api.put(nodes.NODES_PATH, "n1", node("4", unschedulable=True))
            await clock.sleep(1.5)
            assert len(posted) == 2
            assert (posted[1].nodes, posted[1].allocatable.cpu_millicores) == (1, 6_000)
            assert posted[1].requested.cpu_millicores == 51_000
            api.remove(node_requests.PODS_PATH, "a")
            await clock.sleep(1.5)
            assert posted[2].requested.cpu_millicores == 50_000

    play(scene)


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        pytest.param({}, 1, id="an ordinary node"),
        pytest.param({"unschedulable": True}, 0, id="a cordoned one"),
        pytest.param({"taints": [{"key": "peer-pods", "effect": "NoSchedule"}]}, 0, id="a gateway of peer pods"),
        pytest.param({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]}, 0, id="a lost one"),
        pytest.param({"taints": [{"key": "busy", "effect": "PreferNoSchedule"}]}, 1, id="one that is only not liked"),
    ],
)
def test_only_nodes_that_ordinary_pods_can_go_to_are_on_prem_capacity(play: Play, spec: dict[str, Any], want: int):
    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", {"spec": spec, "status": {"allocatable": {"cpu": "4"}}})
        api.put(node_requests.PODS_PATH, "a", {"spec": {**a_pod()["spec"], "nodeName": "n1"}})
        async with running(nodes, kube, clock) as posted:
            (seen,) = posted
            assert seen.nodes == want
            assert (seen.allocatable.cpu_millicores, seen.requested.cpu_millicores) == (4_000 * want, 1_000 * want)

    play(scene)
