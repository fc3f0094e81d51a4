"""A number that one provider's share holds back goes on as soon as the shares have moved, and not at the next sync."""

from burster.model import stimuli as s
from burster.model.limits import Limits
from burster.model.pods import Owner
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from tests.support.builders import Engine, a_pod, a_policy, a_target, a_workload, an_offering


KEY = "bank/number"


def a_world(strategy: str) -> Engine:
    number = a_policy(
        "number",
        triggers=(ExternalTrigger(name="queue"),),
        scaling=Scaling(max_replicas=10, min_replicas=2, target=WorkloadRef(name="cloud")),
        workload=WorkloadSelector(kind="Deployment", name="own"),
        placement=Placement(targets=("azure",), strategy=strategy),  # type: ignore[arg-type] - one of a table
    )
    elsewhere = a_policy("tasks", placement=Placement(targets=("sovereign",)), workload=WorkloadSelector())
    plain = {"runtime_class": "", "size": ""} if strategy == "Clone" else {}
    cloud = a_workload(0, **plain)
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.TargetSeen(target=a_target(name="sovereign", provider="sovereign", sizes=("C2",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.OfferingsSeen(
            target="sovereign", offerings=(an_offering(2, target="sovereign", provider="sovereign", size="C2"),)
        ),
        s.ClusterLimitsSeen(limits=Limits(provider_shares={"azure": 50})),
        s.PolicySeen(policy=number),
        s.PolicySeen(policy=elsewhere),
        cloud,
    )
    world.send(s.MetricRead(policy=KEY, trigger="queue", at_ms=world.now, value_milli=2_000))
    return world


def held_by_share(world: Engine) -> bool:
    return any(one.reasons[0].code == "ClusterProviderShare" for one in world.decisions if one.policy == KEY)


def test_a_clone_is_started_in_the_step_in_which_its_providers_share_is_free() -> None:
    world = a_world("Clone")
    assert [one.burst.spec.target for one in world.asked("RecordBurst")] == ["azure"]
    assert held_by_share(world)
    world.send(s.PodSeen(pod=a_pod("task-1", since=world.now)))
    assert sorted(one.burst.spec.target for one in world.asked("RecordBurst")) == ["azure", "sovereign"]


def test_a_replica_is_asked_for_in_that_step() -> None:
    world = a_world("Scale")
    assert [one.replicas for one in world.asked("SetScale")] == [1]
    assert held_by_share(world)
    world.send(s.ScaleSet(policy=KEY, replicas=1))
    world.send(s.PodSeen(pod=a_pod("task-1", since=world.now)))
    assert [one.replicas for one in world.asked("SetScale")] == [2]


def test_a_published_number_rises_in_that_step() -> None:
    world = a_world("Signal")
    assert [one.replicas for one in world.asked("PublishSignal")] == [2]  # nothing of it is counted
    taken = a_policy("azures", priority=10, workload=WorkloadSelector(kind="Job", name="first"))
    first = a_pod("first-1", since=world.now, workload=Owner(api_version="batch/v1", kind="Job", name="first", uid=""))
    world.send(s.MetricRead(policy=KEY, trigger="queue", at_ms=world.now, value_milli=0), after_ms=1)
    world.send(s.PolicySeen(policy=taken), s.PodSeen(pod=first))
    assert [one.burst.spec.target for one in world.asked("RecordBurst")] == ["azure"]
    world.wait(15_000)
    world.send(s.MetricRead(policy=KEY, trigger="queue", at_ms=world.now, value_milli=5_000))
    world.wait(15_000)
    assert held_by_share(world)
    world.send(s.PodSeen(pod=a_pod("task-1", since=world.now)))
    assert [one.replicas for one in world.asked("PublishSignal")] == [5]


def test_who_has_no_number_any_more_is_not_waited_for() -> None:
    world = a_world("Clone")
    world.send(s.PolicyGone(key=KEY), s.PodSeen(pod=a_pod("task-1", since=world.now)))
    assert not world.state.shares_moved
