"""The simulator's world as a place behind the port: what the hands do there at once, and in virtual time, is asked for as anywhere else.

So one suite of tests holds the simulated place to the same contract as the real ones, and whoever plays a controller against a port can
play it against the simulator. Time in its world goes on only while an answer is waited for, and in ``pass_time``.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.offerings import Offering
from burster.model.targets import Target
from burster.simulator.hands import Hands


class SimulatedPlace:
    """A ``Place``. One for each world at a time: it takes the world's news for itself."""

    def __init__(self, hands: Hands, offerings: Sequence[Offering]) -> None:
        self._hands: Final = hands
        self._offerings: Final = tuple(offerings)

    async def offerings(self, target: Target) -> s.OfferingsSeen:
        """Return what the scenario offers at a target."""
        mine = tuple(one for one in self._offerings if one.target == target.name)
        return s.OfferingsSeen(target=target.name, offerings=mine)

    async def launch(self, burst: Burst) -> s.PodPlaced:
        """Create the pod, or find the one that is there."""
        instruction = i.PlacePod(key=f"place/{burst.key}", burst=burst)
        return await self.carry_out(instruction, s.PodPlaced)

    async def observe(self, burst: Burst) -> s.VmsObserved:
        """Return the burst's VMs, also those that are on their way."""
        return await self.carry_out(i.ObserveVms(key=f"observe/{burst.key}", burst=burst), s.VmsObserved)

    async def release(self, burst: Burst, *, grace_ms: int, let_go: bool = False) -> s.PodDeleted:
        """Have the pod deleted."""
        instruction = i.DeletePod(key=f"delete/{burst.key}", burst=burst, grace_ms=grace_ms, let_go=let_go)
        return await self.carry_out(instruction, s.PodDeleted)

    async def list(self, target: Target) -> s.CloudListed:
        """Return every VM at a target."""
        return await self.carry_out(i.ListCloud(key=f"list/{target.name}", target=target.name), s.CloudListed)

    async def carry_out(self, instruction: i.Instruction, answer: type[Any]) -> Any:
        """Start an instruction and let time pass until its outcome is there. Raises RemoteError where it failed."""
        await asyncio.sleep(0)
        world = self._hands.world
        world.outbox.clear()
        self._hands.carry_out(instruction)
        while True:
            for told in world.outbox:
                if isinstance(told, answer):
                    return told
                if isinstance(told, s.InstructionFailed) and told.key == instruction.key:
                    raise RemoteError(told.kind, told.message, code=told.code)
            await asyncio.sleep(0)
            self._pass_until(None)

    def pass_time(self, duration_ms: int) -> None:
        """Let everything happen that is due within a time."""
        self._pass_until(self._hands.world.now_ms + duration_ms)

    def _pass_until(self, until_ms: int | None) -> None:
        """Let the next thing happen; with a time, everything until then."""
        world = self._hands.world
        while True:
            due_ms = world.next_ms()
            if due_ms is None or (until_ms is not None and due_ms > until_ms):
                break
            world.advance(due_ms)
            if until_ms is None:
                return
        if until_ms is None:
            raise RemoteError("Timeout", "nothing is left to happen, and there is no answer")
        world.advance(until_ms)
