"""When to decide: at once if nothing is under way, else together with what comes meanwhile, and never later than a bound.

The loop asks ``next_batch``; a fact that finds everything idle is decided about at once, so a quiet cluster reacts within a millisecond,
and a storm is decided in few steps. Wakes by itself when the engine has something due.
"""

import asyncio
from collections.abc import Callable

from burster.model.stimuli import Stimulus
from burster.runtime.bus import Bus
from burster.runtime.clock import Clock


class Batcher:
    """Cuts the bus into batches."""

    def __init__(
        self, bus: Bus, clock: Clock, *, idle: Callable[[], "asyncio.Event"], max_delay_ms: int, max_stimuli: int
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._idle = idle
        self._max_delay_ms = max_delay_ms
        self._max_stimuli = max_stimuli

    async def next_batch(self, due_ms: int | None) -> list[Stimulus]:
        """Return the next facts to decide about; an empty list when ``due_ms`` (epoch) came first."""
        if not len(self._bus):
            try:
                async with asyncio.timeout(self._until(due_ms)):
                    await self._bus.wait()
            except TimeoutError:
                await self._clock.settled()
                return self._bus.take(self._max_stimuli)
        idle = self._idle()
        if not idle.is_set():
            try:
                async with asyncio.timeout(self._max_delay_ms / 1000):
                    await idle.wait()
            except TimeoutError:
                pass
        await self._clock.settled()
        return self._bus.take(self._max_stimuli)

    def _until(self, due_ms: int | None) -> float | None:
        if due_ms is None:
            return None
        return max(0.0, (due_ms - self._clock.now_ms()) / 1000)
