"""The number of a workload's replicas: set through its scale, and left alone where an HPA of whatever version sets it."""

from collections.abc import AsyncIterator

import pytest

from burster.adaptors.scales import OWNED, set_scale
from burster.clients.kube import Kube, KubeSettings
from burster.model.errors import RemoteError
from burster.model.instructions import SetScale
from burster.model.stimuli import ScaleSet
from burster.model.triggers import WorkloadRef

from .conftest import Api, Endpoint, a_pod


#: HPA version -> the first Kubernetes that serves it
AUTOSCALERS = {"v1": (1, 0), "v2": (1, 23)}
DEPLOYMENTS = "deployments.apps/v1"


@pytest.fixture
async def kube(kube_endpoint: Endpoint) -> AsyncIterator[Kube]:
    async with await Kube.connect(KubeSettings(kubeconfig=str(kube_endpoint.kubeconfig))) as kube:
        yield kube


async def a_deployment(api: Api, name: str) -> None:
    template = {"metadata": {"labels": {"app": name}}, "spec": a_pod("x")["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    await api.create(
        DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    )


def an_autoscaler(version: str, aims_at: str, api_version: str = "apps/v1") -> dict:
    aim = {"apiVersion": api_version, "kind": "Deployment", "name": aims_at}
    spec = {"scaleTargetRef": aim, "minReplicas": 2, "maxReplicas": 5}
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"of-{aims_at}"},
        "spec": spec,
    }


def to(api: Api, name: str, replicas: int) -> SetScale:
    workload = WorkloadRef(kind="Deployment", name=name)
    return SetScale(key="k", policy=f"{api.namespace}/p", workload=workload, replicas=replicas)


async def test_a_number_is_set_and_the_rest_stays(api: Api, kube: Kube):
    await a_deployment(api, "web")
    before = await api.get(DEPLOYMENTS, "web")
    done = await set_scale(kube, to(api, "web", 3))
    assert isinstance(done, ScaleSet)
    after = await api.get(DEPLOYMENTS, "web")
    assert after["spec"] == {**before["spec"], "replicas": 3}
    assert (done.replicas, done.version) == (3, int(after["metadata"]["resourceVersion"]))
    again = await set_scale(kube, to(api, "web", 3))
    assert (again.version, (await api.get(DEPLOYMENTS, "web"))["metadata"]["generation"]) == (done.version, 2)


@pytest.mark.parametrize("version", AUTOSCALERS)
async def test_a_number_that_an_hpa_sets_is_left_alone(api: Api, kube: Kube, version: str):
    api.need(AUTOSCALERS[version])
    for name in ("theirs", "free"):
        await a_deployment(api, name)
    made = await api.create(f"horizontalpodautoscalers.autoscaling/{version}", an_autoscaler(version, "theirs"))
    assert made["apiVersion"] == f"autoscaling/{version}"
    with pytest.raises(RemoteError, match="HorizontalPodAutoscaler of-theirs sets the number") as told:
        await set_scale(kube, to(api, "theirs", 3))
    assert (told.value.kind, told.value.code) == ("Conflict", OWNED)
    assert (await api.get(DEPLOYMENTS, "theirs"))["spec"]["replicas"] == 1
    await set_scale(kube, to(api, "free", 3))
    await api.ok("DELETE", api.path(f"horizontalpodautoscalers.autoscaling/{version}", "of-theirs"))
    await set_scale(kube, to(api, "theirs", 3))
    assert (await api.get(DEPLOYMENTS, "theirs"))["spec"]["replicas"] == 3


async def test_an_hpa_is_the_same_in_every_version_that_is_served(api: Api):
    api.need(AUTOSCALERS["v2"])
    await a_deployment(api, "web")
    await api.create("horizontalpodautoscalers.autoscaling/v2", an_autoscaler("v2", "web"))
    found = [await api.get(f"horizontalpodautoscalers.autoscaling/{version}", "of-web") for version in AUTOSCALERS]
    assert [each["apiVersion"] for each in found] == [f"autoscaling/{version}" for version in AUTOSCALERS]
    assert len({each["metadata"]["uid"] for each in found}) == 1
    assert found[0]["spec"]["scaleTargetRef"] == found[1]["spec"]["scaleTargetRef"]
