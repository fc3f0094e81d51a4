"""Confidential nodes of one's own: pods under a RuntimeClass that starts each in a VM of its node, with the node's own TEE.

There is no cloud to ask. The scheduler binds the pod to a node by the target's labels; which one it was, and whether it carries them, is
read from the API server, and so is that the pod is gone. A pod that was removed by force may still be at work on a node that nobody hears
of, as any pod of Kubernetes.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final

import orjson

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import HOME, KubeApi
from burster.adaptors.manifests import BURST_LABEL
from burster.adaptors.peer_pods import is_placed
from burster.adaptors.pod_place import PodPlace
from burster.engine.bursts.vms import vm_stem
from burster.model.bursts import Burst
from burster.model.offerings import Vm
from burster.model.stimuli import CloudListed, VmsObserved
from burster.model.targets import Target
from burster.policy.records import parse_time


_OVER: Final = frozenset({"Succeeded", "Failed"})
_NODES: Final = "/api/v1/nodes"
_PODS: Final = "/api/v1/pods"


class ConfidentialNodes(PodPlace):
    """A ``Place`` whose proof is ``Node``: the pod's sandbox is its VM, and the node's labels say what it is."""

    def __init__(self, api: KubeApi, now_ms: Callable[[], int], *, home: str = HOME) -> None:
        super().__init__(api, home=home)
        self._now_ms: Final = now_ms

    async def observe(self, burst: Burst) -> VmsObserved:
        """Return the burst's sandbox while its pod is on a node, and that node's labels."""
        pod = await paths.read(self._api, paths.pods(burst.namespace, burst.spec.pod_name))
        if pod is None or not _is_of(pod, burst) or not _has_sandbox(pod):
            return VmsObserved(key=burst.key, vms=())
        node = await self._node(pod["spec"]["nodeName"])
        return VmsObserved(key=burst.key, vms=(_vm(pod, node, burst.spec.node_selector),))

    async def _node(self, name: str) -> dict[str, Any] | None:
        """Return a node, None where it is gone. Listed by its name, which is a right that burster has anyway."""
        listed: dict[str, Any] = orjson.loads(await self._api.get(_NODES, {"fieldSelector": f"metadata.name={name}"}))
        nodes: list[dict[str, Any]] = listed.get("items") or []
        return next((node for node in nodes if node["metadata"]["name"] == name), None)

    async def list(self, target: Target) -> CloudListed:
        """Return the sandboxes of every pod of burster's own under the target's RuntimeClass."""
        listed_at_ms = self._now_ms()
        listed: dict[str, Any] = orjson.loads(await self._api.get(_PODS, {"labelSelector": BURST_LABEL}))
        pods: list[dict[str, Any]] = listed.get("items") or []
        there = [
            _vm(pod, None, {})
            for pod in pods
            if pod["spec"].get("runtimeClassName") == target.runtime_class and _has_sandbox(pod)
        ]
        return CloudListed(
            target=target.name, listed_at_ms=listed_at_ms, vms=tuple(sorted(there, key=lambda vm: vm.name))
        )


def _is_of(pod: dict[str, Any], burst: Burst) -> bool:
    """Say whether a pod of the burst's pod name is its cloud pod: by its uid, and by its marks while that is not known."""
    uid: str = pod["metadata"]["uid"]
    return uid == burst.status.pod_uid if burst.status.pod_uid else is_placed(pod, burst)


def _has_sandbox(pod: dict[str, Any]) -> bool:
    """Say whether a pod is on a node and its work is not over: then its sandbox is there, or on its way."""
    status: dict[str, Any] = pod.get("status") or {}
    return bool(pod["spec"].get("nodeName")) and status.get("phase") not in _OVER


def _vm(pod: dict[str, Any], node: dict[str, Any] | None, wanted: dict[str, str]) -> Vm:
    metadata: dict[str, Any] = pod["metadata"]
    status: dict[str, Any] = pod.get("status") or {}
    uid: str = metadata["uid"]
    labels: dict[str, str] = (node or {}).get("metadata", {}).get("labels") or {}
    running = status.get("phase") == "Running"
    since: str = status.get("startTime") or metadata.get("creationTimestamp") or ""
    return Vm(
        name=f"{vm_stem(metadata['name'])}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}",
        resource_id=f"{pod['spec']['nodeName']}/{metadata['namespace']}/{metadata['name']}/{uid}",
        region="",
        size="",
        provisioning_state="Deleting" if metadata.get("deletionTimestamp") else "Succeeded" if running else "Creating",
        created_at_ms=parse_time(since) if since else None,
        node=pod["spec"]["nodeName"],
        tags={name: labels[name] for name in wanted if name in labels},
    )
