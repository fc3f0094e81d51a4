"""One place where everything stands: API server, cluster, CAA and ARM on loopback, with what a platform team would have installed.

Made by the demo, by ``lab up`` and by crash tests. It knows burster only as its users do: by its CRDs, policies and targets.
"""

import contextlib
import secrets
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from burster.clients.arm import Arm, ArmSettings
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices, PriceSettings
from burster.clients.trustee import TrusteeClient
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.arm.declared import Role
from burster.lab.caa.config import LAB_CONFIG, CaaFaults, CaaTimings
from burster.lab.cluster import node_vms
from burster.lab.cluster.kubelet import KubeletConfig
from burster.lab.cluster.node_vms import TEE_LABEL, NodeVms, TeeNodes
from burster.lab.cluster.nodes import KATA_REMOTE, add_node, make_node, make_runtime_class
from burster.lab.elsewhere.adaptor import RUNTIME_CLASS as SECOND
from burster.lab.elsewhere.adaptor import ElsewhereOptions
from burster.lab.labcluster import CaaSettings, LabCluster
from burster.lab.machines import GuestOptions, Guests
from burster.lab.monitoring.exporter import kube_state_metrics
from burster.lab.monitoring.server import MonitoringServer
from burster.lab.platform import document_namespace, prepare
from burster.model.pods import Resources
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.policy.crds import crds
from burster.policy.load import Document
from burster.runtime.clock import Clock
from burster.sources.offerings import observe_offerings
from burster.sources.preflight import StandingChecks, World
from burster.sources.quota import observe_quota


_MIB: Final = 1024**2
_TEE_TAINT: Final = {"key": "burster.dev/tee", "value": "only", "effect": "NoSchedule"}
#: of whoever calls ARM in a lab: all that making and sweeping VMs takes, and no rights to give
_ROLES: Final = (Role(actions=("*/read", "Microsoft.Compute/*", "Microsoft.Network/*")),)
_GATEWAY_TAINT: Final = {"key": "burster.dev/peer-pods", "value": "only", "effect": "NoSchedule"}


class SiteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What stands there. ``gateways`` are the workers that only hold the near ends of peer pods, ``slots`` how many each."""

    nodes: tuple[Resources, ...]
    documents: tuple[Document, ...] = ()
    namespaces: tuple[str, ...] = ()
    seed: int = 7
    gateways: int = 2
    slots: int = 40
    api_port: int = 0
    arm_port: int = 0
    metrics_port: int = 0
    arm: ArmConfig = ArmConfig()
    timings: CaaTimings = CaaTimings()
    caa_faults: CaaFaults = CaaFaults()
    caa: dict[str, str] = {}
    kubelet: KubeletConfig = KubeletConfig()
    guests: GuestOptions = GuestOptions()
    elsewhere: ElsewhereOptions | None = None  #: a second provider, under RuntimeClass kata-remote-sovereign
    tee_nodes: TeeNodes | None = None  #: nodes with a TEE, for pods under RuntimeClass kata-qemu-tdx only


class Site:
    """A running site; made by ``open_site``."""

    def __init__(  # noqa: PLR0913 - its parts, each by name
        self,
        *,
        store: Store,
        api: ApiServer,
        arm: ArmServer,
        cluster: LabCluster,
        monitoring: MonitoringServer,
        guests: Guests,
        kubeconfig: str,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self.store = store
        self.api = api
        self.arm = arm
        self.cluster = cluster
        self.monitoring = monitoring  #: kube-state-metrics' page, and a Prometheus over it
        self.guests = guests  #: what is inside burster's own machines
        self.kubeconfig = kubeconfig  #: a file's path

    @asynccontextmanager
    async def connections(self) -> AsyncGenerator["Connections"]:
        """Open what one controller needs: its own clients, exactly those it has in a real cluster."""
        async with contextlib.AsyncExitStack() as stack:
            kube = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=self.kubeconfig)))
            now_ms = self._clock.now_ms
            arm = await stack.enter_async_context(Arm(ArmSettings(base_url=self.arm.url, auth="none"), now_ms=now_ms))
            prices = await stack.enter_async_context(Prices(PriceSettings(base_url=self.arm.url), now_ms=now_ms))
            trustee = await stack.enter_async_context(TrusteeClient())
            world = World(api=kube, cloud=arm, trustee=trustee, now_ms=now_ms, local_only=True)
            yield Connections(kube, arm, prices, StandingChecks(world))


class Connections:
    """One controller's clients."""

    def __init__(self, kube: Kube, arm: Arm, prices: Prices, checks: StandingChecks) -> None:
        self.checks = checks
        self.kube = kube
        self.arm = arm
        self.prices = prices

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Read what a target offers, with prices."""
        return await observe_offerings(target, self.arm, self.prices)

    async def quota(self, target: Target) -> QuotaSeen:
        """Read what a target's subscription uses and may use."""
        return await observe_quota(target, self.arm)


