"""The lab's kube-scheduler: binds pending pods to nodes with room, and says of the others why not.

It hears of pods and nodes from the store and works in one callback at the same instant. Waiting pods stand in one queue a shape
(priority, then first come): when room appears, only queues whose shape fits the node that changed are looked at again, and the first
pod that doesn't fit stops its queue. It never evicts, and it never schedules a pod with gates, a deletion timestamp or another
scheduler's name.
"""

import heapq
from collections.abc import Callable
from typing import Final

import msgspec

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import items, section
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.cluster.events import EventRecorder
from burster.lab.cluster.fit import NodeInfo, explain, fits, least_allocated
from burster.lab.cluster.objects import Json, condition_of, is_finished, is_terminating, with_condition, write_status
from burster.lab.cluster.shapes import Shape, shape_of
from burster.lab.cluster.work import Works


NAME: Final = "default-scheduler"
ATTEMPTS_PER_TURN: Final = 256


class SchedulerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the scheduler speaks. ``modern_tail`` adds what 1.35 says about preemption to the message."""

    modern_tail: bool = True
    events: bool = True


#: priority (higher first), time of arrival, a tie-breaker, the pod's uid
_Ticket = tuple[int, str, int, str]


class _Queue:
    """Waiting pods of one shape. ``untold`` have no condition yet that says why they wait."""

    __slots__ = ("active", "number", "shape", "tickets", "untold")

    def __init__(self, shape: Shape, number: int) -> None:
        self.shape = shape
        self.number = number
        self.tickets: list[_Ticket] = []
        self.untold: list[str] = []
        self.active = False


class Scheduler:
    """See the module. ``bound`` and ``attempts`` count for reports and tests."""

    def __init__(
        self, store: Store, now_ms: Callable[[], int], works: Works, config: SchedulerConfig | None = None
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._works = works
        self._config = config or SchedulerConfig()
        self._events = EventRecorder(store, now_ms, NAME)
        self._nodes: dict[str, NodeInfo] = {}
        self._waiting: dict[str, Json] = {}  #: uid -> newest object of a pod that stands in a queue
        self._placed: dict[str, tuple[str, Shape]] = {}  #: uid -> node and shape, while it uses the node
        self._queues: dict[Shape, _Queue] = {}
        self._queue_of: dict[str, _Queue] = {}
        self._line: list[tuple[_Ticket, int, _Queue]] = []  #: heads of the active queues
        self._gated: dict[str, Json] = {}
        self._arrivals = 0
        self._scheduled = False
        self._unsubscribe: list[Callable[[], None]] = []
        self.bound = 0
        self.attempts = 0

    def start(self) -> None:
        """Read what exists and follow it from now on."""
        self._unsubscribe = [
            self._store.subscribe("nodes", self._on_node),
            self._store.subscribe("pods", self._on_pod),
        ]
        for node in self._store.list("nodes"):
            self._node_seen(node)
        for pod in self._store.list("pods"):
            self._pod_seen(pod)

    def stop(self) -> None:
        """Hear nothing any more."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    @property
    def waiting(self) -> int:
        """How many pods stand in the queues."""
        return len(self._waiting)

    def usage(self) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
        """Return for each node what it has and what is asked of it, as integers."""
        return {name: (dict(node.allocatable), dict(node.used)) for name, node in sorted(self._nodes.items())}

    # --- the world speaks ---

    def _on_node(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            self._nodes.pop(event.object["metadata"]["name"], None)
        else:
            self._node_seen(event.object)

    def _node_seen(self, node: Json) -> None:
        name = node["metadata"]["name"]
        info = self._nodes.get(name)
        if info is None:
            info = self._nodes[name] = NodeInfo(node)
            for placed_on, shape in self._placed.values():
                if placed_on == name:
                    info.take(shape)
        else:
            info.read(node)
        self._room_on(info)

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            uid = event.object["metadata"]["uid"]
            self._leave(uid)
            self._free(uid)
        else:
            self._pod_seen(event.object)

    def _pod_seen(self, pod: Json) -> None:
        uid: str = pod["metadata"]["uid"]
        spec = pod["spec"]
        node = spec.get("nodeName")
        if node:
            if is_finished(pod):
                self._free(uid)
            elif uid not in self._placed:
                self._place(uid, node, shape_of(pod))
            return
        if is_terminating(pod) or is_finished(pod) or spec.get("schedulerName", NAME) != NAME:
            self._leave(uid)
        elif spec.get("schedulingGates"):
            self._gated[uid] = pod
            self._wake()
        elif uid in self._waiting:
            self._waiting[uid] = pod
        else:
            self._arrive(uid, pod)

    def _arrive(self, uid: str, pod: Json) -> None:
        self._gated.pop(uid, None)
        shape = shape_of(pod)
        queue = self._queues.get(shape)
        if queue is None:
            queue = self._queues[shape] = _Queue(shape, len(self._queues))
        self._arrivals += 1
        created = pod["metadata"].get("creationTimestamp") or ""
        heapq.heappush(queue.tickets, (-int(pod["spec"].get("priority") or 0), created, self._arrivals, uid))
        queue.untold.append(uid)
        self._waiting[uid] = pod
        self._queue_of[uid] = queue
        self._activate(queue)

    def _leave(self, uid: str) -> None:
        self._gated.pop(uid, None)
        if self._waiting.pop(uid, None) is None:
            return
        queue = self._queue_of.pop(uid)
        self._head(queue)
        if not queue.tickets:
            # shapes of pods long gone are forgotten, so that a long run stays small
            self._queues.pop(queue.shape, None)

    def _place(self, uid: str, node: str, shape: Shape) -> None:
        self._leave(uid)
        self._placed[uid] = (node, shape)
        info = self._nodes.get(node)
        if info is not None:
            info.take(shape)

    def _free(self, uid: str) -> None:
        placed = self._placed.pop(uid, None)
        if placed is None:
            return
        info = self._nodes.get(placed[0])
        if info is not None:
            info.give_back(placed[1])
            self._room_on(info)

    def _room_on(self, info: NodeInfo) -> None:
        for queue in self._queues.values():
            if not queue.active and queue.tickets and fits(info, queue.shape):
                self._activate(queue)

    # --- the scheduler acts ---

    def _activate(self, queue: _Queue) -> None:
        queue.active = True
        head = self._head(queue)
        if head is not None:
            heapq.heappush(self._line, (head, queue.number, queue))
            self._wake()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._works.soon(self._turn)

    def _head(self, queue: _Queue) -> _Ticket | None:
        tickets = queue.tickets
        while tickets and self._queue_of.get(tickets[0][3]) is not queue:
            heapq.heappop(tickets)
        return tickets[0] if tickets else None

    def _turn(self) -> None:
        self._scheduled = False
        for uid in list(self._gated):
            pod = self._gated.pop(uid)
            self._tell(pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
        for _ in range(ATTEMPTS_PER_TURN):
            if not self._line:
                return
            ticket, _, queue = heapq.heappop(self._line)
            head = self._head(queue)
            if head is None or not queue.active:
                queue.active = False
            elif head != ticket:
                heapq.heappush(self._line, (head, queue.number, queue))
            else:
                self._attempt(queue, head[3])
        if self._line:
            self._wake()

    def _attempt(self, queue: _Queue, uid: str) -> None:
        self.attempts += 1
        shape = queue.shape
        best = max(
            (node for node in self._nodes.values() if fits(node, shape)),
            key=lambda node: (least_allocated(node, shape), _reversed_name(node.name)),
            default=None,
        )
        if best is None:
            queue.active = False
            self._refuse(queue, uid)
            return
        pod = self._waiting[uid]
        meta = pod["metadata"]
        try:
            self._store.bind(meta["namespace"], meta["name"], best.name)
        except ApiError:
            # deleted or bound by somebody else in the same instant: its event tells
            self._leave(uid)
        else:
            # the binding's own event has moved the pod from the queue to the node by now
            self.bound += 1
        head = self._head(queue)
        if head is None:
            queue.active = False
        else:
            heapq.heappush(self._line, (head, queue.number, queue))

    def _refuse(self, queue: _Queue, head: str) -> None:
        message = explain(self._nodes.values(), queue.shape, modern_tail=self._config.modern_tail)
        untold = dict.fromkeys([head, *queue.untold])
        queue.untold.clear()
        for uid in untold:
            pod = self._waiting.get(uid)
            if pod is not None and self._queue_of.get(uid) is queue:
                self._tell(pod, "Unschedulable", message)

    def _tell(self, pod: Json, reason: str, message: str) -> None:
        former = condition_of(pod, "PodScheduled")
        if former is not None and (former.get("reason"), former.get("message")) == (reason, message):
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        status = section(pod, "status")
        conditions = with_condition(items(status, "conditions"), condition, self._now_ms())
        try:
            write_status(self._store, "pods", pod, {**status, "phase": "Pending", "conditions": conditions})
        except ApiError:
            # it changed or went in this instant; its own event brings it back or takes it away
            return
        if self._config.events and reason == "Unschedulable":
            self._events.emit(pod, "Pod", "FailedScheduling", message)


def _reversed_name(name: str) -> tuple[int, ...]:
    """Order equal nodes by name, the first one highest: a tie must not depend on the order of arrival."""
    return tuple(-ord(letter) for letter in name)
