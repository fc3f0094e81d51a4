"""A cluster with bursts in it, on the lab's API server or a real one, and a controller that answers behind its proxy."""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.engine import State, initial_state, step
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.ledger import LedgerPlace
from burster.model import stimuli
from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef
from burster.model.errors import RemoteError
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.policy.records import burst_to_object
from burster.runtime.clock import SystemClock
from burster.runtime.questions import Desk
from burster.surfaces.answers import Gate
from burster.surfaces.http import HttpSurface, make_app
from burster.surfaces.metrics import Metrics
from burster.surfaces.view import StatusView
from tests.cli.proxying import front, own_address
from tests.support.shared_plane import SharedPlane


ROOT = Path(__file__).parents[2]
T0 = 1_800_000_000_000
HOUR_MS = 3_600_000
_numbers = itertools.count(1)


@dataclass
class Scene:
    """One API server, and a namespace and a controller's namespace of one's own there."""

    kubeconfig: Path
    namespace: str
    home: str
    kube: Kube
    real: bool
    proxied: dict[str, str] = field(default_factory=dict[str, str])  #: lab: what the front sends where

    @property
    def host(self) -> str:
        """Where a controller has to listen, for the API server to reach it."""
        return own_address() if self.real else "127.0.0.1"

    async def burster(self, *words: str, plugin: bool = False) -> tuple[int, str, str]:
        program = (
            [str(Path(sys.executable).with_name("kubectl-burst"))] if plugin else [sys.executable, "-m", "burster"]
        )
        process = await self.start(*program, *words)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        options = ("--kubeconfig", str(self.kubeconfig), "--controller-namespace", self.home)
        return await asyncio.create_subprocess_exec(
            *command, *options, stdout=-1, stderr=-1, stdin=asyncio.subprocess.DEVNULL, cwd=ROOT, env=environment()
        )

    async def json(self, *words: str) -> Any:
        code, out, err = await self.burster(*words, "-o", "json")
        assert code == 0, err
        return orjson.loads(out)

    async def controller_at(self, url: str, *, pod: str = "") -> None:
        """Let the service (or a pod) lead to a controller's HTTP face; on a real plane it listens on this machine's own address."""
        port = int(url.rpartition(":")[2])
        if not self.real:
            path = f"pods/{pod}:{port}" if pod else "services/burster:http"
            self.proxied[f"/api/v1/namespaces/{self.home}/{path}/proxy"] = url
            return
        address = own_address()
        name = pod or f"burster-{next(_numbers)}"
        await self._put_pod(name, address, port)
        if not pod:
            await self._put_service(name, address, port)

    async def _put_pod(self, name: str, address: str, port: int) -> None:
        path = f"/api/v1/namespaces/{self.home}/pods"
        container = {"name": "c", "image": "x", "ports": [{"name": "http", "containerPort": port}]}
        await self.kube.create(path, {"metadata": {"name": name}, "spec": {"containers": [container]}})
        status = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}
        await self.kube.patch(f"{path}/{name}/status", status)

    async def _put_service(self, pod: str, address: str, port: int) -> None:
        """A service and where it leads, as the controllers of a cluster write it: an address counts only as that of a pod."""
        home = f"/api/v1/namespaces/{self.home}"
        about = {"kind": "Pod", "namespace": self.home, "name": pod}
        ports = [{"name": "http", "port": port}]
        await self.kube.create(f"{home}/services", {"metadata": {"name": "burster"}, "spec": {"ports": ports}})
        subset = {"addresses": [{"ip": address, "targetRef": about}], "ports": ports}
        await self.kube.create(f"{home}/endpoints", {"metadata": {"name": "burster"}, "subsets": [subset]})
        endpoint_slice = {
            "metadata": {"name": "burster-1", "labels": {"kubernetes.io/service-name": "burster"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}, "targetRef": about}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }
        try:  # what newer API servers look at
            await self.kube.create(f"/apis/discovery.k8s.io/v1/namespaces/{self.home}/endpointslices", endpoint_slice)
        except RemoteError as error:
            if error.kind != "NotFound":  # Kubernetes 1.20 has no such version of them
                raise


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BURSTER_", "KUBE"))}
    return {**kept, "PYTHONHASHSEED": "0", "COLUMNS": "200", **more}


def a_burst(namespace: str, number: int, **status: Any) -> Burst:
    spec = BurstSpec(
        policy="tasks",
        target="azure",
        strategy="Clone",
        pod_name=f"burst-{number}",
        for_pod=PodRef(name=f"task-{number}", uid=f"u-{number}"),
        region="westeurope",
        size="Standard_DC2es_v6",
        runtime_class="kata-remote",
        price_micro_usd_per_hour=100_000,
        reserved_micro_usd=250_000 + number,
        decided_at_ms=T0 + number,
        lease_ms=HOUR_MS,
        drain_ms=60_000,
        launch_deadline_ms=600_000,
        ready_deadline_ms=600_000,
    )
    return Burst(namespace=namespace, name=f"burst-{number}", spec=spec, status=BurstStatus(**status))


