"""What the speed tests on a real API server stand on: kube-apiserver and etcd, the shipped rights, ARM's stand-in, and the real program.

There are no controllers, no scheduler and no kubelet: nobody but burster, whoever measures and the bare floor uses the two cores. What has
to be there before anything is measured is written into etcd directly, some hundred objects to a transaction: through the API server ten
thousand pods would take half a minute. Objects are as the API server itself writes them, in JSON, which it reads as it reads protobuf.
"""

import asyncio
import base64
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson
import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.caa.body import vm_body, vm_name
from burster.lab.caa.config import LAB_CONFIG, CaaConfig, read_config
from burster.lab.caa.config import NAMESPACE as CAA_NAMESPACE
from burster.lab.caa.presence import DAEMON_SET, daemon_set, daemon_set_status
from burster.lab.cluster.nodes import make_node, make_runtime_class
from burster.policy.crds import crds
from burster.runtime.clock import SystemClock
from tests.e2e.processes import kubectl
from tests.perf import rig
from tests.support.control_plane import ControlPlane, free_port


Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
BANK = rig.NAMESPACE
BURSTS = f"/apis/burster.dev/v1alpha1/namespaces/{BANK}/bursts"
POLICIES = f"/apis/burster.dev/v1alpha1/namespaces/{BANK}/burstpolicies"
#: etcd takes 128 operations in a transaction, and requests of 1.5 MiB
_OPERATIONS_MAX = 100
_WRITERS = 8
_RIGHTS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
HASH = "6c9d8f7b5d"
REPLICA_SET = f"web-{HASH}"
#: what a scheduler says of a pod that fits nowhere
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient cpu."


class Seen(msgspec.Struct):
    """An object of a watch, as far as it says who it is."""

    class Meta(msgspec.Struct):
        name: str
        labels: dict[str, str] | None = None

    metadata: Meta
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}


class Event(msgspec.Struct):
    """A line of a watch."""

    type: str
    object: Seen


_event = msgspec.json.Decoder(Event)
_version = msgspec.json.Decoder(dict[str, Any])


class Place:
    """A real API server with what a platform team installs."""

    def __init__(self, plane: ControlPlane, arm: ArmServer, kube: Kube, web: aiohttp.ClientSession) -> None:
        self.plane = plane
        self.arm = arm
        self.kube = kube
        self._web = web
        self.owner_uid = ""

    # --- etcd ---

    async def _etcd(self, what: str, body: Json) -> Json:
        host, port = self.plane.etcd
        async with self._web.post(f"http://{host}:{port}/v3/kv/{what}", data=orjson.dumps(body)) as response:
            text = await response.text()
            assert response.status == 200, text
            return orjson.loads(text)

    async def put_pods(self, pods: Iterable[Json], *, together: int = _OPERATIONS_MAX) -> None:
        """Have pods in the API server without asking it.

        Those that are put ``together`` share a revision, as no two objects ever do in a cluster: a watch that is resumed between them loses
        some. So while anybody watches it is to be 1.
        """
        batches = _batches(pods, together)

        async def work() -> None:
            for batch in batches:
                await self._etcd("txn", {"success": [_put(pod) for pod in batch]})

        await asyncio.gather(*(work() for _ in range(_WRITERS)))

    async def count(self, resource: str) -> int:
        """Return how many objects of a resource there are (``pods/bank``): so cheap that it can be asked while something is measured."""
        key = f"/registry/{resource}/".encode()
        end = key[:-1] + bytes([key[-1] + 1])
        found = await self._etcd("range", {"key": _text(key), "range_end": _text(end), "count_only": True})
        return int(found.get("count", 0))

    # --- the API server ---

    async def watching(self, path: str, **params: str) -> AsyncGenerator[Event]:
        """Yield what happens from now on."""
        head = _version.decode(await self.kube.get(path, {**params, "limit": 1}))
        query = {**params, "resourceVersion": head["metadata"]["resourceVersion"], "timeoutSeconds": 3_000}
        async with aclosing(self.kube.watch(path, query, inactivity_ms=600_000)) as lines:
            async for line in lines:
                yield _event.decode(line)

    async def make_vm(self, config: CaaConfig, name: str, body: Json) -> None:
        """Have a VM at once."""
        group = f"/subscriptions/{config.subscription}/resourceGroups/{config.resource_group}"
        url = f"{self.arm.url}{group}/providers/Microsoft.Compute/virtualMachines/{name}?api-version=2024-07-01"
        async with self._web.put(url, data=orjson.dumps(body)) as response:
            assert response.status in {200, 201}, await response.text()

    async def apply_policy(self, *, max_bursts: int | None = None) -> None:
        """Write the policy for every pod of the namespace."""
        await self.kube.create(POLICIES, rig.a_policy(max_bursts=max_bursts))

    def pod(self, number: int, *, clone: bool, waits: bool) -> Json:
        """Return a pod as the API server keeps it; ``waits``: a scheduler has found no place for it already."""
        return pod(number, self.owner_uid, clone=clone, waits=waits)

    async def cloud_pods(self) -> list[Json]:
        """Return what burster has made."""
        query = {"labelSelector": "burster.dev/burst"}
        return orjson.loads(await self.kube.get(f"/api/v1/namespaces/{BANK}/pods", query))["items"]


