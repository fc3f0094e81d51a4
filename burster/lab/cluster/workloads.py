"""The workload controllers as one thing to start and stop: Deployments, ReplicaSets and Jobs over one index of pods."""

from collections.abc import Callable

from burster.lab.apiserver.store import Store
from burster.lab.cluster.deployments import Deployments
from burster.lab.cluster.jobs import Jobs
from burster.lab.cluster.podindex import PodIndex
from burster.lab.cluster.replicasets import ReplicaSets
from burster.lab.cluster.work import Works


class Workloads:
    """The lab's kube-controller-manager, as far as pods are concerned."""

    def __init__(self, store: Store, now_ms: Callable[[], int], works: Works) -> None:
        self._pods = PodIndex(store)
        self._replica_sets = ReplicaSets(store, now_ms, works, self._pods)
        self._deployments = Deployments(store, now_ms, works)
        self._jobs = Jobs(store, now_ms, works, self._pods)

    def start(self) -> None:
        """Start all controllers; each reads what exists first."""
        self._pods.start()
        self._replica_sets.start()
        self._deployments.start()
        self._jobs.start()

    def stop(self) -> None:
        """Hear nothing any more."""
        for part in (self._jobs, self._deployments, self._replica_sets, self._pods):
            part.stop()
