"""The virtual world's agenda.

Called by the world and its parts. Times are integer ms since the start of the run. At one instant things happen in the documented
order FINISH, ARRIVAL, ANSWER, TICK: room that frees at t is there for what arrives at t; within a kind, first planned, first done.
"""

import heapq
from collections.abc import Callable
from typing import Any, Final


FINISH: Final = 0  #: something ends or becomes ready: a task, a boot, a VM's deletion
ARRIVAL: Final = 1  #: something comes from the trace
ANSWER: Final = 2  #: the outside world answers the controller
TICK: Final = 3  #: a recurring job
_RANK_SHIFT: Final = 48


class Agenda:
    """What will happen, earliest first. Plain tuples: comparing them never reaches the handler."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, at_ms: int, rank: int, handler: Callable[[Any], None], subject: Any) -> None:
        """Plan ``handler(subject)``."""
        self._count += 1
        heapq.heappush(self._heap, (at_ms, rank << _RANK_SHIFT | self._count, handler, subject))

    def next_ms(self) -> int | None:
        """Return when the next thing happens, or None."""
        return self._heap[0][0] if self._heap else None

    def run(self, now_ms: int, rank_max: int) -> int:
        """Do what is due up to this rank, also what that plans for the same instant; return how much there was."""
        heap = self._heap
        limit = (now_ms, (rank_max + 1) << _RANK_SHIFT)
        done = 0
        while heap and heap[0][:2] < limit:
            _, _, handler, subject = heapq.heappop(heap)
            handler(subject)
            done += 1
        return done
