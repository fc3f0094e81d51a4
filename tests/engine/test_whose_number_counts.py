"""A workload's number that burster and others set at the same time: the latest word counts, and none is set for nothing that is known."""

import pytest

from burster.model import stimuli as s
from burster.model.limits import LaunchRate, Limits
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from tests.support.builders import Engine, a_pod, a_policy, a_target, a_workload, an_offering


KEY = "bank/number"


def cloud(replicas: int, version: int = 0, **changes: object) -> s.WorkloadSeen:
    return a_workload(replicas, version=version, **changes)


def a_number(**changes: object) -> s.PolicySeen:
    scaling = {"target": WorkloadRef(name="cloud"), "max_replicas": 8, "cooldown_ms": 0}
    policy = a_policy(
        "number",
        triggers=(ExternalTrigger(name="pushed", threshold_milli=1_000),),
        scaling=Scaling(**(scaling | changes.pop("scaling", {}))),  # type: ignore[arg-type, call-overload] - the same
        placement=Placement(targets=("azure",), strategy="Scale", lease_ms=3_000_000),
        workload=WorkloadSelector(kind="Deployment", name="own"),
        **changes,
    )
    return s.PolicySeen(policy=policy)


def an_engine(first: s.WorkloadSeen, *more: s.Stimulus, **changes: object) -> Engine:
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        a_number(**changes),
        first,
        *more,
    )
    return engine


def reads(engine: Engine, value: int) -> None:
    engine.send(s.MetricRead(policy=KEY, trigger="pushed", at_ms=engine.now, value_milli=value * 1_000))


def fails(engine: Engine) -> None:
    engine.send(s.MetricFailed(policy=KEY, trigger="pushed", at_ms=engine.now, message="down"))


def known(engine: Engine) -> int:
    return engine.state.workloads["bank/Deployment/cloud"].replicas


def wanted(engine: Engine) -> list[int]:
    return [one.replicas for one in engine.asked("SetScale")]


def some_minutes(engine: Engine, minutes: int = 10) -> list[int]:
    """Let time pass; return every number that is asked for."""
    asked: list[int] = []
    for _ in range(minutes * 12):
        engine.wait(5_000)
        asked += wanted(engine)
    return asked


def test_an_answer_that_comes_after_somebody_elses_later_number_changes_nothing() -> None:
    engine = an_engine(cloud(0, 10))
    reads(engine, 1)
    assert wanted(engine) == [1]
    engine.send(cloud(5, 12))  # ours was the 11th version
    engine.send(s.ScaleSet(policy=KEY, replicas=1, version=11))
    assert known(engine) == 5


def test_an_answer_that_is_later_than_what_was_told_is_the_number() -> None:
    engine = an_engine(cloud(0, 10))
    reads(engine, 1)
    engine.send(cloud(5, 11))
    engine.send(s.ScaleSet(policy=KEY, replicas=1, version=12))
    assert known(engine) == 1


def test_what_was_read_before_the_number_was_set_is_old_when_it_is_told_after_it() -> None:
    engine = an_engine(cloud(0, 10))
    reads(engine, 1)
    engine.send(s.ScaleSet(policy=KEY, replicas=1, version=12))
    engine.send(cloud(0, 11))
    assert known(engine) == 1
    assert wanted(engine) == []
    engine.send(cloud(3, 13))
    assert known(engine) == 3


def test_a_new_version_of_the_same_is_no_news() -> None:
    engine = an_engine(cloud(0, 10))
    engine.send(cloud(0, 11))
    engine.send(cloud(1, 10))
    assert known(engine) == 0  # but it is remembered: an older word is one


def test_without_versions_a_number_told_while_the_answer_was_out_is_the_later_one() -> None:
    engine = an_engine(cloud(0))
    reads(engine, 1)
    engine.send(cloud(5))
    engine.send(s.ScaleSet(policy=KEY, replicas=1))
    assert known(engine) == 5


def test_without_versions_an_answer_is_the_number_where_nobody_has_told_another() -> None:
    engine = an_engine(cloud(0))
    reads(engine, 1)
    engine.send(cloud(0, ready_replicas=0, images=("a",)))
    engine.send(s.ScaleSet(policy=KEY, replicas=1))
    assert known(engine) == 1


@pytest.mark.parametrize("answer", [s.ScaleSet(policy=KEY, replicas=1, version=11), None])
def test_a_number_set_by_somebody_while_the_answer_was_out_stays_while_no_value_is_known(
    answer: s.ScaleSet | None,
) -> None:
    engine = an_engine(cloud(0, 10))
    reads(engine, 1)
    fails(engine)
    engine.send(cloud(5, 12))
    failed = s.InstructionFailed(
        instruction="SetScale", key=f"scale/{KEY}", subject=KEY, kind="Timeout", message="no answer"
    )
    engine.send(answer or failed)
    assert some_minutes(engine) == []
    assert known(engine) == 5


