"""Where the near end of a peer pod runs: its RuntimeClass, the nodes that take it, and their slots.

Called by ``examine``. For a target of provider onprem the nodes are all there is: the pod itself runs there.
"""

from typing import Final

from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.objects import SLOT, Node, PeerPod, RuntimeClass, read, read_all, selector
from burster.sources.preflight.words import listed, plural
from burster.sources.preflight.world import World


_PEER_PODS_PATH: Final = "/apis/confidentialcontainers.org/v1alpha1/peerpods"


async def check_runtime_class(target: Target, world: World, found: Findings) -> None:
    """Look for the target's RuntimeClass and for nodes that take pods of it."""
    runtime_class: RuntimeClass | None = None
    with found.asking(c.RUNTIME_CLASS, c.WORKERS):
        runtime_class = await read(
            world.api, f"/apis/node.k8s.io/v1/runtimeclasses/{target.runtime_class}", RuntimeClass
        )
        if runtime_class is None:
            found.problem(c.RUNTIME_CLASS, f"There is no RuntimeClass {target.runtime_class}.")
            found.skipped(c.WORKERS, "Its nodes are those that its RuntimeClass names.")
            return
        _tell_class(runtime_class, found)
        await _check_workers(target, runtime_class.node_selector | target.node_selector, world, found)


async def check_slots(target: Target, world: World, found: Findings) -> None:
    """Look how many more peer pods the workers may hold. Records tell what is taken: each running peer pod has one."""
    with found.asking(c.SLOTS):
        runtime_class = await read(
            world.api, f"/apis/node.k8s.io/v1/runtimeclasses/{target.runtime_class}", RuntimeClass
        )
        labels = runtime_class.node_selector if runtime_class is not None else {}
        nodes = [node for node in await _nodes(world, labels) if node.usable]
        slots = sum(node.slots for node in nodes)
        taken = len(await read_all(world.api, _PEER_PODS_PATH, PeerPod))
        if not slots:
            found.problem(c.SLOTS, f"No node has a slot ({SLOT}): cloud-api-adaptor advertises none.")
        elif taken >= slots:
            found.warning(c.SLOTS, f"All {slots} slots are taken: further peer pods wait until one ends.")
        else:
            found.ok(c.SLOTS, f"{slots - taken} of {slots} slots are free, on {plural(len(nodes), 'node')}.")


def _tell_class(runtime_class: RuntimeClass, found: Findings) -> None:
    name = runtime_class.metadata.name
    overhead = (runtime_class.overhead and runtime_class.overhead.pod_fixed) or {}
    if not runtime_class.handler:
        found.problem(c.RUNTIME_CLASS, f"RuntimeClass {name} names no handler.")
        return
    costs = ", ".join(f"{value} {what}" for what, value in sorted(overhead.items()))
    said = f"{name}, handler {runtime_class.handler}"
    if overhead:
        found.ok(c.RUNTIME_CLASS, f"{said}, overhead {costs}.")
    else:
        found.warning(
            c.RUNTIME_CLASS,
            f"{said}, without an overhead: what a sandbox itself takes on a node is counted by nobody.",
            "Give it an overhead, as kata-deploy does (250m cpu, 120Mi memory).",
        )


async def _check_workers(target: Target, labels: dict[str, str], world: World, found: Findings) -> None:
    nodes = await _nodes(world, labels)
    usable = [node for node in nodes if node.usable]
    which = f"labelled {selector(labels)}" if labels else "of this cluster"
    if usable:
        idle = f"; {len(nodes) - len(usable)} more not ready or cordoned" if len(nodes) > len(usable) else ""
        found.ok(c.WORKERS, f"{listed([node.metadata.name for node in usable])}{idle}.")
    elif nodes:
        found.problem(c.WORKERS, f"None of the {plural(len(nodes), 'node')} {which} is ready and open to pods.")
    else:
        where = "" if target.proof != "Node" else " The target's nodeSelector is part of that."
        found.problem(c.WORKERS, f"No node is {which}.{where}")


async def _nodes(world: World, labels: dict[str, str]) -> list[Node]:
    params: dict[str, str | int] = {"labelSelector": selector(labels)} if labels else {}
    return await read_all(world.api, "/api/v1/nodes", Node, params)
