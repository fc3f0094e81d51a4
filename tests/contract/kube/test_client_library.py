"""The client that burster's controller stands on, unchanged."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.exceptions import ApiException

from .conftest import Endpoint, a_pod


@pytest.fixture
async def library(kube_endpoint: Endpoint) -> AsyncIterator[client.ApiClient]:
    configuration = client.Configuration()
    await config.load_kube_config(str(kube_endpoint.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api_client:
        yield api_client


async def test_it_creates_reads_patches_and_deletes_a_pod(library, kube_endpoint: Endpoint):
    core = client.CoreV1Api(library)
    made = await core.create_namespaced_pod(kube_endpoint.namespace, a_pod("p"))
    assert made.status.phase == "Pending"
    patched = await core.patch_namespaced_pod("p", kube_endpoint.namespace, {"metadata": {"labels": {"a": "b"}}})
    assert patched.metadata.labels == {"a": "b"}
    options = client.V1DeleteOptions(
        preconditions=client.V1Preconditions(uid=made.metadata.uid, resource_version=patched.metadata.resource_version)
    )
    await core.delete_namespaced_pod("p", kube_endpoint.namespace, body=options)
    with pytest.raises(ApiException) as caught:
        await core.read_namespaced_pod("p", kube_endpoint.namespace)
    assert caught.value.status == 404


async def test_it_lists_in_pages_and_watches_from_there(library, kube_endpoint: Endpoint):
    core = client.CoreV1Api(library)
    for number in range(3):
        await core.create_namespaced_pod(kube_endpoint.namespace, a_pod(f"p{number}"))
    page = await core.list_namespaced_pod(kube_endpoint.namespace, limit=2)
    rest = await core.list_namespaced_pod(kube_endpoint.namespace, limit=2, _continue=page.metadata._continue)
    assert [pod.metadata.name for pod in (*page.items, *rest.items)] == ["p0", "p1", "p2"]
    seen = []
    async with asyncio.timeout(10), watch.Watch() as watching:
        stream = watching.stream(
            core.list_namespaced_pod, kube_endpoint.namespace, resource_version=rest.metadata.resource_version
        )
        await core.delete_namespaced_pod("p1", kube_endpoint.namespace)
        async for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                break
    assert seen == [("MODIFIED", "p1"), ("DELETED", "p1")]


async def test_it_gets_a_refusal_with_its_reason(library, kube_endpoint: Endpoint):
    core = client.CoreV1Api(library)
    await core.create_namespaced_pod(kube_endpoint.namespace, a_pod("p"))
    with pytest.raises(ApiException) as caught:
        await core.create_namespaced_pod(kube_endpoint.namespace, a_pod("p"))
    assert caught.value.status == 409
    assert '"reason":"AlreadyExists"' in caught.value.body.replace('": "', '":"')


async def test_it_keeps_a_lease(library, kube_endpoint: Endpoint):
    leases = client.CoordinationV1Api(library)
    body = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    await leases.create_namespaced_lease(kube_endpoint.namespace, body)
    held = await leases.read_namespaced_lease("leader", kube_endpoint.namespace)
    held.spec.holder_identity = "b"
    await leases.replace_namespaced_lease("leader", kube_endpoint.namespace, held)
    held.spec.holder_identity = "c"
    with pytest.raises(ApiException) as caught:
        await leases.replace_namespaced_lease("leader", kube_endpoint.namespace, held)
    assert caught.value.status == 409


async def test_it_evicts_and_scales(library, kube_endpoint: Endpoint):
    apps, core = client.AppsV1Api(library), client.CoreV1Api(library)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await apps.create_namespaced_deployment(kube_endpoint.namespace, {"metadata": {"name": "web"}, "spec": spec})
    await apps.patch_namespaced_deployment_scale("web", kube_endpoint.namespace, {"spec": {"replicas": 4}})
    scale = await apps.read_namespaced_deployment_scale("web", kube_endpoint.namespace)
    assert (scale.spec.replicas, scale.status.selector) == (4, "a=b")
    await core.create_namespaced_pod(kube_endpoint.namespace, a_pod("p"))
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="p", namespace=kube_endpoint.namespace))
    await core.create_namespaced_pod_eviction("p", kube_endpoint.namespace, eviction)
