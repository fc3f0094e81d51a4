"""Runs policy cases: tells the engine what is given, lets time pass, and compares what it decided with what was expected.

The engine is the controller's own; only the world around it is obliging. Each case begins with an engine that knows nothing, so that
cases can't lean on each other.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from burster.engine import State, initial_state, next_due_ms, step
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.decisions import Decision
from burster.model.policies import Policy
from burster.model.quantities import parse_duration_ms
from burster.simulator.cases import facts as told
from burster.simulator.cases.expectations import Seen, failures
from burster.simulator.cases.load import CaseFile, LoadedCase
from burster.simulator.cases.obliging import ObligingWorld
from burster.simulator.cases.schema import Expectation, Facts, Step


#: How many steps of the engine one case may take: more is a case that never comes to rest.
_STEPS_MAX: Final = 200_000


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation that was not met."""

    line: int
    message: str


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one case."""

    name: str
    line: int
    failures: tuple[Failure, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


def run_case(file: CaseFile, loaded: LoadedCase) -> CaseResult:
    """Run one case to its end, or to the first step whose expectations are not met."""
    run = _Run(file, loaded)
    found = list(run.play())
    return CaseResult(
        name=loaded.case.name, line=loaded.line, failures=tuple(found), decisions=tuple(run.seen.decisions)
    )


class _Run:
    """An engine, its world, and what was said so far."""

    def __init__(self, file: CaseFile, loaded: LoadedCase) -> None:
        self.file = file
        self.loaded = loaded
        self.state: State = initial_state()
        self.now_ms = loaded.at_ms
        self.world = ObligingWorld(targets={target.name: target for target in file.targets}, now_ms=self.now_ms)
        self.seen = Seen()
        self.policies: dict[str, Policy] = {policy.key: policy for policy in file.policies}
        self.namespace = file.policies[0].namespace
        self.readings: dict[tuple[str, str], told.Reading] = {}
        self.prices: dict[str, str] = {}
        self.restricted: dict[str, None] = {}
        self.pods: dict[str, str] = {}  #: key of a pending pod -> its uid
        self.polls: dict[str, int] = {}  #: policy key -> when its triggers are read next
        self.spent = 0  #: entries of the ledger that were given so far
        self.steps = 0

    def play(self) -> Iterator[Failure]:
        """Go through the case; yields what was not as expected, and stops after the step in which that was."""
        self._begin()
        case = self.loaded.case
        found = [*self._judge(case.expect, "expect")]
        yield from found
        for number, one in enumerate(case.steps):
            if found:
                return
            self.seen.begin_step()
            self._advance(self.now_ms + parse_duration_ms(one.after))
            found = [*self._happen(one, number), *self._judge(one.expect, "steps", number, "expect")]
            yield from found

    def _begin(self) -> None:
        rules: list[s.Stimulus] = [s.TargetSeen(target=target) for target in self.file.targets]
        rules += [s.PolicySeen(policy=policy) for policy in self.file.policies]
        rules += [s.NamespaceSeen(name=policy.namespace) for policy in self.file.policies]
        sources: tuple[s.SourceName, ...] = ("pods", "policies", "targets", "bursts", "cloud-pods")
        given = [self.file.given, self.loaded.case.given]
        news = [stimulus for one in given for stimulus in self._news(one)]
        offered = list(told.offerings(self.file.targets, self.prices, self.restricted))
        self._step([*rules, *offered, *news, *(s.SourceSynced(source=name) for name in sources)])
        self._advance(self.now_ms)

    def _happen(self, one: Step, number: int) -> list[Failure]:
        """Let a step's events happen; return those that could not."""
        failed: list[Failure] = []
        news = list(self._news(one))
        if one.prices or one.restricted:
            news = [*told.offerings(self.file.targets, self.prices, self.restricted), *news]
        for names, why in ((one.bound, "Bound"), (one.gone, "Gone")):
            for name in names:
                key = name if "/" in name else f"{self.namespace}/{name}"
                uid = self.pods.pop(key, "")
                namespace, _, short = key.partition("/")
                news.append(
                    s.PodLeft(namespace=namespace, name=short, uid=uid, why="Bound" if why == "Bound" else "Gone")
                )
        for nth, name in enumerate(one.finished):
            key = name if "/" in name else f"{self.namespace}/{name}"
            if not self.world.finish(key):
                line = self.loaded.line_of("steps", number, "finished", nth)
                message = f"pod {key} can't finish: it does not run in the cloud at that moment"
                failed.append(Failure(line=line, message=message))
        if one.policy_deleted is not None:
            news += [
                s.PolicyGone(key=key) for key in self.policies if one.policy_deleted in {key, key.partition("/")[2]}
            ]
        if one.drain:
            news.append(s.DrainRequested())
        if news:
            self._step(news)
        self._advance(self.now_ms)
        return failed

    def _news(self, given: Facts) -> Iterator[s.Stimulus]:
        """Yield what the engine is told of these facts now, and remember what is told again later."""
        if given.launch is not None:
            self.world.launch_ms = parse_duration_ms(given.launch)
        self.world.refuse |= given.refuse
        self.prices |= given.prices
        self.restricted |= dict.fromkeys(given.restricted)
        yield from told.world_facts(given, self.file.targets)
        if given.spent:
            spends = told.spends(given, self.file.policies, self.now_ms, first=self.spent)
            self.spent += len(given.spent)
            yield s.LedgerRestored(entries=tuple(spends))
        for workload in given.workloads:
            seen = told.workload_of(workload, self.namespace)
            self.world.workloads[seen.namespace, seen.kind, seen.name] = seen
            yield seen
        for entry in given.pods:
            for pod in told.pods_of(entry, self.namespace, self.now_ms):
                self.pods[pod.key] = pod.uid
                self.seen.groups.setdefault(f"{pod.namespace}/{entry.name}", {})[pod.key] = None
                yield s.PodSeen(pod=pod)
        for (key, trigger), reading in told.readings(given, self.file.policies):
            self.readings[key, trigger] = reading
            yield self._reading(key, trigger)
            self.polls.setdefault(key, self.now_ms + self.policies[key].scaling.polling_ms)

    def _reading(self, key: str, trigger: str) -> s.Stimulus:
        reading = self.readings[key, trigger]
        policy = self.policies[key]
        replicas = 0
        if isinstance(reading, told.UseFacts):
            replicas = reading.pods
        return told.reading_told(policy, trigger, reading, replicas, self.now_ms)

    def _advance(self, until_ms: int) -> None:
        """Let everything happen that is due until then, the engine's own timers included, in order of time."""
        while True:
            due = [
                moment
                for moment in (self.world.due_ms(), next_due_ms(self.state), *self.polls.values())
                if moment is not None
            ]
            now_ms = max(self.now_ms, min(due, default=until_ms))
            if not due or now_ms > until_ms:
                break
            self.now_ms = now_ms
            news = self.world.take(now_ms)
            for key in [key for key, moment in self.polls.items() if moment <= now_ms]:
                self.polls[key] = now_ms + self.policies[key].scaling.polling_ms
                news += [self._reading(policy, trigger) for policy, trigger in self.readings if policy == key]
            self._step(news)
        self.now_ms = self.world.now_ms = max(self.now_ms, until_ms)

    def _step(self, news: list[s.Stimulus]) -> None:
        self.steps += 1
        if self.steps > _STEPS_MAX:
            raise NeverRestsError(
                f"case {self.loaded.case.name!r} does not come to rest within {_STEPS_MAX} steps of the engine"
            )
        self.world.now_ms = self.now_ms
        result = step(self.state, news, self.now_ms)
        self.state = result.state
        self.seen.note(result.decisions)
        for instruction in result.instructions:
            if isinstance(instruction, i.RecordBurst):
                burst: Burst = instruction.burst
                self.seen.bursts[burst.key] = burst
            elif isinstance(instruction, i.SetScale | i.PublishSignal):
                self.seen.replicas[instruction.policy] = instruction.replicas
            self.world.carry_out(instruction)

    def _judge(self, expected: tuple[Expectation, ...], *path: str | int) -> Iterator[Failure]:
        for number, one in enumerate(expected):
            for message in failures(one, self.seen, self.state, self.policies, self.namespace):
                yield Failure(line=self.loaded.line_of(*path, number), message=message)


class NeverRestsError(RuntimeError):
    """A case in which the engine never waits: a bug in the engine, told with the case's name."""
