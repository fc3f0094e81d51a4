"""Nodes, their kubelets and CAA for a control plane that is not the lab's.

Started by tests against a real API server; everything it does goes over the wire. It makes what the CAA chart and the nodes themselves
would have made there, runs what is bound to its nodes, and starts pod VMs at an ARM stand-in. It never schedules, owns or collects.
"""

import contextlib
import ssl
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from burster.clients.kube import Kube
from burster.lab.apiserver.definitions import kind_of
from burster.lab.apiserver.kinds import Kinds
from burster.lab.caa import config as caa_config
from burster.lab.caa import peerpods
from burster.lab.caa.adaptor import Adaptor
from burster.lab.caa.azure import Azure
from burster.lab.caa.peerpod_ctrl import PeerPodController
from burster.lab.caa.reviews import configuration, serve_webhook
from burster.lab.caa.webhook import PeerPodsWebhook
from burster.lab.cluster.kubelet import KubeletConfig, Kubelets
from burster.lab.cluster.nodes import add_node, make_runtime_class
from burster.lab.cluster.runs import RunLog
from burster.lab.cluster.work import Ground, Works
from burster.lab.hollow.mirror import Mirror
from burster.lab.labcluster import CaaSettings
from burster.model.errors import RemoteError
from burster.runtime.clock import Clock


Json = dict[str, Any]
_HEARTBEAT_MS: Final = 10_000
_ESTABLISHED_LOOKS: Final = 100
_LOOK_S: Final = 0.1


class WebhookTls(msgspec.Struct, frozen=True, kw_only=True):
    """What the API server needs to trust CAA's webhook: its server side, and who vouches for it."""

    context: ssl.SSLContext
    ca_pem: bytes


class HollowCluster:
    """An async context manager; ``nodes`` are objects as ``make_node`` returns them."""

    def __init__(  # noqa: PLR0913 - what stands there
        self,
        kube: Kube,
        clock: Clock,
        caa: CaaSettings,
        tls: WebhookTls,
        *,
        nodes: tuple[Json, ...],
        kubelet: KubeletConfig | None = None,
        runtime_class: Json | None = None,
        seed: int = 0,
    ) -> None:
        self._kube = kube
        self._caa = caa
        self._tls = tls
        self._nodes = nodes
        self._runtime_class = runtime_class or make_runtime_class()
        self._webhook = PeerPodsWebhook()
        self._stack = contextlib.AsyncExitStack()
        self.works = Works()
        kinds = Kinds()
        kinds.add(kind_of(peerpods.DEFINITION))
        followed = {
            "pods": "",
            "nodes": "",
            "leases.coordination.k8s.io": "kube-node-lease",
            "configmaps": caa_config.NAMESPACE,
            "daemonsets.apps": caa_config.NAMESPACE,
            peerpods.RESOURCE: "",
        }
        self.mirror = Mirror(kube, self.works, clock, kinds, followed)
        self._azure = Azure(caa.arm_url, token=caa.token, poll_ms=caa.timings.poll_ms)
        self.adaptor = Adaptor(
            Ground(self.mirror, clock.now_ms, self.works, seed),
            self._azure,
            read_config=self._read_config,
            on_lost=self._on_lost,
            timings=caa.timings,
            faults=caa.faults,
        )
        self._controller = PeerPodController(self.mirror, self.works, self._azure, lambda: self.adaptor.config)
        config = kubelet or KubeletConfig()
        if not config.heartbeat_ms:
            # a real control plane drains nodes that say nothing
            config = msgspec.structs.replace(config, heartbeat_ms=_HEARTBEAT_MS)
        self.kubelets = Kubelets(self.mirror, clock.now_ms, self.works, seed=seed, config=config, remote=self.adaptor)
        self._clock = clock

    @property
    def runs(self) -> RunLog:
        """Every start of a pod there was."""
        return self.kubelets.runs

    async def __aenter__(self) -> Self:
        try:
            await self._stack.enter_async_context(self._azure)
            self._stack.push_async_callback(self.works.close)
            await self._install()
            await self.mirror.start()
            for node in self._nodes:
                add_node(self.mirror, node)
            await self.mirror.sent()
            self._controller.start()
            self.kubelets.start()
            await self.adaptor.start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kubelets.stop()
        self._controller.stop()
        await self._stack.aclose()

    async def _install(self) -> None:
        """Make what the CAA chart would: namespace, definition, ConfigMap, RuntimeClass, webhook."""
        namespace: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": caa_config.NAMESPACE}}
        await self._ensure("/api/v1/namespaces", namespace)
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await self._ensure(definitions, peerpods.DEFINITION)
        await self._until_served(f"/apis/{peerpods.GROUP}/v1alpha1/peerpods")
        settings = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": caa_config.CONFIG_MAP, "namespace": caa_config.NAMESPACE},
            "data": dict(self._caa.config),
        }
        await self._ensure(f"/api/v1/namespaces/{caa_config.NAMESPACE}/configmaps", settings)
        await self._ensure("/apis/node.k8s.io/v1/runtimeclasses", self._runtime_class)
        url = await self._stack.enter_async_context(serve_webhook(self._webhook, self._tls.context))
        hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        await self._ensure(hooks, configuration(self._webhook, url, self._tls.ca_pem))

    async def _ensure(self, path: str, obj: Json) -> None:
        try:
            await self._kube.create(path, obj)
        except RemoteError as error:
            if error.kind != "AlreadyExists":
                raise

    async def _until_served(self, path: str) -> None:
        for _ in range(_ESTABLISHED_LOOKS):
            try:
                await self._kube.get(path)
            except RemoteError as error:
                # from 1.34 on a server that knows the kind already says that its storage is still being made
                if error.kind not in {"NotFound", "Throttled"}:
                    raise
                await self._clock.sleep(_LOOK_S)
            else:
                return
        raise RemoteError("NotFound", f"GET {path}: the definition is there, and not served")

    def _on_lost(self, uid: str) -> None:
        self.kubelets.sandbox_lost(uid)

    def _read_config(self) -> caa_config.CaaConfig:
        config_map = self.mirror.get("configmaps", caa_config.NAMESPACE, caa_config.CONFIG_MAP)
        return caa_config.read_config(config_map.get("data") or {})
