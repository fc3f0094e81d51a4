"""A number's times: when an instruction counts as lost, and what a workload without its policy costs no more."""

import pytest

from burster.engine import next_due_ms
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from tests.support.builders import Engine, a_policy, a_target, a_workload, an_offering


KEY = "bank/number"
ANSWERED_BY_MS = 90_000


def with_one_replica() -> Engine:
    engine = Engine()
    policy = a_policy(
        "number",
        triggers=(ExternalTrigger(name="pushed", threshold_milli=1_000),),
        scaling=Scaling(target=WorkloadRef(name="cloud"), max_replicas=4),
        placement=Placement(targets=("azure",), strategy="Scale"),
        workload=WorkloadSelector(kind="Deployment", name="own"),
    )
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=policy),
        a_workload(0),
    )
    engine.send(s.MetricRead(policy=KEY, trigger="pushed", at_ms=engine.now, value_milli=1_000))
    assert [one.replicas for one in engine.asked("SetScale")] == [1]
    return engine


def test_an_instruction_that_nobody_hears_of_is_given_again_after_90_seconds_even_without_its_policy() -> None:
    engine = with_one_replica()
    engine.send(s.ScaleSet(policy=KEY, replicas=1), a_workload(1))
    engine.send(s.PolicyGone(key=KEY))
    assert [one.replicas for one in engine.asked("SetScale")] == [0]
    gone_at = engine.now
    again = []
    while engine.now < gone_at + ANSWERED_BY_MS:
        due = next_due_ms(engine.state)
        assert due is not None
        engine.send(after_ms=max(1, due - engine.now))
        again += [engine.now for one in engine.asked("SetScale") if one.replicas == 0]
    assert again == [gone_at + ANSWERED_BY_MS]


def test_a_lease_without_a_policy_is_not_renewed() -> None:
    engine = with_one_replica()
    engine.send(s.ScaleSet(policy=KEY, replicas=1), a_workload(1))
    (lease,) = engine.state.scale_books[KEY].leases
    until_ms, held = lease.until_ms, lease.held_micro_usd
    engine.send(s.PolicyGone(key=KEY))
    engine.wait(until_ms - engine.now)
    (lease,) = engine.state.scale_books[KEY].leases
    assert (lease.until_ms, lease.held_micro_usd) == (until_ms, held)


def test_after_a_success_the_pause_after_a_failure_is_the_first_one_again() -> None:
    engine = with_one_replica()
    pauses = []
    for _ in range(2):
        for _ in range(2):
            no = s.InstructionFailed(
                instruction="SetScale", key=f"scale/{KEY}", subject=KEY, kind="Invalid", message="no"
            )
            engine.send(no)
            pauses.append(engine.state.scale_books[KEY].again_at_ms - engine.now)
            engine.wait(pauses[-1])
        engine.send(s.ScaleSet(policy=KEY, replicas=1), a_workload(1))
        assert engine.state.scale_books[KEY].failures == 0
    assert pauses == [1_000, 2_000, 1_000, 2_000]


@pytest.mark.parametrize("owner", ["HorizontalPodAutoscaler x", "ScaledObject x"])
def test_a_number_that_somebody_owns_is_not_touched_even_where_a_lease_is_not_renewed(owner: str) -> None:
    engine = with_one_replica()
    engine.send(s.ScaleSet(policy=KEY, replicas=1), a_workload(1))
    engine.send(a_workload(1, owner=owner), s.ClusterLimitsSeen(limits=Limits(budget=Budget(per_hour_micro_usd=1))))
    until_ms = engine.state.scale_books[KEY].leases[0].until_ms
    while engine.now < until_ms:
        due = next_due_ms(engine.state)
        assert due is not None
        engine.send(after_ms=max(1, due - engine.now))
        assert not engine.asked("SetScale")
    assert "LeaseNotRenewed" in engine.codes("bank/cloud")
    engine.send(a_workload(1))  # as soon as nobody owns it, what can't be paid goes
    assert [one.replicas for one in engine.asked("SetScale")] == [0]


def test_a_number_that_somebody_owns_is_left_to_them_when_the_policy_goes() -> None:
    engine = with_one_replica()
    engine.send(s.ScaleSet(policy=KEY, replicas=1), a_workload(1, owner="HorizontalPodAutoscaler x"))
    engine.send(s.PolicyGone(key=KEY))
    for _ in range(20):
        assert not engine.asked("SetScale")
        engine.wait(15_000)
