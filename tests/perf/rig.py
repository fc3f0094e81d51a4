"""What the speed tests stand on: the lab's API server and ARM without kubelets, pods written straight into the store, and who watches.

A pod becomes Unschedulable by a write of the store, exactly as a scheduler's would be; its Burst is seen at the store's commit. Both
moments are read from one clock in the lab's process, so nothing is measured but burster, its transport and the API server.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from burster.clients.arm import Arm, ArmSettings
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices, PriceSettings
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.caa.config import CONFIG_MAP, LAB_CONFIG
from burster.lab.caa.config import NAMESPACE as CAA_NAMESPACE
from burster.lab.caa.presence import Presence
from burster.lab.cluster.nodes import add_node, make_node
from burster.lab.site import Connections
from burster.ledger import Ledger
from burster.policy.crds import crds
from burster.runtime.clock import Clock
from burster.runtime.wiring import Controller, ControllerOptions
from burster.sources.preflight import StandingChecks, World


Json = dict[str, Any]
NAMESPACE = "bank"
TARGET: Json = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstTarget",
    "metadata": {"name": "azure-westeurope-tdx"},
    "spec": {
        "provider": "azure",
        "azure": {
            "subscriptionId": "00000000-0000-0000-0000-000000000000",
            "resourceGroup": "burst-westeurope",
            "region": "westeurope",
        },
        "runtimeClassName": "kata-remote",
        "sizes": ["Standard_DC2es_v6", "Standard_DC4es_v6"],
        "tees": ["TDX"],
        "allowedNamespaces": ["*"],
    },
}


def a_policy(*, max_bursts: int | None = None) -> Json:
    """A policy for every pod of the namespace that acts at once."""
    limits = {} if max_bursts is None else {"limits": {"maxBursts": max_bursts}}
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"name": "all", "namespace": NAMESPACE},
        "spec": {
            "workload": {"podNamePattern": ".*"},
            "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "0s"}}],
            "placement": {"targets": ["azure-westeurope-tdx"]},
            "confidential": {"required": True, "tees": ["TDX"], "attestation": "VmOnly"},
            **limits,
        },
    }


class Lab:
    """A store with what a platform team installs, served; and the two moments of each pod."""

    def __init__(self, store: Store, api: ApiServer, arm: ArmServer, kubeconfig: Path, now_ms: Any) -> None:
        self.store = store
        self.api = api
        self.arm = arm
        self.kubeconfig = kubeconfig
        self._now_ms = now_ms
        self._number = 0
        self._replica_set_uid = store.get("replicasets.apps", NAMESPACE, "web-6c9d8f7b5d")["metadata"]["uid"]
        self.asked: dict[str, float] = {}
        self.answered: dict[str, float] = {}
        self.placed = 0
        self._changed = asyncio.Event()
        store.subscribe("bursts.burster.dev", self._on_burst)
        store.subscribe("pods", self._on_pod)

    def _on_burst(self, event: StoreEvent) -> None:
        if event.type == "ADDED":
            self.answered[event.object["spec"]["forPod"]["name"]] = time.perf_counter()
            self._changed.set()

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "ADDED" and "burster.dev/burst" in (event.object["metadata"].get("labels") or {}):
            self.placed += 1
            self._changed.set()

    def forget(self) -> None:
        """Measure anew: what was asked so far has been answered and placed."""
        self.asked.clear()
        self.answered.clear()
        self.placed = 0

    async def until(self, answered: int, placed: int = 0, *, deadline_s: float = 30.0) -> None:
        """Return when so many pods have their Burst, and so many cloud pods are there."""
        async with asyncio.timeout(deadline_s):
            while len(self.answered) < answered or self.placed < placed:
                self._changed.clear()
                await self._changed.wait()

    def create_pod(self, *, clone: bool) -> str:
        """Create a pod that no scheduler has looked at yet; return its name."""
        self._number += 1
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web-6c9d8f7b5d",
            "uid": self._replica_set_uid,
            "controller": True,
        }
        metadata: Json = {"name": f"task-{self._number:05}", "namespace": NAMESPACE, "labels": {"app": "task"}}
        if clone:
            metadata["name"] = f"web-6c9d8f7b5d-{self._number:05}"
            metadata["labels"] = {"app": "web", "pod-template-hash": "6c9d8f7b5d"}
            metadata["ownerReferences"] = [owner]
        spec = {"restartPolicy": "Always" if clone else "Never", "containers": [CONTAINER]}
        self.store.create("pods", NAMESPACE, {"metadata": metadata, "spec": spec})
        return metadata["name"]

    def refuse(self, name: str) -> None:
        """Say of a pod what a scheduler says that finds no node; this is where its time starts."""
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu.",
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._now_ms() // 1000)),
        }
        body = {"status": {"conditions": [condition]}}
        self.asked[name] = time.perf_counter()
        self.store.patch("pods", NAMESPACE, name, body, kind="strategic", subresource="status")

    def reactions_ms(self) -> list[float]:
        """Milliseconds from Unschedulable to the Burst, for each answered pod, sorted."""
        return sorted((self.answered[name] - self.asked[name]) * 1000 for name in self.answered if name in self.asked)


CONTAINER: Json = {
    "name": "main",
    "image": "registry.bank.example/risk/task:1.4.2",
    "command": ["/app/run", "--config", "/etc/run/config.yaml"],
    "env": [{"name": f"SETTING_{index}", "value": f"value-{index}" * 4} for index in range(20)],
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
}


@asynccontextmanager
async def open_lab(clock: Clock, folder: Path, *, max_bursts: int | None = None) -> AsyncGenerator[Lab]:
    """Serve an API server and ARM with one policy and one target that has room for everything."""
    store = Store(clock.now_ms)
    for definition in crds().values():
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", definition)
    for name in (NAMESPACE, "burster-system"):  # the second for the Lease
        store.create("namespaces", "", {"metadata": {"name": name}})
    store.create("runtimeclasses.node.k8s.io", "", {"metadata": {"name": "kata-remote"}, "handler": "kata-remote"})
    _install_caa(store, clock)
    store.create("bursttargets.burster.dev", "", TARGET)
    store.create("burstpolicies.burster.dev", NAMESPACE, a_policy(max_bursts=max_bursts))
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
    selector = {"matchLabels": {"app": "web"}}
    workload = {"selector": selector, "replicas": 0, "template": template}
    store.create("deployments.apps", NAMESPACE, {"metadata": {"name": "web"}, "spec": workload})
    store.create("replicasets.apps", NAMESPACE, {"metadata": {"name": "web-6c9d8f7b5d"}, "spec": workload})
    config = ArmConfig(family_quota=1_000_000, cores_quota=1_000_000)
    async with ApiServer(store) as api, ArmServer(clock, config=config) as arm:
        path = folder / "kubeconfig"
        path.write_text(api.kubeconfig(), encoding="utf-8")
        yield Lab(store, api, arm, path, clock.now_ms)


def caa_config_map() -> Json:
    """Return cloud-api-adaptor's configuration, with the target's sizes."""
    data = {**LAB_CONFIG, "AZURE_INSTANCE_SIZES": ",".join(TARGET["spec"]["sizes"])}
    return {"metadata": {"name": CONFIG_MAP}, "data": data}


def _install_caa(store: Store, clock: Clock) -> None:
    """Have what a controller checks before it launches: cloud-api-adaptor, whose pods none of the measured ones needs, on one worker."""
    add_node(store, make_node("gateway-1", "16", "32Gi", worker=True))
    store.create("namespaces", "", {"metadata": {"name": CAA_NAMESPACE}})
    store.create("configmaps", CAA_NAMESPACE, caa_config_map())
    presence = Presence(store, clock.now_ms)
    presence.install()
    presence.come_up("gateway-1")


@asynccontextmanager
async def run_controller(lab: Lab, clock: Clock, folder: Path) -> AsyncGenerator[Controller]:
    """Run the controller in this process and loop, over clients of its own; ready when it has read everything."""
    async with contextlib.AsyncExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(folder / "ledger.sqlite"))
        kube = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=str(lab.kubeconfig))))
        arm = await stack.enter_async_context(Arm(ArmSettings(base_url=lab.arm.url, auth="none")))
        prices = await stack.enter_async_context(Prices(PriceSettings(base_url=lab.arm.url), now_ms=clock.now_ms))
        controller = Controller(
            kube=kube,
            cloud=arm,
            facts=Connections(kube, arm, prices, StandingChecks(World(api=kube, cloud=arm, now_ms=clock.now_ms))),
            ledger=ledger,
            clock=clock,
            options=ControllerOptions(),
        )
        running = asyncio.create_task(controller.run())
        try:
            async with asyncio.timeout(30):
                while not (controller.loop.state.ready and _knows_prices(controller)):  # noqa: ASYNC110 - it has no such event
                    await asyncio.sleep(0.01)
            yield controller
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def _knows_prices(controller: Controller) -> bool:
    targets = controller.loop.state.targets
    return bool(targets) and all(target.offerings and target.quotas for target in targets.values())


@asynccontextmanager
async def spawn_controller(lab: Lab, folder: Path, *arguments: str) -> AsyncGenerator[int]:
    """Run `burster controller` in a process of its own and yield its pid; its log goes to a file, as everywhere."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BURSTER_")},
        "BURSTER_ARM__BASE_URL": lab.arm.url,
        "BURSTER_ARM__AUTH": "none",
        "BURSTER_PRICES__URL": lab.arm.url,
        "HOME": str(folder),
    }
    command = [
        *(sys.executable, "-m", "burster", "controller", "--kubeconfig", str(lab.kubeconfig)),
        *("--ledger", str(folder / "spawned.sqlite"), "--listen", "127.0.0.1:0", *arguments),
    ]
    with (folder / "controller.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: ASYNC220 - once, at the start
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 15)
            process.kill()
            process.wait()


