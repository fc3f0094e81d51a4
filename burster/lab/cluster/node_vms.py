"""The kata runtime of confidential nodes: a pod's sandbox is a VM of its own node, with the node's TEE.

Called by the kubelets like a remote runtime, but nothing is remote: the pod keeps its requests, and the node's room is what it uses up.
"""

import asyncio
from typing import Final

import msgspec

from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json
from burster.lab.cluster.remote import SandboxError
from burster.model.pods import Resources


RUNTIME_CLASS: Final = "kata-qemu-tdx"
#: As node-feature-discovery writes it.
TEE_LABEL: Final = "feature.node.kubernetes.io/cpu-security.tdx.enabled"
OVERHEAD: Final = {"cpu": "100m", "memory": "256Mi"}


class TeeNodes(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes with a TEE; ``boot_ms`` is how long a VM on one takes to start."""

    nodes: tuple[Resources, ...]
    boot_ms: int = 9_000


class NodeVms:
    """A ``RemoteRuntime`` that is not remote."""

    def __init__(self, store: ObjectApi, *, boot_ms: int) -> None:
        self._store: Final = store
        self._boot_ms: Final = boot_ms

    def handles(self, runtime_class: str) -> bool:
        """Say whether pods of this RuntimeClass are its own."""
        return runtime_class == RUNTIME_CLASS

    async def start_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """Boot the VM. Raises SandboxError on a node whose containerd knows no such handler."""
        del sandbox_id
        node = self._store.get("nodes", "", pod["spec"]["nodeName"])
        labels: dict[str, str] = node["metadata"].get("labels") or {}
        if TEE_LABEL not in labels:
            raise SandboxError(f'no runtime for "{RUNTIME_CLASS}" is configured')
        await asyncio.sleep(self._boot_ms / 1_000)

    async def stop_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """The VM goes with its process, at once."""
