"""An event loop whose time is virtual and moves in lock-step with what happens.

Everything of a demo or a test runs in one process and one loop: API server, ARM, CAA and the controller, over real loopback sockets.
Time jumps to the next due timer only when nothing can happen any more at the present instant: no callback is ready, no byte is on its
way between two ends in this process (burster.lab.loopback), no executor job runs. So an hour of sleeping costs nothing, a request never
loses time to the machine's load, and the same seed gives the same run. With ``speed`` time is also held to that multiple of real time.

Used by the demo, by ``lab up`` and by tests, through run_lockstep. It must never be used in a cluster.

What it can't see: raw ``sock_recv``/``sock_accept``, datagrams, native threads that report by ``call_soon_threadsafe`` without
run_in_executor, and other processes; LabClock.hold() stops time for those.
"""

import asyncio
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar, TypeVarTuple

from aiohttp import connector

from burster.lab.loopback import address_of
from burster.lab.readiness import CompleteSelector, Events, LockstepError, Patience


T = TypeVar("T")
Ts = TypeVarTuple("Ts")
#: Monday 2026-01-05 08:00 UTC: where the lab's wall clock starts unless told otherwise
LAB_EPOCH_MS: Final = 1_767_600_000_000
#: the loop's time at that moment: as on a real machine it is not zero, which some libraries take for "not set"
_ORIGIN_S: Final = 1_000.0
_MAX_VIRTUAL_S: Final = 400 * 86_400.0
_POLL_S: Final = 0.01
#: how far (real) time may lag behind its speed and still catch up
_CATCH_UP_S: Final = 1.0
_ROUNDS_MAX: Final = 100_000
_NAMES_MAX: Final = 10
_LOOPBACK: Final = ("127.", "::1", "localhost")


