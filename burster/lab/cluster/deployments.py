"""The Deployment controller: one ReplicaSet for the current template, scaled as asked; older ones are scaled to nothing at once.

Rolling by halves isn't done here: the lab's scenarios don't need it, and nothing claims it.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import items, section
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.cluster.objects import (
    Json,
    controller_of,
    controller_reference,
    is_terminating,
    key_of,
    split_key,
    stable_suffix,
    with_condition,
    write_status,
)
from burster.lab.cluster.work import DirtyKeys, Works


RESOURCE: Final = "deployments.apps"
_SETS: Final = "replicasets.apps"
HASH_LABEL: Final = "pod-template-hash"
_ALREADY_EXISTS: Final = 409
HASH_LENGTH: Final = 10


class Deployments:
    """See the module."""

    def __init__(self, store: Store, now_ms: Callable[[], int], works: Works) -> None:
        self._store = store
        self._now_ms = now_ms
        self._dirty = DirtyKeys(works, self._sync)
        self._sets: dict[str, dict[str, Json]] = {}  #: deployment uid -> its ReplicaSets by name
        self._key_of_uid: dict[str, str] = {}
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        """Read what exists and follow it."""
        self._unsubscribe = [
            self._store.subscribe(RESOURCE, self._on_deployment),
            self._store.subscribe(_SETS, self._on_set),
        ]
        for replica_set in self._store.list(_SETS):
            self._set_seen(replica_set)
        for deployment in self._store.list(RESOURCE):
            self._seen(deployment)

    def stop(self) -> None:
        """Hear nothing any more."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    def _on_deployment(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            self._key_of_uid.pop(event.object["metadata"]["uid"], None)
        else:
            self._seen(event.object)

    def _seen(self, deployment: Json) -> None:
        self._key_of_uid[deployment["metadata"]["uid"]] = key_of(deployment)
        self._dirty.add(key_of(deployment))

    def _on_set(self, event: StoreEvent) -> None:
        if event.type != "DELETED":
            self._set_seen(event.object)
            return
        owner = controller_of(event.object)
        if owner is None:
            return
        sets = self._sets.get(owner["uid"], {})
        sets.pop(event.object["metadata"]["name"], None)
        if not sets:
            self._sets.pop(owner["uid"], None)
        if owner["uid"] in self._key_of_uid:
            self._dirty.add(self._key_of_uid[owner["uid"]])

    def _set_seen(self, replica_set: Json) -> None:
        owner = controller_of(replica_set)
        if owner is None or owner["kind"] != "Deployment":
            return
        self._sets.setdefault(owner["uid"], {})[replica_set["metadata"]["name"]] = replica_set
        if owner["uid"] in self._key_of_uid:
            self._dirty.add(self._key_of_uid[owner["uid"]])

    def _sync(self, key: str) -> None:
        deployment = self._store.get(RESOURCE, *split_key(key))
        if is_terminating(deployment):
            return
        uid: str = deployment["metadata"]["uid"]
        digest = template_hash(deployment)
        name = f"{deployment['metadata']['name']}-{digest}"
        wanted = int(deployment["spec"].get("replicas", 1))
        current = self._sets.get(uid, {}).get(name)
        if current is None:
            self._create(deployment, name, digest, wanted)
        for other in list(self._sets.get(uid, {}).values()):
            self._scale(other, wanted if other["metadata"]["name"] == name else 0)
        self._write(deployment, self._sets.get(uid, {}), name, wanted)

    def _create(self, deployment: Json, name: str, digest: str, wanted: int) -> None:
        meta, spec = deployment["metadata"], deployment["spec"]
        template = spec["template"]
        template_meta = section(template, "metadata")
        labels = {**section(template_meta, "labels"), HASH_LABEL: digest}
        selector = {**spec["selector"]}
        selector["matchLabels"] = {**section(selector, "matchLabels"), HASH_LABEL: digest}
        replica_set: Json = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [controller_reference(deployment, "apps/v1", "Deployment")],
            },
            "spec": {
                "replicas": wanted,
                "selector": selector,
                "template": {**template, "metadata": {**template_meta, "labels": labels}},
            },
        }
        try:
            self._store.create(_SETS, meta["namespace"], replica_set)
        except ApiError as error:
            if error.status != _ALREADY_EXISTS:
                raise
            # a namesake that belongs to somebody else: the real controller would change the hash; the lab's names don't collide

    def _scale(self, replica_set: Json, wanted: int) -> None:
        if int(replica_set["spec"].get("replicas", 1)) == wanted or is_terminating(replica_set):
            return
        meta = replica_set["metadata"]
        spec = {**replica_set["spec"], "replicas": wanted}
        self._store.update(_SETS, meta["namespace"], meta["name"], {**replica_set, "spec": spec})

    def _write(self, deployment: Json, sets: dict[str, Json], current: str, wanted: int) -> None:
        status = section(deployment, "status")

        def total(field: str) -> int:
            return sum(int(section(replica_set, "status").get(field, 0)) for replica_set in sets.values())

        available = total("availableReplicas")
        enough = available >= wanted - wanted // 4  # maxUnavailable is a quarter unless said otherwise
        condition = {
            "type": "Available",
            "status": "True" if enough else "False",
            "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        }
        updated = section(sets[current], "status").get("replicas", 0) if current in sets else 0
        new: Json = {
            **status,
            "observedGeneration": deployment["metadata"].get("generation", 1),
            "replicas": total("replicas"),
            "updatedReplicas": updated,
            "readyReplicas": total("readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, wanted - available),
            "conditions": with_condition(items(status, "conditions"), condition, self._now_ms()),
        }
        write_status(self._store, RESOURCE, deployment, new)


def template_hash(deployment: Json) -> str:
    """Return the pod-template-hash: the same for the same template, whoever asks."""
    text = msgspec.json.encode(deployment["spec"]["template"], order="sorted").decode()
    return stable_suffix(HASH_LENGTH, "template", text)
