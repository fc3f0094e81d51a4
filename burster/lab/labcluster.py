"""The lab's whole cluster as one thing: scheduler, kubelets, workload controllers, and cloud-api-adaptor with its webhook.

Started by the demo, by ``lab up`` and by tests on a ``Store``. It owns everything it has under way: leaving the context ends it, and raises
the first error that any part of it had. It knows ARM by its URL only, and burster not at all.
"""

from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.store import Store
from burster.lab.caa import config as caa_config
from burster.lab.caa import peerpods
from burster.lab.caa.adaptor import Adaptor
from burster.lab.caa.azure import Azure
from burster.lab.caa.peerpod_ctrl import PeerPodController
from burster.lab.caa.presence import Presence
from burster.lab.caa.webhook import PeerPodsWebhook
from burster.lab.cluster.kubelet import KubeletConfig, Kubelets
from burster.lab.cluster.node_vms import NodeVms
from burster.lab.cluster.nodes import make_runtime_class
from burster.lab.cluster.runs import Run, RunLog
from burster.lab.cluster.runtimes import Runtimes
from burster.lab.cluster.scheduler import Scheduler, SchedulerConfig
from burster.lab.cluster.work import Ground, Works
from burster.lab.cluster.workloads import Workloads
from burster.lab.elsewhere.adaptor import ElsewhereOptions
from burster.lab.elsewhere.place import Elsewhere


_ALREADY_THERE: Final = 409


class NowMs(Protocol):
    """What is needed of a clock; everything else is loop timers."""

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        ...


class CaaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where ARM is and how CAA behaves. ``config`` becomes ConfigMap peer-pods-cm unless there is one already."""

    arm_url: str
    token: str = "lab"  # noqa: S105 - the stand-in's, it opens nothing
    config: dict[str, str] = msgspec.field(default_factory=lambda: dict(caa_config.LAB_CONFIG))
    timings: caa_config.CaaTimings = caa_config.CaaTimings()
    faults: caa_config.CaaFaults = caa_config.CaaFaults()
    shows_pods: bool = False  #: whether its own pods are among the cluster's


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """What all nodes together have, and what is asked of them."""

    nodes: int
    cpu_millicores: int
    cpu_millicores_used: int
    memory_bytes: int
    memory_bytes_used: int
    gpus: int
    gpus_used: int


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What happened so far."""

    bound: int
    waiting: int
    started: int
    vms_made: int
    sandboxes_failed: int
    vms_deleted_by_peerpod_ctrl: int


