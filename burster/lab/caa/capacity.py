"""The VM slots that CAA advertises on its nodes, and takes back when it stops.

Called by ``adaptor``. A node says whose advertisement it carries, so that a CAA that is ending doesn't take away its successor's.
"""

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import section
from burster.lab.caa.config import EXTENDED_RESOURCE, OWNER_ANNOTATION
from burster.lab.cluster.nodes import WORKER_LABEL
from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json


def worker_nodes(store: ObjectApi) -> list[str]:
    """Return the nodes that CAA's DaemonSet runs on."""
    return [node["metadata"]["name"] for node in store.list("nodes", labels=f"{WORKER_LABEL}=")]


def advertise(store: ObjectApi, node: str, *, owner: str, limit: int) -> None:
    """Put the slots on a node; a negative limit advertises none."""
    if limit >= 0:
        _write(store, node, owner=owner, slots=str(limit))


def withdraw(store: ObjectApi, node: str, *, owner: str) -> None:
    """Take the slots off a node, if they are this owner's."""
    try:
        current = store.get("nodes", "", node)
    except ApiError:
        return
    if section(current["metadata"], "annotations").get(OWNER_ANNOTATION) == owner:
        _write(store, node, owner=None, slots=None)


def _write(store: ObjectApi, node: str, *, owner: str | None, slots: str | None) -> None:
    """Write slots and owner in one step; the kubelet's copying of capacity to allocatable is part of it."""
    resources: Json = {EXTENDED_RESOURCE: slots}
    patch: Json = {
        "metadata": {"annotations": {OWNER_ANNOTATION: owner}},
        "status": {"capacity": resources, "allocatable": resources},
    }
    store.patch("nodes", "", node, patch, subresource="status")
