"""The PeerPod custom resource: its definition, and the record CAA keeps of a pod's VM.

Written by ``adaptor``, read by ``peerpod_ctrl``. One record is one VM; it belongs to its pod and goes with it.
"""

from typing import Any, Final

from burster.lab.apiserver.objects import items
from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json, stable_suffix


GROUP: Final = "confidentialcontainers.org"
RESOURCE: Final = f"peerpods.{GROUP}"
FINALIZER: Final = "peer.pod/finalizer"
AZURE: Final = "azure"
_TEXT: Final = {"type": "string"}

DEFINITION: Final[dict[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": RESOURCE},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "peerpods", "singular": "peerpod", "kind": "PeerPod", "listKind": "PeerPodList"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": _TEXT,
                            "kind": _TEXT,
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "properties": {"cloudProvider": _TEXT, "instanceID": _TEXT},
                            },
                            "status": {"type": "object", "properties": {"cleand": {"type": "boolean"}}},
                        },
                    }
                },
            }
        ],
    },
}


def record_vm(store: ObjectApi, pod: Json, sandbox_id: str, instance_id: str, *, provider: str = AZURE) -> str:
    """Write the record and return its name. Raises ApiError."""
    meta = pod["metadata"]
    name = f"{meta['name']}-resource-{stable_suffix(5, 'peerpod', sandbox_id)}"
    owner = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    peer_pod: Json = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "PeerPod",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "finalizers": [FINALIZER],
            "ownerReferences": [owner],
        },
        "spec": {"cloudProvider": provider, "instanceID": instance_id},
    }
    store.create(RESOURCE, meta["namespace"], peer_pod)
    return name


def release_record(store: ObjectApi, namespace: str, name: str) -> None:
    """Take the finalizer off a record: its VM is gone. Raises ApiError where the record is."""
    peer_pod = store.get(RESOURCE, namespace, name)
    meta = peer_pod["metadata"]
    finalizers = [other for other in items(meta, "finalizers") if other != FINALIZER]
    if finalizers != items(meta, "finalizers"):
        store.update(RESOURCE, namespace, name, {**peer_pod, "metadata": {**meta, "finalizers": finalizers}})
