"""Runs a trace through the virtual world and the engine: the same engine, on a clock that jumps.

Called by `burster simulate` and by tests. Between two instants nothing happens, so nothing is stepped: the engine itself says when time
alone would make it do something. Same setup, same outcome, byte for byte.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from burster.engine import REQUIRED_SOURCES, StepResult, initial_state, next_due_ms, step
from burster.engine.numbers.replica_gates import workload_of
from burster.model import stimuli as s
from burster.model.decisions import Decision
from burster.model.errors import BursterError
from burster.model.limits import Limits
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import Policy
from burster.model.targets import Target
from burster.simulator.cloud import Cloud
from burster.simulator.cloud_model import CloudModel
from burster.simulator.hands import Hands, Latency
from burster.simulator.onprem import OnPrem, Scoring
from burster.simulator.readings import Readings, Series
from burster.simulator.scaled import SimWorkload
from burster.simulator.timeline import Timeline
from burster.simulator.traces.model import Trace
from burster.simulator.world import World


#: An engine that is stepped this often at one instant goes round in circles.
_STEPS_AT_ONCE_MAX: Final = 100_000
_PROGRESS_EVERY: Final = 512
#: Verdicts that keep a pod from bursting, and those of their reasons that are no limit: the trigger has not fired yet.
_REFUSALS: Final = frozenset({"Wait", "Deny"})
_TRIGGER_CODES: Final = frozenset({"TooYoung", "TooFew"})


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what comes out of a run."""

    trace: Trace
    nodes: tuple[Resources, ...]
    scoring: Scoring = "LeastAllocated"
    policies: tuple[Policy, ...] = ()
    targets: tuple[Target, ...] = ()
    offerings: tuple[Offering, ...] = ()
    cloud: CloudModel = CloudModel()
    latency: Latency = Latency()
    limits: Limits = Limits()  #: of the cluster: of all policies at all targets together
    namespaces: dict[
        str, dict[str, str]
    ] = {}  #: labels; a namespace of the trace or a policy that is not here has none
    metrics: tuple[Series, ...] = ()
    workloads: tuple[SimWorkload, ...] = ()  #: those that policies scale
    seed: int = 0
    epoch_ms: int = 0
    #: how long who still waits is waited for, after the last thing that happened in the world
    patience_ms: int = 86_400_000


class Outcome(msgspec.Struct, kw_only=True):
    """What a run left behind: its world, for whoever sums it up."""

    world: World
    cloud: Cloud
    hands: Hands
    timeline: Timeline
    ended_ms: int
    steps: int
    decisions: int
    denials: dict[str, int]
    verdicts: dict[str, int]


class EngineLoopError(BursterError):
    """The engine keeps asking to be stepped without time passing: a bug in it, never in the input."""


#: Hears of every engine step: the epoch time, what went in, what came out.
OnStep = Callable[[int, Sequence[s.Stimulus], StepResult], None]
#: Hears now and then how many entries of the trace have arrived, and of the time.
OnProgress = Callable[[int, int], None]


def _nobody(*_: object) -> None:
    """Hear nothing."""


def simulate(setup: Setup, on_step: OnStep = _nobody, on_progress: OnProgress = _nobody) -> Outcome:
    """Play the trace to its end and until everything is home."""
    return _Run(setup, on_step).play(on_progress)