@asynccontextmanager
async def open_site(clock: Clock, options: SiteOptions) -> AsyncGenerator[Site]:
    """Start everything; leaving the context ends it."""
    store = Store(clock.now_ms, seed=options.seed)
    _install(store, options)
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            ApiServer(store, port=options.api_port, tokens={secrets.token_urlsafe(24): "lab-admin"})
        )
        arm = await stack.enter_async_context(
            ArmServer(clock, config=_without_ownership(options.arm), seed=options.seed, port=options.arm_port)
        )
        guests = await stack.enter_async_context(Guests(arm, clock.now_ms, options.guests))
        caa = CaaSettings(
            arm_url=arm.url,
            config={**LAB_CONFIG, "PEERPODS_LIMIT_PER_NODE": str(options.slots), **options.caa},
            timings=options.timings,
            faults=options.caa_faults,
            shows_pods=True,
        )
        cluster = await stack.enter_async_context(
            LabCluster(
                store,
                clock,
                caa=caa,
                seed=options.seed,
                kubelet=options.kubelet,
                elsewhere=options.elsewhere,
                node_vms=None if options.tee_nodes is None else NodeVms(store, boot_ms=options.tee_nodes.boot_ms),
            )
        )
        monitoring = await stack.enter_async_context(
            MonitoringServer(lambda: kube_state_metrics(store), clock.now_ms, port=options.metrics_port)
        )
        _tolerate_gateways(store, options)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="burster-lab-"))
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.write_text(api.kubeconfig(), encoding="utf-8")
        kubeconfig.chmod(0o600)
        yield Site(
            store=store,
            api=api,
            arm=arm,
            cluster=cluster,
            monitoring=monitoring,
            guests=guests,
            kubeconfig=str(kubeconfig),
            clock=clock,
        )


def _without_ownership(arm: ArmConfig) -> ArmConfig:
    """Return a cloud in which nobody who calls is its owner, unless somebody said what callers may do."""
    return msgspec.structs.replace(arm, roles=_ROLES) if arm.roles == ArmConfig().roles else arm


def _install(store: Store, options: SiteOptions) -> None:
    """Write what a platform team would have applied before: CRDs, namespaces, initdata, nodes, targets and policies."""
    for definition in crds().values():
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", definition)
    prepare(store, options.documents, options.namespaces)
    for number, resources in enumerate(options.nodes):
        add_node(store, _node(f"onprem-{number + 1}", resources))
    for number in range(options.gateways):
        node = make_node(f"gateway-{number + 1}", "16", "32Gi", worker=True, pods=250, taints=[_GATEWAY_TAINT])
        add_node(store, node)
    if options.tee_nodes is not None:
        _install_tee_nodes(store, options.tee_nodes)
    for document in options.documents:
        resource = "bursttargets.burster.dev" if document.kind == "BurstTarget" else "burstpolicies.burster.dev"
        store.create(resource, document_namespace(document), document.object)


def _node(name: str, resources: Resources, **more: Any) -> dict[str, Any]:
    memory = f"{resources.memory_bytes // _MIB}Mi"
    return make_node(name, f"{resources.cpu_millicores}m", memory, gpus=resources.gpus, pods=250, **more)


def _install_tee_nodes(store: Store, tee: TeeNodes) -> None:
    """Write nodes with a TEE, kept for pods that ask for it, and the RuntimeClass that lets them there."""
    for number, resources in enumerate(tee.nodes):
        node = _node(f"tee-{number + 1}", resources, labels={TEE_LABEL: "true"}, taints=[_TEE_TAINT])
        add_node(store, node)
    runtime_class = make_runtime_class(node_vms.RUNTIME_CLASS, overhead=node_vms.OVERHEAD)
    scheduling = {
        "nodeSelector": {TEE_LABEL: "true"},
        "tolerations": [{"key": _TEE_TAINT["key"], "operator": "Exists"}],
    }
    store.create("runtimeclasses.node.k8s.io", "", {**runtime_class, "scheduling": scheduling})


def _tolerate_gateways(store: Store, options: SiteOptions) -> None:
    """Let peer pods, and nothing else, onto the gateways: their worker side must not compete with the full on-prem nodes."""
    scheduling = {"tolerations": [{"key": _GATEWAY_TAINT["key"], "operator": "Exists"}]}
    for name in (KATA_REMOTE, *([SECOND] if options.elsewhere is not None else [])):
        store.patch("runtimeclasses.node.k8s.io", "", name, {"scheduling": scheduling}, kind="merge")
