"""Instructions, carried out: bounded, urgent ones first, once per key, each with a deadline, every end told."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from burster.lab.lockstep import LabClock, run_lockstep
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.runtime.executor import EVENTS_WAITING_MAX, Executor
from tests.support.builders import with_one_task


def a_burst() -> Burst:
    return with_one_task().burst()


BURST = a_burst()


def event(number: int) -> i.EmitEvent:
    return i.EmitEvent(key=f"event/{number}", namespace="bank", kind="Pod", name="x", reason="R", message="m")


def status(phase: str) -> i.WriteStatus:
    changed = msgspec.structs.replace(BURST.status, phase=phase)
    return i.WriteStatus(key="status", burst=msgspec.structs.replace(BURST, status=changed))


class Hands:
    """An adaptor that remembers what it was asked for and takes its time."""

    def __init__(self, seconds: float = 1.0, failure: BaseException | None = None) -> None:
        self.begun: list[i.Instruction] = []
        self.busy = self.busiest = 0
        self._seconds = seconds
        self._failure = failure

    async def carry_out(self, instruction: i.Instruction) -> s.Stimulus | None:
        self.begun.append(instruction)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(self._seconds)
            if self._failure is not None:
                raise self._failure
            return None if isinstance(instruction, i.EmitEvent) else s.StatusWritten(key=instruction.key, phase="x")
        finally:
            self.busy -= 1


def run(hands: Hands, play: Callable[[Executor], Awaitable[None]], concurrency: int = 2) -> list[s.Stimulus]:
    outcomes: list[s.Stimulus] = []

    async def main(_clock: LabClock) -> None:
        executor = Executor(hands, outcomes.append, concurrency=concurrency)
        running = asyncio.create_task(executor.run())
        await play(executor)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    run_lockstep(main)
    return outcomes


def test_no_more_at_once_than_allowed_and_what_is_urgent_first() -> None:
    hands = Hands()

    async def play(executor: Executor) -> None:
        executor.submit([event(1), status("Placing"), i.ListCloud(key="list", target="azure")])
        executor.submit([i.PlacePod(key="place", burst=BURST), i.DeletePod(key="delete", burst=BURST, grace_ms=1)])
        executor.submit([i.RecordBurst(key="record", burst=BURST)])
        await asyncio.sleep(20)
        assert executor.busy == 0

    outcomes = run(hands, play)
    assert [one.key for one in hands.begun] == ["record", "delete", "place", "list", "status", "event/1"]
    assert hands.busiest == 2
    assert len(outcomes) == 5


def test_a_newer_write_replaces_the_one_that_waits_and_follows_the_one_under_way() -> None:
    hands = Hands()

    async def play(executor: Executor) -> None:
        executor.submit([status("Placing")])
        await asyncio.sleep(0.5)
        for phase in ("Provisioning", "Attesting", "Serving"):
            executor.submit([status(phase)])
        await asyncio.sleep(10)

    run(hands, play)
    assert [one.burst.status.phase for one in hands.begun] == ["Placing", "Serving"]
    assert hands.busiest == 1, "never two at once for one key"


def test_one_that_is_held_ends_what_is_under_way_and_begins_nothing() -> None:
    hands = Hands()

    async def play(executor: Executor) -> None:
        executor.submit([i.ListCloud(key=f"list-{number}", target="azure") for number in range(5)])
        await asyncio.sleep(0.5)
        assert executor.under_way == 2
        executor.hold()
        executor.submit([i.RecordBurst(key="record", burst=BURST)])
        await asyncio.sleep(20)
        assert executor.under_way == 0
        assert executor.busy == 4

    outcomes = run(hands, play)
    assert len(hands.begun) == len(outcomes) == 2


def test_an_instruction_that_takes_too_long_has_an_unknown_end() -> None:
    async def play(executor: Executor) -> None:
        executor.submit([i.RecordBurst(key="record", burst=BURST, deadline_ms=3_000)])
        await asyncio.sleep(2.9)
        assert executor.busy == 1
        await asyncio.sleep(0.2)
        assert executor.busy == 0

    (outcome,) = run(Hands(seconds=60), play)
    assert isinstance(outcome, s.InstructionFailed)
    assert (outcome.kind, outcome.instruction, outcome.subject) == ("Timeout", "RecordBurst", BURST.key)


def test_refusals_and_bugs_are_told_alike_and_stop_nobody() -> None:
    refused = RemoteError("Throttled", "slow down", code="TooMany", retry_after_ms=7_000)
    for failure, want in ((refused, "Throttled"), (KeyError("oops"), "Protocol")):

        async def play(executor: Executor) -> None:
            executor.submit([i.ListCloud(key="list", target="azure"), i.RecordBurst(key="record", burst=BURST)])
            await asyncio.sleep(5)

        outcomes = run(Hands(failure=failure), play, concurrency=1)
        assert [one.kind for one in outcomes] == [want, want]
        assert [one.subject for one in outcomes] == [BURST.key, "azure"]
        if failure is refused:
            assert (outcomes[0].code, outcomes[0].retry_after_ms) == ("TooMany", 7_000)


def test_events_are_dropped_before_anything_else_waits_for_them() -> None:
    async def play(executor: Executor) -> None:
        executor.submit([event(number) for number in range(EVENTS_WAITING_MAX + 50)])
        assert executor.events_dropped_total == 50
        assert not executor.idle.is_set()
        await asyncio.sleep(1_000)
        assert executor.idle.is_set()

    run(Hands(), play)


def test_an_event_said_twice_counts_once_towards_the_limit() -> None:
    async def play(executor: Executor) -> None:
        for _ in range(3 * EVENTS_WAITING_MAX):
            executor.submit([event(1)])
        await asyncio.sleep(10)
        executor.submit([event(number) for number in range(EVENTS_WAITING_MAX)])
        assert executor.events_dropped_total == 0

    run(Hands(), play)


def test_stopping_ends_what_is_under_way() -> None:
    hands = Hands(seconds=60)

    async def play(executor: Executor) -> None:
        executor.submit([i.PlacePod(key="place", burst=BURST)])
        await asyncio.sleep(1)

    assert run(hands, play) == []
    assert hands.busy == 0
