"""What is to be done when, each thing once, one after the other: what the pollers of facts and of checks wait by."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from burster.runtime.clock import Clock


K = TypeVar("K")


class Agenda(Generic[K]):
    """Wishes, each with the monotonic time before which it is not granted; of those that are due the earliest goes first."""

    def __init__(self, clock: Clock, order: Callable[[K], Any]) -> None:
        """``order``: a wish's place among those of one and the same moment."""
        self._clock = clock
        self._order = order
        self._due: dict[K, float] = {}
        self._wake = asyncio.Event()
        self._granting = False

    @property
    def busy(self) -> bool:
        """Whether a wish is being granted or about to be; one whose time has not come does not count."""
        now = self._clock.monotonic()
        return self._granting or any(due <= now for due in self._due.values())

    def wish(self, what: K, *, after_s: float = 0.0) -> None:
        """Ask for something; asking twice is asking once, for the earlier time."""
        due = self._clock.monotonic() + after_s
        self._due[what] = min(due, self._due.get(what, due))
        self._wake.set()

    def drop(self, what: K) -> None:
        """Ask for it no more."""
        self._due.pop(what, None)

    async def run(self, grant: Callable[[K], Awaitable[None]]) -> None:
        """Grant wishes, one at a time, until cancelled."""
        while True:
            due = min(self._due.values(), default=None)
            wait = None if due is None else max(0.0, due - self._clock.monotonic())
            if wait is None or wait > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                continue
            what = min(self._due, key=lambda one: (self._due[one], self._order(one)))
            del self._due[what]
            self._granting = True
            try:
                await grant(what)
            finally:
                self._granting = False
