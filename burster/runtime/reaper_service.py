"""The reaper as a service: connections from settings, an HTTP face with probes and metrics, signals. Called by `burster reaper`."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Literal

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from burster.adaptors.cluster_events import EventRecorder
from burster.clients.arm import Arm
from burster.clients.kube import Kube, KubeSettings
from burster.engine.reaping import ReapRules
from burster.engine.sweeping.inspecting import noun
from burster.model.errors import InputError, RemoteError
from burster.model.instructions import EmitEvent
from burster.model.targets import Target
from burster.policy.compile import compile_documents
from burster.policy.errors import as_wrong_input
from burster.policy.load import load_files
from burster.runtime.clock import Clock, SystemClock
from burster.runtime.logs import configure_logs
from burster.runtime.reaper import Reaped, Reaper, ReaperOptions, Round
from burster.runtime.reaper_cluster import ClusterReader
from burster.settings import Settings
from burster.surfaces.http import HttpSurface


_log = structlog.get_logger("burster.runtime.reaper")
#: a reaper that has got on with nothing for so many intervals, and for longer than a deletion may take, is to be started anew
_STALE_INTERVALS: Final = 10
_LONGEST_STEP_MS: Final = 1_200_000


def run_reaper(settings: Settings) -> None:
    """Go round until SIGTERM or Ctrl-C. Raises InputError."""
    clock = SystemClock()
    configure_logs(clock, level=settings.log.level, form=settings.log.format)
    asyncio.run(_serve(settings, clock))


def reap_once(settings: Settings) -> Round:
    """Go round once. Raises InputError, also where nothing could be looked at."""

    async def once() -> Round:
        async with AsyncExitStack() as stack:
            return await (await make_reaper(settings, SystemClock(), stack)).round()

    done = asyncio.run(once())
    if done.troubles and not done.listed:
        raise InputError("nothing could be looked at: " + "; ".join(done.troubles))
    return done


async def make_reaper(settings: Settings, clock: SystemClock, stack: AsyncExitStack) -> Reaper:
    """Return a reaper with its connections, which the stack closes. Raises InputError where nobody could tell what is whose."""
    own = settings.reaper
    targets = read_targets(own.targets) if own.targets else ()
    arm = await stack.enter_async_context(Arm(settings.arm.for_client(), now_ms=clock.now_ms))
    cluster, events = None, None
    if own.api == "kubernetes":
        try:
            kube = await stack.enter_async_context(
                await Kube.connect(
                    KubeSettings(
                        kubeconfig=settings.kube.kubeconfig,
                        context=settings.kube.context,
                        in_cluster=settings.kube.in_cluster,
                    )
                )
            )
        except InputError as error:
            if not targets:
                raise
            # a cluster that is gone may have taken its credentials along: that counts as one that does not answer
            _log.warning("reaper.no_credentials", why=str(error))
        else:
            cluster = ClusterReader(kube, clock.now_ms, home=settings.namespace)
            events = EventRecorder(kube, clock.now_ms, controller="burster.dev/reaper")
    return Reaper(
        arm,
        cluster,
        clock,
        ReaperOptions(
            cluster=settings.cluster_id,
            mode="Delete" if mode_of(settings) == "delete" else "Report",
            rules=ReapRules(grace_ms=own.grace_ms, max_age_ms=own.max_age_ms or None, skew_max_ms=own.skew_max_ms),
            interval_ms=own.interval_ms,
            per_round=own.per_round,
            targets=targets,
        ),
        tell=None if events is None else TargetEvents(events).tell,
        skew_ms=lambda: arm.clock_skew_ms,
    )


def read_targets(path: str) -> tuple[Target, ...]:
    """Return the Azure targets that a file or folder defines. Raises InputError."""
    if not Path(path).exists():
        raise InputError(f"{path} is not there: it is to hold the BurstTargets that the reaper looks after")
    with as_wrong_input():
        found = compile_documents(load_files([path])).targets
    targets = tuple(one for one in found if one.provider == "azure")
    if not targets:
        raise InputError(f"{path} holds no BurstTarget of provider azure: the reaper looks after nothing")
    return targets


def mode_of(settings: Settings) -> Literal["report", "delete"]:
    """Return what the reaper may do: in a dry run it only reports, whatever else it was told."""
    return "report" if settings.dry_run else settings.reaper.mode


class TargetEvents:
    """Tells of what was ended by Kubernetes events on the target, as long as there is an API server."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events

    async def tell(self, done: Reaped) -> None:
        """Write an event; one that can't be written is only logged."""
        one = done.finding
        ended = done.outcome == "Ended"
        message = f"{noun(one.resource.kind)} {one.resource.name}: {one.why}{'' if ended else '; ' + done.message}"
        event = EmitEvent(
            key=f"reaper/{one.resource.name}",
            namespace="",
            kind="BurstTarget",
            name=one.target,
            severity="Warning",
            reason="ReaperEnded" if ended else "ReaperFailed",
            message=message,
        )
        try:
            await self._events.emit(event)
        except RemoteError as error:
            _log.info("reaper.event_lost", why=str(error)[:300])


