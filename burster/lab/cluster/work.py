"""Everything the cluster's stand-ins have under way in the event loop: callbacks, timers and tasks.

Every controller of the lab's cluster works on a ``Works``. Nothing it starts outlives ``close()``, and no error is lost: the first
one is raised there. It takes time only from the loop's own timers, so a virtual loop can run it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from burster.lab.apiserver.errors import ApiError
from burster.lab.cluster.objectapi import ObjectApi


#: How many keys one callback handles before it lets sockets have their turn.
KEYS_PER_TURN: Final = 256
ERRORS_KEPT: Final = 20
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class Works:
    """Timers, callbacks and tasks with one owner."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    def soon(self, action: Callable[[], None]) -> None:
        """Run the action at this same instant, after what is running now."""
        if not self._closed:
            asyncio.get_running_loop().call_soon(self._guarded, action)

    def later(self, delay_ms: int, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Run the action after a delay. The handle cancels it."""
        loop = asyncio.get_running_loop()
        cell: list[asyncio.TimerHandle] = []

        def fire() -> None:
            self._timers.discard(cell[0])
            self._guarded(action)

        handle = loop.call_later(max(0, delay_ms) / 1000, fire)
        cell.append(handle)
        if self._closed:
            handle.cancel()
        else:
            self._timers.add(handle)
        return handle

    def cancel(self, handle: asyncio.TimerHandle | None) -> None:
        """Cancel a timer made by ``later``; None is no timer."""
        if handle is not None:
            handle.cancel()
            self._timers.discard(handle)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run a coroutine as a task that ends at the latest with ``close()``."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        if self._closed:
            task.cancel()
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Cancel whatever is under way, wait for its end, and raise the first error there was."""
        self._closed = True
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)
        if self.errors:
            raise self.errors[0]

    def report(self, error: BaseException) -> None:
        """Keep an error for ``close()``, and let the loop log it now."""
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append(error)
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "The lab's cluster failed", "exception": error})

    def _guarded(self, action: Callable[[], None]) -> None:
        if self._closed:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - kept, and raised by close(): a callback has no caller to raise to
            self.report(error)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(error)


class Ground(NamedTuple):
    """What every part of the lab's cluster stands on."""

    store: ObjectApi
    now_ms: Callable[[], int]
    works: Works
    seed: int = 0


class DirtyKeys:
    """Keys that changed, each handed once to ``process`` at the same instant, in the order they first became dirty.

    A key is any text the owner understands. A conflict (somebody wrote in between) tries the key again; an object that is gone is
    nobody's error; anything else is.
    """

    def __init__(self, works: Works, process: Callable[[str], None]) -> None:
        self._works = works
        self._process = process
        self._keys: dict[str, None] = {}
        self._scheduled = False

    def add(self, key: str) -> None:
        """Have the key processed at this instant."""
        self._keys[key] = None
        if not self._scheduled:
            self._scheduled = True
            self._works.soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        for _ in range(min(KEYS_PER_TURN, len(self._keys))):
            key = next(iter(self._keys))
            del self._keys[key]
            try:
                self._process(key)
            except ApiError as error:
                if error.status == _CONFLICT:
                    self._keys[key] = None
                elif error.status != _NOT_FOUND:
                    self._works.report(error)
            except Exception as error:  # noqa: BLE001 - one bad key must not keep the others waiting; close() raises it
                self._works.report(error)
        if self._keys and not self._scheduled:
            self._scheduled = True
            self._works.soon(self._turn)
