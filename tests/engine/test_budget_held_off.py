"""After a lease was not renewed for want of money, what comes free starts nothing new that would end the same way."""

from typing import Any

import pytest

from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


HOUR = 3_600_000
DAY = 24 * HOUR
#: launch, lease and drain of the smaller size: $0.12 an hour for 3900 s
WORST = 130_000


def an_engine(window: str = "per_day_micro_usd", limit: int = WORST, **target: Any) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(limits=Limits(budget=Budget(**{window: limit})))),
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


def with_a_lease_that_ran_out(engine: Engine) -> None:
    """One burst serves until its lease is due, and its policy has no money for another one."""
    engine.send(s.PodSeen(pod=a_pod("first")))
    engine.to_serving()
    engine.send(s.Tick(kind="evaluate"), after_ms=T0 + 3_000_000 - engine.now)
    assert engine.burst().status.reason == "LeaseNotRenewed"


def told(engine: Engine, pod: str) -> str:
    entry = engine.state.pods[f"bank/{pod}"]
    return "" if entry.verdict is None else entry.verdict[1]


@pytest.mark.parametrize(
    ("window", "until"),
    [
        ("per_hour_micro_usd", T0 + HOUR),
        ("per_day_micro_usd", T0 + 16 * HOUR),
        ("per_month_micro_usd", T0 + 3_000_000 + DAY),
    ],
)
def test_nothing_new_starts_until_the_window_ends_and_for_a_day_at_most(window: str, until: int) -> None:
    engine = an_engine(window)
    with_a_lease_that_ran_out(engine)
    scope = engine.state.policies["bank/tasks"].scope
    assert scope.held_off is not None
    assert scope.held_off.sentence == (
        f"The $0.1300 per {window.split('_')[1]} of policy tasks did not suffice to renew a lease, "
        "so what comes free starts nothing new that would end the same way."
    )
    assert scope.held_off.numbers == {"used_micro_usd": WORST, "limit_micro_usd": WORST, "due_ms": until}
    engine.send(s.PodSeen(pod=a_pod("second")))
    assert told(engine, "second") == "BudgetHeldOff"
    (last,) = [one for one in engine.decisions if one.subject == "bank/second"]
    assert (last.verdict, last.reasons[0]) == ("Wait", scope.held_off)
    assert not scope.is_held_off(until)
    assert scope.is_held_off(until - 1)
    assert (until, "reopen", "bank/tasks") in engine.state.timer_keys


def test_a_changed_budget_lets_new_ones_start_at_once() -> None:
    engine = an_engine()
    with_a_lease_that_ran_out(engine)
    engine.send(s.PodSeen(pod=a_pod("second")))
    changed = a_policy(limits=Limits(budget=Budget(per_day_micro_usd=10 * WORST)), generation=2)
    engine.send(s.PolicySeen(policy=changed))
    assert told(engine, "second") == "Reserved"


def test_a_scope_that_had_the_money_holds_nobody_off() -> None:
    engine = an_engine(limits=Limits(budget=Budget(per_day_micro_usd=100 * WORST)))
    with_a_lease_that_ran_out(engine)
    assert engine.state.policies["bank/tasks"].scope.held_off is not None
    assert engine.state.targets["azure"].scope.held_off is None


def test_a_renewal_that_is_refused_for_another_reason_holds_nobody_off() -> None:
    engine = an_engine(limit=100 * WORST)
    engine.send(s.PodSeen(pod=a_pod("first")))
    engine.to_serving()
    engine.send(s.LedgerHealth(writable=False, message="full"))
    engine.send(s.Tick(kind="evaluate"), after_ms=T0 + 3_000_000 - engine.now)
    assert engine.burst().status.reason == "LeaseNotRenewed"
    assert engine.state.policies["bank/tasks"].scope.held_off is None
