"""One controller process's life: it stands by, leads, hands over; and stands by again where it lost the lead.

Each lead has a ledger run and a Controller of its own: nothing of an earlier one is gone on with but what the cluster and the ledger tell.
A stop leaves what runs in the cloud running: the next controller adopts it.
"""

import asyncio
import socket
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog

from burster.ledger import Ledger, LedgerPlace, LedgerUnwritableError, StaleEpochError
from burster.model.errors import BursterError, InputError
from burster.runtime.clock import Clock
from burster.runtime.dumps import StateDumps
from burster.runtime.elector import Elector, Leadership, LeadershipLostError
from burster.runtime.metric_poller import PollNumbers
from burster.runtime.rotating import Rotating
from burster.runtime.wiring import Controller
from burster.surfaces.view import StatusView


_log = structlog.get_logger("burster.runtime.replica")
#: `--once`: nothing was decided or done for so long after the sources have synced
_QUIET_S: Final = 1.0
#: `--once`: how long the API server may take to deliver every list, and how long another's lease may take to end
_READY_S: Final = 120.0
_STAND_BY_S: Final = 20.0
#: how long what is under way may take at a stop: well below the 30 s that Kubernetes gives a pod
STOP_S: Final = 10.0
_LEDGER_AGAIN_S: Final = 5.0
#: a leader's loop that took no step for so long is stuck: there is a tick every few seconds
_STUCK_S: Final = 120.0
#: also where ticks are set to be rare: so many in a row are not missed by chance
_TICKS_MISSED: Final = 4


