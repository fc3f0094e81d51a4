"""Namespaces with their labels, and the workloads that policies name."""

import asyncio
from typing import Any

import orjson
import pytest

from burster.model.errors import RemoteError
from burster.model.pods import Resources
from burster.model.policies import WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.stimuli import NamespaceGone, NamespaceSeen, Stimulus, WorkloadGone, WorkloadSeen
from burster.model.triggers import CronTrigger, WorkloadRef
from burster.runtime.workload_facts import WorkloadPoller
from burster.sources import namespaces
from burster.sources.workloads import Scalers, observe_workload, read_scalers
from tests.sources.test_sources import Play, running
from tests.support.builders import GIB, a_policy


APPS = "/apis/apps/v1/namespaces/bank"
HPAS = "/apis/autoscaling/v1/namespaces/bank/horizontalpodautoscalers"
SCALED = "/apis/keda.sh/v1alpha1/namespaces/bank/scaledobjects"
NOBODY = Scalers([], [])


class Api:
    """Answers by path; what is not there is a 404, what is an exception is raised."""

    def __init__(self, **objects: Any) -> None:
        self.objects: dict[str, Any] = objects
        self.asked: list[str] = []

    async def get(self, path: str) -> bytes:
        await asyncio.sleep(0)
        self.asked.append(path)
        found = self.objects.get(path)
        if found is None:
            raise RemoteError("NotFound", "no such thing")
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, bytes) else orjson.dumps(found)


def a_deployment(**spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"annotations": {"io.katacontainers.config.hypervisor.machine_type": "Standard_DC4es_v6"}},
        "spec": {
            "runtimeClassName": "kata-remote",
            "containers": [
                {
                    "image": "bank/web:1",
                    "resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}},
                    "envFrom": [{"secretRef": {"name": "keys"}}],
                },
                {},
            ],
            "volumes": [{"secret": {"secretName": "certs"}}, {"emptyDir": {}}],
            "initContainers": [{"image": "bank/init:1", "resources": {"requests": {"memory": "2Gi"}}}],
        },
    }
    status = {"replicas": 3, "readyReplicas": 2}
    return {
        "metadata": {"name": "cloud", "resourceVersion": "4711"},
        "spec": {"replicas": 4, "template": template, **spec},
        "status": status,
    }


CLOUD = WorkloadRef(name="cloud")


async def test_a_workload_is_told_with_its_number_and_what_a_pod_of_it_asks_for() -> None:
    api = Api(**{f"{APPS}/deployments/cloud": a_deployment()})
    assert await observe_workload(api, "bank", CLOUD, NOBODY) == WorkloadSeen(
        namespace="bank",
        kind="Deployment",
        name="cloud",
        replicas=4,
        status_replicas=3,
        ready_replicas=2,
        requests=Resources(cpu_millicores=1_500, memory_bytes=2 * GIB),
        runtime_class="kata-remote",
        size="Standard_DC4es_v6",
        images=("bank/init:1", "bank/web:1"),
        secrets=("certs", "keys"),
        version=4711,
    )


async def test_what_a_workload_leaves_out_is_what_kubernetes_makes_of_it() -> None:
    api = Api(**{f"{APPS}/statefulsets/db": {"metadata": {"name": "db"}, "spec": {}}})
    seen = await observe_workload(api, "bank", WorkloadRef(kind="StatefulSet", name="db"), NOBODY)
    assert seen == WorkloadSeen(namespace="bank", kind="StatefulSet", name="db", replicas=1)


async def test_a_workload_that_is_not_there_is_gone() -> None:
    assert await observe_workload(Api(), "bank", CLOUD, NOBODY) == WorkloadGone(
        namespace="bank", kind="Deployment", name="cloud"
    )


