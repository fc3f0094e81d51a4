"""Numbers of replicas in a hostile world: huge, stale, doubled, reordered and lost values, failing writes, a clock that jumps."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from burster.engine import next_due_ms
from burster.engine.autoscale.arithmetic import REPLICAS_MAX, VALUE_MAX
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.policies import Placement
from burster.model.scaling import Fallback, Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from tests.support.builders import T0, Engine, a_policy, a_target, a_workload, an_offering


KEY = "bank/classic"
MAXIMUM = 6
BUDGET = 1_000_000


def a_world(*, fallback=None, budget=Budget(per_day_micro_usd=BUDGET)):  # noqa: B008 - a value, and never changed
    world = Engine()
    policy = a_policy(
        "classic",
        triggers=(ExternalTrigger(name="a"), ExternalTrigger(name="b", metric_type="Value", threshold_milli=3000)),
        scaling=Scaling(target=WorkloadRef(name="cloud"), max_replicas=MAXIMUM, fallback=fallback, cooldown_ms=60_000),
        placement=Placement(targets=("azure",), strategy="Scale"),
        limits=Limits(budget=budget),
    )
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=policy),
        seen(0, 0),
    )
    return world


def seen(replicas, status):
    return a_workload(replicas, running=status, size="")


EVENTS = st.one_of(
    st.tuples(
        st.just("read"),
        st.sampled_from("ab"),
        st.sampled_from([0, 1, 999, 1000, 3500, 10**9, VALUE_MAX, 10**40, -5]),
        st.integers(-200_000, 200_000),
    ),
    st.tuples(st.just("fail"), st.sampled_from("ab"), st.just(0), st.integers(-200_000, 200_000)),
    st.tuples(
        st.just("wait"), st.just(""), st.sampled_from([1, 14_999, 15_000, 60_000, 600_000, 40_000_000]), st.just(0)
    ),
    st.tuples(st.just("set"), st.just(""), st.just(0), st.just(0)),
    st.tuples(st.just("lost"), st.sampled_from(["Timeout", "Conflict", "Unavailable"]), st.just(0), st.just(0)),
    st.tuples(st.just("pods"), st.just(""), st.integers(0, 8), st.just(0)),
    st.tuples(st.just("other"), st.just(""), st.integers(0, 8), st.just(0)),
    st.tuples(st.just("gone"), st.just(""), st.just(0), st.just(0)),
)


class World:
    """The cluster behind the engine: a number, and pods that follow it when they like."""

    def __init__(self, engine):
        self.engine = engine
        self.replicas = 0
        self.status = 0
        self.asked = None

    def play(self, event):
        kind, name, number, offset = event
        engine = self.engine
        if kind == "read":
            engine.send(s.MetricRead(policy=KEY, trigger=name, at_ms=engine.now + offset, value_milli=number))
        elif kind == "fail":
            engine.send(s.MetricFailed(policy=KEY, trigger=name, at_ms=engine.now + offset, message="no"))
        elif kind == "wait":
            engine.wait(number)
        elif kind == "set" and self.asked is not None:
            self.replicas = self.asked
            engine.send(s.ScaleSet(policy=KEY, replicas=self.replicas), seen(self.replicas, self.status))
            self.asked = None
        elif kind == "lost" and self.asked is not None:
            self.asked = None
            engine.send(
                s.InstructionFailed(instruction="SetScale", key=f"scale/{KEY}", subject=KEY, kind=name, message="no")
            )
        elif kind == "pods":
            self.status = number
            engine.send(seen(self.replicas, self.status))
        elif kind == "other":
            self.replicas = number
            engine.send(seen(self.replicas, self.status))
        elif kind == "gone":
            engine.send(s.WorkloadGone(namespace="bank", kind="Deployment", name="cloud"))
            engine.send(seen(self.replicas, self.status))
        for one in engine.asked("SetScale"):
            self.asked = one.replicas


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(EVENTS, max_size=40), st.booleans())
def test_whatever_happens_the_numbers_and_the_books_are_right(events, with_fallback):
    engine = a_world(fallback=Fallback(failure_threshold=1, replicas=3) if with_fallback else None)
    world = World(engine)
    for event in events:
        before, was_asked = world.replicas, world.asked
        world.play(event)
        for one in engine.asked("SetScale"):
            assert 0 <= one.replicas <= max(MAXIMUM, before, was_asked or 0)
        book = engine.state.scale_books.get(KEY)
        scope = engine.state.policies[KEY].scope
        held = 0 if book is None else sum(lease.held_micro_usd for lease in book.leases)
        assert scope.account.outstanding_micro_usd == held >= 0
        assert scope.active == (0 if book is None else len(book.leases))
        assert all(lease.held_micro_usd >= 0 for lease in ([] if book is None else book.leases))
        scaler = engine.state.policies[KEY].scaler
        assert len(scaler.history.recommendations) <= 50
        assert 0 <= scaler.number <= REPLICAS_MAX
    assert len({one.uid for one in engine.spends}) == len(engine.spends)
    assert sum(one.micro_usd for one in engine.spends) == engine.state.settled_total_micro_usd


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 12_000), st.integers(0, 6), st.sampled_from([Budget(), Budget(per_day_micro_usd=BUDGET)]))
def test_a_constant_value_moves_the_number_one_way(value, start, budget):
    """The no-flapping rule: constant input, no other event; the first step from zero and the rest go the same way."""
    engine = a_world(budget=budget)
    world = World(engine)
    world.replicas = world.status = start
    engine.send(seen(start, start))
    numbers = [start]
    for _ in range(60):
        engine.now += 15_000
        at = engine.now
        engine.send(*(s.MetricRead(policy=KEY, trigger=name, at_ms=at, value_milli=value) for name in "ab"))
        while asked := engine.asked("SetScale"):
            world.replicas = world.status = asked[-1].replicas
            engine.send(s.ScaleSet(policy=KEY, replicas=world.replicas), seen(world.replicas, world.replicas))
        numbers.append(world.replicas)
    ways = [after > before for before, after in pairwise(numbers) if after != before]
    assert sum(one != other for one, other in pairwise(ways)) <= 1
    assert numbers[-1] == numbers[-10]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 8_000), min_size=1, max_size=30))
def test_money_is_never_above_its_limit_by_what_burster_grants(values):
    engine = a_world()
    world = World(engine)
    for value in values:
        engine.now += 15_000
        engine.send(*(s.MetricRead(policy=KEY, trigger=n, at_ms=engine.now, value_milli=value) for n in "ab"))
        while asked := engine.asked("SetScale"):
            world.replicas = asked[-1].replicas
            engine.send(s.ScaleSet(policy=KEY, replicas=world.replicas), seen(world.replicas, world.replicas))
        account = engine.state.policies[KEY].scope.account
        assert account.outstanding_micro_usd + account.settled_total_micro_usd <= BUDGET


def test_the_same_events_give_the_same_answers():
    def play():
        engine = a_world()
        world = World(engine)
        out = []
        for n in range(200):
            world.play(("read", "ab"[n % 2], (n * 7919) % 9000, 0))
            out.extend((engine.now, engine.instructions))
            world.play(("set", "", 0, 0))
            world.play(("pods", "", world.replicas, 0))
            world.play(("wait", "", 1 + (n * 104_729) % 40_000, 0))
            out.extend((engine.now, engine.instructions))
        return out, engine.decisions, engine.spends

    assert play() == play()


def test_it_wakes_by_itself_and_never_spins():
    engine = a_world()
    engine.send(s.MetricRead(policy=KEY, trigger="a", at_ms=T0, value_milli=4000))
    at_once = 0
    for _ in range(300):
        due = next_due_ms(engine.state)
        assert due is not None
        at_once = at_once + 1 if due <= engine.now else 0
        assert at_once <= 1  # what was given back may let somebody go, once
        engine.wait(due - engine.now)
    assert engine.now - T0 >= 300 * 5_000
