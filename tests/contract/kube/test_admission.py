"""What a server does with an object before it takes it in, besides what its schema says."""

import asyncio

from .conftest import Api, a_config, a_pod


async def test_a_namespace_that_is_ending_takes_nothing_new(api: Api):
    name = f"{api.namespace}-ending"
    await api.create("/namespaces", {"metadata": {"name": name}})
    held = a_config("held", finalizers=["contract.example.dev/wait"])
    home = f"/api/v1/namespaces/{name}/configmaps"
    await api.ok("POST", home, held)
    going = await api.ok("DELETE", api.path("/namespaces", name))
    assert (going["metadata"]["deletionTimestamp"] != "", going["status"]["phase"]) == (True, "Terminating")
    status, told = await api.call("POST", home, a_config("late"))
    assert (status, told["reason"]) == (403, "Forbidden")
    assert "is being terminated" in told["message"]
    (cause,) = told["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("NamespaceTerminating", "metadata.namespace")
    kind = "application/merge-patch+json"
    await api.ok("PATCH", f"{home}/held", {"metadata": {"finalizers": None}}, content_type=kind)


async def test_a_namespace_takes_its_content_along(api: Api):
    if not api.endpoint.has_controllers:
        return
    name = f"{api.namespace}-content"
    await api.create("/namespaces", {"metadata": {"name": name}})
    await api.ok("POST", f"/api/v1/namespaces/{name}/configmaps", a_config("one"))
    await api.ok("DELETE", api.path("/namespaces", name))
    async with asyncio.timeout(60):
        while (await api.call("GET", api.path("/namespaces", name)))[0] != 404:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)
    assert (await api.call("GET", f"/api/v1/namespaces/{name}/configmaps/one"))[0] == 404


async def test_a_pod_gets_its_priority_and_whether_it_may_push_others_out(api: Api):
    name = f"{api.namespace}-urgent"
    urgent = {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"}
    await api.create("/priorityclasses.scheduling.k8s.io/v1", urgent)
    made = await api.create("pods", a_pod("p", spec={"priorityClassName": name}))
    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (1000, "Never")
    status, _ = await api.call("POST", api.path("pods"), a_pod("q", spec={"priorityClassName": "there-is-none"}))
    assert status == 403
    await api.ok("DELETE", api.path("/priorityclasses.scheduling.k8s.io/v1", name))


async def test_a_pod_without_a_priority_has_the_usual_one(api: Api):
    made = await api.create("pods", a_pod("p"))
    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")


async def test_a_pod_stays_five_minutes_on_a_node_that_is_lost(api: Api):
    own = {"key": "dedicated", "operator": "Exists"}
    made = await api.create("pods", a_pod("p", spec={"tolerations": [own]}))
    lost = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert made["spec"]["tolerations"] == [
        own,
        {"key": "node.kubernetes.io/not-ready", **lost},
        {"key": "node.kubernetes.io/unreachable", **lost},
    ]


async def test_a_pod_that_tolerates_everything_for_ever_is_left_alone(api: Api):
    everything = {"operator": "Exists"}
    made = await api.create("pods", a_pod("p", spec={"tolerations": [everything]}))
    assert made["spec"]["tolerations"] == [everything]


async def test_a_limit_without_a_request_is_the_request(api: Api):
    container = {"name": "main", "image": "i:1", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}
    made = await api.create("pods", a_pod("p", spec={"containers": [container]}))
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}
    assert made["status"]["qosClass"] == "Guaranteed"


async def test_a_pod_of_a_runtime_class_may_tolerate_what_its_nodes_have(api: Api):
    name = f"{api.namespace}-tolerant"
    toleration = {"key": "burster.dev/peer-pods", "operator": "Exists"}
    body = {"metadata": {"name": name}, "handler": "kata-remote", "scheduling": {"tolerations": [toleration]}}
    await api.create("/runtimeclasses.node.k8s.io/v1", body)
    made = await api.create("pods", a_pod("p", spec={"runtimeClassName": name}))
    assert toleration in made["spec"]["tolerations"]
    await api.ok("DELETE", api.path("/runtimeclasses.node.k8s.io/v1", name))


async def test_an_owner_that_blocks_is_taken_as_it_is(api: Api):
    owner = await api.create("configmaps", a_config("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    both = [{**reference, "controller": True}, {**reference, "uid": "0" * 36, "controller": True}]
    status, told = await api.call("POST", api.path("configmaps"), a_config("two", ownerReferences=both))
    assert (status, told["reason"]) == (422, "Invalid"), "two controllers are one too many"
    made = await api.create("configmaps", a_config("one", ownerReferences=[{**reference, "blockOwnerDeletion": True}]))
    assert made["metadata"]["ownerReferences"] == [{**reference, "blockOwnerDeletion": True}]
