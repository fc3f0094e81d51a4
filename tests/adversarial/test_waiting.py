"""Buy or wait under the worst numbers: nothing, everything, clocks that go back, paces nobody can keep."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.engine.releasing import wait
from burster.model import stimuli as s
from burster.model.policies import Wait
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


HOUR = 3_600_000
HUGE = 2**62
NUMBERS = ("expected_wait_ms", "start_ms", "run_ms", "rent_micro_usd", "saved_micro_usd")


def an_engine(**rules: Any) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(wait=Wait(mode="BuyOrWait", **rules))),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


def gate(engine: Engine, since: int | None = T0, price: int = 120_000):
    policy = engine.state.policies["bank/tasks"]
    return wait.wait_gate(engine.state, policy, a_pod(since=since), an_offering(2), price)


EXTREMES = {
    "a wait of no time": ({"max_wait_ms": 0}, T0, 120_000, None),
    "a price of nothing": ({"expected_run_ms": HOUR}, T0, 0, None),
    "a price beyond everything": (
        {"expected_run_ms": HOUR, "value_micro_usd_per_hour": HUGE},
        T0,
        HUGE,
        "WaitIsCheaper",
    ),
    "a value beyond everything": ({"expected_run_ms": HOUR, "value_micro_usd_per_hour": HUGE}, T0, 120_000, None),
    "a run of no time": ({"expected_run_ms": 0, "value_micro_usd_per_hour": HUGE}, T0, 0, "TooShortToMove"),
    "a run without end": ({"expected_run_ms": HUGE}, T0, 1, "WaitIsCheaper"),
    "a pod from the future": ({"expected_run_ms": HOUR}, T0 + HUGE, 120_000, "WaitIsCheaper"),
    "a pod from the beginning of time": ({"expected_run_ms": HOUR}, 0, 120_000, None),
}


@pytest.mark.parametrize(("rules", "since", "price", "code"), EXTREMES.values(), ids=EXTREMES)
def test_extremes_have_an_answer(rules, since, price, code):
    answer = gate(an_engine(**rules), since, price)
    assert (None if answer is None else answer.reason.code) == code


def test_a_clock_that_goes_back_makes_nobody_wait_for_longer():
    engine = an_engine(expected_run_ms=HOUR, max_wait_ms=HOUR)
    engine.send(s.PodSeen(pod=a_pod("early")), after_ms=10)
    engine.send(s.PodLeft(namespace="bank", name="early", uid="uid-early", why="Bound"))
    engine.now -= 3 * HOUR
    engine.send(s.PodSeen(pod=a_pod("later", since=T0 - 3 * HOUR)))
    answer = gate(engine, T0)
    assert answer is not None
    assert 0 <= answer.reason.numbers["expected_wait_ms"] <= HOUR


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    value=st.integers(0, HUGE),
    price=st.integers(0, HUGE),
    run=st.none() | st.integers(0, HUGE),
    most=st.integers(0, 366 * 24 * HOUR),
    since=st.integers(0, T0 * 2),
    bound=st.lists(st.integers(0, 2 * HOUR), max_size=8),
    starts=st.lists(st.integers(-HOUR, HUGE), max_size=4),
)
def test_whatever_was_learned_the_wait_ends_and_its_numbers_are_no_nonsense(
    value, price, run, most, since, bound, starts
):
    engine = an_engine(value_micro_usd_per_hour=value, expected_run_ms=run, max_wait_ms=most)
    for after_ms in bound:
        engine.now += after_ms
        engine.send()
        wait.note_bound(engine.state, "bank/tasks")
    for took_ms in starts:
        wait.note_start(engine.state, "azure", took_ms)
    answer = gate(engine, since, price)
    if engine.now - since >= most:
        assert answer is None, "nobody waits for longer than the policy says"
    if answer is not None:
        assert all(answer.reason.numbers[name] >= 0 for name in NUMBERS)
        assert answer.reason.numbers["expected_wait_ms"] <= since + most - engine.now
        assert answer.again_at_ms is not None
        assert engine.now < answer.again_at_ms <= since + most


def test_what_is_learned_is_bounded():
    engine = an_engine()
    for number in range(2_000):
        wait.note_bound(engine.state, "bank/tasks")
        wait.note_run(engine.state, "bank/tasks", number)
        wait.note_start(engine.state, "azure", number)
    learned = engine.state.learned
    assert len(learned.bound["bank/tasks"]) == wait.BOUND_MAX
    assert len(learned.runs["bank/tasks"]) == len(learned.starts["azure"]) == wait.SAMPLES_MAX
    assert wait.start_time_ms(engine.state, "azure") == 1_984  # the median of the latest 31