class ReaperMeter:
    """Counts rounds and what came of them."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._rounds = Counter("burster_reaper_rounds", "Rounds, by what could be asked.", ("api",), registry=registry)
        self._ended = Counter(
            "burster_reaper_outcomes",
            "What came of what may go.",
            ("target", "kind", "outcome"),
            registry=registry,
        )
        self._found = Gauge(
            "burster_reaper_resources",
            "What was found in the last round.",
            ("target", "kind", "code"),
            registry=registry,
        )
        self._troubles = Gauge(
            "burster_reaper_troubles", "What could not be read in the last round.", registry=registry
        )
        self._last = Gauge("burster_reaper_last_round_seconds", "When the last round began (epoch).", registry=registry)

    def __call__(self, done: Round) -> None:
        """Take a round in."""
        self._rounds.labels("away" if done.blind else "there").inc()
        self._last.set(done.at_ms / 1000)
        self._troubles.set(len(done.troubles))
        for trouble in done.troubles:
            _log.warning("reaper.trouble", why=trouble[:500])
        self._found.clear()
        for finding in done.findings:
            self._found.labels(finding.target, finding.resource.kind, finding.code).inc()
        for one in done.reaped:
            self._ended.labels(one.finding.target, one.finding.resource.kind, one.outcome).inc()

    def app(self, reaper: Reaper, settings: Settings, clock: Clock) -> web.Application:
        """Return the HTTP face: /livez and /metrics."""
        patience_ms = _STALE_INTERVALS * settings.reaper.interval_ms + _LONGEST_STEP_MS

        async def livez(_: web.Request) -> web.Response:
            stale = clock.now_ms() - reaper.progressed_ms > patience_ms
            return web.Response(text="nothing has got on for long\n" if stale else "ok\n", status=503 if stale else 200)

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

        app = web.Application()
        app.add_routes([web.get("/livez", livez), web.get("/metrics", metrics)])
        return app


async def _serve(settings: Settings, clock: SystemClock) -> None:
    async with AsyncExitStack() as stack:
        reaper = await make_reaper(settings, clock, stack)
        meter = ReaperMeter()
        app = meter.app(reaper, settings, clock)
        surface = await stack.enter_async_context(HttpSurface(app, settings.http.host, settings.http.port))
        _log.info(
            "reaper.started",
            mode=mode_of(settings),
            cluster=settings.cluster_id,
            api=settings.reaper.api,
            listening=surface.url,
        )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        going = asyncio.ensure_future(reaper.run(meter))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({going, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if going.done():
                going.result()
        finally:
            for task in (going, stopping):
                task.cancel()
            await asyncio.gather(going, stopping, return_exceptions=True)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
