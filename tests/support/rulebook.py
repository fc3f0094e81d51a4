"""What must hold after each step of a ``WideWorld``, judged by what the engine was told and by nothing it thinks of that itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from burster.engine import ACTIVE, ANSWERING, StepResult, next_due_ms
from burster.engine.numbers.scaler import ScaleBook
from burster.engine.state import BurstEntry
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.offerings import Offering
from burster.model.policies import Policy
from tests.support.told import PAUSED, ScopeName, windows_of
from tests.support.wide_world import WideWorld


QUARTER = 900_000
ANSWERED_BY_MS = 90_000  #: after that a number that was asked for is not counted on
#: Why a number may fall although nothing is known of what it is made of.
_OTHER_CAUSES = {
    "LeaseNotRenewed",
    "ComingHome",
    "TargetEvacuated",
    "PolicyGone",
    "OutsideBounds",
    "TargetMissing",  # the place where it runs was deleted
}
#: Why it may rise.
_BY_RULE = {"OutsideBounds", "BelowMinimum"}


@dataclass
class Launch:
    at_ms: int
    scopes: tuple[ScopeName, ...]
    burst: str = ""


@dataclass
class Tally:
    """What is out in one scope, counted anew."""

    count: int = 0
    vcpus: int = 0
    held: int = 0


@dataclass
class Rulebook:
    world: WideWorld
    launches: list[Launch] = field(default_factory=list[Launch])
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    dropped: set[str] = field(default_factory=set[str])
    settled_uids: set[str] = field(default_factory=set[str])
    #: policy -> a number that it asked for and nobody has answered, and when
    out: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    causes: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  #: policy -> why its number last changed
    up: dict[str, int] = field(default_factory=dict[str, int])  #: policy -> the number that it last published

    def __call__(self, batch: list[s.Stimulus], result: StepResult) -> None:
        told, state = self.world.told, result.state
        started = [state.bursts[one.burst] for one in result.decisions if one.verdict == "Burst"]
        for entry in started:
            self._starts(entry)
        fresh = {scope for entry in started for scope in scopes_of_burst(entry)} | self._bought(batch, result)
        self._numbers(result)
        tallies = self._count(result)
        for scope in fresh:
            self._caps(scope, tallies[scope])
        if not result.spends:
            paid = {
                scope
                for one in result.decisions
                if one.verdict == "Renew"
                for scope in scopes_of_burst(state.bursts[one.burst])
            }
            for scope in fresh | paid:
                self._money(result, scope, tallies[scope].held)
        self._verdicts(result)
        for spend in result.spends:
            assert spend.uid not in self.settled_uids, f"{spend.burst} is settled twice: {spend}"
            assert spend.micro_usd >= 0
            self.settled_uids.add(spend.uid)
        assert told.now == state.now_ms

    # -- new bursts

    def _starts(self, entry: BurstEntry) -> None:
        burst, told, state = entry.burst, self.world.told, self.world.state
        wrong = list(told.objections(burst))
        assert not wrong, f"{burst.key} of {burst.policy_key} at {burst.spec.target} is started although {wrong}"
        self.launches.append(Launch(told.now, scopes_of_burst(entry), burst.key))
        uid = burst.spec.for_pod.uid
        for other in state.bursts.values():
            if other is entry or not uid:
                continue
            phase = other.burst.status.phase
            same = other.burst.spec.for_pod.uid == uid
            if burst.spec.strategy == "Move":
                assert not (same and phase in ACTIVE), f"{burst.key} is for a pod that {other.burst.key} has taken"
            assert not (other.covers == entry.covers and phase in ANSWERING), f"two bursts answer {entry.covers}"
            if burst.spec.machine is not None:
                continue  # as many as the number says
            spare = phase in ANSWERING and not other.covers and other.withdraw is None and other.burst.spec.workload
            mine = (burst.policy_key, burst.spec.workload)
            if spare and mine == (other.burst.policy_key, other.burst.spec.workload):
                raise AssertionError(f"{burst.key} is started while {other.burst.key} ({phase}) answers nobody")
        self._spread(entry)

    def _spread(self, entry: BurstEntry) -> None:
        told, spec = self.world.told, entry.burst.spec
        policy = told.policies[entry.burst.policy_key]
        spread = policy.placement.spread
        if spread is None or not spread.required or spread.by not in {"target", "region"}:
            return
        places = {
            name if spread.by == "target" else told.targets[name].region: 0
            for name in policy.placement.targets
            if name in told.targets and any(self._usable(policy, name))
        }
        for other in self.world.state.bursts.values():
            place = other.burst.spec.target if spread.by == "target" else other.burst.spec.region
            if other.burst.policy_key == policy.key and other.burst.status.phase in ACTIVE and place in places:
                places[place] += 1
        here = places.get(spec.target if spread.by == "target" else spec.region, 0)
        assert here - min(places.values()) <= spread.max_skew, f"{entry.burst.key} makes {places}"

    def _usable(self, policy: Policy, name: str) -> Iterator[Offering]:
        told, target = self.world.told, self.world.told.targets[name]
        for one in (*target.catalogue, *told.offerings.get(name, ())):
            if not any(told.against_size(policy, target, one)):
                yield one

    # -- limits and money

    def _bought(self, batch: list[s.Stimulus], result: StepResult) -> set[ScopeName]:
        """Return the scopes of the replicas that burster pays for from this step on, besides those that are there, whoever started them."""
        told = self.world.told
        for fact in batch:
            match fact:
                case s.ScaleSet(policy=policy, replicas=replicas):
                    if policy in self.out and self.out[policy][0] == replicas:
                        del self.out[policy]
                case s.InstructionFailed(instruction="SetScale", subject=policy):
                    self.out.pop(policy, None)
                case _:
                    pass
        self.out = {policy: one for policy, one in self.out.items() if told.now < one[1] + ANSWERED_BY_MS}
        found = set[ScopeName]()
        for policy, book in result.state.scale_books.items():
            seen = told.workloads.get((policy.partition("/")[0], book.workload.name))
            there = max(seen.replicas, seen.status_replicas) if seen is not None else 0
            bought = len(book.leases) - max(there, self.out.get(policy, (0, 0))[0])
            if bought > 0:
                found.update(scopes_of_book(book))
                self.launches.extend(Launch(told.now, scopes_of_book(book)) for _ in range(bought))
        return found

    def _count(self, result: StepResult) -> dict[ScopeName, Tally]:
        found: dict[ScopeName, Tally] = {}
        for entry in result.state.bursts.values():
            if entry.burst.status.phase in ACTIVE:
                for scope in scopes_of_burst(entry):
                    tally = found.setdefault(scope, Tally())
                    tally.count += 1
                    tally.vcpus += entry.burst.spec.vcpus
                    tally.held += entry.held_micro_usd
            else:
                assert not entry.held_micro_usd, f"{entry.burst.key} holds money and is {entry.burst.status.phase}"
        for book in result.state.scale_books.values():
            for scope in scopes_of_book(book):
                tally = found.setdefault(scope, Tally())
                tally.count += len(book.leases)
                tally.vcpus += len(book.leases) * book.vcpus
                tally.held += sum(one.held_micro_usd for one in book.leases)
        for key, scope in result.state.scopes.items():
            tally = found.setdefault(key, Tally())
            own = Tally(scope.active, scope.vcpus, scope.account.outstanding_micro_usd)
            assert own == tally, f"{key} is {tally} and counts {own}"
        return found

    def _caps(self, scope: ScopeName, tally: Tally) -> None:
        told = self.world.told
        limits = told.limits_of(scope)
        assert limits.max_bursts is None or tally.count <= limits.max_bursts, f"{scope}: {tally} of {limits}"
        assert limits.max_vcpus is None or tally.vcpus <= limits.max_vcpus, f"{scope}: {tally} of {limits}"
        rate = limits.launch_rate
        if rate is not None:
            lately = [
                one
                for one in self.launches
                if scope in one.scopes and one.at_ms > told.now - rate.per_ms and one.burst not in self.dropped
            ]
            assert len(lately) <= rate.count, f"{scope}: {len(lately)} launches of {rate}"

    def _money(self, result: StepResult, scope: ScopeName, held: int) -> None:
        account = result.state.scopes[scope].account  # type: ignore[index] - a scope is a kind and a key
        for kind, limit, begin, end in windows_of(self.world.told.limits_of(scope), result.state.now_ms):
            spent = sum(sum_ for quarter, sum_ in account.settled.items() if begin <= quarter * QUARTER < end)
            assert spent + held <= limit, f"{scope}: {spent} spent and {held} held of {limit} per {kind}"

    # -- numbers of replicas

    def _numbers(self, result: StepResult) -> None:
        told = self.world.told
        for one in result.decisions:
            if one.verdict == "Scale":
                self.causes[one.policy] = {reason.code for reason in one.reasons}
        for one in result.instructions:
            if isinstance(one, i.PublishSignal):
                self._published(one)
            if not isinstance(one, i.SetScale):
                continue
            book = result.state.scale_books.get(one.policy)
            policy = told.policies.get(one.policy)
            seen = told.workloads.get((one.policy.partition("/")[0], one.workload.name))
            there = seen.replicas if seen is not None else 0
            assert seen is None or not seen.owner, f"{one.policy} sets a number that {seen.owner} owns"
            self.out[one.policy] = (one.replicas, told.now)
            told.asked[one.policy] = (one.workload, there)
            if book is None or policy is None or policy.placement.strategy != "Scale":
                continue  # brought home: as it was found
            if one.replicas > there and book.leaving is None:
                wrong = list(told.against_replicas(policy, one.workload))
                assert not wrong, f"{one.policy} goes from {there} to {one.replicas} although {wrong}"
                assert one.replicas <= max(policy.scaling.max_replicas, policy.scaling.min_replicas)
                assert len(book.leases) >= one.replicas, f"{one.policy}: {one.replicas} and {len(book.leases)} leases"
            if told.all_missing(policy):
                self._without_values(one, policy, there)

    def _published(self, one: i.PublishSignal) -> None:
        told = self.world.told
        policy = told.policies.get(one.policy)
        before, self.up[one.policy] = self.up.get(one.policy, 0), one.replicas
        if policy is None:
            assert not one.replicas, f"{one.policy} is gone and publishes {one.replicas}"
            return
        assert one.replicas <= max(policy.scaling.max_replicas, policy.scaling.min_replicas)
        if one.replicas:
            wrong = set(told.against_policy(policy))
            if one.replicas <= before:
                wrong.discard(PAUSED)  # which keeps the number that is there
            assert not wrong, f"{one.policy} publishes {one.replicas} after {before} although {wrong}"

    def _without_values(self, one: i.SetScale, policy: Policy, there: int) -> None:
        causes = self.causes.get(policy.key, set())
        if one.replicas > there:
            bounds = max(policy.scaling.min_replicas, policy.scaling.idle_replicas or 0, 1)
            why = f"{policy.key} buys {one.replicas} for nothing that it knows: {causes}"
            assert causes & _BY_RULE, why
            assert one.replicas <= bounds, why
        if one.replicas < there:
            known = any(code in _OTHER_CAUSES or "Budget" in code for code in causes)
            assert known, f"{policy.key} falls from {there} to {one.replicas} for {causes}"

    # -- verdicts

    def _verdicts(self, result: StepResult) -> None:
        state = result.state
        for one in result.decisions:
            assert one.reasons, f"{one.verdict} of {one.subject} has no reason"
            assert all(reason.code and reason.sentence for reason in one.reasons)
            if one.verdict in {"Burst", "Wait", "Deny", "Resolved"} and one.subject:
                self.verdicts[one.subject] = (one.verdict, one.reasons[0].code)
            if one.verdict == "Fail" and one.burst not in state.bursts:
                self.dropped.add(one.burst)
        due = next_due_ms(state)
        if not state.ready or (due is not None and due <= state.now_ms):
            return
        for key, entry in state.pods.items():
            policy = state.policies.get(entry.policy)
            assert entry.policy == self.world.told.responsible(entry.pod), f"{entry.policy} answers for {key}"
            if not entry.pod.unschedulable:
                continue
            assert key in self.verdicts, f"{key} was never told anything"
            if entry.burst:
                assert state.bursts[entry.burst].covers == key, f"{key} is not what {entry.burst} answers"
                assert policy is None or key not in policy.queued, f"{key} is answered and waits"
            else:
                assert entry.verdict is not None, f"{key} has no verdict"
                assert entry.verdict[0] in {"Wait", "Deny"}, f"{key} is {entry.verdict} and has no burst"
                assert entry.verdict == self.verdicts[key], (
                    f"{key} is {entry.verdict}, and was told {self.verdicts[key]}"
                )


def scopes_of_burst(entry: BurstEntry) -> tuple[ScopeName, ...]:
    burst = entry.burst
    return _scopes(burst.policy_key, burst.namespace, burst.spec.target)


def scopes_of_book(book: ScaleBook) -> tuple[ScopeName, ...]:
    return _scopes(book.policy, book.policy.partition("/")[0], book.target)


def _scopes(policy: str, namespace: str, target: str) -> tuple[ScopeName, ...]:
    return (("Policy", policy), ("Namespace", f"{target}/{namespace}"), ("Target", target), ("Cluster", ""))
