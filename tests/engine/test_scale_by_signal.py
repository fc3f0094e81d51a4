"""Strategy Signal: the number is published for KEDA, no larger than limits and budgets would bear, and nothing is reserved."""

import msgspec
import pytest

from burster.model import stimuli as s
from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.policies import Placement
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, PendingPodsTrigger, WorkloadRef
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


KEY = "bank/hint"


def a_signal_policy(**changes):
    scaling = {"target": WorkloadRef(name="cloud-deployment"), "max_replicas": 10} | changes.pop("scaling", {})
    return a_policy(
        "hint",
        triggers=(ExternalTrigger(name="queue"),),
        scaling=Scaling(**scaling),
        placement=Placement(targets=("azure",), strategy="Signal"),
        **changes,
    )


def a_world(policy=None, *more, **target):
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        s.PolicySeen(policy=policy or a_signal_policy()),
        *more,
    )
    return world


def read(world, value):
    return s.MetricRead(policy=KEY, trigger="queue", at_ms=world.now, value_milli=value * 1000)


def published(world):
    return [(one.replicas, one.active) for one in world.asked("PublishSignal")]


def test_nothing_is_published_before_the_trigger_has_a_value():
    world = a_world()
    world.wait(60_000)
    assert published(world) == []
    world.send(read(world, 0))
    assert published(world) == [(0, False)]
    world.wait(30_000)
    assert published(world) == []


def test_the_number_is_published_on_change_and_not_held_back_by_the_older_limits():
    world = a_world()
    world.send(read(world, 7))
    (asked,) = world.asked("PublishSignal")
    assert (asked.key, asked.policy, asked.replicas, asked.active) == (f"signal/{KEY}", KEY, 1, True)
    world.send(s.SignalPublished(policy=KEY, replicas=1), after_ms=15_000)
    assert published(world) == [(7, True)]
    world.wait(15_000)
    assert published(world) == []
    world.send(read(world, 3))
    world.wait(15_000)
    assert published(world) == [(3, True)]
    assert not world.state.bursts
    assert world.state.policies[KEY].scope.account.outstanding_micro_usd == 0


def test_it_goes_to_zero_after_the_cooldown():
    world = a_world()
    world.send(read(world, 2))
    world.wait(15_000)
    seen = []
    for _ in range(35):
        world.send(read(world, 0), after_ms=15_000)
        seen += published(world)
    assert seen == [(1, False), (0, False)]


@pytest.mark.parametrize(
    ("limits", "want", "code"),
    [
        (Limits(max_bursts=3), 3, "PolicyMaxBursts"),
        (Limits(max_vcpus=11), 2, "PolicyMaxVcpus"),
        (Limits(max_vcpus=12), 3, "PolicyMaxVcpus"),
        (Limits(budget=Budget(per_day_micro_usd=520_000)), 2, "PolicyBudget"),
        (Limits(budget=Budget(per_day_micro_usd=519_999)), 1, "PolicyBudget"),
        (Limits(budget=Budget(per_day_micro_usd=1)), 0, "PolicyBudget"),
    ],
)
def test_it_is_no_larger_than_limits_and_money_would_bear(limits, want, code):
    world = a_world(a_signal_policy(limits=limits))
    world.send(read(world, 7))
    world.wait(15_000)
    assert world.state.policies[KEY].scaler.published == (want, want > 0)
    assert world.decisions[-1].reasons[0].code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [({"allowed_namespaces": ("other",)}, "NamespaceNotAllowed"), ({"tees": ("SNP",)}, "NoSizeAllowed")],
)
def test_it_is_none_where_no_target_takes_such_a_pod(change, code):
    world = a_world(None, **change)
    world.send(read(world, 7))
    assert published(world) == [(0, False)]
    assert world.decisions[-1].verdict == "Scale"
    assert world.decisions[-1].reasons[0].code in {code, "TeeNotOffered"}


def test_it_is_none_for_a_plain_workload():
    plain = s.WorkloadSeen(namespace="bank", kind="Deployment", name="cloud-deployment", replicas=0)
    world = a_world(None, plain)
    world.send(read(world, 7))
    assert published(world) == [(0, False)]
    assert world.decisions[-1].reasons[0].code == "NotConfidential"


