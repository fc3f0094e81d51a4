"""A whole real control plane with the lab's nodes, CAA and ARM stand-in, and the real `burster controller` under the shipped rights."""

import asyncio
import contextlib
import json
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.caa.config import LAB_CONFIG, CaaTimings
from burster.lab.cluster.kubelet import KubeletConfig
from burster.lab.cluster.nodes import make_node, make_runtime_class
from burster.lab.hollow.cluster import HollowCluster, WebhookTls
from burster.lab.labcluster import CaaSettings
from burster.model.errors import RemoteError
from burster.runtime.clock import SystemClock
from burster.runtime.elector import LEASE
from tests.e2e.processes import World, end_group, kubectl, lines_of
from tests.support.audit_log import audit_flags
from tests.support.control_plane import ControlPlane


ROOT = Path(__file__).parents[2]
TARGET = ROOT / "policies/targets/azure-westeurope-tdx.yaml"
#: A VM comes in about three seconds, and goes in one and a half.
_ARM = ArmConfig(create_median_ms=2_400, create_p95_ms=2_400, delete_min_ms=1_500, delete_max_ms=1_500, retry_after_s=1)
_TAINT = {"key": "burster.dev/peer-pods", "value": "only", "effect": "NoSchedule"}
_FIRST = {"Namespace", "CustomResourceDefinition"}
LISTS = {
    "bursts": "/apis/burster.dev/v1alpha1/bursts",
    "policies": "/apis/burster.dev/v1alpha1/burstpolicies",
    "pods": "/api/v1/pods",
    "events": "/apis/events.k8s.io/v1/events",
}
#: what waits on a busy machine is not what hangs
PATIENCE_S = 150.0
INITDATA = """
apiVersion: v1
kind: ConfigMap
metadata: {name: peer-pods-initdata, namespace: burster-system}
data:
  initdata.toml: |
    version = "0.1.0"
    algorithm = "sha256"

    [data]
    "aa.toml" = '''
    [token_configs.kbs]
    url = "https://trustee.example.com:8080"
    '''
    "policy.rego" = '''
    package agent_policy

    default ExecProcessRequest := false
    '''
"""


