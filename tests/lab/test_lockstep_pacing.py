"""speed: virtual time goes at most that much faster than real time, and people outside are answered at once."""

import asyncio
import socket
import threading
import time

import pytest
from aiohttp import web

from burster.lab.lockstep import LabClock, run_lockstep


@pytest.mark.parametrize(("speed", "virtual_s", "at_least_s"), [(1, 0.2, 0.19), (100, 20, 0.19), (0.5, 0.1, 0.19)])
def test_time_goes_no_faster_than_its_speed(speed: float, virtual_s: float, at_least_s: float):
    async def main(clock: LabClock) -> float:
        before = clock.monotonic()
        for _ in range(10):
            await clock.sleep(virtual_s / 10)
        return clock.monotonic() - before

    started = time.monotonic()
    assert run_lockstep(main, speed=speed) == pytest.approx(virtual_s)
    assert at_least_s <= time.monotonic() - started < at_least_s + 3


def test_time_lost_to_a_long_computation_is_caught_up_by_a_second_at_most():
    async def main(clock: LabClock) -> float:
        time.sleep(1.5)  # noqa: ASYNC251 - it stands for much work
        started = time.monotonic()
        await clock.sleep(14)  # 10 of these were earned in the second that counts
        return time.monotonic() - started

    assert 0.35 < run_lockstep(main, speed=10) < 3


def test_an_event_from_outside_moves_the_clock_by_the_time_that_passed_only():
    async def main(clock: LabClock) -> tuple[int, bytes]:
        async def hello(_: web.Request) -> web.Response:
            return web.Response(text=str(clock.now_ms() - started_at))

        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        sock = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, sock).start()
        port = sock.getsockname()[1]
        started_at = clock.now_ms()
        answers: list[bytes] = []

        def person() -> None:  # a thread stands for another process: its socket is not the loop's
            time.sleep(0.1)
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while data := connection.recv(4096):
                    answers.append(data)
            loop.call_soon_threadsafe(gone.set)

        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=person)
        thread.start()
        alarm = asyncio.create_task(clock.sleep(3600))
        await gone.wait()
        elapsed = clock.now_ms() - started_at
        alarm.cancel()
        thread.join()
        await runner.cleanup()
        return elapsed, b"".join(answers)

    started = time.monotonic()
    elapsed, answer = run_lockstep(main, speed=10)
    real_ms = (time.monotonic() - started) * 1000
    seen_ms = int(answer.rsplit(b"\r\n\r\n", 1)[1])
    assert 900 <= seen_ms <= elapsed <= real_ms * 10


def test_with_a_speed_and_nothing_scheduled_the_loop_waits_for_the_outside_instead_of_giving_up():
    async def main(clock: LabClock) -> float:
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        before = clock.monotonic()
        thread = threading.Timer(0.2, lambda: loop.call_soon_threadsafe(called.set))
        thread.start()
        await called.wait()
        thread.join()
        return clock.monotonic() - before

    assert 0.19 < run_lockstep(main, speed=1) < 3
