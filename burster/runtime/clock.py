"""Time as an argument: what the runtime, the sources and the lab wait on.

Everything that waits or stamps takes a Clock; nothing reads the system's time itself. In the cluster it is SystemClock, in the lab and in
tests burster.lab.lockstep.LabClock. It must never be used by the core: the engine gets ``now_ms`` as a number.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, a time that never goes back, and waiting."""

    def now_ms(self) -> int:
        """Return the time as epoch milliseconds: for records, conditions and anything people read."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary origin that never jump: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def settled(self) -> None:
        """Return once everything under way at this instant has arrived; at once where that can't be known."""
        ...


class SystemClock:
    """Ordinary time."""

    def now_ms(self) -> int:
        """Return the system's time as epoch milliseconds."""
        return time.time_ns() // 1_000_000  # noqa: TID251 - this is the one place that reads it

    def monotonic(self) -> float:
        """Return the event loop's idea of seconds, so that deadlines and sleeps agree."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)

    async def settled(self) -> None:
        """Return at once, after letting others run: the world outside never settles."""
        await asyncio.sleep(0)