class _Run:
    """One run under way."""

    def __init__(self, setup: Setup, on_step: OnStep) -> None:
        self.setup = setup
        self.on_step = on_step
        self.world = World(setup.trace, OnPrem(setup.nodes, setup.scoring), setup.epoch_ms)
        self.cloud = Cloud(model=setup.cloud, seed=setup.seed)
        self.hands = Hands(
            self.world,
            self.cloud,
            {target.name: target for target in setup.targets},
            {offering.key: offering for offering in setup.offerings},
            setup.latency,
        )
        self.hands.numbers.followers = {
            policy.key: (policy.namespace, policy.scaling.target.kind, policy.scaling.target.name)
            for policy in setup.policies
            if policy.placement.strategy == "Signal" and policy.scaling.target is not None
        }
        self.hands.machines.stands_in_for = {
            policy.key: policy.workload.name
            for policy in setup.policies
            if policy.machine is not None and policy.workload.kind == "Deployment" and policy.workload.name
        }
        self.hands.patience_ms = setup.patience_ms
        self.world.watched = self._watched()
        self.readings = Readings(self.world, setup.policies, setup.metrics, setup.patience_ms)
        self.readings.at_work = lambda: bool(self.hands.live or self.hands.scaled.extra)
        self.timeline = Timeline()
        self.state = initial_state()
        self.due_ms: int | None = None
        self.steps = 0
        self.decisions = 0
        self.denials: dict[str, int] = {}
        self.verdicts: dict[str, int] = {}

    def play(self, on_progress: OnProgress) -> Outcome:
        """Go from instant to instant until nothing is left to happen."""
        self.world.outbox += self._opening()
        self.hands.scaled.start(self.setup.workloads)
        self.readings.start()
        now_ms: int | None = 0
        turn = 0
        while now_ms is not None:
            self._instant(now_ms)
            turn += 1
            if turn % _PROGRESS_EVERY == 0:
                on_progress(self.world.arrived, now_ms)
            now_ms = self._next_ms()
        return Outcome(
            world=self.world,
            cloud=self.cloud,
            hands=self.hands,
            timeline=self.timeline,
            ended_ms=self.world.now_ms,
            steps=self.steps,
            decisions=self.decisions,
            denials=dict(sorted(self.denials.items())),
            verdicts=dict(sorted(self.verdicts.items())),
        )

    def _instant(self, now_ms: int) -> None:
        """Let the world happen, then the engine, until both have nothing more to do now."""
        rounds = 0
        while True:
            self.world.advance(now_ms)
            self.hands.settle_work()
            stimuli = self.world.take_outbox()
            due = self.due_ms is not None and self.due_ms <= now_ms
            if not stimuli and not due:
                break
            rounds += 1
            if rounds > _STEPS_AT_ONCE_MAX:
                raise EngineLoopError(f"the engine was stepped {rounds} times at {now_ms} ms and still asks for more")
            if due:
                stimuli.append(s.Tick(kind="evaluate"))
            self._step(stimuli, now_ms)
        self.timeline.note(self.world, self.cloud)

    def _step(self, stimuli: list[s.Stimulus], now_ms: int) -> None:
        result = step(self.state, stimuli, self.setup.epoch_ms + now_ms)
        self.state = result.state
        self.steps += 1
        self.on_step(self.setup.epoch_ms + now_ms, stimuli, result)
        for decision in result.decisions:
            self._count(decision)
        for instruction in result.instructions:
            self.hands.carry_out(instruction)
        for spend in result.spends:
            if spend.burst not in self.hands.tickets:  # a replica's: a burst says in its status what it cost
                self.hands.settled_micro_usd += spend.micro_usd
        due_ms = next_due_ms(self.state)
        self.due_ms = None if due_ms is None else due_ms - self.setup.epoch_ms

    def _count(self, decision: Decision) -> None:
        self.decisions += 1
        self.verdicts[decision.verdict] = self.verdicts.get(decision.verdict, 0) + 1
        code = decision.reasons[0].code
        if decision.verdict in _REFUSALS and code not in _TRIGGER_CODES:
            self.denials[code] = self.denials.get(code, 0) + 1

    def _next_ms(self) -> int | None:
        """Return the next instant, or None at the end: nothing more arrives, nothing runs on, and waiting longer is no use."""
        world_ms = self.world.next_ms()
        engine_ms = self.due_ms
        if world_ms is None:
            if not self.world.waiting and not self.hands.live and not self.hands.scaled.extra:
                return None
            if engine_ms is None or engine_ms > self.world.last_event_ms + self.setup.patience_ms:
                return None
            return engine_ms
        return world_ms if engine_ms is None else min(world_ms, engine_ms)

    def _opening(self) -> list[s.Stimulus]:
        """Return what the controller finds when it starts: rules, offers, a ledger that can be written, an empty cluster."""
        setup = self.setup
        opening: list[s.Stimulus] = [s.LedgerRestored(entries=()), s.LedgerHealth(writable=True)]
        opening += self._cluster()
        opening += [s.TargetSeen(target=target) for target in setup.targets]
        opening += [s.PolicySeen(policy=policy) for policy in setup.policies]
        for target in setup.targets:
            offered = tuple(offering for offering in setup.offerings if offering.target == target.name)
            opening.append(s.OfferingsSeen(target=target.name, offerings=offered))
            if setup.cloud.quota_vcpus:
                opening.append(s.QuotaSeen(target=target.name, rows=self.cloud.quota_rows(target)))
        sources: tuple[s.SourceName, ...] = ("pods", "policies", "targets", "bursts", "cloud-pods", "offerings")
        opening += [s.SourceSynced(source=source) for source in sources]
        if not set(sources) >= REQUIRED_SOURCES:
            raise EngineLoopError(
                f"the engine waits for {sorted(REQUIRED_SOURCES - set(sources))}, which never come here"
            )
        return opening

    def _watched(self) -> set[tuple[str, str]]:
        """Return the Deployments of the trace that policies take the template of, by namespace and name."""
        own = {one.key for one in self.setup.workloads}
        named = ((policy.namespace, workload_of(policy)) for policy in self.setup.policies if policy.numeric)
        return {
            (namespace, workload.name)
            for namespace, workload in named
            if workload is not None
            and workload.kind == "Deployment"
            and (namespace, workload.kind, workload.name) not in own
        }

    def _cluster(self) -> list[s.Stimulus]:
        """Return the cluster's own limits, and every namespace that anything is in."""
        setup = self.setup
        names = {policy.namespace for policy in setup.policies} | {entry.namespace for entry in setup.trace.entries}
        told: list[s.Stimulus] = [s.ClusterLimitsSeen(limits=setup.limits)]
        told += [
            s.NamespaceSeen(name=name, labels=setup.namespaces.get(name, {}))
            for name in sorted({*names, *setup.namespaces})
        ]
        return told