def pod_name(number: int, *, clone: bool) -> str:
    """Return what ``pod`` calls it."""
    return f"{REPLICA_SET}-{number:05}" if clone else f"task-{number:05}"


def pod(number: int, owner_uid: str, *, clone: bool, waits: bool) -> Json:
    """Return a pod as the API server keeps it: a Deployment's, or a bare one."""
    now = now_text()
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": REPLICA_SET, "uid": owner_uid}
    metadata: Json = {"namespace": BANK, "name": pod_name(number, clone=clone), "creationTimestamp": now}
    metadata |= {"uid": str(uuid.UUID(int=number + 1)), "labels": {"app": "task"}}
    if clone:
        metadata["labels"] = {"app": "web", "pod-template-hash": HASH}
        metadata["ownerReferences"] = [{**owner, "controller": True, "blockOwnerDeletion": True}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": pod_spec(restart="Always" if clone else "Never"),
        "status": {"phase": "Pending", "qosClass": "Burstable", "conditions": [refusal(now)] if waits else []},
    }


async def play_kubelet(place: Place) -> None:
    """Have each cloud pod run, in a VM of its own."""
    config = read_config(LAB_CONFIG)
    waiting = iter([one for one in await place.cloud_pods() if one["status"]["phase"] == "Pending"])

    async def work() -> None:
        for one in waiting:
            await _run(place, config, one)

    await asyncio.gather(*(work() for _ in range(16)))


async def _run(place: Place, config: CaaConfig, one: Json) -> None:
    metadata = one["metadata"]
    size = metadata["annotations"]["io.katacontainers.config.hypervisor.machine_type"]
    name = vm_name(metadata["name"], metadata["uid"])
    body = vm_body(config, name=name, size=size, image=config.image, data="", disable_cvm=False)
    await place.make_vm(config, name, body)
    path = f"/api/v1/namespaces/{BANK}/pods/{metadata['name']}"
    node = {"kind": "Node", "name": "gateway-1"}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]}, "target": node}
    await place.kube.create(f"{path}/binding", binding)
    now = now_text()
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    await place.kube.patch(
        f"{path}/status", {"status": {"phase": "Running", "conditions": conditions}}, kind="strategic"
    )


