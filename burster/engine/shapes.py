"""What pods are alike in: everything that gates and placement may depend on, and nothing that is one pod's own.

Pods of one shape are decided once: a Job of 10,000 pods is one question. Called by ``demand`` (a pod joins a queue), ``queues`` and the
gates. A shape must never hold a pod's name, uid, age or the scheduler's message; what has to be decided by those is asked for each pod.
"""

from functools import lru_cache

import msgspec

from burster.model.pods import Pod, Resources
from burster.model.triggers import PendingPodsTrigger


class Shape(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, gc=False):
    """A kind of pod. Two pods with equal shapes get the same answer from every gate, at the same moment."""

    namespace: str
    kind: str = ""  #: of the workload; empty: a bare pod
    workload: str = ""  #: the workload's name
    owner: str = ""  #: kind of the pod's controller; empty: none
    requests: Resources = Resources()  #: effective, as the scheduler counts them, devices included
    runtime_class: str = ""
    restart_policy: str = "Always"
    images: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def owned(self) -> bool:
        """Whether a controller makes such pods anew."""
        return bool(self.owner)


def shape_of(pod: Pod) -> Shape:
    """Return a pod's shape; pods that are alike share one object."""
    owner, workload = pod.owner, pod.workload
    return _shape(
        pod.namespace,
        "" if workload is None else workload.kind,
        "" if workload is None else workload.name,
        "" if owner is None else owner.kind,
        pod.requests,
        pod.runtime_class,
        pod.restart_policy,
        pod.images,
        pod.secrets,
    )


@lru_cache(maxsize=16_384)
def _shape(  # noqa: PLR0913, PLR0917 - a cache is asked by position, which costs least
    namespace: str,
    kind: str,
    workload: str,
    owner: str,
    requests: Resources,
    runtime_class: str,
    restart_policy: str,
    images: tuple[str, ...],
    secrets: tuple[str, ...],
) -> Shape:
    return Shape(
        namespace=namespace,
        kind=kind,
        workload=workload,
        owner=owner,
        requests=requests,
        runtime_class=runtime_class,
        restart_policy=restart_policy,
        images=images,
        secrets=secrets,
    )


def excluded_by(trigger: PendingPodsTrigger, pod: Pod) -> str:
    """Return the first filter of a pending-pods trigger that leaves a pod out, by its name in the YAML; empty: none does."""
    requests = pod.requests
    cpu, memory = requests.cpu_millicores, requests.memory_bytes
    message = pod.message.casefold()
    checks = (
        ("reasons", not trigger.reasons or any(reason.casefold() in message for reason in trigger.reasons)),
        ("resources", not trigger.resources or any(asks_for(requests, name) for name in trigger.resources)),
        ("minPriority", trigger.min_priority is None or pod.priority >= trigger.min_priority),
        ("maxPriority", trigger.max_priority is None or pod.priority <= trigger.max_priority),
        ("minCpu", cpu >= trigger.min_cpu_millicores),
        ("maxCpu", trigger.max_cpu_millicores is None or cpu <= trigger.max_cpu_millicores),
        ("minMemory", memory >= trigger.min_memory_bytes),
        ("maxMemory", trigger.max_memory_bytes is None or memory <= trigger.max_memory_bytes),
        ("runtimeClasses", not trigger.runtime_classes or pod.runtime_class in trigger.runtime_classes),
    )
    return next((name for name, holds in checks if not holds), "")


@lru_cache(maxsize=1024)
def has_filters(trigger: PendingPodsTrigger) -> bool:
    """Say whether a trigger leaves any pod out at all."""
    plain = PendingPodsTrigger()
    return any(getattr(trigger, name) != getattr(plain, name) for name in _FILTERS)


_FILTERS = (
    "reasons",
    "resources",
    "min_priority",
    "max_priority",
    "min_cpu_millicores",
    "max_cpu_millicores",
    "min_memory_bytes",
    "max_memory_bytes",
    "runtime_classes",
)


def asks_for(requests: Resources, name: str) -> bool:
    """Say whether a pod asks for any of a resource, by Kubernetes' name of it."""
    if name == "cpu":
        return requests.cpu_millicores > 0
    if name == "memory":
        return requests.memory_bytes > 0
    if name == "nvidia.com/gpu":
        return requests.gpus > 0
    return any(device == name and count > 0 for device, count in requests.devices)
