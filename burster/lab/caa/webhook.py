"""CAA's mutating webhook: moves a peer pod's resources into annotations and asks for one VM slot instead.

Callable as the store's admission list wants it. After it, a peer pod has no cpu or memory request; the size asked for stands in
annotations only, and those override what the user wrote there. ``machine_type`` is left alone.
"""

from typing import Any, Final

from burster.lab.apiserver.objects import items, section
from burster.lab.caa.config import EXTENDED_RESOURCE, HYPERVISOR, NAMESPACE
from burster.model.quantities import parse_count, parse_cpu_millicores, parse_memory_bytes


Json = dict[str, Any]
VCPUS: Final = f"{HYPERVISOR}default_vcpus"
MEMORY: Final = f"{HYPERVISOR}default_memory"
GPUS: Final = f"{HYPERVISOR}default_gpus"
_MIB: Final = 1024**2
_EXCLUDED: Final = frozenset({"kube-system", NAMESPACE})


class PeerPodsWebhook:
    """The webhook with its two settings."""

    name = "peer-pods-webhook-mutating-webhook-configuration"

    def __init__(self, *, runtime_class: str = "kata-remote", extended_resource: str = EXTENDED_RESOURCE) -> None:
        self._runtime_class = runtime_class
        self._extended_resource = extended_resource

    def __call__(self, resource: str, operation: str, obj: Json, user: str, /) -> Json:
        """Return the pod as it goes on through admission."""
        del user
        if resource != "pods" or operation != "CREATE" or obj["metadata"].get("namespace") in _EXCLUDED:
            return obj
        if obj["spec"].get("runtimeClassName") != self._runtime_class:
            return obj
        return self._mutate(obj)

    def _mutate(self, pod: Json) -> Json:
        spec = pod["spec"]
        everything: list[Json] = [*spec["containers"], *items(spec, "initContainers")]
        annotations: dict[str, str] = dict(section(pod["metadata"], "annotations"))
        cpu = _chosen(
            sum(parse_cpu_millicores(q) for q in _each(everything, "requests", "cpu")),
            sum(parse_cpu_millicores(q) for q in _each(everything, "limits", "cpu")),
        )
        memory = _chosen(
            sum(parse_memory_bytes(q) for q in _each(everything, "requests", "memory")),
            sum(parse_memory_bytes(q) for q in _each(everything, "limits", "memory")),
        )
        gpus = sum(parse_count(q) for q in _each(everything, "requests", "nvidia.com/gpu"))
        if cpu:
            annotations[VCPUS] = str(-(-cpu // 1000))
        if memory:
            annotations[MEMORY] = str(-(-memory // _MIB))
        if gpus:
            annotations[GPUS] = str(gpus)
        slot = {self._extended_resource: "1"}
        containers: list[Json] = [{**container, "resources": {}} for container in spec["containers"]]
        containers[0]["resources"] = {"requests": dict(slot), "limits": dict(slot)}
        new_spec = {**spec, "containers": containers}
        if spec.get("initContainers"):
            new_spec["initContainers"] = [{**container, "resources": {}} for container in spec["initContainers"]]
        return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}, "spec": new_spec}


def _each(containers: list[Json], part: str, resource: str) -> list[str]:
    """Return the quantities set; a limit alone is a request too, as the API server has defaulted it before any webhook."""
    found: list[str] = []
    for container in containers:
        resources = section(container, "resources")
        value = section(resources, part).get(resource)
        if value is None and part == "requests":
            value = section(resources, "limits").get(resource)
        if value is not None:
            found.append(str(value))
    return found


def _chosen(request: int, limit: int) -> int:
    """Return the limit where there is a request and the limit isn't below it, else the request."""
    return limit if request and limit >= request else request