def test_it_is_published_again_where_that_failed():
    world = a_world()
    world.send(read(world, 7))
    failure = s.InstructionFailed(
        instruction="PublishSignal", key=f"signal/{KEY}", subject=KEY, kind="Unavailable", message="x"
    )
    world.send(failure)
    assert published(world) == []
    world.wait(999)
    assert published(world) == []
    world.wait(1)
    assert published(world) == [(1, True)]


def test_a_missing_value_changes_nothing():
    world = a_world()
    world.send(read(world, 4))
    world.wait(15_000)
    assert published(world) == [(4, True)]
    for _ in range(60):
        world.wait(15_000)
        assert published(world) == []
    assert world.now > T0 + 900_000


def withdrawn(world):
    return [(one.key, one.policy, one.replicas, one.active) for one in world.asked("PublishSignal") if one.withdrawn]


def test_the_number_of_a_policy_that_is_gone_is_taken_down():
    world = a_world()
    world.send(read(world, 2))
    assert withdrawn(world) == []
    world.send(s.PolicyGone(key=KEY))
    assert withdrawn(world) == [(f"signal/{KEY}", KEY, 0, False)]
    world.send(s.SignalPublished(policy=KEY, replicas=0))
    failed = s.InstructionFailed(
        instruction="PublishSignal", key=f"signal/{KEY}", subject=KEY, kind="Unavailable", message="x"
    )
    world.send(failed)
    assert world.asked("PublishSignal") == []
    world.send(s.PolicySeen(policy=a_signal_policy()))
    world.send(read(world, 2))
    assert published(world) == [(1, True)]


def test_nothing_is_taken_down_where_nothing_was_up():
    world = a_world()
    world.send(s.PolicyGone(key=KEY))
    assert world.asked("PublishSignal") == []


@pytest.mark.parametrize("strategy", ["Scale", "Auto"])
def test_the_number_of_a_policy_that_signals_no_more_is_taken_down(strategy):
    world = a_world()
    world.send(read(world, 2))
    policy = a_signal_policy()
    changed = msgspec.structs.replace(
        policy, generation=2, placement=msgspec.structs.replace(policy.placement, strategy=strategy)
    )
    if strategy == "Auto":  # no number at all
        pods = (PendingPodsTrigger(),)
        changed = msgspec.structs.replace(changed, triggers=pods, scaling=Scaling())
    world.send(s.PolicySeen(policy=changed))
    assert withdrawn(world) == [(f"signal/{KEY}", KEY, 0, False)]
    world.wait(60_000)
    assert withdrawn(world) == []


def test_what_is_published_stays_where_others_have_taken_all_room_since():
    world = a_world(
        None, s.PolicySeen(policy=a_policy("tasks", priority=10)), s.ClusterLimitsSeen(limits=Limits(max_bursts=3))
    )
    world.send(read(world, 2))
    world.wait(15_000)
    assert world.state.policies[KEY].scaler.published == (2, True)
    for number in range(3):
        world.send(s.PodSeen(pod=a_pod(f"task-{number}", since=world.now)))
    assert world.state.scopes["Cluster", ""].active == 3
    world.send(read(world, 5))
    for _ in range(20):
        world.wait(15_000)
        assert published(world) == []
    assert world.state.policies[KEY].scaler.published == (2, True)  # no more of it, and nothing is given up
    assert world.codes("bank/cloud-deployment")[-1] == "ClusterMaxBursts"
    world.send(read(world, 1))
    for _ in range(20):
        world.wait(15_000)
    assert world.state.policies[KEY].scaler.published == (1, True)  # less is asked for


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_bursts=1),
        Limits(max_vcpus=2),
        Limits(launch_rate=LaunchRate(count=1, per_ms=3_600_000)),
        Limits(budget=Budget(per_day_micro_usd=300_000)),
    ],
)
def test_one_burst_of_another_policy_takes_nothing_away_that_is_published(limits):
    world = a_world(None, s.PolicySeen(policy=a_policy("tasks", priority=10)))
    world.send(read(world, 1))
    assert published(world) == [(1, True)]
    world.send(s.ClusterLimitsSeen(limits=limits), s.PodSeen(pod=a_pod("task-1", since=world.now)))
    for _ in range(20):
        world.send(read(world, 1), after_ms=15_000)
        assert published(world) == []


def test_it_is_taken_down_where_the_policy_itself_may_start_nothing_more():
    world = a_world()
    world.send(read(world, 2))
    world.wait(15_000)
    world.send(s.DrainRequested())
    world.wait(15_000)
    assert world.state.policies[KEY].scaler.published == (0, False)
