"""What the on-prem nodes have and what is asked of them: API server to CapacitySeen.

Two lists are followed, nodes and pods on nodes, both cut down to a few integers per object; sums are kept, not recomputed, and told at most
once a second. Called by the runtime. It must never decide whether a pod would fit: that is the scheduler's business.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from burster.clients.kube import Kube
from burster.model.pods import Resources
from burster.model.stimuli import CapacitySeen, Stimulus
from burster.sources.reflector import Codec, Meta, Pace, Reflector, Sink, Stats, Waiter
from burster.sources.wire import Container, Quantities, ResourceNeeds, pod_requests, resources_of


NODES_PATH: Final = "/api/v1/nodes"
PODS_PATH: Final = "/api/v1/pods"
PODS_PARAMS: Final = {"fieldSelector": "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"}
_PAUSE_S: Final = 1.0

Amount = tuple[int, int, int]  #: millicores, bytes, GPUs


class _NodeSpec(msgspec.Struct):
    unschedulable: bool | None = None


class _NodeStatus(msgspec.Struct):
    allocatable: Quantities | None = None


class NodeObject(msgspec.Struct):
    """A v1 Node, as far as capacity needs it."""

    metadata: Meta
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


class _PodSpec(msgspec.Struct, rename="camel"):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    overhead: Quantities | None = None
    resources: ResourceNeeds | None = None


class ScheduledPod(msgspec.Struct):
    """A v1 Pod on a node, as far as capacity needs it."""

    metadata: Meta
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


NODE_CODEC: Final = Codec(NodeObject, lambda node: (node.metadata.uid, node.metadata.resource_version))
SCHEDULED_CODEC: Final = Codec(ScheduledPod, lambda pod: (pod.metadata.uid, pod.metadata.resource_version))


class _Sum:
    """A sum over objects that come, change and go. A cordoned node counts for nothing: nothing new can go there."""

    def __init__(self, changed: asyncio.Event) -> None:
        self._parts: Final[dict[str, Amount]] = {}
        self._changed = changed
        self.complete = False
        self.total: Amount = (0, 0, 0)

    def __len__(self) -> int:
        return len(self._parts)

    def put(self, uid: str, amount: Amount) -> str:
        """Set one object's part and return its key."""
        self.gone(uid, None)
        self._parts[uid] = amount
        self.total = (self.total[0] + amount[0], self.total[1] + amount[1], self.total[2] + amount[2])
        return uid

    def gone(self, key: str, last: object) -> None:  # noqa: ARG002 - its key says all
        """Take an object's part away."""
        amount = self._parts.pop(key, (0, 0, 0))
        self.total = (self.total[0] - amount[0], self.total[1] - amount[1], self.total[2] - amount[2])
        self._changed.set()

    def synced(self) -> None:
        """All parts that existed are in the sum."""
        self.complete = True
        self._changed.set()


class NodeSum(_Sum):
    """Allocatable, over schedulable nodes."""

    def seen(self, obj: NodeObject) -> str | None:
        """Add a node."""
        if obj.spec.unschedulable:
            return None
        return self.put(obj.metadata.uid, resources_of(obj.status.allocatable))


class PodSum(_Sum):
    """Requests, over pods on nodes."""

    def seen(self, obj: ScheduledPod) -> str | None:
        """Add a pod."""
        spec = obj.spec
        asked = pod_requests(spec.containers, spec.init_containers, spec.overhead, spec.resources)
        return self.put(obj.metadata.uid, (asked.cpu_millicores, asked.memory_bytes, asked.gpus))


async def run(  # noqa: PLR0913 - the same for every source, and what it may leave out
    kube: Kube,
    post: Callable[[Stimulus], None],
    clock: Waiter,
    rng: random.Random,
    *,
    with_requests: bool = True,
    stats: Stats | None = None,
    pace: Pace | None = None,
) -> None:
    """Post CapacitySeen until cancelled; without ``with_requests`` pods on nodes are not followed and ``requested`` stays 0."""
    changed = asyncio.Event()
    nodes, pods = NodeSum(changed), PodSum(changed)
    follow: list[tuple[str, Codec[Any], Sink[Any, str], dict[str, str]]] = [(NODES_PATH, NODE_CODEC, nodes, {})]
    if with_requests:
        follow.append((PODS_PATH, SCHEDULED_CODEC, pods, PODS_PARAMS))
    else:
        pods.synced()

    async def tell() -> None:
        while True:
            await changed.wait()
            changed.clear()
            if nodes.complete and pods.complete:
                post(CapacitySeen(nodes=len(nodes), allocatable=_resources(nodes), requested=_resources(pods)))
                await clock.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as group:
        for path, codec, sink, params in follow:
            own = random.Random(rng.getrandbits(64))  # noqa: S311 - jitter, no secret
            reflector = Reflector(kube, path, codec, sink, clock, own, params=params, stats=stats, pace=pace or Pace())
            group.create_task(reflector.run(), name=f"capacity-{path.rsplit('/', 1)[1]}")
        group.create_task(tell(), name="capacity-tell")


def _resources(of: _Sum) -> Resources:
    cpu, memory, gpus = of.total
    return Resources(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus)
