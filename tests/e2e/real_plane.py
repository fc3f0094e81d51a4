"""A whole real control plane with the lab's nodes, CAA and ARM stand-in, and the real `burster controller` under the shipped rights."""

import asyncio
import contextlib
import ssl
import subprocess
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
from burster.runtime.clock import SystemClock
from tests.e2e.processes import World, end_group, kubectl, lines_of
from tests.support.control_plane import ControlPlane


ROOT = Path(__file__).parents[2]
TARGET = ROOT / "policies/targets/azure-westeurope-tdx.yaml"
#: A VM comes in about three seconds, and goes in one and a half.
_ARM = ArmConfig(create_median_ms=2_400, create_p95_ms=2_400, delete_min_ms=1_500, delete_max_ms=1_500, retry_after_s=1)
_TAINT = {"key": "burster.dev/peer-pods", "value": "only", "effect": "NoSchedule"}
_FIRST = {"Namespace", "CustomResourceDefinition"}
_RIGHTS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
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

    def __init__(self, world: World, plane: ControlPlane, arm: ArmServer, hollow: HollowCluster) -> None:
        self.world = world
        self.plane = plane
        self.arm = arm
        self.hollow = hollow
        self.started: list[subprocess.Popen[str]] = []

    def controller(self, *flags: str, **variables: str) -> "subprocess.Popen[str]":
        process = self.world.start(
            *(
                "controller",
                "--kubeconfig",
                self.plane.folder / "burster.kubeconfig",
                "--listen",
                "127.0.0.1:0",
                *flags,
            ),
            *("--ledger", self.world.folder / "run/ledger.sqlite", "--log-level", "warning"),
            BURSTER_ARM__BASE_URL=self.arm.url,
            BURSTER_ARM__AUTH="none",
            BURSTER_PRICES__URL=self.arm.url,
            BURSTER_TICKS__EVALUATE_MS="1000",
            BURSTER_TICKS__GC_MS="5000",
            **variables,
        )
        self.started.append(process)
        return process

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(kubectl, self.plane.kubeconfig, *arguments, stdin=stdin)

    async def apply(self, text: str) -> None:
        await self.kubectl("apply", "-f", "-", stdin=text)

    def words_of(self, process: "subprocess.Popen[str]") -> str:
        """Return the last that a controller said; it is over with it then."""
        end_group(process)
        return process.communicate()[1][-4_000:]

    async def each(self, what: str, column: str = ".status.phase") -> dict[str, str]:
        columns = f"NAME:.metadata.name,WHAT:{column}"
        return dict(lines_of(await self.kubectl("get", what, "-o", f"custom-columns={columns}")))

    async def until(self, what: str, happens: Any, *, timeout_s: float = 60) -> None:
        """Wait for something that an asynchronous question tells; fail in words, with what everybody says, where it does not come."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not await happens():
            if loop.time() > deadline:
                told = await self.kubectl("get", "pods,bursts,nodes,peerpods,burstpolicies", "-o", "wide")
                events = await self.kubectl("get", "events", "--sort-by=.lastTimestamp")
                raise AssertionError(
                    f"after {timeout_s:g}s: not yet {what}\n{told}\n{events}\n{[*self.hollow.adaptor.log]}"
                )
            await asyncio.sleep(0.3)


@asynccontextmanager
async def a_place(
    folder: Path, *, node_cpu: str = "8", rules: str = "", target: str = "", api_flags: tuple[str, ...] = ()
) -> AsyncIterator[Place]:
    """Have everything, with rules and a target (the shipped one, if none is given) applied, and nothing of it afterwards."""
    world = World(folder)
    async with contextlib.AsyncExitStack() as stack:
        plane = stack.enter_context(ControlPlane(folder / "plane", api_flags=api_flags))
        arm = await stack.enter_async_context(ArmServer(SystemClock(), config=_ARM, seed=7))
        kube = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=str(plane.kubeconfig))))
        caa = CaaSettings(
            arm_url=arm.url,
            config={**LAB_CONFIG, "PEERPODS_LIMIT_PER_NODE": "10"},
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
        place = Place(world, plane, arm, hollow)
        try:
            await _prepare(place, (target or TARGET.read_text()) + "\n---\n" + rules)
            yield place
        finally:
            for process in place.started:
                end_group(process)
                process.communicate()


async def _prepare(place: Place, rules: str) -> None:
    """Apply what a platform team would have applied: CRDs, rights, the opted-in namespace, initdata, target, policies."""
    shipped = [each for each in yaml.safe_load_all(await place.kubectl("kustomize", str(ROOT / "deploy"))) if each]
    for kinds in (_FIRST, _RIGHTS):
        documents = [each for each in shipped if each["kind"] in kinds]
        await place.kubectl("create", place.plane.validation, "-f", "-", stdin=yaml.safe_dump_all(documents))
    await place.kubectl("apply", "-n", "default", "-f", str(ROOT / "deploy/opt-in/rolebinding.yaml"))
    await place.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    await place.apply(INITDATA)
    await place.apply(rules)

    async def ready() -> bool:
        taints = await place.each("nodes", ".spec.taints[*].key")
        return all("not-ready" not in keys for keys in taints.values()) and len(taints) == 2

    await place.until("the nodes are ready", ready)


def _tls(plane: ControlPlane) -> WebhookTls:
    certificate, key = plane.authority.issue("peer-pods-webhook", hosts=("127.0.0.1",))
    (plane.folder / "webhook.crt").write_bytes(certificate)
    (plane.folder / "webhook.key").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(plane.folder / "webhook.crt", plane.folder / "webhook.key")
    return WebhookTls(context=context, ca_pem=plane.authority.pem)
