"""What the on-prem nodes have and what is asked of them: API server to CapacitySeen.

Two lists are followed, nodes and pods on nodes, both cut down to a few integers per object; sums are kept per node and told at most once a
second. Nodes that an ordinary pod can't go to (cordoned, or tainted for something special, as the near ends of peer pods are) count for
nothing, and so do the pods on them. Called by the runtime. It must never decide whether a pod would fit: that is the scheduler's business.
"""

import asyncio
from typing import Any, Final

import msgspec

from burster.model.pods import Resources
from burster.model.quantities import QUANTITY_MAX
from burster.model.stimuli import CapacitySeen
from burster.sources.feed import Feed
from burster.sources.reflector import Codec, Meta, Sink
from burster.sources.wire import Container, Quantities, ResourceNeeds, pod_requests, resources_of


NODES_PATH: Final = "/api/v1/nodes"
PODS_PATH: Final = "/api/v1/pods"
PODS_PARAMS: Final = {"fieldSelector": "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"}
_PAUSE_S: Final = 1.0

Amount = tuple[int, int, int]  #: millicores, bytes, GPUs
_NOTHING: Final[Amount] = (0, 0, 0)
_KEEPS_OUT: Final = frozenset({"NoSchedule", "NoExecute"})


class _Taint(msgspec.Struct):
    effect: str = ""


class _NodeSpec(msgspec.Struct):
    unschedulable: bool | None = None
    taints: list[_Taint] | None = None


class _NodeStatus(msgspec.Struct):
    allocatable: Quantities | None = None


class NodeObject(msgspec.Struct):
    """A v1 Node, as far as capacity needs it."""

    metadata: Meta
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


class _PodSpec(msgspec.Struct, rename="camel"):
    node_name: str | None = None
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


class _Parts:
    """Objects that come, change and go, each with a place and an amount; ``sums`` are kept per place."""

    def __init__(self, changed: asyncio.Event) -> None:
        self._parts: Final[dict[str, tuple[str, Amount]]] = {}
        self._changed = changed
        self.complete = False
        self.sums: Final[dict[str, Amount]] = {}

    def put(self, uid: str, place: str, amount: Amount) -> str:
        """Set one object's part and return its key."""
        self.gone(uid, None)
        self._parts[uid] = (place, amount)
        self.sums[place] = _plus(self.sums.get(place, _NOTHING), amount)
        return uid

    def gone(self, key: str, last: object) -> None:  # noqa: ARG002 - its key says all
        """Take an object's part away."""
        self._changed.set()
        place, amount = self._parts.pop(key, ("", _NOTHING))
        if place not in self.sums:
            return
        left = _plus(self.sums[place], amount, -1)
        if left == _NOTHING:
            del self.sums[place]
        else:
            self.sums[place] = left

    def synced(self) -> None:
        """All parts that existed are in the sums."""
        self.complete = True
        self._changed.set()


class UsableNodes(_Parts):
    """Allocatable, by node, of the nodes that an ordinary pod can go to."""

    def seen(self, obj: NodeObject) -> str | None:
        """Add a node."""
        tainted = any(taint.effect in _KEEPS_OUT for taint in obj.spec.taints or ())
        if obj.spec.unschedulable or tainted:
            return None
        return self.put(obj.metadata.uid, obj.metadata.name, resources_of(obj.status.allocatable))


class PodsOnNodes(_Parts):
    """Requests of pods, by node."""

    def seen(self, obj: ScheduledPod) -> str | None:
        """Add a pod."""
        spec = obj.spec
        asked = pod_requests(spec.containers, spec.init_containers, spec.overhead, spec.resources)
        amount = (asked.cpu_millicores, asked.memory_bytes, asked.gpus)
        return self.put(obj.metadata.uid, spec.node_name or "", amount)


def _plus(one: Amount, other: Amount, sign: int = 1) -> Amount:
    return (one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2])


def _capacity(nodes: UsableNodes, pods: PodsOnNodes) -> CapacitySeen:
    allocatable = requested = _NOTHING
    for node, amount in nodes.sums.items():
        allocatable = _plus(allocatable, amount)
        requested = _plus(requested, pods.sums.get(node, _NOTHING))
    return CapacitySeen(nodes=len(nodes.sums), allocatable=_resources(allocatable), requested=_resources(requested))


async def run(feed: Feed, *, with_requests: bool = True) -> None:
    """Post CapacitySeen until cancelled; without ``with_requests`` pods on nodes are not followed and ``requested`` stays 0."""
    changed = asyncio.Event()
    nodes, pods = UsableNodes(changed), PodsOnNodes(changed)
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
                feed.post(_capacity(nodes, pods))
                await feed.clock.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as group:
        for path, codec, sink, params in follow:
            reflector = feed.apart().reflector(path, codec, sink, params)
            group.create_task(reflector.run(), name=f"capacity-{path.rsplit('/', 1)[1]}")
        group.create_task(tell(), name="capacity-tell")


def _resources(amount: Amount) -> Resources:
    # sums of what anybody may write into a pod: what is kept on record has 64 bits
    cpu, memory, gpus = (min(part, QUANTITY_MAX) for part in amount)
    return Resources(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus)
