"""The chain of a policy at the borders of its numbers."""

import pytest

from burster.engine.why import why_pod, why_policy
from burster.model import stimuli as s
from burster.model.limits import Budget
from burster.model.triggers import PendingPodsTrigger
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


@pytest.mark.parametrize(("more", "holds"), [(0, False), (1, True)])
def test_a_budget_that_is_used_to_the_last_dollar_holds_no_more(more: int, holds: bool) -> None:
    first = Engine()
    offer = s.OfferingsSeen(target="azure", offerings=(an_offering(2),))
    first.sync(s.PolicySeen(policy=a_policy()), s.TargetSeen(target=a_target()), offer, s.PodSeen(pod=a_pod()))
    reserved = first.burst().spec.reserved_micro_usd
    policy = a_policy(budget=Budget(per_day_micro_usd=reserved + more))
    first.send(s.PolicySeen(policy=policy))
    (link,) = [link for link in why_policy(first.state, "bank/tasks") if link.check == "Budget"]
    assert link.reason.numbers == {"limit_micro_usd": reserved + more, "used_micro_usd": reserved}
    assert (link.holds, link.waits) == (holds, True)


@pytest.mark.parametrize(("since", "waited"), [(T0 + 5, "0ms"), (T0, "0ms"), (T0 - 1, "1ms"), (T0 - 29_999, "29.999s")])
def test_a_young_pod_is_told_how_long_it_is_pending(since: int, waited: str) -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(pending_for_ms=30_000)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod(since=since)),
    )
    (reason,) = engine.decisions[-1].reasons
    assert reason.sentence == f"Pending for {waited}; the policy waits for 30s."
    assert reason.numbers == {"pending_for_ms": 30_000, "due_ms": min(since, T0) + 30_000}, "by this clock"


@pytest.mark.parametrize(("since", "waited"), [(T0 + 5, "0ms"), (T0, "0ms"), (T0 - 1, "1ms")])
def test_a_pod_that_a_filter_leaves_out_is_told_how_long_it_is_pending(since: int, waited: str) -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(triggers=(PendingPodsTrigger(pending_for_ms=0, min_cpu_millicores=2_000),))),
        s.TargetSeen(target=a_target()),
        s.PodSeen(pod=a_pod(since=since)),
    )
    why = why_pod(engine.state, "bank/task-1")
    assert why is not None
    assert f"It has been pending for {waited} and is not in the policy's queue" in why.reasons[0].sentence


def test_a_pod_that_the_scheduler_has_not_given_up_is_told_so() -> None:
    engine = Engine()
    engine.sync(s.PolicySeen(policy=a_policy()), s.TargetSeen(target=a_target()), s.PodSeen(pod=a_pod(since=None)))
    why = why_pod(engine.state, "bank/task-1")
    assert why is not None
    sentence = "The scheduler has not given it up: it is gated, terminating, or not looked at yet."
    assert [reason.sentence for reason in why.reasons] == [sentence]
