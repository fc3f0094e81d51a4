"""Makes the objects a cluster consists of before anything runs: nodes and the RuntimeClass of peer pods.

Called by demos, scenarios and tests. ``make_...`` build JSON and write nothing; ``add_node`` is what a kubelet does when it registers.
"""

from typing import Any, Final

from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json


WORKER_LABEL: Final = "node.kubernetes.io/worker"
KATA_LABEL: Final = "katacontainers.io/kata-runtime"
KATA_REMOTE: Final = "kata-remote"
KATA_OVERHEAD: Final = {"cpu": "250m", "memory": "120Mi"}


def make_node(  # noqa: PLR0913 - a node has that many sides; all but three are optional and named
    name: str,
    cpu: str,
    memory: str,
    *,
    gpus: int = 0,
    pods: int = 110,
    worker: bool = False,
    labels: dict[str, str] | None = None,
    taints: list[dict[str, str]] | None = None,
    extended: dict[str, str] | None = None,
) -> Json:
    """Return a Ready node. ``worker`` makes it one that CAA runs on and peer pods may be bound to."""
    resources: dict[str, str] = {"cpu": cpu, "memory": memory, "pods": str(pods), **(extended or {})}
    if gpus:
        resources["nvidia.com/gpu"] = str(gpus)
    own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    if worker:
        own |= {WORKER_LABEL: "", KATA_LABEL: "true"}
    spec: dict[str, Any] = {"taints": taints} if taints else {}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own | (labels or {})},
        "spec": spec,
        "status": {
            "capacity": dict(resources),
            "allocatable": dict(resources),
            "conditions": [ready],
            "nodeInfo": {"kubeletVersion": "v1.35.6", "containerRuntimeVersion": "containerd://2.2.0"},
        },
    }


def make_runtime_class(name: str = KATA_REMOTE, *, overhead: dict[str, str] | None = None) -> Json:
    """Return the RuntimeClass of peer pods, with the overhead and node selector that kata-deploy gives it."""
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": name,
        "overhead": {"podFixed": dict(KATA_OVERHEAD if overhead is None else overhead)},
        "scheduling": {"nodeSelector": {KATA_LABEL: "true"}},
    }


def add_node(store: ObjectApi, node: Json) -> Json:
    """Register a node: create it, then write its status, which a create leaves out. Raises ApiError where the name is taken."""
    created = store.create("nodes", "", node)
    return store.update(
        "nodes", "", node["metadata"]["name"], {**created, "status": node["status"]}, subresource="status"
    )
