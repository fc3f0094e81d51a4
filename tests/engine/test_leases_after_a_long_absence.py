"""Leases that have run out while nobody looked: what all of them have cost is booked before any of them is renewed."""

from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from tests.support.builders import Engine, a_pod


HOUR = 3_600_000


def test_no_lease_is_renewed_with_money_that_another_has_spent_meanwhile(ready: Engine) -> None:
    ready.send(*(s.PodSeen(pod=a_pod(name, since=ready.now)) for name in ("task-1", "task-2")))
    for key in sorted(ready.state.bursts):
        ready.to_serving(key)
    price = ready.burst().spec.price_micro_usd_per_hour
    ready.send(s.ClusterLimitsSeen(limits=Limits(budget=Budget(per_day_micro_usd=15 * price))))
    ready.decisions.clear()
    ready.wait(10 * HOUR)
    account = ready.state.scopes["Cluster", ""].account
    assert account.settled_total_micro_usd > 15 * price  # each has cost about ten hours
    assert not [one for one in ready.decisions if one.verdict == "Renew"]
    assert len([one for one in ready.decisions if one.reasons[0].code == "LeaseNotRenewed"]) == 2
