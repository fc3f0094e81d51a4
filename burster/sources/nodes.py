"""What the on-prem nodes have and what is asked of them: API server to CapacitySeen.

Nodes are followed, and what is asked of them is heard from ``burster.sources.node_requests``; both are cut down to a few integers per
object, sums are kept per node and told at most once a second. Nodes that an ordinary pod can't go to (cordoned, or tainted for something
special, as the near ends of peer pods are) count for nothing, and so does what is asked of them. Called by the runtime. It must never
decide whether a pod would fit: that is the scheduler's business.
"""

import asyncio
from typing import Final

import msgspec

from burster.model.pods import Resources
from burster.model.quantities import QUANTITY_MAX
from burster.model.stimuli import CapacitySeen
from burster.sources.feed import Feed
from burster.sources.metered_requests import Amount, RequestMeter
from burster.sources.node_requests import NOTHING, PODS_MAX, Parts, Requests, follow_requests, plus
from burster.sources.reflector import Codec, Meta
from burster.sources.wire import Quantities, resources_of


NODES_PATH: Final = "/api/v1/nodes"
_PAUSE_S: Final = 1.0

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


NODE_CODEC: Final = Codec(NodeObject, lambda node: (node.metadata.uid, node.metadata.resource_version))


class UsableNodes(Parts):
    """Allocatable, by node, of the nodes that an ordinary pod can go to."""

    def seen(self, obj: NodeObject) -> str | None:
        """Add a node."""
        tainted = any(taint.effect in _KEEPS_OUT for taint in obj.spec.taints or ())
        if obj.spec.unschedulable or tainted:
            return None
        return self.put(obj.metadata.uid, obj.metadata.name, resources_of(obj.status.allocatable))


def _capacity(nodes: UsableNodes, requests: Requests) -> CapacitySeen:
    asked = requests.by_node
    allocatable = requested = NOTHING
    for node, amount in nodes.sums.items():
        allocatable = plus(allocatable, amount)
        requested = plus(requested, (asked or {}).get(node, NOTHING))
    return CapacitySeen(
        nodes=len(nodes.sums),
        allocatable=_resources(allocatable),
        requested=_resources(requested),
        requested_known=asked is not None,
    )


async def run(feed: Feed, *, pods_max: int = PODS_MAX, meter: RequestMeter | None = None) -> None:
    """Post CapacitySeen until cancelled; where a cluster has more than ``pods_max`` pods, the meter says what is asked of its nodes."""
    changed = asyncio.Event()
    nodes, requests = UsableNodes(changed), Requests(changed)

    async def tell() -> None:
        while True:
            await changed.wait()
            changed.clear()
            if nodes.complete and requests.told:
                feed.post(_capacity(nodes, requests))
                await feed.clock.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as group:
        reflector = feed.apart().reflector(NODES_PATH, NODE_CODEC, nodes, {})
        group.create_task(reflector.run(), name="capacity-nodes")
        group.create_task(follow_requests(feed.apart(), requests, pods_max=pods_max, meter=meter), name="capacity-pods")
        group.create_task(tell(), name="capacity-tell")


def _resources(amount: Amount) -> Resources:
    # sums of what anybody may write into a pod: what is kept on record has 64 bits
    cpu, memory, gpus = (min(part, QUANTITY_MAX) for part in amount)
    return Resources(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus)
