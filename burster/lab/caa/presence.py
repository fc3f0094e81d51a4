"""What a cluster shows of cloud-api-adaptor: its DaemonSet, a pod on each worker, and the webhook's configuration.

Called by the stand-in, which is all of these pods itself: nothing runs in them, and the kubelets leave them alone. A pod is as old as the
configuration that CAA was started with on its node.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Final

from burster.lab.apiserver.errors import ApiError
from burster.lab.caa.capacity import worker_nodes
from burster.lab.caa.config import NAMESPACE
from burster.lab.cluster.kubelet import STAND_IN
from burster.lab.cluster.nodes import WORKER_LABEL
from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json, rfc3339, stable_suffix, write_status


DAEMON_SET: Final = "cloud-api-adaptor-daemonset"
WEBHOOK_CONFIGURATION: Final = "peer-pods-webhook-mutating-webhook-configuration"
_LABELS: Final = {"app": "cloud-api-adaptor"}
_IMAGE: Final = "quay.io/confidential-containers/cloud-api-adaptor:v0.22.0"


class Presence:
    """CAA's objects in one namespace."""

    def __init__(
        self,
        store: ObjectApi,
        now_ms: Callable[[], int],
        *,
        namespace: str = NAMESPACE,
        seed: int = 0,
        pods: bool = False,
    ) -> None:
        """``pods``: whether its pods are among the cluster's, or only counted."""
        self._store = store
        self._now_ms = now_ms
        self._namespace = namespace
        self._seed = seed
        self._shows_pods = pods
        self._pods: dict[str, str] = {}  #: node -> name of the pod there
        self._lives = 0

    def install(self) -> None:
        """Create what the chart would, besides ConfigMap and definition."""
        with contextlib.suppress(ApiError):  # there already
            self._store.create("daemonsets.apps", self._namespace, daemon_set(self._namespace))
        with contextlib.suppress(ApiError):
            self._store.create(
                "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", _webhook(self._namespace)
            )

    def come_up(self, node: str) -> None:
        """Show a pod that has just started on a node."""
        self._lives += 1
        name = f"{DAEMON_SET}-{stable_suffix(5, self._seed, self._namespace, node, self._lives)}"
        self._pods[node] = name
        if self._shows_pods:
            with contextlib.suppress(ApiError):
                pod = self._store.create("pods", self._namespace, _pod(name, self._namespace, node))
                write_status(self._store, "pods", pod, _running(self._now_ms()))
        self._count()

    def go_down(self, node: str) -> None:
        """Take a node's pod away."""
        name = self._pods.pop(node, "")
        if name and self._shows_pods:
            with contextlib.suppress(ApiError):
                self._store.delete("pods", self._namespace, name, grace_seconds=0)
        self._count()

    def _count(self) -> None:
        with contextlib.suppress(ApiError):
            found = self._store.get("daemonsets.apps", self._namespace, DAEMON_SET)
            wanted, ready = len(worker_nodes(self._store)), len(self._pods)
            write_status(self._store, "daemonsets.apps", found, daemon_set_status(wanted, ready))


def daemon_set(namespace: str) -> Json:
    """Return CAA's DaemonSet, as its chart makes it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": DAEMON_SET, "namespace": namespace, "labels": dict(_LABELS)},
        "spec": {
            "selector": {"matchLabels": dict(_LABELS)},
            "template": {
                "metadata": {"labels": dict(_LABELS)},
                "spec": {"hostNetwork": True, "nodeSelector": {WORKER_LABEL: ""}, "containers": _containers()},
            },
        },
    }


def daemon_set_status(wanted: int, ready: int) -> Json:
    """Return what its status says with so many pods wanted and ready."""
    return {
        "currentNumberScheduled": wanted,
        "desiredNumberScheduled": wanted,
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
        "updatedNumberScheduled": ready,
        "observedGeneration": 1,
    }


def _pod(name: str, namespace: str, node: str) -> Json:
    metadata = {"name": name, "namespace": namespace, "labels": dict(_LABELS), "annotations": {STAND_IN: "true"}}
    spec: dict[str, Any] = {"hostNetwork": True, "nodeName": node, "containers": _containers()}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _containers() -> list[Json]:
    sources = [{"configMapRef": {"name": "peer-pods-cm"}}, {"secretRef": {"name": "peer-pods-secret"}}]
    return [{"name": "cloud-api-adaptor-con", "image": _IMAGE, "envFrom": sources}]


def _running(now_ms: int) -> Json:
    at = rfc3339(now_ms)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": at}
    return {"phase": "Running", "startTime": at, "conditions": [ready]}


def _webhook(namespace: str) -> Json:
    service = {"name": "peer-pods-webhook-webhook-service", "namespace": namespace, "path": "/mutate-v1-pod"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "mwebhook.peerpods.io",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "clientConfig": {"service": service},
        "rules": [rule],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": WEBHOOK_CONFIGURATION},
        "webhooks": [webhook],
    }
