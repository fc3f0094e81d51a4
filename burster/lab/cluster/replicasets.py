"""The ReplicaSet controller: keeps as many pods as asked for, adopts orphans that match, and lets go of pods that no longer do.

A pod whose controller is another object is never adopted nor counted. Pods that wait go first when there are too many.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import items, section
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.cluster.events import EventRecorder
from burster.lab.cluster.objects import (
    Json,
    controller_of,
    controller_reference,
    is_finished,
    is_ready,
    is_terminating,
    key_of,
    selector_matches,
    split_key,
    with_condition,
    write_status,
)
from burster.lab.cluster.podindex import PodIndex
from burster.lab.cluster.work import DirtyKeys, Works


RESOURCE: Final = "replicasets.apps"
RETRY_MS: Final = 1_000
RETRY_MAX_MS: Final = 60_000
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANK: Final = {"Pending": 0, "Unknown": 1, "Running": 2}


class _Refusal(NamedTuple):
    """A create that was refused, how often in a row, and when to try again."""

    times: int
    retry_at_ms: int
    message: str


class ReplicaSets:
    """See the module."""

    def __init__(self, store: Store, now_ms: Callable[[], int], works: Works, pods: PodIndex) -> None:
        self._store = store
        self._now_ms = now_ms
        self._works = works
        self._pods = pods
        self._events = EventRecorder(store, now_ms, "replicaset-controller")
        self._dirty = DirtyKeys(works, self._sync)
        self._key_of_uid: dict[str, str] = {}
        self._selectors: dict[str, dict[str, Json]] = {}  #: namespace -> set's key -> its selector
        self._adoptable: dict[str, dict[str, None]] = {}  #: set's key -> names of orphans that may be its
        self._refusals: dict[str, _Refusal] = {}
        self._unsubscribe: Callable[[], None] | None = None
        pods.listen(self._on_pod)

    def start(self) -> None:
        """Read what exists and follow it."""
        self._unsubscribe = self._store.subscribe(RESOURCE, self._on_set)
        for replica_set in self._store.list(RESOURCE):
            self._seen(replica_set)

    def stop(self) -> None:
        """Hear nothing any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _on_set(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            key, meta = key_of(event.object), event.object["metadata"]
            self._key_of_uid.pop(meta["uid"], None)
            self._selectors.get(meta["namespace"], {}).pop(key, None)
            self._adoptable.pop(key, None)
            self._refusals.pop(key, None)
        else:
            self._seen(event.object)

    def _seen(self, replica_set: Json) -> None:
        key, meta = key_of(replica_set), replica_set["metadata"]
        selectors = self._selectors.setdefault(meta["namespace"], {})
        if meta["uid"] not in self._key_of_uid:
            self._key_of_uid[meta["uid"]] = key
            selectors[key] = replica_set["spec"]["selector"]
            for pod in self._pods.orphans(meta["namespace"]):
                self._on_pod(pod, "")
        self._dirty.add(key)

    def _on_pod(self, pod: Json, owner: str) -> None:
        if owner:
            if owner in self._key_of_uid:
                self._dirty.add(self._key_of_uid[owner])
            return
        meta = pod["metadata"]
        labels: dict[str, str] = section(meta, "labels")
        for key, selector in self._selectors.get(meta["namespace"], {}).items():
            if selector_matches(selector, labels):
                self._adoptable.setdefault(key, {})[meta["name"]] = None
                self._dirty.add(key)

    def _sync(self, key: str) -> None:
        replica_set = self._store.get(RESOURCE, *split_key(key))
        pods = self._claim(replica_set)
        active = [pod for pod in pods if not is_finished(pod) and not is_terminating(pod)]
        problem = ""
        if not is_terminating(replica_set):
            wanted = int(replica_set["spec"].get("replicas", 1))
            if len(active) < wanted:
                problem = self._grow(replica_set, wanted - len(active))
            elif len(active) > wanted:
                self._shrink(active, len(active) - wanted)
            active = [pod for pod in self._owned(replica_set) if not is_finished(pod) and not is_terminating(pod)]
        self._write(replica_set, active, problem)

    def _owned(self, replica_set: Json) -> list[Json]:
        return self._pods.owned_by(replica_set["metadata"]["uid"])

    def _claim(self, replica_set: Json) -> list[Json]:
        selector = replica_set["spec"]["selector"]
        meta = replica_set["metadata"]
        mine: list[Json] = []
        for pod in self._owned(replica_set):
            if selector_matches(selector, section(pod["metadata"], "labels")):
                mine.append(pod)
            elif not is_terminating(pod):
                self._set_owners(pod, [ref for ref in pod["metadata"]["ownerReferences"] if ref["uid"] != meta["uid"]])
        if is_terminating(replica_set):
            return mine
        for name in self._adoptable.pop(key_of(replica_set), ()):
            pod = self._orphan(meta["namespace"], name)
            if pod is not None and selector_matches(selector, section(pod["metadata"], "labels")):
                references = [*items(pod["metadata"], "ownerReferences"), _reference(replica_set)]
                mine.append(self._set_owners(pod, references))
        return mine

    def _orphan(self, namespace: str, name: str) -> Json | None:
        try:
            pod = self._store.get("pods", namespace, name)
        except ApiError:
            return None
        taken = controller_of(pod) is not None or is_terminating(pod) or is_finished(pod)
        return None if taken else pod

    def _set_owners(self, pod: Json, references: list[Json]) -> Json:
        meta: Json = {**pod["metadata"], "ownerReferences": references}
        return self._store.update("pods", meta["namespace"], meta["name"], {**pod, "metadata": meta})

    def _grow(self, replica_set: Json, count: int) -> str:
        """Create pods; return why not, after which the set is tried again later and later."""
        key, meta = key_of(replica_set), replica_set["metadata"]
        former = self._refusals.get(key)
        if former is not None and self._now_ms() < former.retry_at_ms:
            return former.message
        template = replica_set["spec"]["template"]
        for _ in range(count):
            pod: Json = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    **section(template, "metadata"),
                    "generateName": f"{meta['name']}-",
                    "namespace": meta["namespace"],
                    "ownerReferences": [_reference(replica_set)],
                },
                "spec": template["spec"],
            }
            try:
                self._store.create(
                    "pods", meta["namespace"], pod, user="system:serviceaccount:kube-system:replicaset-controller"
                )
            except ApiError as error:
                text = f"Error creating: {error.message}"
                self._events.emit(replica_set, "ReplicaSet", "FailedCreate", text)
                times = former.times + 1 if former else 1
                delay = min(RETRY_MAX_MS, RETRY_MS * 2 ** min(times - 1, 16))
                self._refusals[key] = _Refusal(times, self._now_ms() + delay, error.message)
                self._works.later(delay, lambda: self._dirty.add(key))
                return error.message
        self._refusals.pop(key, None)
        return ""

    def _shrink(self, active: list[Json], count: int) -> None:
        for pod in sorted(active, key=_deletion_rank)[:count]:
            meta = pod["metadata"]
            self._store.delete("pods", meta["namespace"], meta["name"], uid=meta["uid"])

    def _write(self, replica_set: Json, active: list[Json], problem: str) -> None:
        status = section(replica_set, "status")
        ready = sum(map(is_ready, active))
        hash_labels: dict[str, str] = section(replica_set["spec"]["template"], "metadata", "labels")
        labelled = sum(
            all(section(pod["metadata"], "labels").get(name) == value for name, value in hash_labels.items())
            for pod in active
        )
        conditions = [condition for condition in items(status, "conditions") if condition["type"] != "ReplicaFailure"]
        if problem:
            failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": problem}
            conditions = with_condition(items(status, "conditions"), failure, self._now_ms())
        new: Json = {
            **status,
            "replicas": len(active),
            "fullyLabeledReplicas": labelled,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": replica_set["metadata"].get("generation", 1),
        }
        if conditions or "conditions" in status:
            new["conditions"] = conditions
        write_status(self._store, RESOURCE, replica_set, new)


def _reference(replica_set: Json) -> Json:
    return controller_reference(replica_set, "apps/v1", "ReplicaSet")


def _deletion_rank(pod: Json) -> tuple[bool, int, bool, int, tuple[int, ...], str]:
    """Order pods by how little is lost: unbound, then pending, then not ready, then cheap by annotation, then young."""
    meta = pod["metadata"]
    cost = int(section(meta, "annotations").get(DELETION_COST, "0"))
    phase = section(pod, "status").get("phase", "Pending")
    age = tuple(-ord(letter) for letter in meta.get("creationTimestamp") or "")
    return (bool(pod["spec"].get("nodeName")), _PHASE_RANK.get(phase, 2), is_ready(pod), cost, age, meta["name"])
