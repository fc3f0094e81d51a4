"""The real kubectl, as a person uses it."""

import asyncio
import json

from .conftest import WIDGETS, Api, Kubectl, a_pod, a_widget


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "registry.example/app:1", env: [{name: A, value: "1"}, {name: B, value: "2"}]}
"""


async def test_get_shows_readable_columns(kubectl: Kubectl, api: Api):
    await api.create("pods", a_pod("p"))
    header, row = (await kubectl("get", "pods")).splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["p", "0/1", "Pending", "0"]
    wide = await kubectl("get", "po", "-o", "wide")
    assert "READINESS GATES" in wide
    assert json.loads(await kubectl("get", "pod", "p", "-o", "json"))["metadata"]["name"] == "p"


async def test_apply_creates_leaves_alone_and_configures(kubectl: Kubectl, api: Api):
    assert "deployment.apps/web created" in await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "deployment.apps/web unchanged" in await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("app:1", "app:2").replace(', {name: B, value: "2"}', "")
    assert "deployment.apps/web configured" in await kubectl("apply", "-f", "-", stdin=changed)
    container = (await api.get("deployments.apps/v1", "web"))["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/app:2"
    assert container["env"] == [{"name": "A", "value": "1"}]


async def test_apply_on_the_server_sees_conflicts(kubectl: Kubectl, api: Api):
    out = await kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert "deployment.apps/web serverside-applied" in out
    await kubectl("scale", "deployment/web", "--replicas=5")
    if api.endpoint.version < (1, 23):
        # an old one does not note who has scaled
        await kubectl("patch", "deployment/web", "--field-manager=other", "-p", '{"spec":{"replicas":6}}')
    code, _, errors = await kubectl.run("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert code == 1
    assert "conflict" in errors
    assert ".spec.replicas" in errors
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DEPLOYMENT)
    assert await kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"


async def test_scale_patch_label_and_delete(kubectl: Kubectl, api: Api):
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "scaled" in await kubectl("scale", "deploy/web", "--replicas=3")
    assert "patched" in await kubectl("patch", "deploy/web", "-p", '{"spec":{"replicas":4}}')
    assert "patched" in await kubectl(
        "patch", "deploy/web", "--type=json", "-p", '[{"op":"remove","path":"/spec/replicas"}]'
    )
    assert "labeled" in await kubectl("label", "deploy/web", "tier=front")
    found = await api.get("deployments.apps/v1", "web")
    assert (found["spec"]["replicas"], found["metadata"]["labels"]) == (1, {"tier": "front"})
    assert "deleted" in await kubectl("delete", "deployment", "web")
    assert (await api.call("GET", api.path("deployments.apps/v1", "web")))[0] == 404


async def test_describe_pod_and_its_events(kubectl: Kubectl, api: Api):
    pod = await api.create("pods", a_pod("p"))
    about = {"kind": "Pod", "namespace": api.namespace, "name": "p", "uid": pod["metadata"]["uid"]}
    event = {"metadata": {"name": "p.1"}, "involvedObject": about, "reason": "FailedScheduling", "type": "Warning"}
    event |= {"message": "0/3 nodes are available", "source": {"component": "scheduler"}, "count": 1}
    event |= dict.fromkeys(("firstTimestamp", "lastTimestamp"), pod["metadata"]["creationTimestamp"])
    await api.create("events", event)
    out = await kubectl("describe", "pod", "p")
    # how far apart they are depends on whether there is a service account to tell of
    assert ["Status:", "Pending"] in [line.split() for line in out.splitlines()]
    assert "FailedScheduling" in out
    assert "0/3 nodes are available" in out
    assert "pod/p" in await kubectl("get", "events")


async def test_describe_node(kubectl: Kubectl, api: Api):
    name = f"{api.namespace}-node"
    await api.create("/nodes", {"metadata": {"name": name}})
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
    await api.merge("/nodes", name, {"status": status}, "status")
    target = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": name},
    }
    await api.create("pods", a_pod("p"))
    await api.ok("POST", api.path("pods", "p", "binding"), target)
    out = await kubectl("describe", "node", name)
    assert "cpu                500m (12%)" in out
    assert name in await kubectl("get", "nodes")
    await api.ok("DELETE", api.path("/nodes", name))


async def test_a_custom_kind_is_like_any_other(kubectl: Kubectl, widgets: Api):
    await widgets.create(WIDGETS, a_widget("one", replicas=1))
    await widgets.merge(WIDGETS, "one", {"status": {"phase": "Ready"}}, "status")
    header, row = (await kubectl("get", "wdg")).splitlines()
    assert header.split() == ["NAME", "SIZE", "PHASE", "AGE"]
    assert row.split()[:3] == ["one", "small", "Ready"]
    assert "Phase:  Ready" in await kubectl("describe", "widget", "one")
    assert "scaled" in await kubectl("scale", "widget/one", "--replicas=2")
    assert "condition met" in await kubectl(
        "wait", "widget/one", "--for=jsonpath={.status.phase}=Ready", "--timeout=10s"
    )
    wrong = json.dumps(a_widget("two", typo=1))
    code, _, errors = await kubectl.run("apply", "-f", "-", stdin=wrong)
    assert code == 1
    # before 1.25 it is kubectl that looks, and not the server
    assert ('unknown field "spec.typo"' if widgets.endpoint.version >= (1, 25) else 'unknown field "typo"') in errors


async def test_watching_shows_each_change_in_columns(kubectl: Kubectl, api: Api):
    await api.create("pods", a_pod("p"))
    process = await kubectl.start("get", "pods", "--watch")
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert (await process.stdout.readline()).split()[:3] == [b"NAME", b"READY", b"STATUS"]
            assert (await process.stdout.readline()).split()[:3] == [b"p", b"0/1", b"Pending"]
            await api.merge("pods", "p", {"status": {"phase": "Running"}}, "status")
            assert (await process.stdout.readline()).split()[:3] == [b"p", b"0/1", b"Running"]
    finally:
        process.kill()
        await process.communicate()


async def test_waiting_for_a_deletion_ends_when_it_is_gone(kubectl: Kubectl, api: Api):
    await api.create("pods", a_pod("p", metadata={"finalizers": ["contract.example.dev/wait"]}))
    process = await kubectl.start("delete", "pod", "p", "--wait=true", "--timeout=20s")
    async with asyncio.timeout(20):
        while "deletionTimestamp" not in (await api.get("pods", "p"))["metadata"]:  # noqa: ASYNC110 - kubectl tells nobody
            await asyncio.sleep(0.05)
        await api.merge("pods", "p", {"metadata": {"finalizers": None}})
        await process.communicate()
    assert process.returncode == 0