class LockstepLoop(asyncio.SelectorEventLoop):
    """The loop. ``speed`` None: as fast as possible; 1: ordinary time; 60: a minute a second at most."""

    def __init__(self, *, speed: float | None = None, max_virtual_s: float = _MAX_VIRTUAL_S) -> None:
        self._now = _ORIGIN_S
        self._jobs = 0
        self._holds = 0
        self._rounds = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._speed = speed
        self._end: Final = _ORIGIN_S + max_virtual_s
        self._eyes: Final = CompleteSelector()
        self._wire: Final = self._eyes.wire
        super().__init__(self._eyes)
        self._workers: Final = ThreadPoolExecutor(max_workers=4, thread_name_prefix="lockstep")
        self.set_default_executor(self._workers)
        self._eyes.idle = self._idle
        self._eyes.outside = self._outside
        # where real and virtual time were last known to agree
        self._real_anchor = time.monotonic()
        self._virtual_anchor = self._now

    def time(self) -> float:
        """Return the virtual time in seconds: constant while callbacks run."""
        return self._now

    # -- time moves only below --------------------------------------------------------------------------------------------

    def _move_to(self, now: float) -> None:
        if now > self._end:
            raise LockstepError(
                f"the lab ran for {(self._end - _ORIGIN_S) / 86_400:g} virtual days without ending: "
                f"raise max_virtual_s if that is meant; tasks: {self._tasks()}"
            )
        self._rounds = 0
        self._now = max(self._now, now)

    def _paced(self, speed: float) -> float:
        """Return the virtual time that ``speed`` allows by now."""
        return self._virtual_anchor + (time.monotonic() - self._real_anchor) * speed

    def _forgive_lag(self, speed: float) -> None:
        """Give up time lost to much work: a demo that lagged must not rush afterwards."""
        lag = (self._paced(speed) - self._now) / speed
        if lag > _CATCH_UP_S:
            self._real_anchor += lag - _CATCH_UP_S

    def _outside(self, timeout: float | None) -> None:
        """Let time pass up to now for an event from outside, where there is a speed; else a busy outsider would stop the clock."""
        if self._speed is not None and not self._held() and not self._waiters:
            self._forgive_lag(self._speed)
            limit = float("inf") if timeout is None else self._now + timeout
            self._move_to(max(self._now, min(limit, self._paced(self._speed))))

    def _held(self) -> bool:
        return bool(self._jobs or self._holds) or self._wire.is_connecting()

    def _idle(self, timeout: float | None) -> Events:
        """Nothing is ready and nothing arrives by itself: wait for what is in flight, wake who waits for that, or let time pass."""
        patience = Patience(self._wire)
        while self._held():
            if events := self._eyes.poll(_POLL_S):
                return events
            if not (self._jobs or self._holds):  # these may take as long as they need
                patience.check()
        if self._waiters:
            self._wake_settled()
            return []
        if self._speed is None:
            if timeout is None:
                raise LockstepError(
                    "nothing is scheduled and nothing is under way, so the lab would wait for ever "
                    f"(give it a speed to wait for the outside); tasks: {self._tasks()}"
                )
            self._move_to(self._now + timeout)
            return []
        return self._wait_in_real_time(timeout, self._speed)

    def _wait_in_real_time(self, timeout: float | None, speed: float) -> Events:
        self._forgive_lag(speed)
        if timeout is None:
            events = self._eyes.poll(None)
            self._move_to(self._paced(speed))
            return events
        due = self._now + timeout
        behind = due - self._paced(speed)
        events = self._eyes.poll(behind / speed) if behind > 0 else []
        self._move_to(max(self._now, min(due, self._paced(speed))) if events else due)
        return events

    def _wake_settled(self) -> None:
        self._rounds += 1
        if self._rounds > _ROUNDS_MAX:
            raise LockstepError(
                f"settled() was awaited {_ROUNDS_MAX} times without time moving; tasks: {self._tasks()}"
            )
        for _ in range(len(self._waiters)):
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _tasks(self) -> str:
        names: list[str] = []
        for task in sorted(asyncio.all_tasks(self), key=lambda task: task.get_name()):
            frames = task.get_stack(limit=1)
            where = f" at {frames[0].f_code.co_qualname}:{frames[0].f_lineno}" if frames else ""
            names.append(f"{task.get_name()}{where}")
        return "; ".join(names[:_NAMES_MAX]) + (
            f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
        )

    async def settled(self) -> None:
        """Wait until nothing can happen any more at this instant; all who wait at that moment go on together."""
        waiter: asyncio.Future[None] = self.create_future()
        self._waiters.append(waiter)
        await waiter

    def hurry(self) -> None:
        """Hold time to no speed any more: nobody wants to watch what is left."""
        self._speed = None

    @contextmanager
    def hold(self) -> Generator[None]:
        """Stop the clock for something the loop can't see."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    # -- what has to be seen to know what is in flight ----------------------------------------------------------------------

    def run_in_executor(  # type: ignore[override]  # the base returns a Future by way of a plain def, too
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> "asyncio.Future[T]":
        """Run ``func`` in a thread; the clock stands until its result is here, also where nobody waits for it any more."""
        job: Future[T] = (executor or self._workers).submit(func, *args)
        self._jobs += 1
        outcome = asyncio.wrap_future(job, loop=self)
        # added after wrap_future's own callback: the result is delivered before the job stops counting
        job.add_done_callback(lambda _: self._report_job())
        return outcome

    def _report_job(self) -> None:
        try:
            self.call_soon_threadsafe(self._end_job)
        except RuntimeError:  # the loop was closed before the thread was done
            return

    def _end_job(self) -> None:
        self._jobs -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """Wait for the threads to end, with time standing."""
        with self.hold():
            await super().shutdown_default_executor(*args, **kwargs)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; towards this machine the clock stands until that is done."""
        destination = address_of(address)
        if destination is None or not destination[0].startswith(_LOOPBACK):
            return await super().sock_connect(sock, address)
        fd = sock.fileno()
        self._wire.connecting[fd] = destination
        try:
            return await super().sock_connect(sock, address)
        finally:
            self._wire.connecting.pop(fd, None)

    def _start_serving(self, protocol_factory: Any, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self._wire.listen(sock)
        super()._start_serving(protocol_factory, sock, *args, **kwargs)  # type: ignore[misc]

    def _stop_serving(self, sock: socket.socket) -> None:
        self._wire.unlisten(sock)
        super()._stop_serving(sock)  # type: ignore[misc]

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        return super()._make_socket_transport(self._wire.adopt(sock), *args, **kwargs)  # type: ignore[misc]

    def _make_ssl_transport(self, rawsock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        return super()._make_ssl_transport(self._wire.adopt(rawsock), *args, **kwargs)  # type: ignore[misc]

    async def _sendfile_native(self, *_: Any) -> int:
        """Refuse: bytes that go past CountedSocket.send would not be counted. The caller falls back to read and send."""
        raise asyncio.SendfileNotAvailableError("the lock-step loop counts every byte")


class LabClock:
    """The lab's Clock: virtual time, and the loop's knowledge of what is under way."""

    def __init__(self, loop: LockstepLoop, epoch_ms: int = LAB_EPOCH_MS) -> None:
        self._loop = loop
        self._epoch_ms = epoch_ms

    def now_ms(self) -> int:
        """Return virtual epoch milliseconds: exactly reached by a sleep of that many milliseconds."""
        return self._epoch_ms + round((self._loop.time() - _ORIGIN_S) * 1000)

    def monotonic(self) -> float:
        """Return the loop's virtual seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)

    async def settled(self) -> None:
        """Return when nothing can happen any more at this virtual instant, before time moves."""
        await self._loop.settled()

    def hurry(self) -> None:
        """From now on go as fast as this machine can, whatever speed was asked for."""
        self._loop.hurry()

    @contextmanager
    def hold(self) -> Generator[None]:
        """Stop the clock while something outside the loop's sight works: another process, a native thread."""
        with self._loop.hold():
            yield


@contextmanager
def _pooled_connections_age_by(loop: LockstepLoop) -> Generator[None]:
    """Let aiohttp's client pool measure idleness on the loop: it is the one part that reads the machine's clock by itself.

    Otherwise how long a run takes in real time would decide which connections are made anew.
    """
    original = connector.monotonic  # type: ignore[attr-defined]
    connector.monotonic = loop.time  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connector.monotonic = original  # type: ignore[attr-defined]


@contextmanager
def _cancelled_by_interrupts(loop: LockstepLoop) -> Generator[None]:
    """Cancel the current task at the first Ctrl-C, between two callbacks.

    Further ones must not disturb the way out: asyncio's own answer to them is to raise inside of whatever runs just then.
    """
    task = asyncio.current_task(loop)
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[bool] = []

    def interrupt() -> None:
        if not interrupts:
            interrupts.append(task.cancel())

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if any(interrupts):
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def run_lockstep(
    main: Callable[[LabClock], Awaitable[T]],
    *,
    speed: float | None = None,
    epoch_ms: int = LAB_EPOCH_MS,
    max_virtual_s: float = _MAX_VIRTUAL_S,
) -> T:
    """Run ``main`` on a lock-step loop of its own and return its result.

    The first Ctrl-C cancels it, and KeyboardInterrupt is raised where that ends it; later ones change nothing any more.

    Raises LockstepError when nothing is scheduled any more, or after ``max_virtual_s`` virtual seconds.
    """
    if speed is not None and not 0 < speed < float("inf"):
        raise ValueError(f"speed is {speed}: expected a number above 0")
    loop = LockstepLoop(speed=speed, max_virtual_s=max_virtual_s)

    async def body() -> T:
        with _cancelled_by_interrupts(loop):
            return await main(LabClock(loop, epoch_ms))

    with _pooled_connections_age_by(loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(body())
