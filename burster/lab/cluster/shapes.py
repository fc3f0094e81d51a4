"""What a pod asks of a node, as one hashable value: pods with the same shape fit, or don't fit, the same nodes.

The scheduler keeps one queue a shape, so that ten thousand equal pods cost one look at the nodes. Amounts are integers: millicores for
cpu, bytes for memory and storage, whole things for everything else.
"""

import json
from typing import Final

import msgspec

from burster.lab.apiserver.objects import items, section
from burster.lab.cluster.objects import Json
from burster.model.quantities import parse_count, parse_cpu_millicores, parse_memory_bytes


#: What a pod without a request counts as in the scoring (never in the fit).
SCORED_CPU_MILLICORES: Final = 100
SCORED_MEMORY_BYTES: Final = 200 * 1024**2
_BYTES: Final = ("memory", "ephemeral-storage", "hugepages-")


class Toleration(msgspec.Struct, frozen=True):
    """One toleration; empty key with Exists tolerates everything."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Json) -> bool:
        """Say whether this lets a pod onto a node with the taint."""
        if self.effect and self.effect != taint["effect"]:
            return False
        if self.key and self.key != taint["key"]:
            return False
        return self.operator == "Exists" or self.value == (taint.get("value") or "")


class Shape(msgspec.Struct, frozen=True):
    """Requests with overhead, and everything that narrows the nodes down."""

    requests: tuple[tuple[str, int], ...]
    scored_cpu_millicores: int
    scored_memory_bytes: int
    selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: str = ""  #: the required node selector terms as JSON


def amount(resource: str, quantity: str) -> int:
    """Return a quantity as an integer of the resource's unit. Raises QuantityError."""
    if resource == "cpu":
        return parse_cpu_millicores(quantity)
    if resource.startswith(_BYTES):
        return parse_memory_bytes(quantity)
    return parse_count(quantity)


def amounts(resources: dict[str, str] | None) -> dict[str, int]:
    """Return a resource list as integers."""
    return {name: amount(name, str(quantity)) for name, quantity in (resources or {}).items()}


def _asked(container: Json) -> dict[str, int]:
    resources = section(container, "resources")
    # a limit without a request is a request, as the API server's defaulting has it
    return amounts({**section(resources, "limits"), **section(resources, "requests")})


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def pod_requests(spec: Json) -> dict[str, int]:
    """Return what a pod asks for: containers together, or the largest moment of initialisation, plus the RuntimeClass's overhead."""
    total: dict[str, int] = {}
    for container in items(spec, "containers"):
        _add(total, _asked(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in items(spec, "initContainers"):
        moment = dict(sidecars)
        _add(moment, _asked(container))
        if container.get("restartPolicy") == "Always":
            sidecars = moment
        for name, value in moment.items():
            peak[name] = max(peak.get(name, 0), value)
    _add(total, sidecars)
    for name, value in peak.items():
        total[name] = max(total.get(name, 0), value)
    _add(total, amounts(spec.get("overhead")))
    return {name: value for name, value in total.items() if value}


def shape_of(pod: Json) -> Shape:
    """Return the pod's shape."""
    spec = pod["spec"]
    requests = pod_requests(spec)
    affinity = section(spec, "affinity").get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return Shape(
        requests=tuple(sorted(requests.items())),
        scored_cpu_millicores=requests.get("cpu", SCORED_CPU_MILLICORES),
        scored_memory_bytes=requests.get("memory", SCORED_MEMORY_BYTES),
        selector=tuple(sorted(section(spec, "nodeSelector").items())),
        tolerations=tuple(
            Toleration(t.get("key") or "", t.get("operator") or "Equal", t.get("value") or "", t.get("effect") or "")
            for t in items(spec, "tolerations")
        ),
        affinity=json.dumps(affinity["nodeSelectorTerms"], sort_keys=True) if affinity else "",
    )
