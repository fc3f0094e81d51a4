"""Workloads that have a number of replicas: where they are in the API, and who else sets that number.

Used by the adaptor that scales and by the source that watches what policies name, so that both mean the same. Pure: each reads the API
itself. ``managedFields`` is not looked at: it remembers every former manager and says nothing about who sets the number now.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final


#: kind -> (API prefix, plural)
SCALABLE: Final[dict[str, tuple[str, str]]] = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
}

Json = Mapping[str, Any]


def path_of(namespace: str, kind: str, name: str) -> str | None:
    """Return a workload's path, or None for a kind that burster does not scale."""
    collection = collection_path(namespace, kind)
    return None if collection is None else f"{collection}/{name}"


def collection_path(namespace: str, kind: str) -> str | None:
    """Return the path of a namespace's workloads of a kind, or None for a kind that burster does not scale."""
    found = SCALABLE.get(kind)
    return None if found is None else f"{found[0]}/namespaces/{namespace}/{found[1]}"


def autoscalers_path(namespace: str) -> str:
    """Return the path of a namespace's HPAs, in the version that every cluster serves."""
    return f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"


def scaled_objects_path(namespace: str) -> str:
    """Return the path of a namespace's KEDA ScaledObjects."""
    return f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects"


def number_owner(kind: str, workload: Json, autoscalers: Iterable[Json], scaled_objects: Iterable[Json]) -> str:
    """Return who else sets a workload's number of replicas, as ``Kind name``; empty: nobody.

    KEDA makes an HPA of its own, which goes while it scales to zero and back: so its ScaledObject is asked first.
    """
    metadata: Json = workload.get("metadata") or {}
    name = str(metadata.get("name") or "")
    for one in scaled_objects:
        if _aims_at(one, kind, name):
            return f"ScaledObject {_name(one)}"
    for one in autoscalers:
        if _aims_at(one, kind, name):
            return f"HorizontalPodAutoscaler {_name(one)}"
    if kind == "ReplicaSet":
        owners: list[Json] = metadata.get("ownerReferences") or []
        for owner in owners:
            if owner.get("controller"):
                return f"{owner.get('kind', '')} {owner.get('name', '')}"
    return ""


def version_of(metadata: Json) -> int:
    """Return an object's resourceVersion, which rises with each change of it; 0 where it is none that can be compared."""
    text = str(metadata.get("resourceVersion") or "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _aims_at(scaler: Json, kind: str, name: str) -> bool:
    spec: Json = scaler.get("spec") or {}
    aim: Json = spec.get("scaleTargetRef") or {}
    # Versions of one API are the same objects; a kind of that name in another group is not.
    group = str(aim.get("apiVersion") or "apps/v1").partition("/")[0]
    return (aim.get("kind") or "Deployment") == kind and aim.get("name") == name and group in {"apps", "extensions"}


def _name(obj: Json) -> str:
    metadata: Json = obj.get("metadata") or {}
    return str(metadata.get("name") or "")
