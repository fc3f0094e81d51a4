"""What is said on a policy by Kubernetes events: once for each thing that happens, however many pods it is about."""

import msgspec

from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.pods import Owner
from burster.model.scaling import Fallback
from tests.engine.test_scale_a_workload import Cluster, a_scaling_policy
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


def an_engine(policy, *more):
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        s.PolicySeen(policy=policy),
        *more,
    )
    return engine


def told(engine):
    events = [one for one in engine.asked("EmitEvent") if one.kind == "BurstPolicy"]
    assert len({one.key for one in events}) == len(events)
    return [(one.severity, one.reason) for one in events]


def messages(engine):
    return [one.message for one in engine.asked("EmitEvent") if one.kind == "BurstPolicy"]


def known(**changes):
    return a_policy(uid="uid-p", **changes)


def test_an_ordinary_policy_is_told_nothing_at_first():
    assert told(an_engine(known())) == []


def test_many_bursts_of_one_step_are_one_event():
    engine = an_engine(known(), *(s.PodSeen(pod=a_pod(f"task-{number}", since=T0 - 60_000)) for number in range(3)))
    assert told(engine) == [("Normal", "BurstsStarted")]
    (message,) = messages(engine)
    assert message.startswith("burst-task-0-")
    assert message.endswith(" for bank/task-0 and 2 more.")


def test_a_policy_that_no_api_server_has_is_told_nothing():
    assert told(an_engine(a_policy(), s.PodSeen(pod=a_pod(since=T0 - 60_000)))) == []


def test_money_that_refuses_is_told_once_for_all():
    limits = Limits(budget=Budget(per_day_micro_usd=1))
    pods = (s.PodSeen(pod=a_pod(f"task-{number}", since=T0 - 60_000)) for number in range(3))
    engine = an_engine(known(limits=limits), *pods)
    assert told(engine) == [("Warning", "BurstRefused")]
    assert messages(engine)[0].startswith("bank/task-0: ")


def test_pods_that_this_version_can_not_take_are_told_once_for_all():
    owner = Owner(api_version="batch/v1", kind="Job", name="batch", uid="job")
    pods = (
        s.PodSeen(pod=a_pod(f"task-{number}", since=T0 - 60_000, owner=owner, workload=owner)) for number in range(3)
    )
    engine = an_engine(known(strategy="Move"), *pods)
    assert told(engine) == [("Warning", "BurstRefused")]
    (message,) = messages(engine)
    assert message.startswith("bank/task-0: Moving a pod that a Job controls needs burster's admission webhook")
    engine.send(s.Tick(kind="evaluate"), after_ms=15_000)
    assert told(engine) == [], "it is told once, not at every look"


def test_a_pause_and_its_end_are_told():
    engine = an_engine(known())
    engine.send(s.PolicyStatusWritten(policy="bank/tasks"), after_ms=6_000)
    engine.send(s.PolicySeen(policy=known(paused=True)))
    assert told(engine) == [("Normal", "PolicyPaused")]
    engine.send(s.PolicyStatusWritten(policy="bank/tasks"), after_ms=6_000)
    engine.send(s.PolicySeen(policy=known()))
    assert told(engine) == [("Normal", "PolicyUnpaused")]


def test_a_policy_found_paused_is_told_so():
    assert told(an_engine(known(paused=True))) == [("Normal", "PolicyPaused")]


def test_a_stopped_cluster_is_told_on_every_policy():
    engine = an_engine(known(), s.ClusterStop(stopped=True, by="kim", why="a drill."))
    assert told(engine) == [("Normal", "PolicyPaused")]
    assert messages(engine) == ["New bursts are stopped for the whole cluster by kim: a drill."]


def test_a_version_that_is_refused_is_told():
    engine = an_engine(known())
    engine.send(s.PolicyStatusWritten(policy="bank/tasks"), after_ms=6_000)
    engine.send(s.PolicyRefused(key="bank/tasks", uid="uid-p", generation=2, message="spec.when: no."))
    assert told(engine) == [("Warning", "PolicyRefused")]


def test_a_fallback_is_told_when_it_begins_to_stand():
    fallback = Fallback(failure_threshold=0, replicas=2)
    world = Cluster(msgspec.structs.replace(a_scaling_policy(scaling={"fallback": fallback}), uid="uid-p"))
    seen = []
    for _ in range(40):
        world.send(
            s.MetricFailed(policy="bank/classic", trigger="pending", at_ms=world.now, message="no route"),
            after_ms=10_000,
        )
        seen += told(world)
        world.send(s.PolicyStatusWritten(policy="bank/classic"))
        seen += told(world)
        world.settle()
    assert seen.count(("Warning", "FallbackActivated")) == 1


def test_a_number_that_changes_is_told_from_where_to_where():
    world = Cluster(msgspec.structs.replace(a_scaling_policy(), uid="uid-p"))
    world.send(s.MetricRead(policy="bank/classic", trigger="pending", at_ms=world.now, value_milli=4_000))
    assert ("Normal", "ScaleTargetScaled") in told(world)
    assert "From 0 to 1 replicas" in messages(world)[0]