class Place:
    """What a test works with."""

    def __init__(self, world: World, plane: ControlPlane, arm: ArmServer, hollow: HollowCluster, kube: Kube) -> None:
        self.world = world
        self.plane = plane
        self.arm = arm
        self.hollow = hollow
        self.kube = kube  #: the administrator's, without the cost of a kubectl
        self.ledger = world.folder / "run/ledger.sqlite"
        self.started: list[subprocess.Popen[str]] = []
        #: from when to when the API server did not know its roles, in seconds since the epoch
        self.restarts: list[tuple[float, float]] = []

    def controller(self, *flags: str, kubeconfig: Path | None = None, **variables: str) -> "subprocess.Popen[str]":
        process = self.world.start(
            *("controller", "--kubeconfig", kubeconfig or self.plane.folder / "burster.kubeconfig"),
            *("--listen", "127.0.0.1:0", *flags),
            *("--ledger", self.ledger, "--log-level", "warning"),
            log=self.log_of(len(self.started)),
            BURSTER_ARM__BASE_URL=self.arm.url,
            BURSTER_ARM__AUTH="none",
            BURSTER_PRICES__URL=self.arm.url,
            BURSTER_TICKS__EVALUATE_MS="1000",
            BURSTER_TICKS__GC_MS="5000",
            **variables,
        )
        self.started.append(process)
        return process

    def log_of(self, controller: "int | subprocess.Popen[str]") -> Path:
        """Return where a controller writes what it has to say."""
        number = controller if isinstance(controller, int) else self.started.index(controller)
        return self.world.folder / f"controller-{number}.log"

    async def ends_well(self, controller: "subprocess.Popen[str]", *, refused: bool = False) -> str:
        """Have a controller end by itself; return what it said. ``refused``: somebody took rights away meanwhile."""
        controller.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(controller.wait, timeout=30)
        said = self.log_of(controller).read_text()
        assert code == 0, said
        assert "Traceback" not in said, said
        assert refused or self.restarts or "is forbidden" not in said, "the shipped rights must do"
        return said

    async def restart_api_server(self) -> None:
        """End it and start it anew. Ready, it refuses everybody (403) for a moment more, until it has read the roles."""
        since = time.time()
        await asyncio.to_thread(self.plane.stop, "kube-apiserver")
        await asyncio.sleep(2)
        self.plane.start("kube-apiserver")
        await asyncio.to_thread(self.plane.await_ready)
        self.restarts.append((since, time.time() + 10))

    async def all_of(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a list: `/api/v1/pods`, or a name of `LISTS`."""
        return json.loads(await self.kube.get(LISTS.get(path, path)))["items"]

    async def lead(self) -> int:
        """Return how often the lead has changed hands, 0 while nobody has it."""
        leases = await self.all_of("/apis/coordination.k8s.io/v1/namespaces/burster-system/leases")
        held = [each["spec"] for each in leases if each["metadata"]["name"] == LEASE]
        return held[0]["leaseTransitions"] if held and held[0].get("holderIdentity") else 0

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(kubectl, self.plane.kubeconfig, *arguments, stdin=stdin)

    async def apply(self, text: str) -> None:
        await self.kubectl("apply", "-f", "-", stdin=text)

    async def each(self, what: str, column: str = ".status.phase") -> dict[str, str]:
        columns = f"NAME:.metadata.name,WHAT:{column}"
        return dict(lines_of(await self.kubectl("get", what, "-o", f"custom-columns={columns}")))

    async def until(self, what: str, happens: Any, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait for something that an asynchronous question tells; fail in words, with what everybody says, where it does not come."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not await happens():
            if loop.time() > deadline:
                raise AssertionError(f"after {timeout_s:g}s: not yet {what}\n{await self.everything_told()}")
            await asyncio.sleep(0.3)

    async def everything_told(self) -> str:
        """Return what everybody says, for the message of a failure."""
        told = await self.kubectl("get", "pods,bursts,nodes,peerpods,burstpolicies", "-A", "-o", "wide")
        events = await self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp")
        logs = [f"--- {path.name}\n{path.read_text()[-3_000:]}" for path in map(self.log_of, range(len(self.started)))]
        return "\n".join([told, events, str([*self.hollow.adaptor.log][-30:]), *logs[-3:]])


@asynccontextmanager
async def a_place(
    folder: Path,
    *,
    node_cpu: str = "8",
    rules: str = "",
    target: str = "",
    namespaces: tuple[str, ...] = ("default",),
    slots: int = 10,
    api_flags: tuple[str, ...] = (),
) -> AsyncIterator[Place]:
    """Have everything, and nothing of it afterwards.

    Rules, a target (the shipped one, if none is given) and the namespaces' rights are applied; ``slots`` is CAA's limit of peer pods.
    """
    world = World(folder)
    async with contextlib.AsyncExitStack() as stack:
        plane = stack.enter_context(_plane(folder / "plane", api_flags))
        arm = await stack.enter_async_context(ArmServer(SystemClock(), config=_ARM, seed=7))
        kube = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=str(plane.kubeconfig))))
        caa = CaaSettings(
            arm_url=arm.url,
            config={**LAB_CONFIG, "PEERPODS_LIMIT_PER_NODE": str(slots)},
            timings=CaaTimings(agent_ready_ms=600, poll_ms=1_000),
        )
        runtime_class = make_runtime_class()
        runtime_class["scheduling"]["tolerations"] = [{"key": _TAINT["key"], "operator": "Exists"}]
        hollow = HollowCluster(
            kube,
            SystemClock(),
            caa,
            _tls(plane),
            nodes=(
                make_node("onprem-1", node_cpu, "32Gi"),
                make_node("gateway-1", "16", "32Gi", worker=True, taints=[_TAINT]),
            ),
            kubelet=KubeletConfig(start_ms=300, stop_ms=300, heartbeat_ms=5_000),
            runtime_class=runtime_class,
        )
        await stack.enter_async_context(hollow)
        place = Place(world, plane, arm, hollow, kube)
        try:
            await _prepare(place, (target or _shipped_target(namespaces)) + "\n---\n" + rules, namespaces)
            yield place
        finally:
            for process in place.started:
                end_group(process)


async def _prepare(place: Place, rules: str, namespaces: tuple[str, ...]) -> None:
    """Apply what a platform team would have applied: all of deploy/, the opted-in namespaces, initdata, target, policies."""
    shipped = [each for each in yaml.safe_load_all(await place.kubectl("kustomize", str(ROOT / "deploy"))) if each]
    shipped.sort(key=lambda each: each["kind"] not in _FIRST)
    await place.kubectl("create", place.plane.validation, "-f", "-", stdin=yaml.safe_dump_all(shipped))
    for namespace in namespaces:
        if namespace != "default":
            await place.kubectl("create", "namespace", namespace)
        await place.kubectl("apply", "-n", namespace, "-f", str(ROOT / "deploy/opt-in/rolebinding.yaml"))
    await place.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    await place.until("burster's kinds are stored", lambda: _are_stored(place))
    await place.apply(INITDATA)
    await place.apply(rules)

    async def ready() -> bool:
        taints = await place.each("nodes", ".spec.taints[*].key")
        return all("not-ready" not in keys for keys in taints.values()) and len(taints) == 2

    await place.until("the nodes are ready", ready)


async def _are_stored(place: Place) -> bool:
    """Say whether burster's kinds can be listed: from 1.34 on an established one may still answer that its storage is being made."""
    try:
        for kind in ("bursts", "burstpolicies", "bursttargets"):
            await place.kube.get(f"/apis/burster.dev/v1alpha1/{kind}")
    except RemoteError as error:
        if error.kind not in {"NotFound", "Throttled"}:
            raise
        return False
    return True


def _plane(folder: Path, api_flags: tuple[str, ...]) -> ControlPlane:
    # cloud-api-adaptor's stand-in says itself how its DaemonSet is doing: nobody makes pods of it here
    return ControlPlane(folder, controllers=("*", "-daemonset"), api_flags=(*audit_flags(folder), *api_flags))


def _shipped_target(namespaces: tuple[str, ...]) -> str:
    target = yaml.safe_load(TARGET.read_text())
    target["spec"]["allowedNamespaces"] = [*namespaces]
    return yaml.safe_dump(target)


def _tls(plane: ControlPlane) -> WebhookTls:
    certificate, key = plane.authority.issue("peer-pods-webhook", hosts=("127.0.0.1",))
    (plane.folder / "webhook.crt").write_bytes(certificate)
    (plane.folder / "webhook.key").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(plane.folder / "webhook.crt", plane.folder / "webhook.key")
    return WebhookTls(context=context, ca_pem=plane.authority.pem)
