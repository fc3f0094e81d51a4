"""SetScale: the number of replicas of a workload in the cluster, set through its scale subresource.

It never works against somebody else: where an HPA, a KEDA ScaledObject or a Deployment sets the number already, it refuses and says who.
"""

from typing import Any, Final

import orjson

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, KubeApi
from burster.clients.workloads import SCALABLE, autoscalers_path, number_owner, path_of, scaled_objects_path, version_of
from burster.model.errors import RemoteError
from burster.model.instructions import SetScale
from burster.model.stimuli import ScaleSet


OWNED: Final = "ScaleOwnedByOther"


async def set_scale(api: KubeApi, instruction: SetScale) -> ScaleSet:
    """Set the number; where it is that already, nothing is written.

    Raises RemoteError Conflict where somebody else owns the number, NotFound where there is no such workload, Invalid for a kind that has
    none.
    """
    namespace = instruction.policy.partition("/")[0]
    workload = instruction.workload
    path = path_of(namespace, workload.kind, workload.name)
    if path is None:
        kinds = ", ".join(sorted(SCALABLE))
        raise RemoteError("Invalid", f"burster scales {kinds}, and no {workload.kind}", code="KindNotScalable")
    found = await paths.read(api, path)
    if found is None:
        raise RemoteError("NotFound", f"there is no {workload.kind} {namespace}/{workload.name} to scale")
    owner = await _owner(api, namespace, workload.kind, found)
    if owner:
        raise RemoteError(
            "Conflict",
            f"{owner} sets the number of {workload.kind} {namespace}/{workload.name}: remove it, or let the policy's strategy be Signal",
            code=OWNED,
        )
    scale: dict[str, Any] = orjson.loads(await api.get(f"{path}/scale"))
    spec: dict[str, Any] = scale.get("spec") or {}
    if spec.get("replicas", 0) != instruction.replicas:
        body = {"spec": {"replicas": instruction.replicas}}
        scale = orjson.loads(await api.patch(f"{path}/scale", body, params={"fieldManager": FIELD_MANAGER}))
    version = version_of(scale.get("metadata") or {})
    return ScaleSet(policy=instruction.policy, replicas=instruction.replicas, version=version)


async def _owner(api: KubeApi, namespace: str, kind: str, workload: dict[str, Any]) -> str:
    autoscalers = await _items(api, autoscalers_path(namespace))
    scaled_objects = await _items(api, scaled_objects_path(namespace))
    return number_owner(kind, workload, autoscalers, scaled_objects)


async def _items(api: KubeApi, path: str) -> list[dict[str, Any]]:
    """Return a list's items; none where the API does not know the kind (KEDA is not installed)."""
    found = await paths.read(api, path)
    return [] if found is None else found.get("items") or []