async def one_at_a_time(lab: Lab, count: int, *, clone: bool) -> None:
    """Make pods unschedulable one after the other, each when the former one's cloud pod is there, at a moment of no meaning."""
    chance = random.Random(1)
    answered, placed = len(lab.answered), lab.placed
    for number in range(1, count + 1):
        name = lab.create_pod(clone=clone)
        await asyncio.sleep(chance.uniform(0.001, 0.01))
        lab.refuse(name)
        await lab.until(answered + number, placed + number)


async def all_at_once(lab: Lab, count: int, *, clone: bool) -> float:
    """Make pods unschedulable all at once; return the seconds until the last Burst is written."""
    names = [lab.create_pod(clone=clone) for _ in range(count)]
    await asyncio.sleep(0.5)
    begun = time.perf_counter()
    for number, name in enumerate(names):
        lab.refuse(name)
        if number % 20 == 19:
            await asyncio.sleep(0)  # the API server goes on serving
    await lab.until(count)
    return max(lab.answered.values()) - begun


def memory_mib(pid: int) -> dict[str, float]:
    """Return a process's resident memory now and at its highest, in MiB."""
    found: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name in {"VmRSS", "VmHWM"}:
            found[name] = int(rest.split()[0]) / 1024
    return found


def cpu_ticks(pid: int) -> int:
    """Return the CPU time a process has used, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
