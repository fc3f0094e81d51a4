"""settled(): when everything under way at this instant has arrived, and not a moment later."""

import asyncio
import time

import pytest

from burster.lab import lockstep
from burster.lab.lockstep import LabClock, LockstepError, run_lockstep


def test_it_returns_after_all_ready_work_and_before_time_moves():
    async def main(clock: LabClock) -> tuple[int, int]:
        done = 0

        async def chain(length: int) -> None:
            nonlocal done
            for _ in range(length):
                await asyncio.sleep(0)
            done += 1

        tasks = [asyncio.create_task(chain(length)) for length in (1, 50, 500)]
        timer = asyncio.create_task(clock.sleep(0.001))
        before = clock.now_ms()
        await clock.settled()
        result = done, clock.now_ms() - before
        await asyncio.gather(timer, *tasks)
        return result

    assert run_lockstep(main) == (3, 0)


def test_it_waits_for_executor_jobs():
    async def main(clock: LabClock) -> str:
        job = asyncio.ensure_future(asyncio.to_thread(lambda: (time.sleep(0.03), "done")[1]))
        await clock.settled()
        assert job.done()
        return await job

    assert run_lockstep(main) == "done"


def test_all_who_wait_go_on_in_one_round_and_the_next_round_waits_for_what_they_do():
    async def main(clock: LabClock) -> list[str]:
        log: list[str] = []

        async def first(name: str) -> None:
            await clock.settled()
            log.append(f"{name} woke")
            await asyncio.sleep(0)
            log.append(f"{name} worked")

        async def second() -> None:
            await clock.settled()
            await clock.settled()
            log.append("second round")

        await asyncio.gather(first("a"), second(), first("b"))
        return log

    assert run_lockstep(main) == ["a woke", "b woke", "a worked", "b worked", "second round"]


def test_a_waiter_that_gave_up_is_skipped():
    async def main(clock: LabClock) -> None:
        task = asyncio.create_task(clock.settled())
        await asyncio.sleep(0)
        task.cancel()
        await clock.settled()
        assert task.cancelled()

    run_lockstep(main)


def test_it_works_at_ordinary_speed_too():
    async def main(clock: LabClock) -> int:
        await clock.settled()
        before = clock.now_ms()
        timer = asyncio.create_task(clock.sleep(10))
        await clock.settled()
        timer.cancel()
        return clock.now_ms() - before

    assert run_lockstep(main, speed=1) < 1_000


def test_waiting_for_it_for_ever_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lockstep, "_ROUNDS_MAX", 50)

    async def main(clock: LabClock) -> None:
        while True:
            await clock.settled()

    with pytest.raises(LockstepError, match="without time moving"):
        run_lockstep(main)
