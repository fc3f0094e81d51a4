"""The garbage collector: dependents follow their owners, namespaces and definitions take their content with them.

The store tells it of every commit and lets it settle before a write returns. It decides what has to go; the store does the deleting.
"""

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from burster.lab.apiserver.errors import Json
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import items, terminating, text


if TYPE_CHECKING:
    from burster.lab.apiserver.store import Store


FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
CUSTOM_CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
NAMESPACES: Final = "namespaces"
DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"

Place = tuple[str, str]  # resource, key


def _owner_uids(obj: Json | None) -> frozenset[str]:
    if obj is None:
        return frozenset()
    return frozenset(text(owner, "uid") for owner in items(obj, "metadata", "ownerReferences"))


class Collector:
    """Who owns what, and what must therefore be deleted."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._places: dict[str, Place] = {}  # uid -> where it lives
        self._dependents: dict[str, dict[Place, None]] = {}  # owner's uid -> who names it, in order
        self._in_namespace: Counter[str] = Counter()
        self._queue: deque[Place] = deque()
        self._settling = False

    def observe(self, kind: Kind, key: str, new: Json | None, old: Json | None) -> None:
        """Take note of one commit."""
        place = (kind.resource, key)
        now, was = _owner_uids(new), _owner_uids(old)
        for uid in was - now:
            named = self._dependents.get(uid, {})
            named.pop(place, None)
            if not named:
                self._dependents.pop(uid, None)
            if uid in self._places:
                self._queue.append(self._places[uid])
        for uid in sorted(now - was):
            self._dependents.setdefault(uid, {})[place] = None
        if now - was:
            self._queue.append(place)
        if old is None and new is not None:
            self._places[new["metadata"]["uid"]] = place
            if kind.namespaced:
                self._in_namespace[new["metadata"]["namespace"]] += 1
        elif new is None and old is not None:
            self._observe_gone(kind, old)
        elif new is not None and old is not None and terminating(new) and not terminating(old):
            self._queue.append(place)

    def _observe_gone(self, kind: Kind, old: Json) -> None:
        uid = old["metadata"]["uid"]
        self._places.pop(uid, None)
        self._queue.extend(self._dependents.get(uid, {}))
        if kind.namespaced:
            namespace = old["metadata"]["namespace"]
            self._in_namespace[namespace] -= 1
            if not self._in_namespace[namespace]:
                del self._in_namespace[namespace]
                self._queue.append((NAMESPACES, f"/{namespace}"))
        if kind.custom:
            self._queue.append((DEFINITIONS, f"/{kind.resource}"))

    def settle(self) -> None:
        """Delete until nothing more has to go."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._queue:
                self._consider(*self._queue.popleft())
        finally:
            self._settling = False

    def dependents(self, uid: str) -> list[Place]:
        """Who names that uid as an owner."""
        return list(self._dependents.get(uid, ()))

    def _consider(self, resource: str, key: str) -> None:
        obj = self._store.peek(resource, key)
        if obj is None:
            return
        if terminating(obj):
            self._finish(resource, key, obj)
        elif items(obj, "metadata", "ownerReferences"):
            self._judge_owners(resource, key, obj)

    def _judge_owners(self, resource: str, key: str, obj: Json) -> None:
        owners = items(obj, "metadata", "ownerReferences")
        solid = [owner for owner in owners if self._stands(obj, owner)]
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        if solid and len(solid) < len(owners):
            self._store.replace_metadata(resource, key, ownerReferences=solid)
        elif not solid:
            self._store.delete(resource, namespace, name, uid=obj["metadata"]["uid"])

    def _stands(self, obj: Json, owner: Json) -> bool:
        """Whether an owner is there; one of an unknown kind is believed, as the real collector cannot look it up."""
        kind = self._store.kinds.of_object(text(owner, "apiVersion"), text(owner, "kind"))
        if kind is None:
            return True
        namespace = obj["metadata"].get("namespace", "") if kind.namespaced else ""
        return self._places.get(owner["uid"]) == (kind.resource, f"{namespace}/{owner['name']}")

    def _finish(self, resource: str, key: str, obj: Json) -> None:
        """Go on with the deletion of something that waits for others."""
        finalizers = items(obj, "metadata", "finalizers")
        if resource == NAMESPACES:
            self._empty_namespace(key, obj["metadata"]["name"])
        elif CUSTOM_CLEANUP in finalizers:
            self._empty_definition(resource, key, obj["metadata"]["name"])
        elif FOREGROUND in finalizers:
            self._finish_foreground(resource, key, obj)

    def _finish_foreground(self, resource: str, key: str, obj: Json) -> None:
        waiting = False
        for place in self.dependents(obj["metadata"]["uid"]):
            dependent = self._store.peek(*place)
            if dependent is None:
                continue
            metadata = dependent["metadata"]
            if not terminating(dependent):
                self._store.delete(place[0], metadata.get("namespace", ""), metadata["name"], propagation="Foreground")
                dependent = self._store.peek(*place)
            blocks = any(
                owner.get("blockOwnerDeletion") and owner["uid"] == obj["metadata"]["uid"]
                for owner in items(metadata, "ownerReferences")
            )
            waiting = waiting or (blocks and dependent is not None)
        if not waiting:
            self._store.drop_finalizer(resource, key, FOREGROUND)

    def _empty_namespace(self, key: str, name: str) -> None:
        for kind in list(self._store.kinds):
            if kind.namespaced:
                self._delete_all(kind.resource, name)
        if not self._in_namespace.get(name):
            self._store.remove(NAMESPACES, key)

    def _empty_definition(self, resource: str, key: str, name: str) -> None:
        if self._store.kinds.find(name) is not None:
            self._delete_all(name, "")
            if self._store.list(name):
                return
        self._store.drop_finalizer(resource, key, CUSTOM_CLEANUP)

    def _delete_all(self, resource: str, namespace: str) -> None:
        for obj in self._store.list(resource, namespace):
            if not terminating(obj):
                self._store.delete(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
