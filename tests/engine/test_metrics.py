"""What a trigger is worth: readings, failures, age, order, and the words that conditions may use."""

import pytest

from burster.engine.numbers import metrics
from burster.model import stimuli as s
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Behavior, Direction, Scaling
from burster.model.triggers import (
    CronTrigger,
    ExternalTrigger,
    PendingPodsTrigger,
    ResourceTrigger,
    WorkloadRef,
)
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


KEY = "bank/tasks"
QUEUE = ExternalTrigger(name="queue", threshold_milli=2000, activation_milli=5000)
MEMORY = ResourceTrigger(
    name="memory", resource="memory", source=WorkloadRef(name="on-prem"), threshold_milli=70_000, activation_milli=1000
)


def a_world(*triggers, strategy="Scale", scaling=None, **changes):
    world = Engine()
    target = WorkloadRef(name="cloud")
    policy = a_policy(
        triggers=triggers or (QUEUE,),
        scaling=scaling or Scaling(target=target),
        placement=Placement(targets=("azure",), strategy=strategy),
        **changes,
    )
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=policy),
    )
    return world


def read(value, at=T0, name="queue"):
    return s.MetricRead(policy=KEY, trigger=name, at_ms=at, value_milli=value)


def failed(at=T0, name="queue", message="503"):
    return s.MetricFailed(policy=KEY, trigger=name, at_ms=at, message=message)


def fact(world, trigger=QUEUE):
    return metrics.fact_of(world.state, world.state.policies[KEY], trigger)


def test_what_was_never_read_is_missing():
    world = a_world()
    found = fact(world)
    assert (found.value_milli, found.active, found.missing) == (None, False, "queue was never read.")
    assert metrics.values(world.state, KEY) == {}
    assert metrics.values(world.state, "bank/nobody") == {}


@pytest.mark.parametrize(("value", "active"), [(0, False), (4999, False), (5000, False), (5001, True), (10**9, True)])
def test_it_is_active_above_its_activation_value(value, active):
    world = a_world()
    world.send(read(value))
    found = fact(world)
    assert (found.value_milli, found.active, found.missing, found.failures) == (value, active, "", 0)
    assert (found.name, found.target_milli, found.metric_type) == ("queue", 2000, "AverageValue")
    assert metrics.values(world.state, KEY) == {"queue": value / 1000}


def test_values_are_kept_within_what_can_be_counted():
    world = a_world()
    world.send(read(-7))
    assert fact(world).value_milli == 0
    world.send(read(10**30))
    assert fact(world).value_milli == 2**63 - 1


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (120_000, True), (120_001, False)])
def test_a_value_grows_stale(age, fresh):
    world = a_world()
    world.send(read(7000))
    world.now = T0 + age
    world.send()
    found = fact(world)
    assert (found.value_milli is not None) is fresh
    assert found.active is fresh
    assert found.missing == ("" if fresh else "queue was last read 2m0.001s ago.")


def test_a_failure_makes_it_missing_at_once_and_a_value_brings_it_back():
    world = a_world()
    world.send(read(7000))
    world.send(failed(T0 + 1), after_ms=1)
    found = fact(world)
    assert (found.value_milli, found.active, found.failures) == (None, False, 1)
    assert found.missing == "queue could not be read: 503"
    world.send(failed(T0 + 2), after_ms=1)
    assert fact(world).failures == 2
    world.send(read(7000, T0 + 3), after_ms=1)
    assert fact(world).failures == 0
    assert fact(world).value_milli == 7000


def test_a_failure_that_is_told_twice_counts_once():
    world = a_world()
    world.send(failed(), failed())
    assert fact(world).failures == 1


def test_a_long_message_is_cut():
    world = a_world()
    world.send(failed(message="x" * 1000))
    assert fact(world).missing == "queue could not be read: " + "x" * 300


def test_an_older_word_than_the_latest_is_not_heard():
    world = a_world()
    world.now = T0 + 10
    world.send(read(7000, T0 + 5))
    world.send(read(1000, T0 + 4))
    assert fact(world).value_milli == 7000
    world.send(failed(T0 + 4))
    assert fact(world).value_milli == 7000
    world.send(read(1000, T0 + 5))
    assert fact(world).value_milli == 1000


