"""Carries instructions out: bounded, in order of urgency, once per key, each with a deadline; every end becomes a stimulus.

The loop submits; adaptors do the work; the bus gets the outcome. What is waiting is bounded by what the engine may have under way; events
are a courtesy and are dropped first. Never decides and never retries: that is the engine's.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, cast

import structlog

from burster.model import instructions as i
from burster.model.errors import RemoteError
from burster.model.instructions import Instruction
from burster.model.offerings import Matter
from burster.model.stimuli import InstructionFailed, Stimulus


_log = structlog.get_logger("burster.runtime.executor")

EVENTS_WAITING_MAX: Final = 1_000
#: No further step is taken while so many instructions wait; a step adds a few hundred at most.
WAITING_MAX: Final = 2_000
#: Smaller goes first: records before what they record, ends before beginnings, courtesies last.
_URGENCY: Final[dict[type, int]] = {
    i.RecordBurst: 0,
    i.DeletePod: 1,
    i.ReturnPod: 1,
    i.DeleteMachine: 1,
    i.PlacePod: 2,
    i.LaunchMachine: 2,
    i.ObserveVms: 3,
    i.PublishEndpoint: 3,
    i.MarkVerified: 3,
    i.DeleteVm: 3,
    i.DeleteResource: 4,
    i.SetScale: 3,
    i.PublishSignal: 3,
    i.ListCloud: 4,
    i.WriteStatus: 5,
    i.ForgetBurst: 6,
    i.ReleasePolicy: 6,
    i.WritePolicyStatus: 6,
    i.WriteTargetStatus: 6,
    i.EmitEvent: 7,
}


class Adaptor(Protocol):
    """Carries out instructions in one world."""

    async def carry_out(self, instruction: Instruction) -> Stimulus | None:
        """Do it and return its outcome; raise RemoteError where it did not succeed. Must bear being cancelled at any await."""
        ...


class Executor:
    """Workers over a queue of instructions. ``run`` is the only task tree; ``idle`` is set while nothing waits to be started."""

    def __init__(self, adaptor: Adaptor, post: Callable[[Stimulus], None], *, concurrency: int) -> None:
        self._adaptor = adaptor
        self._post = post
        self._concurrency = concurrency
        self._queue: asyncio.PriorityQueue[tuple[int, int, str]] = asyncio.PriorityQueue()
        self._waiting: dict[str, Instruction] = {}
        self._under_way: set[str] = set()
        self._sequence = 0
        self._events_waiting = 0
        self.idle = asyncio.Event()
        self.idle.set()
        #: is set while there is room for another step's instructions
        self.room = asyncio.Event()
        self.room.set()
        self._going = asyncio.Event()
        self._going.set()
        self.events_dropped_total = 0
        #: is told the tag, the outcome (``ok`` or a RemoteKind) and the seconds of each instruction that ended
        self.ended: Callable[[str, str, float], None] = _unheard

    @property
    def busy(self) -> int:
        """How many instructions wait or are under way."""
        return len(self._waiting) + len(self._under_way)

    @property
    def under_way(self) -> int:
        """How many instructions have been begun and have not ended."""
        return len(self._under_way)

    def hold(self) -> None:
        """Begin nothing more; what is under way goes on to its end."""
        self._going.clear()

    def submit(self, instructions: Sequence[Instruction]) -> None:
        """Queue instructions. One whose key already waits replaces it: the newer one knows more."""
        for instruction in instructions:
            new = instruction.key not in self._waiting
            if new and isinstance(instruction, i.EmitEvent):
                if self._events_waiting >= EVENTS_WAITING_MAX:
                    self.events_dropped_total += 1
                    continue
                self._events_waiting += 1
            self._waiting[instruction.key] = instruction
            if new and instruction.key not in self._under_way:
                self._enqueue(instruction)
        self._note_idle()

    def _enqueue(self, instruction: Instruction) -> None:
        self._sequence += 1
        self._queue.put_nowait((_URGENCY[type(instruction)], self._sequence, instruction.key))

    def _note_idle(self) -> None:
        # Courtesies and status writes may lag; what holds decisions up is work that creates or ends something.
        if len(self._waiting) - self._events_waiting < WAITING_MAX:
            self.room.set()
        else:
            self.room.clear()
        backlog = len(self._waiting) > self._concurrency
        if backlog:
            self.idle.clear()
        else:
            self.idle.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._concurrency):
                group.create_task(self._work(), name=f"executor-{number}")

    async def _work(self) -> None:
        while True:
            _, _, key = await self._queue.get()
            await self._going.wait()
            instruction = self._waiting.pop(key, None)
            if instruction is None:
                continue
            if isinstance(instruction, i.EmitEvent):
                self._events_waiting -= 1
            self._under_way.add(key)
            try:
                outcome = await self._carry_out(instruction)
            finally:
                self._under_way.discard(key)
            if outcome is not None:
                self._post(outcome)
            again = self._waiting.get(key)
            if again is not None:
                self._enqueue(again)
            self._note_idle()

    async def _carry_out(self, instruction: Instruction) -> Stimulus | None:
        tag = type(instruction).__name__
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(instruction.deadline_ms / 1000):
                outcome = await self._adaptor.carry_out(instruction)
        except TimeoutError:
            error = RemoteError("Timeout", f"no answer within {instruction.deadline_ms} ms")
        except RemoteError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a bug in one adaptor must not stop the others; it is told and retried
            _log.exception("instruction.crashed", instruction=tag, key=instruction.key)
            error = RemoteError("Protocol", f"{type(failure).__name__}: {failure}")
        else:
            self.ended(tag, "ok", asyncio.get_running_loop().time() - begun)
            return outcome
        self.ended(tag, error.kind, asyncio.get_running_loop().time() - begun)
        if not isinstance(instruction, i.EmitEvent):
            _log.warning(
                "instruction.failed", instruction=tag, key=instruction.key, kind=error.kind, message=str(error)
            )
        return InstructionFailed(
            instruction=tag,
            key=instruction.key,
            subject=_subject(instruction),
            kind=error.kind,
            code=error.code,
            message=str(error)[:500],
            retry_after_ms=error.retry_after_ms,
            matter=cast("Matter | Literal['']", error.matter),
            limit_vcpus=error.limit_vcpus,
        )


def _unheard(_tag: str, _outcome: str, _seconds: float) -> None:
    """Nobody counts."""


def _subject(instruction: Instruction) -> str:
    match instruction:
        case i.ListCloud() | i.DeleteVm() | i.DeleteResource() | i.WriteTargetStatus():
            return instruction.target
        case i.SetScale() | i.PublishSignal() | i.ReleasePolicy() | i.WritePolicyStatus():
            return instruction.policy
        case i.EmitEvent():
            return f"{instruction.namespace}/{instruction.name}" if instruction.namespace else instruction.name
        case _:
            return instruction.burst.key
