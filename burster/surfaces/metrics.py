"""burster's own metrics, in a registry of their own.

The runtime counts what happens (`decided`, `stepped`, ...); gauges are read from the current StatusView when somebody scrapes. Labels
are bounded: policies, verdicts, codes, kinds, never pods or bursts; past a limit everything further is counted as ``other``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import burster
from burster.model.decisions import Decision
from burster.model.quantities import MICRO_USD_PER_USD
from burster.surfaces.cloud_metrics import paced
from burster.surfaces.view import StatusView


#: different label sets of one metric, then ``other``
LABEL_SETS_MAX: Final = 500
#: policies of one namespace that have labels of their own: whoever writes policies there leaves room for others'
POLICIES_NAMED_MAX: Final = 20
#: policies whose numbers are shown; each is acted on, so this is no place for ``other``
SIGNALS_MAX: Final = 5_000
#: checks of all targets together that are shown
CHECKS_MAX: Final = 2_000
OTHER: Final = "other"
_REACTION_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STEP_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_OUTSIDE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

M = TypeVar("M", bound=MetricWrapperBase)


class _Family(Generic[M]):
    """A metric whose children are kept, which is four times as fast as looking them up, and of which there are only so many."""

    def __init__(self, metric: M, label_count: int) -> None:
        self._metric = metric
        self._other = (OTHER,) * label_count
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *labels: str) -> M:
        """Return the child for these labels."""
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= LABEL_SETS_MAX:
                labels = self._other
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class Metrics:
    """Everything counted. One per controller; ``view`` is asked at each scrape and may be set later.

    ``signals`` gives policy, replicas wanted and whether it is active, of each policy that publishes a number; ``polls`` how many
    different queries there are, how many triggers ask them, how many failed the last time, and the age of the oldest value in seconds.
    """

    def __init__(
        self,
        view: Callable[[], StatusView] | None = None,
        *,
        signals: Callable[[], Iterable[tuple[str, int, bool]]] = tuple,
        polls: Callable[[], tuple[int, int, int, float]] = lambda: (0, 0, 0, 0.0),
    ) -> None:
        self.registry = CollectorRegistry()
        self.view = view
        self.signals = signals
        self.polls = polls
        #: target, check and verdict of the latest check of each target; may be set later
        self.checks: Callable[[], Iterable[tuple[str, str, str]]] = tuple
        #: the cloud's refusals for haste, seconds waited, seconds for which it is closed yet; may be set later
        self.cloud: Callable[[], tuple[int, float, float]] = lambda: (0, 0.0, 0.0)
        registry = self.registry
        self._decisions = _Family(
            Counter(
                "burster_decisions",
                "Decisions, by what settled them.",
                ("policy", "verdict", "code"),
                registry=registry,
            ),
            3,
        )
        self._stimuli = _Family(Counter("burster_stimuli", "Facts fed to the engine.", ("kind",), registry=registry), 1)
        self._instructions = _Family(
            Counter("burster_instructions", "Instructions that ended.", ("kind", "outcome"), registry=registry), 2
        )
        self._outside = _Family(
            Histogram(
                "burster_instruction_seconds",
                "How long instructions took.",
                ("kind",),
                buckets=_OUTSIDE_BUCKETS,
                registry=registry,
            ),
            1,
        )
        self._steps = Histogram(
            "burster_step_seconds", "How long the engine took for a step.", buckets=_STEP_BUCKETS, registry=registry
        )
        self._reaction = Histogram(
            "burster_reaction_seconds",
            "From the fact entering the controller to the written Burst.",
            buckets=_REACTION_BUCKETS,
            registry=registry,
        )
        self._decision = Histogram(
            "burster_event_to_decision_seconds",
            "From the first fact of a batch entering the controller to its decision to burst being on record.",
            buckets=_REACTION_BUCKETS,
            registry=registry,
        )
        self._action = Histogram(
            "burster_decision_to_action_seconds",
            "From a decision to burst being on record to the written Burst.",
            buckets=_REACTION_BUCKETS,
            registry=registry,
        )
        self._ledger_failures = Counter(
            "burster_ledger_failures", "Steps that could not be recorded.", registry=registry
        )
        self._reads = _Family(
            Counter(
                "burster_metric_reads",
                "Reads of triggers' metrics, by server and how they ended.",
                ("source", "outcome"),
                registry=registry,
            ),
            2,
        )
        self._read_seconds = _Family(
            Histogram(
                "burster_metric_read_seconds",
                "How long reads of triggers' metrics took.",
                ("source",),
                buckets=_OUTSIDE_BUCKETS,
                registry=registry,
            ),
            1,
        )
        self._watch_restarts = _Family(
            Counter("burster_watch_restarts", "Watches begun anew.", ("source", "why"), registry=registry), 2
        )
        self._policies: dict[str, set[str]] = {}  #: namespace -> policies that have labels of their own
        registry.register(_ViewCollector(self))

    def decided(self, decisions: Iterable[Decision]) -> None:
        """Count decisions."""
        for decision in decisions:
            code = decision.reasons[0].code if decision.reasons else ""
            self._decisions.of(self._named(decision.policy), decision.verdict, code).inc()

    def _named(self, policy: str) -> str:
        """Return a policy as a label: beyond a number of them in a namespace its others, so that there is room for all."""
        namespace, _, name = policy.partition("/")
        known = self._policies.get(namespace)
        if known is None:
            if len(self._policies) >= LABEL_SETS_MAX:
                return policy
            known = self._policies[namespace] = set()
        if name in known or len(known) < POLICIES_NAMED_MAX:
            known.add(name)
            return policy
        return f"{namespace}/{OTHER}"

    def stepped(self, kinds: Sequence[str], seconds: float) -> None:
        """Count one engine step: the kinds of its stimuli and how long it took."""
        for kind in kinds:
            self._stimuli.of(kind).inc()
        self._steps.observe(seconds)

    def instruction_ended(self, kind: str, outcome: str, seconds: float) -> None:
        """Count an instruction that ended; ``outcome`` is ``ok`` or a RemoteKind."""
        self._instructions.of(kind, outcome).inc()
        self._outside.of(kind).observe(seconds)

    def burst_decided(self, seconds: float) -> None:
        """Count one decision to burst: from the fact to the decision on record."""
        self._decision.observe(seconds)

    def reacted(self, seconds: float, *, after_decision: float | None = None) -> None:
        """Count one reaction: from the fact, and from the decision on record, to the written Burst."""
        self._reaction.observe(seconds)
        if after_decision is not None:
            self._action.observe(after_decision)

    def ledger_failed(self) -> None:
        """Count a step that could not be recorded."""
        self._ledger_failures.inc()

    def watch_restarted(self, source: str, why: str) -> None:
        """Count a watch begun anew."""
        self._watch_restarts.of(source, why).inc()

    def metric_read(self, source: str, outcome: str, seconds: float) -> None:
        """Count a read of a trigger's metric; ``outcome`` is ``ok`` or what went wrong."""
        self._reads.of(source, outcome).inc()
        self._read_seconds.of(source).observe(seconds)

    def exposition(self) -> bytes:
        """Return everything in the text format that Prometheus scrapes."""
        return generate_latest(self.registry)


