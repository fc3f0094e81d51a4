"""The controller as a service: connections from settings, HTTP face, signals, a graceful stop. Called by `burster controller`.

A stop leaves what runs in the cloud running: the next controller adopts it. Bringing everything home is `burster drain`.
"""

import asyncio
import faulthandler
import random
import signal
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit

from burster.clients.arm import Arm
from burster.clients.arm_settings import check_way
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices
from burster.clients.trustee import TrusteeClient
from burster.ledger import Ledger
from burster.model.addresses import networks_of
from burster.model.errors import BursterError, RemoteError
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.runtime.askers import TokenGate
from burster.runtime.clock import SystemClock
from burster.runtime.dumps import StateDumps
from burster.runtime.elector import Elector, Leadership, LeaseTimes
from burster.runtime.logs import configure_logs
from burster.runtime.memory import OnceReady, settle
from burster.runtime.metering import Meter
from burster.runtime.preflight_poller import places_of
from burster.runtime.questions import Desk
from burster.runtime.replica import Replica, own_identity
from burster.runtime.wiring import Controller, ControllerOptions
from burster.settings import Settings
from burster.sources import policies
from burster.sources.metered_requests import RequestsPlace
from burster.sources.offerings import observe_offerings
from burster.sources.preflight import StandingChecks, World
from burster.sources.quota import observe_quota
from burster.surfaces.http import HttpSurface, make_app
from burster.surfaces.metrics import Metrics


#: how long a stop may take in all, whatever hangs: less than the 30 s after which Kubernetes kills, as killing tells nobody what hung
GRACE_S: Final = 25.0
#: `--once`: how long the API server may take to answer at all
_ASK_MS: Final = 10_000


def run_controller(settings: Settings, *, once: bool = False) -> None:
    """Run until SIGTERM or Ctrl-C; with ``once`` until everything seen at the start has been decided. Raises InputError."""
    clock = SystemClock()
    configure_logs(clock, level=settings.log.level, form=settings.log.format)
    settings.ledger_place.check()
    settle()
    try:
        asyncio.run(_serve(settings, clock, once=once))
    finally:
        faulthandler.cancel_dump_traceback_later()


async def _serve(settings: Settings, clock: SystemClock, *, once: bool) -> None:
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
        arm = await stack.enter_async_context(Arm(settings.arm.for_client(), now_ms=clock.now_ms))
        prices = await stack.enter_async_context(Prices(settings.prices.for_client(), now_ms=clock.now_ms))
        trustee = await stack.enter_async_context(TrusteeClient(settings.preflight.ca_file))
        checks = StandingChecks(
            World(
                api=kube,
                places=places_of(settings),
                cloud=arm,
                trustee=trustee,
                now_ms=clock.now_ms,
                dry_run=settings.dry_run,
                local_only=check_way(settings.arm.for_client()),
            )
        )
        title = f"{settings.cluster_id}, {_address(kube)}"
        metrics = Metrics()

        def make(ledger: Ledger, leadership: Leadership | None) -> Controller:
            controller = Controller(
                kube=kube,
                cloud=arm,
                facts=_Facts(arm, prices),
                ledger=ledger,
                clock=clock,
                options=_options(settings, title),
                authority=leadership,
                preflight=checks,
            )
            controller.listen(Meter(metrics, controller, clock))
            controller.listen(desk)
            controller.listen(OnceReady())
            return controller

        replica = Replica(
            settings.ledger_place,
            make,
            clock,
            elector=_elector(settings, kube, clock),
            dumps=StateDumps(settings.ledger_path.parent / "dumps"),
            title=title,
            tick_ms=settings.ticks.evaluate_ms,
        )
        metrics.view, metrics.signals, metrics.polls = replica.view, replica.signals, replica.polls
        metrics.checks = replica.checks
        metrics.cloud = arm.pace
        desk = Desk(lambda: replica.controller, replica.view, settings.ledger_place, clock)
        gate = TokenGate(kube, clock) if settings.http.questions == "token" else None
        app = make_app(replica.view, metrics, ailing=replica.ailing, questions=desk, gate=gate)
        await stack.enter_async_context(HttpSurface(app, settings.http.host, settings.http.port))
        with _signals(replica) as stop:
            await replica.run(stop, once=once)


def _elector(settings: Settings, kube: Kube, clock: SystemClock) -> Elector | None:
    """Return who is to be asked before anything is done; nobody, where a dry run is alone with its ledger."""
    if settings.dry_run and settings.replicas == 1:
        return None
    times = settings.election
    identity = own_identity()
    return Elector(
        kube,
        clock,
        namespace=settings.namespace,
        identity=identity,
        times=LeaseTimes(duration_ms=times.lease_ms, renew_deadline_ms=times.renew_ms, retry_ms=times.retry_ms),
        chance=random.Random(identity),  # noqa: S311 - jitter, not secrets
    )


def _options(settings: Settings, title: str) -> ControllerOptions:
    return ControllerOptions(
        dry_run=settings.dry_run,
        concurrency=settings.executor.concurrency,
        max_delay_ms=settings.batching.max_delay_ms,
        max_stimuli=settings.batching.max_stimuli,
        intervals_ms={
            "evaluate": settings.ticks.evaluate_ms,
            "gc": settings.ticks.gc_ms,
            "offerings": settings.ticks.offerings_ms,
            "preflight": settings.ticks.preflight_ms,
            "quota": settings.ticks.quota_ms,
        },
        namespace_max_policies=settings.namespace_max_policies,
        limits=settings.cluster_limits,
        home=settings.namespace,
        cluster=settings.cluster_id,
        onprem_pods_max=settings.onprem.pods_max,
        onprem_requests=_requests_place(settings),
        preflight_keep_ms=settings.preflight.keep_ms,
        title=title,
        metric_networks=networks_of(settings.metrics.networks),
    )


def _requests_place(settings: Settings) -> RequestsPlace | None:
    onprem = settings.onprem
    if not onprem.prometheus:
        return None
    return RequestsPlace(url=onprem.prometheus, token_file=onprem.token_file, ca_file=onprem.ca_file)


@contextmanager
def _signals(replica: Replica) -> Generator[asyncio.Event]:
    """Have SIGTERM and Ctrl-C ask for a stop, and SIGUSR2 for a dump of the state."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        # whatever does not end by itself, be it a thread that waits for a name server: this is a thread of C's, which nothing holds up
        faulthandler.dump_traceback_later(GRACE_S, exit=True)

    asked = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGUSR2: replica.dump}
    before = {number: signal.getsignal(number) for number in asked}
    for number, handler in asked.items():
        loop.add_signal_handler(number, handler)
    try:
        yield stop
    finally:
        for number, earlier in before.items():
            loop.remove_signal_handler(number)
            # who is still impatient now ends as any other command does
            signal.signal(number, earlier)


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


class _Facts:
    """What targets offer and may use, from ARM and the price list."""

    def __init__(self, arm: Arm, prices: Prices) -> None:
        self._arm = arm
        self._prices = prices

    async def offerings(self, target: Target) -> OfferingsSeen:
        return await observe_offerings(target, self._arm, self._prices)

    async def quota(self, target: Target) -> QuotaSeen:
        return await observe_quota(target, self._arm)
