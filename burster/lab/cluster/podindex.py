"""All pods by the controller that owns them, so that a workload controller need not list the store for every event.

One subscription serves all workload controllers. Read only.
"""

from collections import defaultdict
from collections.abc import Callable

from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.cluster.objects import Json, controller_of


class PodIndex:
    """The newest object of each pod, by the uid of its controller; pods without one are by namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owned: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        self._orphans: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        self._owner: dict[str, str] = {}
        self._listeners: list[Callable[[Json, str], None]] = []
        self._unsubscribe: Callable[[], None] | None = None

    def listen(self, listener: Callable[[Json, str], None]) -> None:
        """Have every change told: the pod, and the uid of its controller (or of its former one), empty for none."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Read what exists and follow it."""
        self._unsubscribe = self._store.subscribe("pods", self._on_pod)
        for pod in self._store.list("pods"):
            self._put(pod)

    def stop(self) -> None:
        """Hear nothing any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def owned_by(self, uid: str) -> list[Json]:
        """Return the pods whose controller has that uid, oldest name order first."""
        return sorted(self._owned.get(uid, {}).values(), key=lambda pod: pod["metadata"]["name"])

    def orphans(self, namespace: str) -> list[Json]:
        """Return the namespace's pods without a controller."""
        return sorted(self._orphans.get(namespace, {}).values(), key=lambda pod: pod["metadata"]["name"])

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            self._drop(event.object)
        else:
            self._put(event.object)

    def _put(self, pod: Json) -> None:
        uid: str = pod["metadata"]["uid"]
        reference = controller_of(pod)
        owner: str = reference["uid"] if reference else ""
        former = self._owner.get(uid, owner)
        if former != owner:
            self._take_out(pod, former)
            self._tell(pod, former)
        self._owner[uid] = owner
        shelf = self._owned[owner] if owner else self._orphans[pod["metadata"]["namespace"]]
        shelf[uid] = pod
        self._tell(pod, owner)

    def _drop(self, pod: Json) -> None:
        uid: str = pod["metadata"]["uid"]
        owner = self._owner.pop(uid, "")
        self._take_out(pod, owner)
        self._tell(pod, owner)

    def _take_out(self, pod: Json, owner: str) -> None:
        shelves, shelf = (self._owned, owner) if owner else (self._orphans, pod["metadata"]["namespace"])
        shelves[shelf].pop(pod["metadata"]["uid"], None)
        if not shelves[shelf]:
            del shelves[shelf]

    def _tell(self, pod: Json, owner: str) -> None:
        for listener in self._listeners:
            listener(pod, owner)
