"""Hard limits of money and number hold, and say so."""

import pytest

from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


def an_engine(policy_changes: dict[str, object], target_changes: dict[str, object] | None = None) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(**policy_changes)),
        s.TargetSeen(target=a_target(**(target_changes or {}))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    return engine


# worst case for 2 vCPUs: 120000 micro-USD/h x (5 min launch + 50 min lease + 10 min drain) = 130000
@pytest.mark.parametrize(
    ("policy", "target", "want_code"),
    [
        pytest.param({"max_bursts": 2}, {}, "PolicyMaxBursts", id="the policy's count"),
        pytest.param({"max_vcpus": 5}, {}, "PolicyMaxVcpus", id="the policy's vCPUs"),
        pytest.param({"budget": Budget(per_hour_micro_usd=389_999)}, {}, "PolicyBudget", id="the policy's hour"),
        pytest.param({"budget": Budget(per_day_micro_usd=389_999)}, {}, "PolicyBudget", id="the policy's day"),
        pytest.param({"budget": Budget(per_month_micro_usd=389_999)}, {}, "PolicyBudget", id="the policy's month"),
        pytest.param({}, {"limits": Limits(max_bursts=2)}, "TargetMaxBursts", id="the target's count"),
        pytest.param({}, {"limits": Limits(max_vcpus=4)}, "TargetMaxVcpus", id="the target's vCPUs"),
        pytest.param(
            {}, {"limits": Limits(budget=Budget(per_day_micro_usd=260_000))}, "TargetBudget", id="the target's day"
        ),
    ],
)
def test_the_third_pod_is_refused_by(policy: dict[str, object], target: dict[str, object], want_code: str) -> None:
    engine = an_engine(policy, target)
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{n}")) for n in range(3)))
    assert len(engine.asked("RecordBurst")) == 2
    assert engine.codes("bank/task-2") == [want_code]


def test_a_budget_that_is_exactly_enough_is_enough() -> None:
    engine = an_engine({"budget": Budget(per_hour_micro_usd=390_000)})
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{n}")) for n in range(3)))
    assert len(engine.asked("RecordBurst")) == 3


def test_a_refused_pod_goes_when_the_next_hour_opens_and_the_money_is_back() -> None:
    engine = an_engine({"budget": Budget(per_hour_micro_usd=130_000)})
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{n}")) for n in range(2)))
    burst = engine.to_serving("bank/" + next(iter(engine.state.bursts)).split("/")[1])
    engine.send(engine.pod_event("Succeeded", burst.key), after_ms=60_000)
    engine.send(s.VmsObserved(key=burst.key, vms=()), after_ms=1_000)
    assert engine.phase(burst.key) == "Released"
    assert not engine.asked("RecordBurst"), "what is spent this hour leaves too little"
    assert engine.wait(3_600_000)
    assert len(engine.asked("RecordBurst")) == 1


def test_a_lease_without_money_is_not_renewed_and_the_burst_drains_in_time() -> None:
    engine = an_engine({"budget": Budget(per_day_micro_usd=130_000)})
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    engine.wait(burst.status.lease_until_ms - engine.now - 300_000)
    assert engine.phase() == "Draining"
    assert engine.burst().status.reason == "LeaseNotRenewed"


def test_a_renewed_lease_reserves_the_next_period_first() -> None:
    engine = an_engine({"budget": Budget(per_day_micro_usd=230_000)})
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    engine.wait(burst.status.lease_until_ms - engine.now - 300_000)
    assert engine.phase() == "Serving"
    account = engine.state.policies["bank/tasks"].account
    spent = account.settled_total_micro_usd
    assert spent == -(-120_000 * (engine.now - burst.status.vm_started_at_ms) // 3_600_000)
    assert engine.burst().status.reserved_micro_usd == account.outstanding_micro_usd == 230_000 - spent


def test_nothing_new_while_the_ledger_can_not_be_written() -> None:
    engine = an_engine({})
    engine.send(s.LedgerHealth(writable=False, message="disk full"), s.PodSeen(pod=a_pod()))
    assert engine.codes("bank/task-1") == ["LedgerNotWritable"]
    engine.send(s.LedgerHealth(writable=True))
    assert engine.asked("RecordBurst")


def test_what_was_spent_before_a_restart_stays_spent() -> None:
    engine = Engine()
    engine.sync(
        s.LedgerRestored(
            entries=(
                s.Spend(
                    burst="bank/old", uid="u", policy="bank/tasks", target="azure", at_ms=engine.now, micro_usd=100_000
                ),
            )
        ),
        s.PolicySeen(policy=a_policy(budget=Budget(per_day_micro_usd=200_000))),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod()),
    )
    assert engine.codes("bank/task-1") == ["PolicyBudget"]