def test_what_was_to_go_and_could_not_be_set_stays_where_the_values_are_lost_meanwhile() -> None:
    engine = an_engine(cloud(2, 10))
    reads(engine, 2)
    engine.wait(1)
    reads(engine, 0)
    assert (wanted(engine) or some_minutes(engine, 1)) == [0]
    fails(engine)
    engine.send(
        s.InstructionFailed(instruction="SetScale", key=f"scale/{KEY}", subject=KEY, kind="Timeout", message="no")
    )
    assert some_minutes(engine) == []
    assert engine.state.policies[KEY].scaler is not None
    assert "MetricsMissing" in [reason.code for one in engine.decisions for reason in one.reasons]


def test_what_a_deleted_policy_had_asked_for_is_where_its_successor_begins() -> None:
    engine = an_engine(cloud(0, 10))
    reads(engine, 1)
    engine.send(s.ScaleSet(policy=KEY, replicas=1, version=11), cloud(1, 11))
    engine.send(s.PolicyGone(key=KEY))
    assert wanted(engine) == [0]
    engine.send(a_number())
    engine.send(s.ScaleSet(policy=KEY, replicas=0, version=12))
    assert some_minutes(engine, 1) == []  # nothing was read since: nothing is bought
    assert known(engine) == 0


def test_replicas_that_somebody_started_are_counted_before_anybody_else_is_served() -> None:
    engine = an_engine(
        cloud(0, 10), s.PolicySeen(policy=a_policy("tasks")), s.ClusterLimitsSeen(limits=Limits(max_bursts=1))
    )
    engine.send(cloud(1, 11), s.PodSeen(pod=a_pod("task-1", since=engine.now)))
    assert not engine.asked("RecordBurst")
    assert engine.codes("bank/task-1")[-1] == "ClusterMaxBursts"


def test_replicas_that_have_gone_make_room_in_the_same_step() -> None:
    engine = an_engine(
        cloud(1, 10), s.PolicySeen(policy=a_policy("tasks")), s.ClusterLimitsSeen(limits=Limits(max_bursts=1))
    )
    engine.send(cloud(0, 11), s.PodSeen(pod=a_pod("task-1", since=engine.now)))
    assert len(engine.asked("RecordBurst")) == 1


def test_replicas_that_somebody_started_are_no_launches_of_bursters() -> None:
    once = Limits(launch_rate=LaunchRate(count=1, per_ms=60_000))
    engine = an_engine(cloud(0, 10), s.PolicySeen(policy=a_policy("tasks")), s.ClusterLimitsSeen(limits=once))
    engine.send(cloud(1, 11), s.PodSeen(pod=a_pod("task-1", since=engine.now)))
    assert len(engine.asked("RecordBurst")) == 1


@pytest.mark.parametrize("gone", [False, True])
def test_a_launch_rate_that_is_declared_later_knows_of_replicas_too(gone: bool) -> None:
    engine = an_engine(cloud(0, 10), s.PolicySeen(policy=a_policy("tasks")))
    reads(engine, 1)
    engine.send(s.ScaleSet(policy=KEY, replicas=1, version=11), cloud(1, 11))
    if gone:
        engine.send(s.PolicyGone(key=KEY))
        engine.send(s.ScaleSet(policy=KEY, replicas=0, version=12), cloud(0, 12))
        assert not engine.state.scale_books
    once = Limits(launch_rate=LaunchRate(count=1, per_ms=60_000))
    engine.send(s.ClusterLimitsSeen(limits=once), s.PodSeen(pod=a_pod("task-1", since=engine.now)))
    assert engine.codes("bank/task-1")[-1] == "ClusterLaunchRate"
    engine.wait(60_000)
    assert engine.asked("RecordBurst")


def test_launches_of_replicas_are_remembered_for_as_long_as_a_rate_may_be() -> None:
    engine = an_engine(cloud(0, 10))
    reads(engine, 1)
    assert len(engine.state.former_launches) == 1
    engine.wait(86_400_000)
    engine.send(s.Tick(kind="gc"))
    assert len(engine.state.former_launches) == 1
    engine.wait(1)
    engine.send(s.Tick(kind="gc"))
    assert not engine.state.former_launches


def test_a_launch_rate_that_is_declared_later_knows_of_bursts_whose_records_are_forgotten() -> None:
    engine = an_engine(cloud(0, 10), s.PolicySeen(policy=a_policy("tasks")))
    first = a_pod("task-1", since=engine.now)
    engine.send(s.PodSeen(pod=first))
    burst = engine.to_serving()
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid))
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    while engine.phase(burst.key) != "Released":
        engine.send(s.StatusWritten(key=burst.key, phase=engine.phase(burst.key)), after_ms=1_000)
        for asked in engine.asked("ObserveVms"):
            engine.send(s.VmsObserved(key=asked.burst.key, vms=()))
    engine.send(s.RecordDeleted(key=burst.key))
    assert not engine.state.bursts
    once = Limits(launch_rate=LaunchRate(count=1, per_ms=600_000))
    engine.send(s.ClusterLimitsSeen(limits=once), s.PodSeen(pod=a_pod("task-2", since=engine.now)))
    assert engine.codes("bank/task-2")[-1] == "ClusterLaunchRate"