async def test_whose_number_it_is_is_told_with_it() -> None:
    aim = {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "cloud"}}}
    api = Api(**{f"{APPS}/deployments/cloud": a_deployment(), HPAS: {"items": [aim]}, SCALED: {"items": None}})
    scalers = await read_scalers(api, "bank")
    seen = await observe_workload(api, "bank", CLOUD, scalers)
    assert isinstance(seen, WorkloadSeen)
    assert seen.owner == "HorizontalPodAutoscaler x"
    api.objects[SCALED] = {"items": [aim]}
    seen = await observe_workload(api, "bank", CLOUD, await read_scalers(api, "bank"))
    assert isinstance(seen, WorkloadSeen)
    assert seen.owner == "ScaledObject x"
    assert await read_scalers(Api(), "bank") == NOBODY, "neither kind is known there"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>", id="no JSON"),
        pytest.param({"spec": 5}, id="no object"),
        pytest.param(a_deployment(replicas="four"), id="no number"),
        pytest.param(
            {"spec": {"template": {"spec": {"containers": [{"resources": {"requests": {"cpu": "x"}}}]}}}},
            id="no quantity",
        ),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(body: Any) -> None:
    with pytest.raises(RemoteError) as caught:
        await observe_workload(Api(**{f"{APPS}/deployments/cloud": body}), "bank", CLOUD, NOBODY)
    assert caught.value.kind == "Protocol"


async def test_lists_that_make_no_sense_or_are_not_allowed_are_errors() -> None:
    with pytest.raises(RemoteError, match="no list"):
        await read_scalers(Api(**{HPAS: b"["}), "bank")
    with pytest.raises(RemoteError, match="not allowed"):
        await read_scalers(Api(**{SCALED: RemoteError("Unauthorized", "not allowed")}), "bank")
    with pytest.raises(RemoteError, match="knows no such kind"):
        await observe_workload(Api(), "bank", WorkloadRef(kind="Job", name="x"), NOBODY)


SCALE = a_policy("scale", strategy="Scale", scaling=Scaling(target=CLOUD))
CRON = CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=2)


async def test_only_a_policy_that_wants_a_number_names_a_workload() -> None:
    by_owner = WorkloadSelector(kind="Deployment", name="web", api_version="apps/v1")
    for policy, wanted in (
        (SCALE, True),
        (a_policy(workload=by_owner), False),
        (a_policy(workload=by_owner, triggers=(CRON,)), True),
        (a_policy(workload=WorkloadSelector(kind="Deployment"), triggers=(CRON,)), False),
    ):
        poller = WorkloadPoller(Api(), lambda _: None)
        poller.policy(policy)
        assert poller.busy is wanted


async def polled(poller: WorkloadPoller) -> None:
    task = asyncio.create_task(poller.run())
    for _ in range(1_000):
        if not poller.busy:
            break
        await asyncio.sleep(0)
    assert not poller.busy
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_workloads_are_read_once_each_and_told_when_they_have_changed() -> None:
    api = Api(**{f"{APPS}/deployments/cloud": a_deployment()})
    posted: list[Stimulus] = []
    poller = WorkloadPoller(api, posted.append)
    assert not poller.busy
    poller.wish()
    assert not poller.busy, "nobody names any"
    poller.policy(SCALE)
    poller.policy(a_policy("other", strategy="Signal", scaling=Scaling(target=CLOUD)))
    poller.policy(a_policy("pods"))
    await polled(poller)
    assert api.asked == [HPAS, SCALED, f"{APPS}/deployments/cloud"]
    assert [type(one) for one in posted] == [WorkloadSeen]
    poller.policy(SCALE)
    assert not poller.busy, "it names what it named before"
    poller.wish()
    await polled(poller)
    assert len(posted) == 1, "nothing has changed"
    api.objects[f"{APPS}/deployments/cloud"] = a_deployment(replicas=5)
    poller.wish()
    await polled(poller)
    del api.objects[f"{APPS}/deployments/cloud"]
    poller.wish()
    await polled(poller)
    assert [type(one) for one in posted] == [WorkloadSeen, WorkloadSeen, WorkloadGone]
    poller.forget("bank/scale")
    poller.policy(a_policy("other"))
    poller.wish()
    assert not poller.busy


