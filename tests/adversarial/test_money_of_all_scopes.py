"""Money under anything: reserved, renewed, booked, released and settled in any order, over borders of windows in odd time zones.

Whatever happens, no scope is above its limits at the moment something is granted, what goes out of one pocket comes into another, and
every scope has booked the same amounts as the others that it shares its bursts with.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from burster.engine.accounting import budgets
from burster.engine.accounting.money import limits_of, window_of
from burster.engine.state import State
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering
from tests.support.invariants import check_step


HOUR = 3_600_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "Australia/Lord_Howe")
#: a day before the clocks go back in Europe and in North America, forward on Lord Howe Island; and plain days
STARTS = ("2026-10-24T12:00", "2026-10-31T20:00", "2026-10-03T06:00", "2026-03-28T18:00", "2026-01-31T10:00")
POLICIES = ("bank/a", "bank/b", "shop/c")
TARGETS = ("azure", "onprem")

money = st.integers(1, 1_000)
limit = st.none() | st.integers(0, 3_000)
budget = st.builds(
    Budget,
    per_hour_micro_usd=limit,
    per_day_micro_usd=limit,
    per_month_micro_usd=limit,
    timezone=st.sampled_from(ZONES),
    stop_percent=st.sampled_from((50, 90, 100, 100)),
    drain_percent=st.sampled_from((None, 50, 100)),
)


class Books(RuleBasedStateMachine):
    """The books of four scopes, kept beside a plain list of everything that was ever booked."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        #: (policy, place, amount)
        self.held: list[tuple[str, str, int]] = []
        #: (policy, place, amount, from, until)
        self.spent: list[tuple[str, str, int, int, int]] = []
        self.moved_on = 0

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: str) -> None:
        self.state.now_ms = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) * 1000
        for policy in POLICIES:
            for place in TARGETS:
                budgets.scopes_of(self.state, policy, policy.partition("/")[0], place)

    @rule(which=st.integers(0, 20), new=budget)
    def somebody_writes_another_budget(self, which: int, new: Budget) -> None:
        scopes = list(self.state.scopes.values())
        scopes[which % len(scopes)].take(Limits(budget=new))

    @rule(policy=st.sampled_from(POLICIES), place=st.sampled_from(TARGETS), amount=money)
    def something_new_is_asked_for(self, policy: str, place: str, amount: int) -> None:
        where = (policy, policy.partition("/")[0], place)
        if budgets.shortfall(self.state, *where, amount) is None:
            self._grant(policy, place, amount, renewal=False)

    @rule(policy=st.sampled_from(POLICIES), place=st.sampled_from(TARGETS), amount=money)
    def a_lease_is_to_be_renewed(self, policy: str, place: str, amount: int) -> None:
        scopes = budgets.scopes_of(self.state, policy, policy.partition("/")[0], place)
        if all(scope.account.shortfall(scope.budget, amount, self.state.now_ms) is None for scope in scopes):
            self._grant(policy, place, amount, renewal=True)

    def _grant(self, policy: str, place: str, amount: int, *, renewal: bool) -> None:
        namespace = policy.partition("/")[0]
        stops = [
            scope
            for scope in budgets.scopes_of(self.state, policy, namespace, place)
            for _, cap in limits_of(scope.budget)
            if not renewal and scope.budget.stop_percent < 100 and cap == 0
        ]
        assert not stops, "where nothing may be spent, everything is stopped"
        budgets.reserve(self.state, policy, namespace, place, amount)
        self.held.append((policy, place, amount))
        for scope in budgets.scopes_of(self.state, policy, namespace, place):
            for kind, cap in limits_of(scope.budget):
                assert scope.account.used_micro_usd(kind, self.state.now_ms, scope.budget.timezone) <= cap

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 100), percent=st.integers(0, 100), since=st.integers(0, 30 * HOUR))
    def something_ends(self, which: int, percent: int, since: int) -> None:
        policy, place, amount = self.held.pop(which % len(self.held))
        self._settle(policy, place, amount, amount * percent // 100, since)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 100), percent=st.integers(1, 100), since=st.integers(0, HOUR))
    def what_runs_is_booked_in_part(self, which: int, percent: int, since: int) -> None:
        policy, place, amount = self.held.pop(which % len(self.held))
        part = amount * percent // 100
        self._settle(policy, place, part, part, since)
        self.held.append((policy, place, amount - part))

    def _settle(self, policy: str, place: str, released: int, spent: int, since: int) -> None:
        now, namespace = self.state.now_ms, policy.partition("/")[0]
        chain = budgets.scopes_of(self.state, policy, namespace, place)
        before = [scope.account.used_micro_usd("month", now, scope.budget.timezone) for scope in chain]
        budgets.release(self.state, policy, namespace, place, released)
        budgets.settle(self.state, policy, namespace, place, spent, now, now - since)
        self.spent.append((policy, place, spent, now - since, now))
        for scope, used in zip(chain, before, strict=True):
            assert scope.account.used_micro_usd("month", now, scope.budget.timezone) <= used, "it only becomes less"

    @rule(after=st.sampled_from((1, 60_000, 900_000, HOUR - 1, HOUR, 7 * HOUR, 24 * HOUR, 40 * 24 * HOUR)))
    def time_passes(self, after: int) -> None:
        self.state.now_ms += after
        self.state.timers.clear()

    @invariant()
    def every_scope_has_what_its_bursts_have(self) -> None:
        for scope in self.state.scopes.values():
            own = [amount for policy, place, amount in self.held if self._is_in(scope, policy, place)]
            spent = [amount for policy, place, amount, _, _ in self.spent if self._is_in(scope, policy, place)]
            assert scope.account.outstanding_micro_usd == sum(own)
            assert scope.account.settled_total_micro_usd == sum(spent)
            assert scope.account.recent_micro_usd == sum(scope.account.settled.values()) <= sum(spent)

    @invariant()
    def every_window_holds_what_was_spent_in_it(self) -> None:
        now = self.state.now_ms
        for scope in self.state.scopes.values():
            zone = scope.budget.timezone
            for kind, _ in limits_of(scope.budget):
                start, end = window_of(kind, now, zone)
                settled = scope.account.window(kind, now, zone).settled_micro_usd
                inside = outside = 0
                for policy, place, amount, since, until in self.spent:
                    if self._is_in(scope, policy, place):
                        whole = start <= since and until < end
                        inside += amount if whole else 0
                        outside += amount if until < start - 900_000 or since >= end else 0
                assert inside <= settled <= scope.account.settled_total_micro_usd - outside

    def _is_in(self, scope: budgets.Scope, policy: str, place: str) -> bool:
        return scope in budgets.scopes_of(self.state, policy, policy.partition("/")[0], place)


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_of_any_length_holds_its_budget_and_no_more(zone: str) -> None:
    """One burst after the other, each hour of three days around a change of the clocks."""
    engine = Engine()
    local = datetime(2026, 10, 24, tzinfo=ZoneInfo(zone))
    engine.now = int(local.timestamp()) * 1000
    limits = Limits(budget=Budget(per_day_micro_usd=10 * 130_000, timezone=zone))
    started: dict[int, int] = {}
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(limits=limits)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    spent: dict[int, int] = {}
    for quarter in range(96 * 4):
        if quarter % 4 == 0:
            pods = (a_pod(f"task-{quarter}-{number}", since=engine.now) for number in range(4))
            engine.send(*(s.PodSeen(pod=pod) for pod in pods))
        begun = [key for key, entry in engine.state.bursts.items() if entry.burst.status.phase == "Reserved"]
        day = window_of("day", engine.now, zone)[0]
        started[day] = started.get(day, 0) + len(begun)
        for key in begun:
            engine.to_serving(key)
        engine.send(*(engine.pod_event("Succeeded", key) for key in begun), after_ms=20 * 60_000)
        engine.send(*(s.VmsObserved(key=key, vms=()) for key in begun))
        engine.wait(900_000 - engine.now % 900_000)
    for spend in engine.spends:
        day = window_of("day", spend.at_ms, zone)[0]
        spent[day] = spent.get(day, 0) + spend.micro_usd
    assert all(amount <= 10 * 130_000 for amount in spent.values())
    assert len(started) >= 3
    assert max(started.values()) > 10, "what was reserved and not spent is there for the next"


def test_two_decisions_of_one_step_never_take_the_same_money() -> None:
    for limit in (0, 129_999, 130_000, 259_999, 260_000, 10 * 130_000 - 1):
        engine = Engine()
        limits = Limits(budget=Budget(per_hour_micro_usd=limit))
        engine.sync(
            *(s.PolicySeen(policy=a_policy(namespace=name)) for name in ("bank", "shop", "farm")),
            s.TargetSeen(target=a_target(allowed_namespaces=("*",))),
            s.ClusterLimitsSeen(limits=limits),
            s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        )
        engine.send(
            *(
                s.PodSeen(pod=a_pod(f"{name}-{number}", namespace=name))
                for name in ("bank", "shop", "farm")
                for number in range(10)
            )
        )
        assert len(engine.state.bursts) == limit // 130_000
        assert engine.state.scopes["Cluster", ""].account.outstanding_micro_usd <= limit


class Checked(Engine):
    """An engine of which every step is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.started: set[str] = set()

    def send(self, *stimuli: s.Stimulus, after_ms: int = 0):
        from burster.engine import step

        self.now += after_ms
        result = step(self.state, stimuli, self.now)
        self.instructions = result.instructions
        self.decisions.extend(result.decisions)
        self.spends.extend(result.spends)
        check_step(result, self.started)
        return result.instructions


def test_a_month_of_services_under_every_kind_of_budget_stays_within_each() -> None:
    """Services that run on and on: renewals, claims, borders of hours, days and a month, each step checked."""
    engine = Checked()
    limits = Limits(
        budget=Budget(
            per_hour_micro_usd=600_000, per_day_micro_usd=9_000_000, per_month_micro_usd=200_000_000,
            timezone="Europe/Berlin",
        )
    )  # fmt: skip
    engine.now = int(datetime(2026, 10, 20, tzinfo=UTC).timestamp()) * 1000
    engine.sync(
        s.PolicySeen(policy=a_policy(limits=limits)),
        s.TargetSeen(target=a_target(namespace_limits={"bank": limits})),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{number}", since=engine.now)) for number in range(12)))
    served: set[str] = set()
    for _ in range(14 * 24 * 2):
        for key, entry in list(engine.state.bursts.items()):
            if entry.burst.status.phase == "Reserved" and key not in served:
                served.add(key)
                engine.to_serving(key)
            elif entry.burst.status.phase == "Draining":
                engine.send(engine.pod_event("Succeeded", key))
                engine.send(s.VmsObserved(key=key, vms=()))
        engine.wait(30 * 60_000)
    account = engine.state.scopes["Policy", "bank/tasks"].account
    assert account.settled_total_micro_usd > 20_000_000
    assert any(decision.verdict == "Renew" for decision in engine.decisions)