async def put_burst(scene: Scene, burst: Burst) -> None:
    path = f"/apis/burster.dev/v1alpha1/namespaces/{burst.namespace}/bursts"
    body = burst_to_object(burst)
    await scene.kube.create(path, body)
    await scene.kube.patch(f"{path}/{burst.name}/status", {"status": body["status"]})


async def put_waiting_pod(scene: Scene, name: str, message: str = "0/3 nodes are available.") -> None:
    path = f"/api/v1/namespaces/{scene.namespace}/pods"
    await scene.kube.create(path, {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": "2027-01-15T08:00:00Z",
    }
    await scene.kube.patch(f"{path}/{name}/status", {"status": {"phase": "Pending", "conditions": [condition]}})


async def put_event(scene: Scene, kind: str, name: str, reason: str, message: str, component: str) -> None:
    about = {"kind": kind, "namespace": scene.namespace, "name": name}
    body = {
        "metadata": {"name": f"{name}.{next(_numbers)}", "namespace": scene.namespace},
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "type": "Normal",
        "source": {"component": "burster"},
        "reportingComponent": component,
        "reportingInstance": "burster",
        "firstTimestamp": "2027-01-15T08:00:00Z",
        "lastTimestamp": "2027-01-15T08:00:00Z",
        "count": 1,
    }
    await scene.kube.create(f"/api/v1/namespaces/{scene.namespace}/events", body)


@asynccontextmanager
async def lab_scene(tmp_path: Path, *, kinds: bool = True) -> AsyncIterator[Scene]:
    store = Store(lambda: time.time_ns() // 1_000_000)
    proxied: dict[str, str] = {}
    async with ApiServer(store) as server, front(server.url, proxied) as url:
        path = tmp_path / "kubeconfig"
        path.write_text(server.kubeconfig().replace(server.url, url))
        async with scene_of(path, real=False, kinds=kinds) as scene:
            scene.proxied = proxied
            yield scene


@asynccontextmanager
async def real_scene(shared_plane: SharedPlane) -> AsyncIterator[Scene]:
    async with scene_of(Path(shared_plane.kubeconfig), real=True, kinds=True) as scene:
        yield scene


@asynccontextmanager
async def scene_of(kubeconfig: Path, *, real: bool, kinds: bool) -> AsyncIterator[Scene]:
    name = f"seeing-{os.getpid()}-{next(_numbers)}"
    async with await Kube.connect(KubeSettings(kubeconfig=str(kubeconfig))) as kube:
        for namespace in (name, f"{name}-home"):
            await kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        if kinds:
            await put_kinds(kube)
        yield Scene(kubeconfig=kubeconfig, namespace=name, home=f"{name}-home", kube=kube, real=real)
        if real:
            for namespace in (name, f"{name}-home"):
                await kube.delete(f"/api/v1/namespaces/{namespace}")


async def put_kinds(kube: Kube) -> None:
    """Have the custom kinds, which somebody else's scene may have made, and return when they are served."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in sorted((ROOT / "deploy/crds").glob("*.yaml")):
        try:
            await kube.create(path, yaml.safe_load(file.read_text()))
        except RemoteError as error:
            if error.kind != "AlreadyExists":
                raise
    trouble = ""
    for _ in range(600):  # a busy machine has been seen to need half a minute
        try:
            for plural in ("bursts", "burstpolicies", "bursttargets"):
                await kube.get(f"/apis/burster.dev/v1alpha1/{plural}", {"limit": 1})
        except RemoteError as error:
            trouble = str(error)
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError(f"the custom kinds were never served: {trouble}")


class ALeader:
    """A controller, as far as it is asked: a state and a ledger."""

    unwritten = ()

    def __init__(self, state: State) -> None:
        self.state = state


@asynccontextmanager
async def controller(
    ledger: Path,
    state: State | None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    led_by: str = "",
    gate: Gate | None = None,
) -> AsyncIterator[str]:
    """A controller's HTTP face over a ledger; without a state a replica that stands by. Gives its address."""
    leader = None if state is None else ALeader(state)
    view = StatusView(at_ms=T0, title="burster-7", leader=leader is not None, led_by=led_by, spent_micro_usd=123_400)
    desk = Desk(lambda: leader, lambda: view, LedgerPlace(path=ledger), SystemClock())
    async with HttpSurface(make_app(lambda: view, Metrics(), questions=desk, gate=gate), host, port) as surface:
        yield surface.url


def a_state(*namespaces: str) -> State:
    """The engine's state with a policy "tasks" in each namespace, and nothing else."""
    policies = (
        Policy(namespace=each, name="tasks", workload=WorkloadSelector(), placement=Placement(targets=("azure",)))
        for each in namespaces
    )
    facts = [
        *(stimuli.PolicySeen(policy=policy) for policy in policies),
        *(stimuli.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
    ]
    return step(initial_state(), facts, T0).state