async def test_what_can_not_be_read_stops_nothing_else() -> None:
    api = Api(
        **{
            f"{APPS}/deployments/a": RemoteError("Unavailable", "no"),
            f"{APPS}/deployments/b": a_deployment(),
            "/apis/autoscaling/v1/namespaces/alien/horizontalpodautoscalers": RemoteError("Unauthorized", "no"),
        }
    )
    posted: list[Any] = []
    poller = WorkloadPoller(api, posted.append)
    for namespace, name in (("alien", "x"), ("alien", "y"), ("bank", "a"), ("bank", "b")):
        target = Scaling(target=WorkloadRef(name=name))
        poller.policy(a_policy(name, namespace=namespace, strategy="Scale", scaling=target))
    await polled(poller)
    assert [one.name for one in posted] == ["b"]
    assert not any("alien/deployments" in path for path in api.asked), "whose number it is, nobody can say there"


def test_namespaces_are_told_when_their_labels_change(play: Play) -> None:
    async def scene(api, kube, clock) -> None:
        api.put(namespaces.PATH, "bank", {"metadata": {"labels": {"burst": "yes"}}})
        api.put(namespaces.PATH, "shop", {"status": {"phase": "Active"}})
        async with running(namespaces, kube, clock) as posted:
            assert posted == [NamespaceSeen(name="bank", labels={"burst": "yes"}), NamespaceSeen(name="shop")]
            api.put(namespaces.PATH, "shop", {"status": {"phase": "Terminating"}})
            api.put(namespaces.PATH, "bank", {"metadata": {"labels": {}}})
            api.remove(namespaces.PATH, "shop")
            await clock.settled()
            assert posted[2:] == [NamespaceSeen(name="bank"), NamespaceGone(name="shop")]
            api.put(namespaces.PATH, "shop", {})
            await clock.settled()
            assert posted[4:] == [NamespaceSeen(name="shop")]

    play(scene)


def test_a_namespace_that_was_made_anew_while_nobody_watched_is_there(play: Play) -> None:
    async def scene(api, kube, clock) -> None:
        labels = {"labels": {"burst": "yes"}}
        api.put(namespaces.PATH, "bank", {"metadata": labels})
        async with running(namespaces, kube, clock) as posted:
            api.remove(namespaces.PATH, "bank")
            api.put(namespaces.PATH, "bank", {"metadata": {"uid": "anew", **labels}})
            api.forget_history()
            api.cut()
            await clock.sleep(60)
            assert posted == [NamespaceSeen(name="bank", labels={"burst": "yes"})]
            api.remove(namespaces.PATH, "bank")
            await clock.settled()
            assert posted[1:] == [NamespaceGone(name="bank")]

    play(scene)


@pytest.mark.parametrize(
    "objects",
    [
        {f"{APPS}/deployments/cloud": orjson.dumps(a_deployment()).replace(b"bank/web", b"\xff")},
        {HPAS: b'{"items": [{"metadata": {"name": "\xff"}}]}'},
    ],
)
async def test_bytes_that_are_no_text_are_an_answer_that_makes_no_sense(objects: dict[str, bytes]) -> None:
    posted: list[Stimulus] = []
    poller = WorkloadPoller(Api(**objects), posted.append)
    poller.policy(SCALE)
    task = asyncio.create_task(poller.run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    assert posted == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_cluster_whose_namespaces_can_not_be_listed_is_asked_again(play: Play) -> None:
    async def scene(api, kube, clock) -> None:
        api.put(namespaces.PATH, "bank", {})
        api.faults["LIST"].extend([{"code": 403, "reason": "Forbidden", "message": "no"}] * 3)
        async with running(namespaces, kube, clock) as posted:
            assert posted == []
            await clock.sleep(30)
            assert posted == [NamespaceSeen(name="bank")]

    play(scene)
