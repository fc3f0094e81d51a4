"""What is left beside what renewals need: to the micro-dollar."""

import pytest

from burster.engine.accounting import budgets
from burster.engine.answers import Refusal
from burster.model import stimuli as s
from burster.model.limits import Budget
from tests.support.builders import Engine, a_policy, a_target


WHERE = ("bank/tasks", "bank", "azure")


@pytest.mark.parametrize(
    ("wanted", "claimed", "code"),
    [(90, 10, ""), (91, 10, "RenewalsFirst"), (90, 11, "RenewalsFirst"), (100, 0, ""), (101, 0, "PolicyBudget")],
)
def test_new_bursts_leave_alone_what_renewals_need(wanted: int, claimed: int, code: str) -> None:
    engine = Engine()
    engine.sync(s.PolicySeen(policy=a_policy(budget=Budget(per_day_micro_usd=100))), s.TargetSeen(target=a_target()))
    budgets.claim(engine.state, *WHERE, claimed)
    answer = budgets.shortfall(engine.state, *WHERE, wanted)
    if not code:
        assert answer is None
        return
    assert isinstance(answer, Refusal)
    assert (answer.verdict, answer.reason.code, answer.whole_policy) == ("Wait", code, False)
    assert answer.again_at_ms == 1_767_657_600_000  # the next day, 2026-01-06T00:00:00Z


@pytest.mark.parametrize(("spent", "code"), [(79, ""), (80, "BudgetStop"), (99, "BudgetStop")])
def test_where_new_bursts_stop_no_other_pod_of_the_policy_need_ask(spent: int, code: str) -> None:
    engine = Engine()
    budget = Budget(per_day_micro_usd=100, stop_percent=80)
    engine.sync(s.PolicySeen(policy=a_policy(budget=budget)), s.TargetSeen(target=a_target()))
    budgets.reserve(engine.state, *WHERE, spent)
    answer = budgets.shortfall(engine.state, *WHERE, 1)
    if not code:
        assert answer is None
        return
    assert isinstance(answer, Refusal)
    assert (answer.verdict, answer.reason.code, answer.whole_policy) == ("Wait", code, True)
    assert answer.again_at_ms == 1_767_657_600_000