class LabCluster:
    """An async context manager. ``adaptor`` is None without ``caa``."""

    def __init__(  # noqa: PLR0913 - its parts, each by name
        self,
        store: Store,
        clock: NowMs,
        *,
        caa: CaaSettings | None = None,
        seed: int = 0,
        scheduler: SchedulerConfig | None = None,
        kubelet: KubeletConfig | None = None,
        elsewhere: ElsewhereOptions | None = None,
        node_vms: NodeVms | None = None,
    ) -> None:
        """``elsewhere``: a second provider; ``node_vms``: what starts pods in VMs of their own nodes."""
        self.store = store
        self._caa = caa
        self.works = Works()
        self.adaptor: Adaptor | None = None
        self._azure: Azure | None = None
        self._controller: PeerPodController | None = None
        self._webhook = PeerPodsWebhook()
        if caa is not None:
            self._azure = Azure(caa.arm_url, token=caa.token, poll_ms=caa.timings.poll_ms)
            self.adaptor = Adaptor(
                Ground(store, clock.now_ms, self.works, seed),
                self._azure,
                read_config=self._read_config,
                on_lost=self._on_lost,
                timings=caa.timings,
                faults=caa.faults,
                presence=Presence(store, clock.now_ms, seed=seed, pods=caa.shows_pods),
            )
            self._controller = PeerPodController(store, self.works, self._azure, lambda: self._adaptor().config)
        self.elsewhere: Elsewhere | None = None
        if elsewhere is not None:
            ground = Ground(store, clock.now_ms, self.works, seed)
            self.elsewhere = Elsewhere(store, ground, elsewhere, lambda: self._adaptor().config)
        second = None if self.elsewhere is None else self.elsewhere.adaptor
        remote = Runtimes([each for each in (self.adaptor, second, node_vms) if each is not None])
        self.kubelets = Kubelets(store, clock.now_ms, self.works, seed=seed, config=kubelet, remote=remote)
        self.workloads = Workloads(store, clock.now_ms, self.works)
        self.scheduler = Scheduler(store, clock.now_ms, self.works, scheduler)

    async def __aenter__(self) -> Self:
        _ensure(self.store, "runtimeclasses.node.k8s.io", "", make_runtime_class())
        if self._caa is not None and self._azure is not None and self._controller is not None:
            self._install(self._caa)
            self.store.admission.append(self._webhook)
            await self._azure.__aenter__()
            self._controller.start()
        if self.elsewhere is not None:
            self.elsewhere.start()
        self.kubelets.start()
        self.workloads.start()
        self.scheduler.start()
        if self.adaptor is not None:
            await self.adaptor.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.scheduler.stop()
        self.workloads.stop()
        self.kubelets.stop()
        try:
            if self.elsewhere is not None:
                self.elsewhere.stop()
            if self._controller is not None and self._azure is not None:
                self._controller.stop()
                self._adaptor().stop()
                self.store.admission.remove(self._webhook)
        finally:
            try:
                await self.works.close()
            finally:
                if self._azure is not None:
                    await self._azure.__aexit__(kind, error, trace)

    # --- views ---

    @property
    def runs(self) -> RunLog:
        """Every start of a pod there was."""
        return self.kubelets.runs

    @property
    def in_cloud(self) -> list[Run]:
        """What runs in pod VMs now."""
        return self.runs.running("cloud")

    def fill(self) -> Fill:
        """Return how full the nodes are."""
        usage = list(self.scheduler.usage().values())

        def total(index: int, resource: str) -> int:
            return sum(pair[index].get(resource, 0) for pair in usage)

        return Fill(
            nodes=len(usage),
            cpu_millicores=total(0, "cpu"),
            cpu_millicores_used=total(1, "cpu"),
            memory_bytes=total(0, "memory"),
            memory_bytes_used=total(1, "memory"),
            gpus=total(0, "nvidia.com/gpu"),
            gpus_used=total(1, "nvidia.com/gpu"),
        )

    def counters(self) -> Counters:
        """Return what happened so far."""
        return Counters(
            bound=self.scheduler.bound,
            waiting=self.scheduler.waiting,
            started=len(self.runs) + self.runs.dropped,
            vms_made=self.adaptor.vms_made if self.adaptor else 0,
            sandboxes_failed=self.adaptor.starts_failed if self.adaptor else 0,
            vms_deleted_by_peerpod_ctrl=self._controller.deleted if self._controller else 0,
        )

    # --- CAA ---

    def _adaptor(self) -> Adaptor:
        assert self.adaptor is not None, "only asked where there is a CAA"  # noqa: S101 - states an invariant
        return self.adaptor

    def _install(self, caa: CaaSettings) -> None:
        """Create what the CAA chart would: namespace, definition, ConfigMap."""
        _ensure(self.store, "namespaces", "", _object("v1", "Namespace", caa_config.NAMESPACE))
        _ensure(self.store, "customresourcedefinitions.apiextensions.k8s.io", "", peerpods.DEFINITION)
        config_map = _object("v1", "ConfigMap", caa_config.CONFIG_MAP, namespace=caa_config.NAMESPACE)
        _ensure(self.store, "configmaps", caa_config.NAMESPACE, {**config_map, "data": dict(caa.config)})

    def _read_config(self) -> caa_config.CaaConfig:
        config_map = self.store.get("configmaps", caa_config.NAMESPACE, caa_config.CONFIG_MAP)
        return caa_config.read_config(config_map.get("data") or {})

    def _on_lost(self, uid: str) -> None:
        self.kubelets.sandbox_lost(uid)


def _object(api_version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _ensure(store: Store, resource: str, namespace: str, obj: dict[str, Any]) -> None:
    try:
        store.create(resource, namespace, obj)
    except ApiError as error:
        if error.status != _ALREADY_THERE:
            raise