def test_a_clock_that_is_ahead_does_not_block_what_comes_after():
    world = a_world()
    world.send(read(7000, T0 + 10**9))
    world.send(read(1000, T0 + 1), after_ms=1)
    assert fact(world).value_milli == 1000


def test_what_nobody_asked_about_is_not_kept():
    world = a_world()
    world.send(read(1, name="other"), s.MetricRead(policy="bank/no", trigger="queue", at_ms=T0, value_milli=1))
    world.send(s.MetricFailed(policy="bank/no", trigger="queue", at_ms=T0, message="x"))
    assert world.state.policies[KEY].readings == {}


def test_a_reading_of_another_query_is_none():
    world = a_world()
    world.send(read(7000))
    changed = ExternalTrigger(name="queue", threshold_milli=3000, activation_milli=5000)
    policy = a_policy(
        triggers=(changed,),
        scaling=Scaling(target=WorkloadRef(name="cloud")),
        placement=Placement(targets=("azure",), strategy="Scale"),
    )
    world.send(s.PolicySeen(policy=policy))
    assert fact(world, changed).missing == "queue was never read."


def test_a_poll_counts_a_value_that_was_there_and_is_missing():
    world = a_world()
    entry = world.state.policies[KEY]
    metrics.note_poll(world.state, entry)
    assert entry.readings == {}  # never read is no failure: it would buy a fallback
    world.send(read(7000))
    metrics.note_poll(world.state, entry)
    assert entry.readings["queue"].failures == 0
    world.state.now_ms = T0 + 120_001
    metrics.note_poll(world.state, entry)
    metrics.note_poll(world.state, entry)
    assert entry.readings["queue"].failures == 2


def test_a_failure_that_its_source_told_is_not_counted_again_by_the_poll():
    world = a_world()
    entry = world.state.policies[KEY]
    world.send(failed())
    metrics.note_poll(world.state, entry)
    assert entry.readings["queue"].failures == 1
    metrics.note_poll(world.state, entry)
    assert entry.readings["queue"].failures == 2


def use(usage, replicas=4, at=T0, request=1000):
    pods = tuple(s.PodUse(usage=usage, request=request, started_at_ms=0) for _ in range(replicas))
    return s.ResourceRead(policy=KEY, trigger="memory", at_ms=at, replicas=replicas, pods=pods)


@pytest.mark.parametrize(
    ("usage", "wants", "active", "average"),
    [
        (700, 0, False, 70_000),
        (770, 0, False, 77_000),
        (780, 1, False, 78_000),  # 1 is not more than 1
        (1050, 2, True, 105_000),
        (100, 0, False, 10_000),
    ],
)
def test_a_measured_workload_lacks_what_it_needs_less_what_it_has(usage, wants, active, average):
    world = a_world(MEMORY)
    world.send(use(usage))
    found = fact(world, MEMORY)
    assert (found.wants, found.active, found.value_milli) == (wants, active, average)
    assert metrics.values(world.state, KEY) == {"memory": average / 1000}


def test_a_measured_workload_without_metrics_is_missing():
    world = a_world(MEMORY)
    world.send(use(None))
    found = fact(world, MEMORY)
    assert (found.value_milli, found.wants) == (None, None)
    assert found.missing == "memory: the pods of Deployment on-prem have no metrics that tell."


def test_the_tolerance_of_a_policy():
    assert metrics.tolerance_of(a_policy()) == (100, 100)
    behavior = Behavior(
        scale_up=Direction(stabilization_ms=0, steps=(), tolerance_milli=20),
        scale_down=Direction(stabilization_ms=0, steps=(), tolerance_milli=50),
    )
    assert metrics.tolerance_of(a_policy(scaling=Scaling(behavior=behavior))) == (50, 20)


