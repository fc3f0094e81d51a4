"""How many Jobs a ScaledJob would create, worked out by hand from KEDA's strategies."""

import pytest

from burster.engine.autoscale.jobs import JobPlan, JobRules, JobTrigger, plan_jobs


def queue(length, target=1, *, active=None):
    return JobTrigger(round(length * 1000), round(target * 1000), length > 0 if active is None else active)


@pytest.mark.parametrize(
    ("rules", "triggers", "running", "pending", "want"),
    [
        pytest.param(JobRules(), [queue(5)], 0, 0, 5, id="one job for each message"),
        pytest.param(JobRules(), [queue(5)], 2, 0, 3, id="default: what runs is taken off"),
        pytest.param(JobRules(), [queue(5)], 5, 0, 0, id="default: all are running"),
        pytest.param(JobRules(), [queue(5)], 9, 0, 0, id="never negative"),
        pytest.param(JobRules(), [queue(5, 2)], 0, 0, 3, id="2.5 rounds up"),
        pytest.param(JobRules(), [queue(7.001, 7)], 0, 0, 2, id="the least above one rounds up"),
        pytest.param(JobRules(), [queue(500)], 0, 0, 100, id="the default maximum"),
        pytest.param(JobRules(maximum=10), [queue(500)], 0, 0, 10, id="a maximum"),
        pytest.param(JobRules(maximum=10), [queue(500)], 4, 0, 6, id="a maximum with some running"),
        pytest.param(JobRules(minimum=2), [queue(0)], 0, 0, 2, id="up to the minimum without a queue"),
        pytest.param(JobRules(minimum=2), [queue(9)], 1, 0, 1, id="only up to the minimum first"),
        pytest.param(JobRules(minimum=2), [queue(9)], 2, 0, 9, id="the minimum is no part of the rest"),
        pytest.param(JobRules(minimum=2, maximum=10), [queue(500)], 2, 0, 8, id="nor of the maximum"),
        pytest.param(
            JobRules(minimum=9, maximum=5), [queue(1)], 0, 0, 5, id="a minimum above the maximum is the maximum"
        ),
        pytest.param(JobRules(), [queue(5, active=False)], 0, 0, 0, id="not active"),
        pytest.param(JobRules(), [queue(5, 0)], 0, 0, 0, id="no target is no trigger"),
        pytest.param(JobRules(strategy="custom"), [queue(5)], 2, 0, 3, id="custom without a percentage is default"),
        pytest.param(
            JobRules(strategy="custom", deduction=1, running_percentage_milli=500),
            [queue(9)],
            3,
            0,
            7,
            id="custom: 9-1-1",
        ),
        pytest.param(
            JobRules(strategy="custom", running_percentage_milli=0, maximum=4),
            [queue(9)],
            3,
            0,
            4,
            id="custom: at most max",
        ),
        pytest.param(JobRules(strategy="accurate"), [queue(5)], 3, 0, 5, id="accurate: running ones are off the queue"),
        pytest.param(JobRules(strategy="accurate"), [queue(5)], 3, 2, 3, id="accurate: pending ones are not"),
        pytest.param(JobRules(strategy="accurate", maximum=6), [queue(5)], 3, 0, 3, id="accurate: up to the maximum"),
        pytest.param(JobRules(strategy="accurate", maximum=8), [queue(5)], 3, 0, 5, id="accurate: exactly the maximum"),
        pytest.param(JobRules(strategy="eager", maximum=10), [queue(3)], 3, 0, 3, id="eager: as the queue"),
        pytest.param(JobRules(strategy="eager", maximum=10), [queue(9)], 3, 1, 6, id="eager: all slots that are left"),
        pytest.param(JobRules(strategy="eager", maximum=10), [queue(9)], 8, 2, 0, id="eager: no slot is left"),
        pytest.param(JobRules(joining="max"), [queue(3), queue(7, 2)], 0, 0, 4, id="max: the longest queue's share"),
        pytest.param(JobRules(joining="min"), [queue(3), queue(7)], 0, 0, 3, id="min: the shortest queue"),
        pytest.param(
            JobRules(joining="min"), [queue(3, active=False), queue(7)], 0, 0, 7, id="min: of the active ones"
        ),
        pytest.param(JobRules(joining="avg"), [queue(3), queue(8)], 0, 0, 6, id="avg: 5.5 rounds up"),
        pytest.param(JobRules(joining="sum"), [queue(3), queue(8)], 0, 0, 11, id="sum"),
        pytest.param(JobRules(joining="sum"), [queue(1, 3)] * 3, 0, 0, 1, id="sum: three thirds are one"),
        pytest.param(
            JobRules(joining="sum", maximum=10), [queue(9), queue(9)], 0, 0, 10, id="sum: at most the maximum"
        ),
        pytest.param(JobRules(), [], 0, 0, 0, id="no trigger"),
    ],
)
def test_how_many_are_created(rules, triggers, running, pending, want):
    assert plan_jobs(rules, triggers, running=running, pending=pending).create == want


def test_the_plan_tells_queue_and_room():
    assert plan_jobs(JobRules(), [queue(5, 2)], running=1, pending=0) == JobPlan(2, 5, 2, active=True)
    assert plan_jobs(JobRules(), [queue(0, active=True)], running=1, pending=0) == JobPlan(0, 0, 0, active=False)
    assert plan_jobs(JobRules(joining="min"), [queue(0, active=True)], running=0, pending=0).active
    assert plan_jobs(JobRules(strategy="eager"), [queue(5)], running=1, pending=0) == JobPlan(5, 100, 5, active=True)


def test_the_bounds_as_keda_uses_them():
    assert JobRules().effective() == (0, 100)
    assert JobRules(minimum=3).effective() == (3, 100)
    assert JobRules(minimum=3, maximum=10).effective() == (3, 7)
    assert JobRules(minimum=3, maximum=3).effective() == (3, 0)
    assert JobRules(minimum=4, maximum=3).effective() == (3, 3)
