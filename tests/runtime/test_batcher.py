"""When to decide: at once if idle, together with what comes meanwhile if not, and by itself when something is due."""

import asyncio

from burster.lab.lockstep import LabClock, run_lockstep
from burster.model import stimuli as s
from burster.runtime.batcher import Batcher
from burster.runtime.bus import Bus
from tests.support.builders import a_pod


def make(clock: LabClock, bus: Bus, idle: asyncio.Event, limit: int = 100) -> Batcher:
    return Batcher(bus, clock, idle=lambda: idle, max_delay_ms=200, max_stimuli=limit)


def test_a_fact_that_finds_everything_idle_is_decided_about_at_once() -> None:
    async def main(clock: LabClock) -> None:
        begin = clock.monotonic()
        bus, idle = Bus(), asyncio.Event()
        idle.set()
        asyncio.get_running_loop().call_later(5, lambda: bus.post(s.PodSeen(pod=a_pod())))
        batch = await make(clock, bus, idle).next_batch(None)
        assert (len(batch), clock.monotonic() - begin) == (1, 5)

    run_lockstep(main)


def test_what_comes_while_work_is_under_way_is_decided_together_and_never_late() -> None:
    async def main(clock: LabClock) -> None:
        begin = clock.monotonic()
        bus, idle = Bus(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in range(8):
            loop.call_later(number * 0.05, lambda n=number: bus.post(s.PodSeen(pod=a_pod(f"task-{n}"))))
        batch = await make(clock, bus, idle).next_batch(None)
        assert round(clock.monotonic() - begin, 6) == 0.2
        assert 4 <= len(batch) <= 5

    run_lockstep(main)


def test_it_goes_on_as_soon_as_the_work_is_done() -> None:
    async def main(clock: LabClock) -> None:
        begin = clock.monotonic()
        bus, idle = Bus(), asyncio.Event()
        bus.post(s.PodSeen(pod=a_pod()))
        asyncio.get_running_loop().call_later(0.03, idle.set)
        await make(clock, bus, idle).next_batch(None)
        assert round(clock.monotonic() - begin, 6) == 0.03

    run_lockstep(main)


def test_it_wakes_when_the_engine_has_something_due() -> None:
    async def main(clock: LabClock) -> None:
        begin = clock.monotonic()
        bus, idle = Bus(), asyncio.Event()
        idle.set()
        batcher = make(clock, bus, idle)
        assert await batcher.next_batch(clock.now_ms() + 7_000) == []
        assert clock.monotonic() - begin == 7
        assert await batcher.next_batch(clock.now_ms() - 1) == [], "what is overdue is due now"
        assert clock.monotonic() - begin == 7

    run_lockstep(main)


def test_a_batch_has_a_limit_and_the_rest_comes_next() -> None:
    async def main(clock: LabClock) -> None:
        bus, idle = Bus(), asyncio.Event()
        idle.set()
        for number in range(25):
            bus.post(s.PodSeen(pod=a_pod(f"task-{number}")))
        batcher = make(clock, bus, idle, limit=10)
        assert [len(await batcher.next_batch(None)) for _ in range(3)] == [10, 10, 5]

    run_lockstep(main)