def now_text() -> str:
    """Return the time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _batches(pods: Iterable[Json], size: int) -> Iterator[list[Json]]:
    waiting = iter(pods)
    while batch := list(itertools.islice(waiting, size)):
        yield batch


def _put(pod: Json) -> Json:
    metadata = pod["metadata"]
    key = f"/registry/pods/{metadata['namespace']}/{metadata['name']}".encode()
    return {"requestPut": {"key": _text(key), "value": _text(orjson.dumps(pod))}}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def pod_spec(*, restart: str) -> Json:
    """Return a pod's spec with the defaults that the API server fills in."""
    container = {
        **rig.CONTAINER,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    return {
        "containers": [container],
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def refusal(now: str) -> Json:
    """Return the condition of a pod that fits nowhere."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": UNSCHEDULABLE,
        "lastTransitionTime": now,
    }


@asynccontextmanager
async def open_place(folder: Path) -> AsyncIterator[Place]:
    """Have an API server with CRDs, the shipped rights, a target with room for everything and no policy yet."""
    # every VM comes at once; ten thousand of them find a place
    config = ArmConfig(
        family_quota=1_000_000,
        cores_quota=1_000_000,
        subnet_addresses=100_000,
        create_median_ms=1,
        create_p95_ms=1,
        throttled=False,
        list_page_size=1_000,
    )
    async with contextlib.AsyncExitStack() as stack:
        plane = stack.enter_context(ControlPlane(folder / "plane", controllers=(), scheduler=False))
        arm = await stack.enter_async_context(ArmServer(SystemClock(), config=config))
        kube = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=str(plane.kubeconfig))))
        web = await stack.enter_async_context(aiohttp.ClientSession())
        place = Place(plane, arm, kube, web)
        await asyncio.to_thread(_install, place)
        yield place


def _install(place: Place) -> None:
    plane = place.plane
    shipped = [
        each for each in yaml.safe_load_all(kubectl(plane.kubeconfig, "kustomize", str(ROOT / "deploy"))) if each
    ]
    wanted = [each for each in shipped if each["kind"] in {"Namespace", "CustomResourceDefinition"}]
    wanted += [_floors(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BANK}}]
    wanted += [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "floor"}}]
    wanted += [each for each in shipped if each["kind"] in _RIGHTS]
    # an old server does not know of rules in schemas, and drops them
    kubectl(plane.kubeconfig, "create", "--validate=false", "-f", "-", stdin=yaml.safe_dump_all(wanted))
    kubectl(plane.kubeconfig, "apply", "-n", BANK, "-f", str(ROOT / "deploy/opt-in/rolebinding.yaml"))
    kubectl(plane.kubeconfig, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    plane.make("/apis/node.k8s.io/v1/runtimeclasses", make_runtime_class())
    _install_caa(plane)
    plane.make("/apis/burster.dev/v1alpha1/bursttargets", rig.TARGET)
    apps = f"/apis/apps/v1/namespaces/{BANK}"
    labels = {"app": "web"}
    workload = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [rig.CONTAINER]}},
    }
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": workload}
    plane.make(f"{apps}/deployments", deployment)
    replica_set = {**deployment, "kind": "ReplicaSet", "metadata": {"name": REPLICA_SET}}
    place.owner_uid = plane.make(f"{apps}/replicasets", replica_set)["metadata"]["uid"]


def _install_caa(plane: ControlPlane) -> None:
    """Have what burster checks before it launches: cloud-api-adaptor on one worker, as its chart leaves it."""
    node = make_node("gateway-1", "16", "32Gi", worker=True, extended={"kata.peerpods.io/vm": "100000"})
    for path, named in (
        ("/api/v1/nodes", node),
        ("/api/v1/namespaces", {"metadata": {"name": CAA_NAMESPACE}}),
        (f"/api/v1/namespaces/{CAA_NAMESPACE}/configmaps", rig.caa_config_map()),
        (f"/apis/apps/v1/namespaces/{CAA_NAMESPACE}/daemonsets", daemon_set(CAA_NAMESPACE)),
    ):
        plane.make(path, named)
    for path, status in (
        ("/api/v1/nodes/gateway-1", node["status"]),
        (f"/apis/apps/v1/namespaces/{CAA_NAMESPACE}/daemonsets/{DAEMON_SET}", daemon_set_status(1, 1)),
    ):
        plane.ask("PATCH", f"{path}/status", {"status": status}, content_type="application/merge-patch+json")


def _floors() -> Json:
    """Return a kind with a Burst's schema that nobody watches: what the bare floor creates must cost the API server as much."""
    (found,) = (each for each in crds().values() if each["spec"]["names"]["plural"] == "bursts")
    found = orjson.loads(orjson.dumps(found))
    found["metadata"]["name"] = "floors.perf.burster.dev"
    found["spec"]["group"] = "perf.burster.dev"
    found["spec"]["names"] = {"plural": "floors", "singular": "floor", "kind": "Floor", "listKind": "FloorList"}
    return found


class Program:
    """The real `burster controller` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path, web: aiohttp.ClientSession) -> None:
        self.process = process
        self.pid = process.pid
        self._url = url
        self._log = log
        self._web = web
        self.started = time.perf_counter()

    async def until_ready(self, *, deadline_s: float = 120) -> float:
        """Return the seconds from its start until /readyz says yes as the leader."""
        while time.perf_counter() - self.started < deadline_s:
            assert self.process.poll() is None, self.words()
            with contextlib.suppress(aiohttp.ClientError):
                async with self._web.get(f"{self._url}/readyz") as response:
                    if response.status == 200 and (await response.text()).strip() == "ok":
                        return time.perf_counter() - self.started
            await asyncio.sleep(0.05)
        raise AssertionError(f"not ready in {deadline_s:g} s\n{self.words()}")

    async def until_offered(self, place: Place) -> None:
        """Return when it knows what the target offers: one pod has its record and its cloud pod."""
        await place.put_pods([place.pod(99_999, clone=True, waits=True)])
        async with asyncio.timeout(60):
            while await place.count(f"burster.dev/bursts/{BANK}") < 1 or not await place.cloud_pods():  # noqa: ASYNC110 - asked of etcd
                await asyncio.sleep(0.1)

    async def status(self) -> Json:
        """Return what it shows of itself."""
        async with self._web.get(f"{self._url}/status") as response:
            return orjson.loads(await response.read())

    async def metrics(self) -> str:
        """Return its metrics page."""
        async with self._web.get(f"{self._url}/metrics") as response:
            return await response.text()

    async def until_quiet(self, *, seconds: float = 1.0, deadline_s: float = 120) -> None:
        """Return when it has used next to no CPU for a while."""
        deadline = time.perf_counter() + deadline_s
        used = -1_000
        while time.perf_counter() < deadline:
            now = rig.cpu_ticks(self.pid)
            if now - used <= 5 * seconds:
                return
            used = now
            await asyncio.sleep(seconds)
        raise AssertionError(f"busy for {deadline_s:g} s\n{self.words()}")

    def words(self) -> str:
        """Return the last that it has logged."""
        return self._log.read_text(errors="replace")[-3_000:]


@asynccontextmanager
async def run_program(place: Place, folder: Path, *arguments: str, **variables: str) -> AsyncIterator[Program]:
    """Run `burster controller` with the shipped rights, as shipped."""
    folder.mkdir()  # noqa: ASYNC240 - once, at the start
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BURSTER_")},
        "BURSTER_ARM__BASE_URL": place.arm.url,
        "BURSTER_ARM__AUTH": "none",
        "BURSTER_PRICES__URL": place.arm.url,
        "HOME": str(folder),
        **variables,
    }
    kubeconfig = place.plane.folder / "burster.kubeconfig"
    command = [
        *(sys.executable, "-m", "burster", "controller", "--kubeconfig", str(kubeconfig)),
        *("--ledger", str(folder / "ledger.sqlite"), "--listen", f"127.0.0.1:{port}", *arguments),
    ]
    path = folder / "controller.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: ASYNC220 - once, at the start
    async with aiohttp.ClientSession() as web:
        try:
            yield Program(process, f"http://127.0.0.1:{port}", path, web)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 20)
            process.kill()
            process.wait()