class _ViewCollector(Collector):
    """Gauges read from the view at scrape time: nothing is kept up to date for nobody."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("burster_build_info", "1, with the version.", labels=("version",))
        info.add_metric((burster.__version__,), 1)
        yield info
        yield _wanted(self._metrics.signals())
        yield _checked(self._metrics.checks())
        yield from _polled(*self._metrics.polls())
        yield from paced(*self._metrics.cloud())
        if self._metrics.view is not None:
            yield from _gauges(self._metrics.view())


def _wanted(signals: Iterable[tuple[str, int, bool]]) -> Metric:
    """Return what KEDA's prometheus trigger reads; a policy that is not active wants none."""
    wanted = GaugeMetricFamily(
        "burster_wanted_replicas", "Replicas that a policy with strategy Signal wants.", labels=("namespace", "policy")
    )
    for policy, replicas, active in islice(signals, SIGNALS_MAX):
        namespace, _, name = policy.partition("/")
        wanted.add_metric((namespace, name), replicas if active else 0)
    return wanted


def _checked(verdicts: Iterable[tuple[str, str, str]]) -> Metric:
    """Return the verdicts of the checks before any launch: a closed list of them for each target."""
    checked = GaugeMetricFamily(
        "burster_target_checks",
        "1 for what the latest check of a target has found.",
        labels=("target", "check", "verdict"),
    )
    for labels in islice(verdicts, CHECKS_MAX):
        checked.add_metric(labels, 1)
    return checked


