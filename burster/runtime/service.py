"""The controller as a service: connections from settings, HTTP face, signals, a graceful stop. Called by `burster controller`.

A stop leaves what runs in the cloud running: the next controller adopts it. Bringing everything home is `burster drain`.
"""

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

import structlog

from burster.clients.arm import Arm, ArmSettings
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices, PriceSettings
from burster.engine import StepResult
from burster.ledger import Ledger, LedgerUnwritableError
from burster.model.errors import BursterError, InputError, RemoteError
from burster.model.stimuli import BurstRecorded, LedgerHealth, OfferingsSeen, QuotaSeen, Stimulus
from burster.model.targets import Target
from burster.runtime.clock import Clock, SystemClock
from burster.runtime.logs import configure_logs
from burster.runtime.wiring import Controller, ControllerOptions
from burster.settings import Settings
from burster.sources import policies
from burster.sources.offerings import observe_offerings
from burster.sources.quota import observe_quota
from burster.surfaces.http import HttpSurface, make_app
from burster.surfaces.metrics import Metrics


_log = structlog.get_logger("burster.runtime.service")
#: `--once`: nothing was decided or done for so long after the sources have synced
_QUIET_S = 1.0
_STOP_S = 5.0
#: `--once`: how long the API server may take to answer at all, and to deliver every list
_ASK_MS = 10_000
_READY_S = 120.0
_REACTIONS_WAITING_MAX = 10_000


def run_controller(settings: Settings, *, once: bool = False) -> None:
    """Run until SIGTERM or Ctrl-C; with ``once`` until everything seen at the start has been decided. Raises InputError."""
    clock = SystemClock()
    configure_logs(clock, level=settings.log.level, form=settings.log.format)
    try:
        ledger = Ledger.open(settings.ledger_path)
    except LedgerUnwritableError as error:
        raise InputError(str(error)) from error
    with ledger:
        asyncio.run(_serve(settings, clock, ledger, once=once))


async def _serve(settings: Settings, clock: SystemClock, ledger: Ledger, *, once: bool) -> None:
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(
            await Kube.connect(
                KubeSettings(
                    kubeconfig=settings.kube.kubeconfig,
                    context=settings.kube.context,
                    in_cluster=settings.kube.in_cluster,
                )
            )
        )
        if once:
            await _ask_once(kube)
        arm = await stack.enter_async_context(Arm(ArmSettings(base_url=settings.arm.base_url, auth=settings.arm.auth)))
        prices = await stack.enter_async_context(Prices(PriceSettings(base_url=settings.prices.url)))
        controller = Controller(
            kube=kube,
            cloud=arm,
            facts=_Facts(arm, prices),
            ledger=ledger,
            clock=clock,
            options=ControllerOptions(
                dry_run=settings.dry_run,
                concurrency=settings.executor.concurrency,
                max_delay_ms=settings.batching.max_delay_ms,
                max_stimuli=settings.batching.max_stimuli,
                intervals_ms={
                    "evaluate": settings.ticks.evaluate_ms,
                    "gc": settings.ticks.gc_ms,
                    "offerings": settings.ticks.offerings_ms,
                    "quota": settings.ticks.quota_ms,
                },
                limits=settings.cluster_limits,
                home=settings.namespace,
                title=f"{settings.cluster_id}, {_address(kube)}",
            ),
        )
        metrics = Metrics(controller.view, signals=lambda: controller.signals)
        controller.listen(_Meter(metrics, controller, clock))
        await stack.enter_async_context(
            HttpSurface(make_app(controller.view, metrics), settings.http.host, settings.http.port)
        )
        await _run_until_stopped(controller, clock, once=once, dry_run=settings.dry_run)


def _address(kube: Kube) -> str:
    """Return the API server's address for people, without a path: some proxies, and the lab, have a secret in it."""
    parts = urlsplit(kube.host)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def _ask_once(kube: Kube) -> None:
    """Find out whether there is anything to decide about: who asked for one answer must not wait for a cluster to come up."""
    try:
        await kube.get(policies.POLICIES_PATH, {"limit": 1}, deadline_ms=_ASK_MS)
    except RemoteError as error:
        if error.kind == "NotFound":
            raise BursterError(
                f"{_address(kube)} knows no BurstPolicy: install burster's CRDs there first (kubectl apply -k deploy)"
            ) from error
        raise BursterError(f"can't ask {_address(kube)} for BurstPolicies: {error}") from error


async def _run_until_stopped(controller: Controller, clock: SystemClock, *, once: bool, dry_run: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(controller.run(), name="controller")
    waiting = asyncio.create_task(_until_quiet(controller, clock) if once else stop.wait(), name="stop")
    stopping = asyncio.create_task(stop.wait(), name="signal")
    try:
        await asyncio.wait({running, waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await _finish_writes(controller, clock)
    finally:
        for task in (waiting, stopping, running):
            if not task.done():
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            # who is still impatient now ends as any other command does
            signal.signal(number, handler)
    left_running = 0 if dry_run else len(controller.active_bursts())
    _log.info("controller.stopped", bursts_left_running=left_running)


async def _finish_writes(controller: Controller, clock: SystemClock) -> None:
    """Let what is under way end, for a moment: the next controller would only have to find out."""
    until = clock.monotonic() + _STOP_S
    while controller.executor.busy and clock.monotonic() < until:
        await clock.sleep(0.05)


async def _until_quiet(controller: Controller, clock: SystemClock) -> None:
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


class _Facts:
    """What targets offer and may use, from ARM and the price list."""

    def __init__(self, arm: Arm, prices: Prices) -> None:
        self._arm = arm
        self._prices = prices

    async def offerings(self, target: Target) -> OfferingsSeen:
        return await observe_offerings(target, self._arm, self._prices)

    async def quota(self, target: Target) -> QuotaSeen:
        return await observe_quota(target, self._arm)


class _Meter:
    """Counts steps, decisions, instructions, reactions and what the sources went through."""

    def __init__(self, metrics: Metrics, controller: Controller, clock: Clock) -> None:
        self._metrics = metrics
        self._controller = controller
        self._clock = clock
        self._decided_at_s: dict[str, float] = {}
        self._stats: dict[tuple[str, str], int] = {}
        controller.executor.ended = metrics.instruction_ended

    def __call__(self, stimuli: list[Stimulus], result: StepResult, _now_ms: int) -> None:
        now_s = self._clock.monotonic()
        self._metrics.decided(result.decisions)
        self._metrics.stepped([type(stimulus).__name__ for stimulus in stimuli], self._controller.loop.step_seconds)
        for decision in result.decisions:
            if decision.verdict == "Burst":
                self._decided_at_s[decision.burst] = now_s - self._controller.loop.step_seconds
        for stimulus in stimuli:
            if isinstance(stimulus, BurstRecorded) and stimulus.key in self._decided_at_s:
                self._metrics.reacted(now_s - self._decided_at_s.pop(stimulus.key))
            elif isinstance(stimulus, LedgerHealth) and not stimulus.writable:
                self._metrics.ledger_failed()
        if len(self._decided_at_s) > _REACTIONS_WAITING_MAX:
            self._decided_at_s.clear()
        for name, stats in self._controller.source_stats.items():
            self._grown(name, "failed", stats.failures)
            self._grown(name, "listed", stats.lists)

    def _grown(self, source: str, why: str, total: int) -> None:
        before = self._stats.get((source, why), 0)
        self._stats[source, why] = total
        for _ in range(total - before):
            self._metrics.watch_restarted(source, why)
