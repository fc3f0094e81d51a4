"""Recurring ticks come when the clock they were given says so, and only post."""

import asyncio

import pytest

from burster.lab.lockstep import LabClock, run_lockstep
from burster.model.stimuli import Stimulus, Tick
from burster.runtime.ticks import start_ticks


def test_each_tick_comes_at_its_interval_of_virtual_time() -> None:
    posted: list[tuple[float, str]] = []

    async def main(clock: LabClock) -> None:
        begin = clock.monotonic()

        def post(stimulus: Stimulus) -> None:
            assert isinstance(stimulus, Tick)
            posted.append((clock.monotonic() - begin, stimulus.kind))

        ticks = start_ticks(clock, post, {"evaluate": 15_000, "gc": 40_000})
        await asyncio.sleep(121)
        ticks.shutdown(wait=False)
        await asyncio.sleep(60)

    run_lockstep(main)
    evaluates = [round(at) for at, kind in posted if kind == "evaluate"]
    assert evaluates == [15, 30, 45, 60, 75, 90, 105, 120]
    assert [round(at) for at, kind in posted if kind == "gc"] == [40, 80, 120]


def test_a_long_pause_is_made_up_for_by_one_tick_not_by_many() -> None:
    posted: list[float] = []

    async def main(clock: LabClock) -> None:
        ticks = start_ticks(clock, lambda _: posted.append(clock.monotonic()), {"evaluate": 1_000}, paused=True)
        await asyncio.sleep(100.5)
        ticks.resume()
        await asyncio.sleep(2)
        ticks.shutdown(wait=False)

    run_lockstep(main)
    assert 2 <= len(posted) <= 4


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_wall_clock_that_is_set_changes_no_interval(jump_ms, monkeypatch) -> None:
    posted: list[float] = []
    real, jumped_ms = LabClock.now_ms, [0]
    monkeypatch.setattr(LabClock, "now_ms", lambda clock: real(clock) + jumped_ms[0])

    async def main(clock: LabClock) -> None:
        begin = clock.monotonic()
        ticks = start_ticks(clock, lambda _: posted.append(clock.monotonic() - begin), {"evaluate": 10_000})
        await asyncio.sleep(25)
        jumped_ms[0] = jump_ms
        await asyncio.sleep(40)
        ticks.shutdown(wait=False)

    run_lockstep(main)
    assert [round(at) for at in posted] == [10, 20, 30, 40, 50, 60]