def _polled(queries: int, triggers: int, failing: int, oldest_s: float) -> Iterator[Metric]:
    for name, text, value in (
        ("burster_metric_queries", "Different queries that are polled.", queries),
        ("burster_metric_triggers", "Triggers that ask them.", triggers),
        ("burster_metric_queries_failing", "Queries whose latest read gave nothing.", failing),
        ("burster_metric_oldest_seconds", "The age of the oldest value that is not missing.", oldest_s),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def _leaks(view: StatusView) -> Iterator[Metric]:
    leaked = GaugeMetricFamily(
        "burster_leaked_resources", "What is in the cloud and no record claims.", labels=("target", "kind")
    )
    costs = GaugeMetricFamily(
        "burster_leaked_usd_per_hour", "What that costs an hour, as far as it is ours.", labels=("target",)
    )
    by_target: dict[str, int] = {}
    for leak in view.leaks[:LABEL_SETS_MAX]:
        leaked.add_metric((leak.target, leak.kind), leak.count)
        by_target[leak.target] = by_target.get(leak.target, 0) + leak.cost_micro_usd_per_hour
    for target, cost in sorted(by_target.items()):
        costs.add_metric((target,), cost / MICRO_USD_PER_USD)
    yield leaked
    yield costs
    yield CounterMetricFamily(
        "burster_leaked_usd",
        "What VMs have cost that no record claimed.",
        value=view.leaked_micro_usd / MICRO_USD_PER_USD,
    )


def _gauges(view: StatusView) -> Iterator[Metric]:
    yield from _leaks(view)
    bursts = GaugeMetricFamily("burster_bursts", "Bursts, by phase.", labels=("phase",))
    for phase, count in sorted(view.bursts_by_phase.items()):
        bursts.add_metric((phase,), count)
    yield bursts
    onprem = view.onprem
    cpu = GaugeMetricFamily("burster_onprem_cpu_cores", "On-prem cpu, asked for and there.", labels=("what",))
    memory = GaugeMetricFamily("burster_onprem_memory_bytes", "On-prem memory, asked for and there.", labels=("what",))
    used = (("used", onprem.used),) if onprem.used_known else ()  # no sample is better than a wrong one
    for what, amount in (*used, ("allocatable", onprem.allocatable)):
        cpu.add_metric((what,), amount.cpu_millicores / 1000)
        memory.add_metric((what,), amount.memory_bytes)
    yield cpu
    yield memory
    spent = GaugeMetricFamily("burster_spent_usd", "Spent and reserved, by budget.", labels=("owner", "window", "what"))
    limits = GaugeMetricFamily("burster_budget_usd", "Budgets, where there are any.", labels=("owner", "window"))
    for budget in view.budgets[:LABEL_SETS_MAX]:
        labels = (budget.owner, budget.window)
        spent.add_metric((*labels, "spent"), budget.spent_micro_usd / MICRO_USD_PER_USD)
        spent.add_metric((*labels, "reserved"), budget.reserved_micro_usd / MICRO_USD_PER_USD)
        if budget.limit_micro_usd is not None:
            limits.add_metric(labels, budget.limit_micro_usd / MICRO_USD_PER_USD)
    yield spent
    yield limits
    for name, text, value in (
        ("burster_pending_pods", "Pods that no on-prem node takes.", view.pending_total),
        ("burster_ready", "1 where every source has synced and the ledger can be written.", int(view.ready)),
        ("burster_leader", "1 on the replica that acts.", int(view.leader)),
        ("burster_dry_run", "1 where nothing is changed.", int(view.dry_run)),
        ("burster_draining", "1 while everything comes home.", int(view.draining)),
    ):
        yield GaugeMetricFamily(name, text, value=value)
