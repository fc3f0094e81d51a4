"""Which nodes a shape fits, why it doesn't fit the others, and which of them is the least full.

The scheduler's arithmetic, without its queue: pure, except that a ``NodeInfo`` counts what runs on it. The words of the reasons and
their order are kube-scheduler's.
"""

import json
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from burster.lab.apiserver.objects import items, section
from burster.lab.cluster.objects import Json, expression_matches
from burster.lab.cluster.shapes import Shape, amounts


class NodeInfo:
    """One node: what it has, what is asked of it, and who may not come."""

    __slots__ = (
        "allocatable",
        "labels",
        "name",
        "pods",
        "scored_cpu",
        "scored_memory",
        "taints",
        "unschedulable",
        "used",
    )

    def __init__(self, node: Json) -> None:
        self.name: str = node["metadata"]["name"]
        self.used: dict[str, int] = {}
        self.pods = 0
        self.scored_cpu = 0
        self.scored_memory = 0
        self.read(node)

    def read(self, node: Json) -> None:
        """Take over what the node object says; what runs there stays counted."""
        spec = section(node, "spec")
        status = section(node, "status")
        self.labels: dict[str, str] = section(node["metadata"], "labels")
        self.taints: list[Json] = [t for t in items(spec, "taints") if t["effect"] in {"NoSchedule", "NoExecute"}]
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = amounts(status.get("allocatable"))

    def take(self, shape: Shape) -> None:
        """Count a pod of that shape in."""
        self._count(shape, 1)

    def give_back(self, shape: Shape) -> None:
        """Count a pod of that shape out."""
        self._count(shape, -1)

    def _count(self, shape: Shape, sign: int) -> None:
        self.pods += sign
        self.scored_cpu += sign * shape.scored_cpu_millicores
        self.scored_memory += sign * shape.scored_memory_bytes
        for name, value in shape.requests:
            self.used[name] = self.used.get(name, 0) + sign * value


def fits(node: NodeInfo, shape: Shape) -> bool:
    """Say whether a pod of that shape could run on the node now."""
    allocatable, used = node.allocatable, node.used
    if node.pods >= allocatable.get("pods", 0):
        return False
    for name, value in shape.requests:
        if value > allocatable.get(name, 0) - used.get(name, 0):
            return False
    return not static_reason(node, shape)


def static_reason(node: NodeInfo, shape: Shape) -> str:
    """Return why the node is out of the question whatever its load, or nothing."""
    taints = node.taints
    if node.unschedulable:
        # cordoned; the plugin that says so stands first in line
        return "node(s) were unschedulable"
    for taint in taints:
        if not any(toleration.tolerates(taint) for toleration in shape.tolerations):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}"
    labels = node.labels
    if any(labels.get(key) != value for key, value in shape.selector) or not _affine(node, shape.affinity):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


@lru_cache(maxsize=1024)
def _terms(affinity: str) -> list[Json]:
    return json.loads(affinity)


def _affine(node: NodeInfo, affinity: str) -> bool:
    if not affinity:
        return True
    fields: dict[str, str] = {"metadata.name": node.name}

    def holds(term: Json) -> bool:
        expressions: list[Any] = items(term, "matchExpressions")
        by_field: list[Any] = items(term, "matchFields")
        return (
            bool(expressions or by_field)
            and all(expression_matches(expression, node.labels) for expression in expressions)
            and all(expression_matches(expression, fields) for expression in by_field)
        )

    return any(holds(term) for term in _terms(affinity))


def misfits(node: NodeInfo, shape: Shape) -> list[str]:
    """Return every reason why the node can't take the shape; the first plugin that objects speaks alone."""
    reason = static_reason(node, shape)
    if reason:
        return [reason]
    reasons: list[str] = []
    if node.pods >= node.allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for name, value in shape.requests:
        if value > node.allocatable.get(name, 0) - node.used.get(name, 0):
            reasons.append(f"Insufficient {name}")
    return reasons


def explain(nodes: Iterable[NodeInfo], shape: Shape, *, modern_tail: bool) -> str:
    """Return kube-scheduler's sentence for a shape that fits nowhere."""
    counted: Counter[str] = Counter()
    total = hopeless = 0
    for node in nodes:
        total += 1
        hopeless += bool(static_reason(node, shape))
        counted.update(misfits(node, shape))
    if not total:
        return "no nodes available to schedule pods"
    text = (
        f"0/{total} nodes are available: " + ", ".join(sorted(f"{n} {reason}" for reason, n in counted.items())) + "."
    )
    if not modern_tail:
        return text
    victims = sorted(
        f"{count} {reason}"
        for count, reason in (
            (total - hopeless, "No preemption victims found for incoming pod"),
            (hopeless, "Preemption is not helpful for scheduling"),
        )
        if count
    )
    return f"{text} no new claims to deallocate, preemption: 0/{total} nodes are available: {', '.join(victims)}."


def least_allocated(node: NodeInfo, shape: Shape) -> int:
    """Return 0 to 100: how empty the node would still be, cpu and memory weighing the same."""
    score = 0
    for name, used, wanted in (
        ("cpu", node.scored_cpu, shape.scored_cpu_millicores),
        ("memory", node.scored_memory, shape.scored_memory_bytes),
    ):
        capacity = node.allocatable.get(name, 0)
        if capacity and used + wanted <= capacity:
            score += (capacity - used - wanted) * 100 // capacity
    return score // 2
