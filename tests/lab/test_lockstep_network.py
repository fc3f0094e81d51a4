"""Loopback traffic on the lock-step loop: no time passes between a write and its read, and the order of things is the same every run."""

import asyncio
import hashlib
import io
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from burster.lab.lockstep import LabClock, LockstepLoop, run_lockstep


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, **options: float) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        await runner.cleanup()


def test_requests_take_no_virtual_time_beyond_what_the_server_sleeps():
    async def main(clock: LabClock) -> None:
        async def handler(request: web.Request) -> web.Response:
            body = await request.read()
            await asyncio.sleep(0.25)
            return web.Response(body=body)

        async with serving(handler) as url, ClientSession() as session:
            for size in (0, 1, 70_000, 900_000):
                before = clock.now_ms()
                async with session.post(url, data=io.BytesIO(bytes(size))) as response:
                    assert len(await response.read()) == size
                assert clock.now_ms() - before == 250

    run_lockstep(main)


def test_twenty_clients_at_once_each_see_exactly_the_servers_delays():
    async def main(clock: LabClock) -> int:
        async def handler(request: web.Request) -> web.Response:
            await asyncio.sleep(int(request.query["ms"]) / 1000)
            return web.Response(body=bytes(100_000))

        async with serving(handler) as url, ClientSession() as session:

            async def client(number: int) -> None:
                for _ in range(20):
                    before = clock.now_ms()
                    async with session.get(f"{url}/?ms={number}") as response:
                        assert len(await response.read()) == 100_000
                    assert clock.now_ms() - before == number

            await asyncio.gather(*(client(number) for number in range(1, 21)))
            return clock.now_ms()

    run_lockstep(main)