class Replica:
    """A process that may lead. ``elector`` None: it acts without asking anybody (a dry run changes nothing)."""

    def __init__(  # noqa: PLR0913 - what one process is made of, each by name
        self,
        place: LedgerPlace,
        make: Callable[[Ledger, Leadership | None], Controller],
        clock: Clock,
        *,
        elector: Elector | None,
        dumps: StateDumps,
        title: str = "",
        tick_ms: int = 15_000,
    ) -> None:
        """``tick_ms``: how often a loop takes a step at least, for ``ailing``."""
        self._place = place
        self._make = make
        self._clock = clock
        self._elector = elector
        self._dumps = dumps
        self._title = title
        self._stopping = False
        self._trouble = ""
        self._stuck_s = max(_STUCK_S, _TICKS_MISSED * tick_ms / 1000)
        self._moved = (0, 0.0)  #: steps when somebody last asked, and since when it is so many
        self.controller: Controller | None = None

    def view(self) -> StatusView:
        """Return what people are shown."""
        if self.controller is not None:
            return self.controller.view()
        holder = self._elector.holder if self._elector is not None else ""
        trouble = self._trouble or (self._elector.trouble if self._elector is not None else "starting")
        return StatusView(
            at_ms=self._clock.now_ms(),
            ready=not trouble,
            not_ready_because=trouble,
            leader=False,
            led_by=holder,
            title=self._title,
        )

    def ailing(self) -> str:
        """Return why this process should be restarted, in a sentence; empty while all is well."""
        steps = -1 if self.controller is None or self._stopping else self.controller.loop.steps_total
        now_s = self._clock.monotonic()
        if steps != self._moved[0] or steps < 0:
            self._moved = (steps, now_s)
        still_s = now_s - self._moved[1]
        return f"the loop has not moved for {still_s:.0f}s" if still_s > self._stuck_s else ""

    def signals(self) -> Iterable[tuple[str, int, bool]]:
        """Return the numbers that policies publish; none while this stands by, as the leader's are what counts."""
        return self.controller.signals if self.controller is not None else ()

    def polls(self) -> PollNumbers:
        """Return what is polled for triggers: nothing while this stands by."""
        return self.controller.metrics.numbers() if self.controller is not None else PollNumbers()

    def checks(self) -> Iterable[tuple[str, str, str]]:
        """Return target, check and verdict of what was checked before launches: nothing while this stands by."""
        preflight = None if self.controller is None else self.controller.preflight
        return () if preflight is None else preflight.verdicts()

    def dump(self) -> None:
        """Write the state to a file for somebody who looks for a fault."""
        if self.controller is None:
            _log.info("state.not_dumped", why="this replica stands by and has none")
            return
        self._dumps.write(self.controller.loop.state, self._clock.now_ms())

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> None:
        """Lead and stand by until ``stop``; with ``once`` until everything seen at the start has been decided.

        Raises InputError where the ledger is not to be had and nobody else could have it either, BursterError.
        """
        while not stop.is_set():
            try:
                await self._one_lead(stop, once=once)
            except LeadershipLostError:
                if once:
                    raise
                continue  # as a candidate like any other
            except StaleEpochError as error:
                # The Lease has been deleted and made anew, or another writes without one: the next epoch must be a later one.
                _log.error("ledger.stale", message=str(error))
                if self._elector is None or once:
                    raise
                self._elector.floor = max(self._elector.floor, error.latest)
                await _sleep_or(stop, 1.0)
                continue
            except LedgerUnwritableError as error:
                if not self._place.shared:
                    raise InputError(str(error)) from error
                self._trouble = str(error)
                _log.error("ledger.unavailable", message=str(error))
                if once:
                    raise
                await _sleep_or(stop, _LEDGER_AGAIN_S)
                continue
            return

    async def _one_lead(self, stop: asyncio.Event, *, once: bool) -> None:
        """Stand by until this is the leader, lead, and return when that is to end; or return before, at a stop."""
        if self._elector is None:
            await self._lead(None, stop, once=once)
            return
        leading = asyncio.create_task(
            self._elector.lead(lambda leadership: self._lead(leadership, stop, once=once)), name="lead"
        )
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait(
                {leading, stopping}, timeout=_STAND_BY_S if once else None, return_when=asyncio.FIRST_COMPLETED
            )
            if self.controller is None and not leading.done():
                leading.cancel()
                with suppress(asyncio.CancelledError):
                    await leading
                if not stop.is_set():
                    raise BursterError(
                        f"{self._elector.holder or 'nobody that can be asked'} leads here: two must not act at once; "
                        "stop it first, or try with --dry-run"
                        + (f" ({self._elector.trouble})" if self._elector.trouble else "")
                    )
                return
            await leading
        finally:
            for task in (stopping, leading):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _lead(self, leadership: Leadership | None, stop: asyncio.Event, *, once: bool) -> None:
        epoch = leadership.epoch if leadership is not None else None
        # a database is asked on another thread: the lease is to be renewed meanwhile
        ledger = await asyncio.to_thread(self._place.open, epoch) if self._place.shared else self._place.open(epoch)
        self._trouble = ""
        with ledger:
            controller = self._make(ledger, leadership)
            controller.listen(Rotating(ledger))
            self.controller = controller
            try:
                await self._until_stopped(controller, stop, once=once)
                step, sha256 = ledger.head
                _log.info(
                    "controller.stopped",
                    bursts_left_running=controller.left_running(),
                    ledger_step=step,
                    ledger_sha256=sha256,
                )
            finally:
                self.controller = None

    async def _until_stopped(self, controller: Controller, stop: asyncio.Event, *, once: bool) -> None:
        running = asyncio.create_task(controller.run(), name="controller")
        tasks: set[asyncio.Task[Any]] = {running, asyncio.create_task(stop.wait(), name="signal")}
        if once:
            tasks.add(asyncio.create_task(_until_quiet(controller, self._clock), name="quiet"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if running not in done:
                self._stopping = True
                await controller.finish(deadline_s=STOP_S, begun_only=stop.is_set())
            for task in done:
                await task
        except BaseExceptionGroup as group:
            stale = group.subgroup(StaleEpochError)
            if stale is not None:
                raise _first(stale) from group
            raise
        finally:
            self._stopping = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def own_identity() -> str:
    """Return a name for this process that no other has, not even its own successor in the same pod."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"


def _first(group: BaseExceptionGroup[StaleEpochError]) -> StaleEpochError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _sleep_or(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _until_quiet(controller: Controller, clock: Clock) -> None:
    started = quiet_since = clock.monotonic()
    seen = -1
    while clock.monotonic() - quiet_since < _QUIET_S:
        now, ready = controller.loop.steps_total, controller.loop.state.ready
        if now != seen or not ready or controller.executor.busy or controller.reading_facts:
            seen, quiet_since = now, clock.monotonic()
        if not ready and clock.monotonic() - started > _READY_S:
            raise BursterError(
                f"after {_READY_S:g}s not every list has been read from the API server: the log says which, and why"
            )
        await clock.sleep(0.05)
