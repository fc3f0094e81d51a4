"""The trace player: creates what a trace says when it says so. The lab's kubelets end tasks after their recorded duration.

Works in process on the lab's store, as a user's kubectl would on a real one; called by the demo and by crash tests. It never touches what
burster makes.
"""

from typing import Any, Final

from burster.lab.apiserver.store import Store
from burster.lab.cluster.kubelet import RUN_SECONDS
from burster.model.pods import Resources
from burster.runtime.clock import Clock
from burster.simulator.traces.model import Trace, TraceEntry


#: A made-up image, by digest as confidential workloads should be named; nothing is ever pulled in the lab.
_IMAGE: Final = "registry.bank.example/fraud/scorer@sha256:" + "5" * 64
_MIB: Final = 1024**2


def container(requests: Resources) -> dict[str, Any]:
    """Return the one container of a trace's pod."""
    resources: dict[str, Any] = {
        "requests": {"cpu": f"{requests.cpu_millicores}m", "memory": f"{-(-requests.memory_bytes // _MIB)}Mi"}
    }
    if requests.gpus:
        resources["limits"] = {"nvidia.com/gpu": str(requests.gpus)}
        resources["requests"]["nvidia.com/gpu"] = str(requests.gpus)
    return {"name": "work", "image": _IMAGE, "resources": resources}


def task_pod(entry: TraceEntry) -> dict[str, Any]:
    """Return a trace's task as a bare pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": entry.name,
            "namespace": entry.namespace,
            "labels": {"app": "trace", **entry.labels},
            "annotations": {RUN_SECONDS: str(max(1, entry.duration_ms // 1000))},
        },
        "spec": {
            "restartPolicy": "Never",
            "priority": entry.priority,
            "terminationGracePeriodSeconds": 5,
            "containers": [container(entry.requests)],
        },
    }


def service(entry: TraceEntry) -> dict[str, Any]:
    """Return a trace's service as a Deployment."""
    labels = {"app": entry.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": entry.name, "namespace": entry.namespace, "labels": labels},
        "spec": {
            "replicas": entry.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [container(entry.requests)]},
            },
        },
    }


class Player:
    """Plays one trace from ``start_ms`` (epoch) on. ``played`` counts entries; tasks and services are remembered by key."""

    def __init__(self, store: Store, clock: Clock, trace: Trace) -> None:
        self._store = store
        self._clock = clock
        self._trace = trace
        self.played = 0
        self.tasks: list[str] = []
        self.services: set[str] = set()

    @property
    def finished(self) -> bool:
        """Whether every entry has been played."""
        return self.played == len(self._trace.entries)

    async def run(self, start_ms: int) -> None:
        """Play to the end of the trace."""
        for entry in self._trace.entries:
            wait_ms = start_ms + entry.arrival_ms - self._clock.now_ms()
            if wait_ms > 0:
                await self._clock.sleep(wait_ms / 1000)
            self._play(entry)
            self.played += 1

    def _play(self, entry: TraceEntry) -> None:
        key = f"{entry.namespace}/{entry.name}"
        if entry.kind == "Pod":
            self._store.create("pods", entry.namespace, task_pod(entry), user="trace-player")
            self.tasks.append(key)
        elif key in self.services:
            self._store.patch(
                "deployments.apps", entry.namespace, entry.name, {"spec": {"replicas": entry.replicas}}, kind="merge"
            )
        else:
            self.services.add(key)
            self._store.create("deployments.apps", entry.namespace, service(entry), user="trace-player")
