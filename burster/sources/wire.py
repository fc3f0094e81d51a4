"""The parts of Kubernetes objects that the sources decode: only the fields used, straight from bytes.

Shared by the decoders of pods, cloud pods and nodes. What isn't named here (managedFields, env, volumes, …) is skipped by the parser and
never becomes an object. It must never interpret anything beyond units.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from burster.model.errors import InputError, QuantityError
from burster.model.pods import Owner, Resources
from burster.model.quantities import QUANTITY_MAX, parse_count, parse_cpu_millicores, parse_memory_bytes


Time = Annotated[datetime, msgspec.Meta(tz=True)]
Quantities = dict[str, str | int]

BURST_LABEL: Final = "burster.dev/burst"
GPU: Final = "nvidia.com/gpu"
_DEVICES_MAX: Final = 64
_NO_DEVICES: Final = frozenset(
    {"cpu", "memory", GPU, "kata.peerpods.io/vm"}
)  # the last is a slot on a worker, not in a VM


class OwnerReference(msgspec.Struct, rename="camel"):
    """metadata.ownerReferences[]."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class ResourceNeeds(msgspec.Struct):
    """resources of a container, or of a whole pod."""

    requests: Quantities | None = None


class Container(msgspec.Struct, rename="camel"):
    """spec.containers[] and spec.initContainers[]."""

    resources: ResourceNeeds | None = None
    restart_policy: str | None = None


class Condition(msgspec.Struct, rename="camel"):
    """status.conditions[]."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: Time | None = None


def epoch_ms(moment: datetime | None) -> int:
    """Return epoch milliseconds; 0 for nothing."""
    if moment is None:
        return 0
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def controller_of(references: list[OwnerReference] | None) -> Owner | None:
    """Return the reference with ``controller: true``."""
    for reference in references or ():
        if reference.controller:
            return Owner(api_version=reference.api_version, kind=reference.kind, name=reference.name, uid=reference.uid)
    return None


def resources_of(quantities: Quantities | None) -> tuple[int, int, int]:
    """Return millicores, bytes and NVIDIA GPUs. Raises QuantityError."""
    cpu = memory = gpus = 0
    for name, amount in quantities.items() if quantities else ():
        if name == "cpu":
            cpu = parse_cpu_millicores(str(amount))
        elif name == "memory":
            memory = parse_memory_bytes(str(amount))
        elif name == GPU:
            gpus = parse_count(str(amount))
    return cpu, memory, gpus


def pod_requests(
    containers: Sequence[Container] | None,
    init_containers: Sequence[Container] | None = None,
    overhead: Quantities | None = None,
    pod_level: ResourceNeeds | None = None,
) -> Resources:
    """Return what the scheduler counts for a pod. Raises QuantityError.

    Containers run together and add up. An init container runs beside the sidecars (init containers with restartPolicy Always) that were
    started before it; the pod needs the largest of these moments. What the pod as a whole asks for replaces that, overhead comes on top.
    """
    cpu = memory = gpus = 0
    for container in containers or ():
        if container.resources is not None:
            more = resources_of(container.resources.requests)
            cpu, memory, gpus = cpu + more[0], memory + more[1], gpus + more[2]
    if init_containers:
        cpu, memory, gpus = _with_init((cpu, memory, gpus), init_containers)
    if pod_level is not None and pod_level.requests:
        whole = resources_of(pod_level.requests)
        cpu = whole[0] if "cpu" in pod_level.requests else cpu
        memory = whole[1] if "memory" in pod_level.requests else memory
    if overhead:
        more = resources_of(overhead)
        cpu, memory, gpus = cpu + more[0], memory + more[1], gpus + more[2]
    devices = _devices(containers or (), init_containers or (), overhead)
    if max(cpu, memory, gpus, *(count for _, count in devices)) > QUANTITY_MAX:
        raise QuantityError("the containers together ask for more than any one may (2^63-1)")
    return shared_resources(cpu, memory, gpus, devices)


@lru_cache(maxsize=4_096)
def shared_resources(cpu: int, memory: int, gpus: int, devices: tuple[tuple[str, int], ...]) -> Resources:
    """Return one object for all pods that ask for the same."""
    return Resources(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus, devices=devices)


def _devices(
    containers: Sequence[Container], init_containers: Sequence[Container], overhead: Quantities | None
) -> tuple[tuple[str, int], ...]:
    """Return what is asked for of every extended resource but NVIDIA's GPUs, by the same rule as cpu and memory."""
    names: set[str] = set()
    for container in (*containers, *init_containers):
        if container.resources is not None and container.resources.requests:
            names.update(name for name in container.resources.requests if "/" in name and name not in _NO_DEVICES)
    if overhead:
        names.update(name for name in overhead if "/" in name and name not in _NO_DEVICES)
    if not names:
        return ()
    if len(names) > _DEVICES_MAX:
        raise InputError(
            f"{len(names)} kinds of devices are asked for: no pod that means it has more than {_DEVICES_MAX}"
        )
    counts = ((name, _count(name, containers, init_containers, overhead)) for name in sorted(names))
    return tuple((name, count) for name, count in counts if count)


def _count(
    name: str, containers: Sequence[Container], init_containers: Sequence[Container], overhead: Quantities | None
) -> int:
    needs = sum(_amount(name, container) for container in containers)
    sidecars = peak = 0
    for container in init_containers:
        moment = sidecars + _amount(name, container)
        if container.restart_policy == "Always":
            needs += moment - sidecars
            sidecars = moment
        peak = max(peak, moment)
    return max(needs, peak) + parse_count(str((overhead or {}).get(name, 0)))


def _amount(name: str, container: Container) -> int:
    asked = container.resources.requests if container.resources is not None else None
    return parse_count(str(asked.get(name, 0))) if asked else 0


def _with_init(running: tuple[int, int, int], init_containers: Sequence[Container]) -> tuple[int, ...]:
    needs = running
    sidecars = peak = (0, 0, 0)
    for container in init_containers:
        own = resources_of(container.resources.requests if container.resources is not None else None)
        moment = _sum(sidecars, own)
        if container.restart_policy == "Always":
            sidecars = moment
            needs = _sum(needs, own)
        peak = _largest(peak, moment)
    return _largest(needs, peak)


def _sum(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _largest(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])