def test_a_streamed_watch_delivers_every_line_at_the_instant_it_was_written():
    async def main(clock: LabClock) -> list[tuple[int, int]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for number in range(200):
                await asyncio.sleep(number % 7)
                await response.write(f"{clock.now_ms()}\n".encode().rjust(1 + (number * 997) % 100_000))
            return response

        seen: list[tuple[int, int]] = []
        async with (
            serving(handler) as url,
            ClientSession(timeout=ClientTimeout()) as session,
            session.get(url) as response,
        ):
            while line := await response.content.readline():
                seen.append((int(line), clock.now_ms()))
        return seen

    seen = run_lockstep(main)
    assert len(seen) == 200
    assert [read for _, read in seen] == [written for written, _ in seen]


def test_settled_comes_after_the_answer_to_a_request_under_way():
    async def main(clock: LabClock) -> None:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(body=bytes(1_000_000))

        async def get(session: ClientSession, url: str) -> int:
            async with session.get(url) as response:
                return len(await response.read())

        async with serving(handler) as url, ClientSession() as session:
            tasks = [asyncio.create_task(get(session, url)) for _ in range(5)]
            await clock.settled()
            assert [task.done() for task in tasks] == [True] * 5
            await asyncio.gather(*tasks)

    run_lockstep(main)


def test_a_reader_that_pauses_does_not_hold_the_clock_and_loses_nothing():
    async def main(clock: LabClock) -> tuple[int, int]:
        async def write(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(40):
                writer.write(bytes(1_000_000))
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(write, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=10_000)
        before, total = clock.now_ms(), 0
        await clock.sleep(5)  # the buffers are full by now: the writer waits for us, not for time
        while data := await reader.read(100_000):
            total += len(data)
        elapsed = clock.now_ms() - before
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return total, elapsed

    assert run_lockstep(main) == (40_000_000, 5_000)


@pytest.mark.parametrize("abort", [False, True], ids=["close", "reset"])
def test_the_end_of_a_connection_arrives_before_time_moves(abort: bool):
    async def main(clock: LabClock) -> int:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await clock.sleep(1)
            if abort:
                writer.transport.abort()
            else:
                writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        before = clock.now_ms()
        assert await reader.read() == b""
        elapsed = clock.now_ms() - before
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return elapsed

    assert run_lockstep(main) == 1_000


def test_a_refused_connection_and_one_that_is_closed_before_it_is_accepted_take_no_time():
    async def main(clock: LabClock) -> int:
        before = clock.now_ms()
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

        gone = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.transport.abort()
        await gone.wait()
        await clock.settled()
        server.close()
        await server.wait_closed()
        return clock.now_ms() - before

    assert run_lockstep(main) == 0


def test_connections_made_while_time_would_jump_are_accepted_first():
    async def main(clock: LabClock) -> list[int]:
        accepted: list[int] = []

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(clock.now_ms() - start)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        start = clock.now_ms()
        alarm = asyncio.create_task(clock.sleep(100))
        for _ in range(50):
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
        await alarm
        server.close()
        await server.wait_closed()
        return accepted

    assert run_lockstep(main) == [0] * 50


@pytest.mark.parametrize(
    ("pauses", "want_connections"),
    [
        pytest.param((10, 14, 14), 1, id="idle for less than either side's patience"),
        pytest.param((16, 16), 3, id="idle for longer than the client's 15 s"),
        pytest.param((1, 21, 1), 2, id="idle for longer than the server's 20 s"),
    ],
)
def test_idle_keep_alive_connections_end_by_virtual_time(pauses: tuple[int, ...], want_connections: int):
    async def main(clock: LabClock) -> int:
        ports: set[int] = set()

        async def handler(request: web.Request) -> web.Response:
            assert request.transport is not None
            ports.add(request.transport.get_extra_info("peername")[1])
            return web.Response()

        patience = 60.0 if max(pauses) > 20 else 15.0
        pool = TCPConnector(keepalive_timeout=patience)
        async with serving(handler, keepalive_timeout=20.0) as url, ClientSession(connector=pool) as session:
            for pause in (0, *pauses):
                await clock.sleep(pause)
                async with session.get(url) as response:
                    await response.read()
        return len(ports)

    assert run_lockstep(main) == want_connections


def test_a_time_out_strikes_at_its_exact_virtual_moment():
    async def main(clock: LabClock) -> int:
        async def handler(_: web.Request) -> web.Response:
            await asyncio.sleep(60)
            return web.Response()

        async with serving(handler) as url, ClientSession(timeout=ClientTimeout(total=2.5)) as session:
            before = clock.now_ms()
            with pytest.raises(TimeoutError):
                await session.get(url)
            return clock.now_ms() - before

    assert run_lockstep(main) == 2_500


def _busy_world_trace(seed: int) -> str:
    """Return a hash over who did what, in which order and when, in a world of 20 clients with random work."""

    async def main(clock: LabClock) -> str:
        digest = hashlib.sha256()

        async def handler(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            digest.update(f"server {request.path} {len(body)} {clock.now_ms()}\n".encode())
            response = web.StreamResponse()
            await response.prepare(request)
            dice = random.Random(f"{seed}/{request.path}")
            for _ in range(dice.randrange(4)):
                if dice.random() < 0.5:
                    await asyncio.sleep(dice.randrange(3) / 10)
                await response.write(bytes(dice.randrange(1, 200_000)))
            return response

        async with serving(handler) as url, ClientSession() as session:

            async def client(number: int) -> None:
                dice = random.Random(f"{seed}/client/{number}")
                for turn in range(15):
                    async with session.post(f"{url}/{number}/{turn}", data=bytes(dice.randrange(50_000))) as response:
                        size = len(await response.read())
                    digest.update(f"client {number} {turn} {size} {clock.now_ms()}\n".encode())
                    if dice.random() < 0.3:
                        await clock.sleep(dice.randrange(3) / 10)

            await asyncio.gather(*(client(number) for number in range(20)))
        return digest.hexdigest()

    return run_lockstep(main)


def test_the_same_world_runs_in_the_same_order_every_time():
    assert len({_busy_world_trace(1) for _ in range(3)}) == 1
    assert _busy_world_trace(1) != _busy_world_trace(2)


@pytest.mark.long
def test_the_same_world_runs_in_the_same_order_forty_times():
    assert len({_busy_world_trace(3) for _ in range(40)}) == 1


def test_nothing_is_remembered_of_connections_that_ended():
    async def main(clock: LabClock) -> tuple[int, ...]:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(headers={"Connection": "close"})

        async with serving(handler) as url, ClientSession() as session:
            for _ in range(50):
                async with session.get(url) as response:
                    await response.read()
        await clock.settled()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LockstepLoop)
        wire = loop._wire
        return len(wire._ends), len(wire._by_fd), len(wire.owed), len(wire._unaccepted)

    assert run_lockstep(main) == (0, 0, 0, 0)