def test_cron_is_worth_its_replicas_while_its_window_is_open():
    cron = CronTrigger(name="work", start="0 9 * * *", end="0 17 * * *", timezone="UTC", desired_replicas=3)
    world = a_world(cron)
    found = fact(world, cron)
    assert (found.value_milli, found.active, found.target_milli) == (0, False, 1000)
    assert metrics.next_cron_change_ms(world.state, world.state.policies[KEY].policy) == T0 + 3_600_000
    world.state.now_ms = T0 + 3_600_000
    found = fact(world, cron)
    assert (found.value_milli, found.active) == (3000, True)
    assert metrics.next_cron_change_ms(world.state, a_policy()) is None


def count(world, trigger):
    return metrics.pending_pods(world.state, world.state.policies[KEY], trigger)


def test_pending_pods_are_those_that_wait_and_that_a_target_could_hold():
    trigger = PendingPodsTrigger(pending_for_ms=30_000)
    world = a_world(trigger)
    world.send(
        s.PodSeen(pod=a_pod("a")), s.PodSeen(pod=a_pod("b")), s.PodSeen(pod=a_pod("large", cpu=64_000)), after_ms=29_999
    )
    assert count(world, trigger) == 0
    world.wait(1)
    assert count(world, trigger) == 2


@pytest.mark.parametrize(("least", "want"), [(1, 2), (2, 2), (3, 0)])
def test_too_few_pods_are_none(least, want):
    trigger = PendingPodsTrigger(pending_for_ms=0, min_count=least)
    world = a_world(trigger)
    world.send(s.PodSeen(pod=a_pod("a")), s.PodSeen(pod=a_pod("b")))
    assert count(world, trigger) == want


def test_what_burster_or_the_scaled_workload_made_does_not_count():
    trigger = PendingPodsTrigger(pending_for_ms=0)
    world = a_world(trigger)
    world.send(
        s.PodSeen(pod=a_pod("peer", runtime_class="kata-remote")),
        s.PodSeen(pod=a_service_pod("own", "cloud")),
        s.PodSeen(pod=a_service_pod("theirs", "other")),
        s.PodSeen(pod=a_pod("kata", runtime_class="kata")),
    )
    assert count(world, trigger) == 2


def test_pods_of_other_namespaces_count_where_the_trigger_names_them():
    trigger = PendingPodsTrigger(pending_for_ms=10_000, namespaces=("lab", "bank"), min_cpu_millicores=500)
    world = a_world(trigger, workload=WorkloadSelector(pod_name_pattern="n-.*"))
    world.send(
        s.PodSeen(pod=a_pod("n-own")),
        s.PodSeen(pod=a_pod("n-1", namespace="lab")),
        s.PodSeen(pod=a_pod("m-2", namespace="lab")),  # the selector holds there too
        s.PodSeen(pod=a_pod("n-3", namespace="lab", cpu=499)),
        s.PodSeen(pod=a_pod("n-4", namespace="lab", cpu=64_000)),
        s.PodSeen(pod=a_pod("n-5", namespace="other")),
        s.PodSeen(pod=a_pod("n-6", namespace="lab", gated=True)),
        s.PodSeen(pod=a_pod("n-7", namespace="lab", since=T0 + 5_000)),
        after_ms=9_999,
    )
    assert count(world, trigger) == 0
    world.wait(1)
    assert count(world, trigger) == 2
    world.wait(5_000)
    assert count(world, trigger) == 3


def test_workloads_come_change_and_go():
    world = a_world()
    seen = s.WorkloadSeen(namespace="bank", kind="Deployment", name="cloud", replicas=1)
    metrics.workload_seen(world.state, seen)
    assert world.state.workloads == {"bank/Deployment/cloud": seen}
    assert world.state.workloads_changed == {"bank/Deployment/cloud"}
    world.state.workloads_changed.clear()
    metrics.workload_seen(world.state, seen)
    assert world.state.workloads_changed == set()
    gone = s.WorkloadGone(namespace="bank", kind="Deployment", name="cloud")
    metrics.workload_gone(world.state, gone)
    assert world.state.workloads == {}
    assert world.state.workloads_changed == {"bank/Deployment/cloud"}
    world.state.workloads_changed.clear()
    metrics.workload_gone(world.state, gone)
    assert world.state.workloads_changed == set()
