"""The controller's heart: take a batch, decide, write it down, have it done. The only caller of ``engine.step`` in the cluster.

Writes the ledger before anything is carried out. Where the ledger refuses, nothing new is started: the step's new records are handed back
as failures and the engine is told; what ends bursts goes on.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeGuard

import structlog

from burster.engine import State, StepResult, initial_state, is_idle, next_due_ms, snapshot, step, unfinished
from burster.ledger import Ledger, LedgerUnwritableError
from burster.model.errors import BursterError
from burster.model.instructions import Instruction, PublishSignal, RecordBurst, SetScale
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import InstructionFailed, LedgerHealth, Spend, Stimulus, Tick
from burster.runtime.batcher import Batcher
from burster.runtime.bus import Bus
from burster.runtime.clock import Clock
from burster.runtime.executor import Executor


#: How many steps in a row may go on without news: news must not wait for a queue of any length.
_UNFED_MAX: Final = 40
#: How long a ledger that could not be written is left alone, unless a tick comes: each attempt costs a snapshot.
_TRY_AGAIN_MS: Final = 5_000

#: By so much the clock may be put back: the engine waits until it is there again, and leases end so much later.
_BACK_MAX_MS: Final = 60_000

_log = structlog.get_logger("burster.runtime.loop")


class ClockWentBackError(BursterError):
    """The system's clock was put back so far that the engine would stand still for too long."""


class StepListener(Protocol):
    """Is shown each step after it was recorded: metrics, a live view, a test's watch."""

    def __call__(self, stimuli: list[Stimulus], result: StepResult, now_ms: int, /) -> None:
        """Look; must be quick and must not raise."""
        ...


class Loop:
    """Batches in, decisions and instructions out."""

    def __init__(
        self,
        *,
        bus: Bus,
        batcher: Batcher,
        executor: Executor,
        ledger: Ledger,
        clock: Clock,
        listeners: tuple[StepListener, ...] = (),
    ) -> None:
        self._bus = bus
        self._batcher = batcher
        self._executor = executor
        self._ledger = ledger
        self._clock = clock
        self._listeners = listeners
        self._writable = True
        self._tried_ms = 0
        self._going = asyncio.Event()
        self._going.set()
        #: what was settled while the ledger could not be written; bounded, as nothing new is started meanwhile
        self._unwritten: list[Spend] = []
        self.state: State = initial_state()
        self.steps_total = 0
        self.step_seconds = 0.0  #: how long the engine took over the latest step

    @property
    def unwritten(self) -> tuple[Spend, ...]:
        """What is settled and could not be written to the ledger yet."""
        return tuple(self._unwritten)

    def listen(self, listener: StepListener) -> None:
        """Show every later step to somebody."""
        self._listeners = (*self._listeners, listener)

    def hold(self) -> None:
        """Decide nothing more: what is under way is to end, and another is to go on."""
        self._going.clear()

    async def run(self) -> None:
        """Decide until cancelled."""
        unfed = 0
        while True:
            await self._executor.room.wait()
            await self._going.wait()
            if unfinished(self.state) and unfed < _UNFED_MAX:
                # Many pods came at once and one step looks at only so many: the rest wait for nobody. No news is taken meanwhile, so
                # that what is decided does not hang on what happens to have arrived.
                unfed += 1
                await asyncio.sleep(0)
                self.step([])
            else:
                unfed = 0
                batch = await self._batcher.next_batch(next_due_ms(self.state))
                await self._going.wait()
                self.step(batch)

    def step(self, batch: list[Stimulus]) -> StepResult:
        """Take one step: the body of ``run``, so that a test can drive it.

        Raises ClockWentBackError where the clock was put back by more than a minute: for the engine no time would pass until it is there
        again, and no lease would end. A successor begins with the time as it is.
        """
        now_ms, begun_s = self._clock.now_ms(), self._clock.monotonic()
        if self.state.now_ms - now_ms > _BACK_MAX_MS:
            back = format_duration_ms(self.state.now_ms - now_ms)
            raise ClockWentBackError(f"the system's clock was put back by {back}: restarting reads the world anew")
        # a tick that finds nothing to do is not worth a record, except to learn whether the ledger can be written again
        idle = self._writable and is_idle(self.state, batch, now_ms)
        result = step(self.state, batch, now_ms)
        self.state = result.state
        self.steps_total += 1
        self.step_seconds = self._clock.monotonic() - begun_s
        instructions = [] if idle else self._record(now_ms, batch, result)
        for decision in result.decisions:
            _log.info(
                "decision",
                verdict=decision.verdict,
                policy=decision.policy,
                subject=decision.subject,
                burst=decision.burst,
                code=decision.reasons[0].code,
                reason=decision.reasons[0].sentence,
            )
        for listener in self._listeners:
            listener(batch, result, now_ms)
        self._executor.submit(instructions)
        return result

    def _record(self, now_ms: int, batch: list[Stimulus], result: StepResult) -> list[Instruction]:
        self._unwritten.extend(result.spends)
        if (
            not self._writable
            and now_ms - self._tried_ms < _TRY_AGAIN_MS
            and not any(isinstance(one, Tick) for one in batch)
        ):
            return self._without_beginnings(result, self.state.ledger_message, unaware=False)
        self._tried_ms = now_ms
        try:
            if self._writable:
                self._ledger.append_step(now_ms, batch, result.decisions, self._unwritten)
            else:
                # Steps are missing before this one: replay goes on from the state as it is now.
                state = snapshot.dump(self.state)
                self._ledger.append_step(now_ms, batch, result.decisions, self._unwritten, snapshot=state)
        except LedgerUnwritableError as error:
            unaware = self._writable
            if unaware:
                # Said once: telling the engine after each step that fails would make the next step at once, for ever.
                _log.error("ledger.unwritable", message=str(error))
                self._bus.post(LedgerHealth(writable=False, message=str(error)))
            self._writable = False
            return self._without_beginnings(result, str(error), unaware=unaware)
        self._unwritten.clear()
        if not self._writable:
            self._writable = True
            _log.info("ledger.writable")
            self._bus.post(LedgerHealth(writable=True))
        return list(result.instructions)

    def _without_beginnings(self, result: StepResult, message: str, *, unaware: bool) -> list[Instruction]:
        """Hand back what would begin something. ``unaware``: the engine did not know yet, so a number may be one that goes up."""
        kept: list[Instruction] = []
        for instruction in result.instructions:
            if isinstance(instruction, RecordBurst):
                subject = instruction.burst.key
            elif unaware and _may_raise_a_number(instruction):
                subject = instruction.policy
            else:
                kept.append(instruction)
                continue
            self._bus.post(
                InstructionFailed(
                    instruction=type(instruction).__name__,
                    key=instruction.key,
                    subject=subject,
                    kind="Unauthorized",
                    code="LedgerNotWritable",
                    message=message,
                )
            )
        return kept


def _may_raise_a_number(instruction: Instruction) -> TypeGuard[SetScale | PublishSignal]:
    return isinstance(instruction, SetScale) or (isinstance(instruction, PublishSignal) and not instruction.withdrawn)


Post = Callable[[Stimulus], None]
