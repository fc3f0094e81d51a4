"""Everything of a controller, put together: one task tree, from sources to executor.

``Controller`` takes its connections as arguments, so that the cluster (``service``), the lab and tests run the very same object. Nothing
here decides.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from burster.adaptors.dry_run import DryRunAdaptor
from burster.adaptors.endpoint_slices import Reach, connect
from burster.adaptors.fence import Authority, FencedApi
from burster.adaptors.live import LiveAdaptor
from burster.adaptors.machine_cloud import MachineCloud
from burster.adaptors.policy_guard import PolicyGuard
from burster.adaptors.port import TargetBook, why_never
from burster.adaptors.signals import SignalBoard
from burster.clients.kube import Kube
from burster.clients.metric_addresses import Addresses
from burster.clients.metric_http import MetricHttp
from burster.engine import ACTIVE, State, StepResult
from burster.ledger import Ledger
from burster.model import stimuli as s
from burster.model.errors import BursterError
from burster.model.stimuli import Stimulus
from burster.runtime.batcher import Batcher
from burster.runtime.bus import Bus
from burster.runtime.clock import Clock
from burster.runtime.cloud_facts import CloudFacts, FactsPoller
from burster.runtime.controller_options import ControllerOptions
from burster.runtime.executor import Adaptor, Executor
from burster.runtime.live_places import live_places, refused
from burster.runtime.loop import Loop, StepListener
from burster.runtime.metric_poller import MetricPoller
from burster.runtime.place_facts import PlaceFacts
from burster.runtime.preflight_poller import Examiner, PreflightPoller
from burster.runtime.ticks import TickKind, start_ticks
from burster.runtime.views import Viewer
from burster.runtime.workload_facts import WorkloadPoller
from burster.sources import bursts, cloud_pods, cluster_stop, events, namespaces, nodes, pods, policies
from burster.sources.cloud_pods import CloudPods
from burster.sources.feed import Feed
from burster.sources.metered_requests import RequestMeter
from burster.sources.metrics import MetricReader
from burster.sources.reflector import Stats
from burster.sources.trigger_auth import TriggerAuth
from burster.surfaces.view import StatusView


_DRAIN_POLL_S: Final = 1.0
#: The longest budget window is a month: older spend is in the ledger, and no decision needs it.
_BUDGET_MEMORY_MS: Final = 32 * 86_400_000


class Controller:
    """One controller over given connections. ``run`` until cancelled; ``drain`` brings everything home first."""

    def __init__(  # noqa: PLR0913 - its connections, each by name
        self,
        *,
        kube: Kube,
        cloud: MachineCloud,
        facts: CloudFacts,
        ledger: Ledger,
        clock: Clock,
        options: ControllerOptions,
        listeners: tuple[StepListener, ...] = (),
        around: Callable[[Adaptor], Adaptor] = lambda adaptor: adaptor,
        authority: Authority | None = None,
        preflight: Examiner | None = None,
        reach: Reach = connect,
    ) -> None:
        """``authority``: without it nothing is written; None: nobody is asked. ``around`` wraps the adaptor: crash tests die in it.

        ``preflight``: who checks targets before anything starts there; None: nothing is held back for want of a check.
        ``reach``: who asks whether a machine's port answers.
        """
        self._kube = kube
        self._clock = clock
        self._options = options
        self._ledger = ledger
        self.bus = Bus()
        self._book = TargetBook()
        self._poller = FactsPoller(PlaceFacts(facts), self._post_read, clock)
        self.preflight = (
            None
            if preflight is None
            else PreflightPoller(preflight, self.bus.post, clock, keep_ms=options.preflight_keep_ms)
        )
        self._workloads = WorkloadPoller(kube, self.bus.post, self._workload_feed)
        self._http = MetricHttp(Addresses(networks=options.metric_networks, api_server=kube.host))
        reader = MetricReader(self._http, kube, TriggerAuth(kube, options.home))
        self.metrics = MetricPoller(reader, self.bus.post, clock, self._chance("metrics"), awake=self._has_replicas)
        self._oldest_fact_s: float | None = None
        self.source_stats: dict[str, Stats] = {}  #: what each source has been through, once ``run`` has begun
        self.viewer = Viewer(dry_run=options.dry_run, title=options.title)
        self.signals = SignalBoard()  #: the numbers that policies publish
        self._guard: PolicyGuard | None = None
        adaptor: Adaptor
        if options.dry_run:
            adaptor = DryRunAdaptor(self._still_pending, self._still_wanted)
        else:
            api = kube if authority is None else FencedApi(kube, authority)
            places = live_places(
                api, cloud, facts, self._book, clock.now_ms, authority, cluster=options.cluster, home=options.home
            )
            adaptor = live = LiveAdaptor(api, places, self.signals, clock.now_ms, home=options.home, reach=reach)
            self._guard = live.guard
        self.executor = Executor(around(adaptor), self.bus.post, concurrency=options.concurrency)
        batcher = Batcher(
            self.bus,
            clock,
            idle=lambda: self.executor.idle,
            max_delay_ms=options.max_delay_ms,
            max_stimuli=options.max_stimuli,
        )
        self.loop = Loop(
            bus=self.bus,
            batcher=batcher,
            executor=self.executor,
            ledger=ledger,
            clock=clock,
            listeners=(self._note, *listeners),
        )

    def listen(self, listener: StepListener) -> None:
        """Show every later step to somebody."""
        self.loop.listen(listener)

    @property
    def state(self) -> State:
        """The engine's state as it is now, to be looked at only."""
        return self.loop.state

    @property
    def unwritten(self) -> tuple[s.Spend, ...]:
        """What is settled and could not be written to the ledger yet."""
        return self.loop.unwritten

    def view(self) -> StatusView:
        """Return what people are shown."""
        return self.viewer.view(self.loop.state, self._clock.now_ms())

    def _note(self, _stimuli: list[Stimulus], result: StepResult, _now_ms: int) -> None:
        self.viewer.note(result.decisions, result.state)

    def _has_replicas(self, policy: str) -> bool:
        entry = self.loop.state.policies.get(policy)
        return entry is not None and entry.scaler is not None and entry.scaler.number > 0

    def _still_pending(self, key: str, uid: str) -> bool:
        entry = self.loop.state.pods.get(key)
        return entry is not None and entry.pod.uid == uid

    def _still_wanted(self, burst: str) -> bool:
        entry = self.loop.state.bursts.get(burst)
        return entry is not None and entry.withdraw is None

    def post(self, stimulus: Stimulus) -> None:
        """Put a fact on the bus; rules and ticks are noted by who needs them on the way."""
        if self._oldest_fact_s is None:
            self._oldest_fact_s = self._clock.monotonic()
        match stimulus:
            case s.TargetSeen(target=target) if why := why_never(target):
                self._poller.forget(target.name)
                stimulus = refused(target, why, stimulus.told)
            case s.TargetSeen(target=target):
                self._book.put(target)
                self._poller.target(target)
            case s.TargetGone(name=name) | s.TargetRefused(name=name):
                self._poller.forget(name)
            case s.PolicySeen(policy=policy):
                self._workloads.policy(policy)
                self.signals.policy_seen(policy.key)
                if self._guard is not None and not stimulus.guarded:
                    self._guard.forget(policy.key)
            case s.PolicyGone(key=key):
                self._workloads.forget(key)
                self.signals.policy_gone(key)
                if self._guard is not None:
                    self._guard.forget(key)
            case s.Tick(kind="evaluate"):
                self._workloads.wish()
            case s.Tick(kind="offerings"):
                self._poller.wish_all("offerings")
            case s.Tick(kind="quota"):
                self._poller.wish_all("quota")
            case _:
                pass
        self.metrics.hear(stimulus)
        self._post_read(stimulus)

    def _post_read(self, stimulus: Stimulus) -> None:
        """Put a fact on the bus that checks may judge by too."""
        if self.preflight is not None:
            self.preflight.hear(stimulus)
        self.bus.post(stimulus)

    def _intervals_ms(self) -> dict[TickKind, int]:
        return {
            kind: interval_ms
            for kind, interval_ms in self._options.intervals_ms.items()
            if kind != "preflight" or self.preflight is not None
        }

    async def run(self) -> None:
        """Watch, decide and act until cancelled. Raises BursterError where it can't go on and a new start helps."""
        oldest_ms = self._clock.now_ms() - _BUDGET_MEMORY_MS
        spends = tuple(spend for spend in self._ledger.spend() if spend.at_ms >= oldest_ms)
        began_ms, ended_ms = self._ledger.span_ms()
        since_ms = max(began_ms, oldest_ms) if ended_ms else self._clock.now_ms()
        decided = self._ledger.decided_bursts(since_ms)
        originals = self._ledger.originals(oldest_ms)
        self.post(s.LedgerRestored(entries=spends, decided=decided, since_ms=since_ms, originals=originals))
        self.post(s.ClusterLimitsSeen(limits=self._options.limits))
        self.post(cluster_stop.NOT_READ)
        ticks = start_ticks(self._clock, self.post, self._intervals_ms())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.executor.run(), name="executor")
                group.create_task(self._poller.run(), name="cloud-facts")
                if self.preflight is not None:
                    group.create_task(self.preflight.run(), name="preflight")
                group.create_task(self._workloads.run(), name="workloads")
                group.create_task(self.metrics.run(), name="metrics")
                for name, source in self._sources().items():
                    group.create_task(source, name=f"source-{name}")
                group.create_task(self.loop.run(), name="loop")
        except BaseExceptionGroup as group:
            raise _as_itself(group) from None
        finally:
            ticks.shutdown(wait=False)
            await self._http.close()

    def _sources(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return every source, ready to be run; each has its own generator, so that one's retries do not shift another's."""
        index = CloudPods()
        plain = {"pods": pods, "bursts": bursts, "namespaces": namespaces}
        feeds = {
            name: Feed(self._kube, self.post, self._clock, self._chance(name))
            for name in (*plain, "nodes", "policies", "cloud-pods", "events", "cluster-stop")
        }
        place = self._options.onprem_requests
        meter = None if place is None else RequestMeter(self._http, place)
        self.source_stats = {name: feed.stats for name, feed in feeds.items()}
        return {
            **{name: source.run(feeds[name]) for name, source in plain.items()},
            "policies": policies.run(feeds["policies"], most=self._options.namespace_max_policies),
            "nodes": nodes.run(feeds["nodes"], pods_max=self._options.onprem_pods_max, meter=meter),
            "cloud-pods": cloud_pods.run(feeds["cloud-pods"], index=index),
            "events": events.run(feeds["events"], index=index),
            "cluster-stop": cluster_stop.run(feeds["cluster-stop"], home=self._options.home),
        }

    def _workload_feed(self, name: str) -> Feed:
        """Return what the watch of one workload runs with; all of them are counted as one source, once there are any."""
        stats = self.source_stats.setdefault("workloads", Stats())
        return Feed(self._kube, self.post, self._clock, self._chance(f"workloads/{name}"), stats)

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self._options.seed}/{name}")  # noqa: S311 - jitter, not secrets

    async def drain(self, *, deadline_s: float) -> bool:
        """Bring everything home while ``run`` runs; return whether nothing is left. The deadline is in the clock's time."""
        self.post(s.DrainRequested())
        until = self._clock.monotonic() + deadline_s
        while self._clock.monotonic() < until:
            if not len(self.bus) and not self.executor.busy and not self.active_bursts():
                return True
            await self._clock.sleep(_DRAIN_POLL_S)
        return not self.active_bursts()

    @property
    def reading_facts(self) -> bool:
        """Whether what targets offer and may use, or what policies name, is still being read."""
        checking = self.preflight is not None and self.preflight.busy
        return self._poller.busy or self._workloads.busy or self.metrics.busy or checking

    def take_oldest_fact_s(self) -> float | None:
        """Return when the first fact came since this was last asked, on the clock's steady time; None where none has."""
        since_s, self._oldest_fact_s = self._oldest_fact_s, None
        return since_s

    async def finish(self, *, deadline_s: float, begun_only: bool = True) -> None:
        """Let what is under way end, for a while, and begin nothing more: the next controller would only have to find out.

        ``begun_only`` False: what has been decided is still carried out.
        """
        if begun_only:
            self.loop.hold()
            self.executor.hold()
        until = self._clock.monotonic() + deadline_s
        while self._clock.monotonic() < until:
            if not (self.executor.under_way if begun_only else self.executor.busy):
                return
            await self._clock.sleep(0.05)

    def left_running(self) -> int:
        """Return how many bursts go on without this controller; a dry run has none."""
        return 0 if self._options.dry_run else len(self.active_bursts())

    def active_bursts(self) -> list[str]:
        """Return the keys of bursts that are not released."""
        return [key for key, entry in self.loop.state.bursts.items() if entry.burst.status.phase in ACTIVE]


def _as_itself(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what ended the tasks, where it is one thing that is told to people in a sentence; else all of it."""
    known, others = group.split(BursterError)
    first: BaseException | None = known
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return group if others is not None or first is None else first
