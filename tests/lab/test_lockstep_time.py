"""Virtual time: it costs nothing, it moves only when nothing is left to do, and it says so when it can't move."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from burster.lab.lockstep import LAB_EPOCH_MS, LabClock, LockstepError, run_lockstep


def test_thousands_of_sleeps_cost_no_wall_time():
    async def main(clock: LabClock) -> int:
        async def sleeper(seconds: int) -> None:
            for _ in range(10):
                await clock.sleep(seconds)

        await asyncio.gather(*(sleeper(seconds) for seconds in range(1, 1001)))
        return clock.now_ms()

    started = time.monotonic()
    assert run_lockstep(main) == LAB_EPOCH_MS + 10_000_000
    assert time.monotonic() - started < 5


def test_now_reaches_every_millisecond_slept_for():
    async def main(clock: LabClock) -> None:
        start = clock.now_ms()
        for count in range(1, 2_000):
            await clock.sleep(0.001)
            assert clock.now_ms() == start + count

    run_lockstep(main)


def test_time_stands_still_while_callbacks_are_ready():
    async def main(clock: LabClock) -> list[float]:
        seen = []
        timer = asyncio.create_task(clock.sleep(0.001))
        for _ in range(1_000):
            await asyncio.sleep(0)
            seen.append(clock.monotonic())
        await timer
        return seen

    assert len(set(run_lockstep(main))) == 1


def test_simultaneous_timers_fire_in_the_order_they_were_set_up_twice():
    async def main(clock: LabClock) -> list[int]:
        order: list[int] = []

        async def one(number: int) -> None:
            await clock.sleep(1 + number % 3)
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(300)))
        return order

    assert run_lockstep(main) == run_lockstep(main)


def test_an_executor_job_holds_the_clock():
    async def main(clock: LabClock) -> tuple[int, str]:
        before = clock.now_ms()
        alarm = asyncio.create_task(clock.sleep(3600))

        def work() -> str:
            time.sleep(0.05)
            return "done"

        answer = await asyncio.get_running_loop().run_in_executor(None, work)
        elapsed = clock.now_ms() - before
        alarm.cancel()
        return elapsed, answer

    assert run_lockstep(main) == (0, "done")


def test_a_job_nobody_waits_for_any_more_still_holds_the_clock():
    async def main(clock: LabClock) -> bool:
        finished = threading.Event()

        def work() -> None:
            time.sleep(0.05)
            finished.set()

        started = threading.Event()
        job = asyncio.ensure_future(asyncio.to_thread(lambda: (started.set(), work())))
        await asyncio.sleep(0)
        started.wait()
        job.cancel()
        await clock.sleep(3600)
        return finished.is_set()

    assert run_lockstep(main)


def test_a_failing_job_raises_where_it_is_awaited():
    async def main(clock: LabClock) -> None:
        await asyncio.to_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        run_lockstep(main)


def test_a_thread_can_wake_the_loop_while_it_is_held():
    async def main(clock: LabClock) -> int:
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        timer = asyncio.create_task(clock.sleep(60))
        before = clock.now_ms()
        with clock.hold():
            thread = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(woken.set))
            thread.start()
            await woken.wait()
            elapsed = clock.now_ms() - before
        thread.join()
        await timer
        return elapsed

    assert run_lockstep(main) == 0


def test_nothing_scheduled_is_an_error_that_names_the_task_instead_of_hanging():
    async def main(clock: LabClock) -> None:
        async def forgotten() -> None:
            await asyncio.Event().wait()

        await asyncio.create_task(forgotten(), name="the-forgotten-one")

    with pytest.raises(LockstepError, match=r"nothing is scheduled.*the-forgotten-one at .*forgotten:\d+"):
        run_lockstep(main)


def test_a_world_that_never_ends_is_stopped_after_its_virtual_maximum():
    async def main(clock: LabClock) -> None:
        while True:
            await clock.sleep(3600)

    with pytest.raises(LockstepError, match=r"2 virtual days without ending.*Task-"):
        run_lockstep(main, max_virtual_s=2 * 86_400)


def test_a_speed_that_is_no_speed_is_refused():
    async def main(clock: LabClock) -> None: ...

    for speed in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="expected a number above 0"):
            run_lockstep(main, speed=speed)


@pytest.mark.parametrize("speed", ["None", "1", "1000"])
def test_ctrl_c_cancels_main_and_lets_it_clean_up(speed: str):
    program = f"""
import asyncio
from burster.lab.lockstep import run_lockstep
async def main(clock):
    print("up", flush=True)
    try:
        while True:
            await clock.sleep(0.5)
    finally:
        await clock.sleep(0.01)
        print("cleaned", flush=True)
try:
    run_lockstep(main, speed={speed}, max_virtual_s=1e12)
except KeyboardInterrupt:
    print("interrupted")
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert rest == "cleaned\ninterrupted\n"
