"""The on-prem cluster: nodes and a scheduler.

Called by the world. A pod that fits somewhere is placed at once; one that doesn't waits, and is tried again when room appears. Who waits
is tried by priority, then in order of arrival; a pod that doesn't fit never blocks a smaller one behind it, as in Kubernetes.
Knows nothing of clouds, rules or time of day.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Literal

from burster.model.pods import Resources
from burster.simulator.pods import SimPod


Scoring = Literal["LeastAllocated", "FirstFit"]
_Shape = tuple[int, int, int, int]  # -priority, millicores, bytes, gpus


class OnPrem:
    """Nodes with what is free on them, and the pods that wait. ``score`` ties go to the node that was named first."""

    def __init__(self, nodes: Iterable[Resources], scoring: Scoring = "LeastAllocated") -> None:
        self.nodes = tuple(nodes)
        self.scoring: Scoring = scoring
        self.cpu = [node.cpu_millicores for node in self.nodes]
        self.memory = [node.memory_bytes for node in self.nodes]
        self.gpus = [node.gpus for node in self.nodes]
        self.cpu_total = sum(self.cpu)
        self.memory_total = sum(self.memory)
        self.cpu_used = 0
        self.memory_used = 0
        self.gpus_used = 0
        self.running = 0
        #: pods that wait, by what they ask for: only the first of each kind has to be looked at
        self._waiting: dict[_Shape, OrderedDict[int, SimPod]] = {}
        self.freed: set[int] = set()  #: nodes that got room since the last retry
        self.pending = 0
        self._turn = 0

    def submit(self, pod: SimPod) -> bool:
        """Place a new pod, or let it wait; say which."""
        node = self._choose(pod.requests, range(len(self.nodes)))
        if node >= 0:
            self._bind(pod, node)
            return True
        self._turn += 1
        pod.turn = self._turn
        self._waiting.setdefault(_shape(pod), OrderedDict())[pod.turn] = pod
        self.pending += 1
        return False

    def withdraw(self, pod: SimPod) -> None:
        """Take a pod that waits out of the queue."""
        shape = _shape(pod)
        queue = self._waiting[shape]
        del queue[pod.turn]
        if not queue:
            del self._waiting[shape]
        self.pending -= 1

    def end(self, pod: SimPod) -> None:
        """Free what a running pod holds; who waits is tried when ``retry`` is called."""
        node, asked = pod.node, pod.requests
        pod.node = -1
        self.cpu[node] += asked.cpu_millicores
        self.memory[node] += asked.memory_bytes
        self.gpus[node] += asked.gpus
        self.cpu_used -= asked.cpu_millicores
        self.memory_used -= asked.memory_bytes
        self.gpus_used -= asked.gpus
        self.running -= 1
        self.freed.add(node)

    def retry(self) -> Iterator[SimPod]:
        """Place who waits on the nodes that got room since the last time, and yield each one placed."""
        # Nobody who waits fits on the other nodes, or they would not wait.
        freed = sorted(self.freed)
        self.freed.clear()
        while freed and self._waiting:
            best: SimPod | None = None
            for queue in self._waiting.values():
                head = queue[next(iter(queue))]
                if (best is None or _order(head) < _order(best)) and self._choose(head.requests, freed) >= 0:
                    best = head
            if best is None:
                return
            self.withdraw(best)
            self._bind(best, self._choose(best.requests, freed))
            yield best

    def waiting(self) -> Iterator[SimPod]:
        """Yield the pods that wait, in no promised order."""
        for queue in self._waiting.values():
            yield from queue.values()

    def _bind(self, pod: SimPod, node: int) -> None:
        asked = pod.requests
        pod.node = node
        self.cpu[node] -= asked.cpu_millicores
        self.memory[node] -= asked.memory_bytes
        self.gpus[node] -= asked.gpus
        self.cpu_used += asked.cpu_millicores
        self.memory_used += asked.memory_bytes
        self.gpus_used += asked.gpus
        self.running += 1

    def _choose(self, asked: Resources, nodes: Iterable[int]) -> int:
        """Return the node to take, or -1. LeastAllocated: most left, in whole percents of cpu and memory, as Kubernetes scores."""
        cpu, memory, gpus = asked.cpu_millicores, asked.memory_bytes, asked.gpus
        best, best_score = -1, -1
        for node in nodes:
            if cpu > self.cpu[node] or memory > self.memory[node] or gpus > self.gpus[node]:
                continue
            if self.scoring == "FirstFit":
                return node
            size = self.nodes[node]
            score = (self.cpu[node] - cpu) * 100 // (size.cpu_millicores or 1)
            score += (self.memory[node] - memory) * 100 // (size.memory_bytes or 1)
            if score // 2 > best_score:
                best, best_score = node, score // 2
        return best


def _shape(pod: SimPod) -> _Shape:
    asked = pod.requests
    return (-pod.priority, asked.cpu_millicores, asked.memory_bytes, asked.gpus)


def _order(pod: SimPod) -> tuple[int, int]:
    return (-pod.priority, pod.turn)
