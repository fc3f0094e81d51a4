"""Stops by hand: one direction of a policy, both, the whole cluster; and a policy that counts as active by force."""

import pytest

from burster.engine import snapshot
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.policies import Placement
from burster.model.scaling import Scaling
from burster.model.triggers import PendingPodsTrigger
from tests.engine.test_releases import MINUTE, an_engine, go_on, leave, serve
from tests.engine.test_scale_a_workload import Cluster, a_scaling_policy, cloud
from tests.engine.test_scale_by_signal import a_signal_policy, a_world, published, read
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


def clones(**changes):
    placement = Placement(targets=("azure",), strategy="Clone", disruption_percent=100)
    return a_policy(placement=placement, scaling=Scaling(cooldown_ms=300_000), **changes)


def tasks(policy, *more):
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *more,
    )
    return engine


@pytest.mark.parametrize("how", ["paused", "paused_scale_in"])
def test_what_nobody_needs_is_kept_until_the_pause_ends(how):
    engine = an_engine()
    key = serve(engine, "web-1")
    engine.send(s.PolicySeen(policy=clones(**{how: True})))
    engine.send(leave("web-1"))
    assert go_on(engine, 30 * MINUTE) == {}
    engine.send(s.PolicySeen(policy=clones()))
    assert engine.state.bursts[key].burst.status.phase == "Draining", "its cool-down has long passed"


def test_who_was_chosen_to_go_is_kept_by_a_pause():
    engine = an_engine()
    key = serve(engine, "web-1")
    engine.send(leave("web-1"))
    go_on(engine, 290_000)
    assert engine.state.bursts[key].going_at_ms is not None
    engine.send(s.PolicySeen(policy=clones(paused_scale_in=True)))
    assert engine.state.bursts[key].going_at_ms is None
    assert go_on(engine, 10 * MINUTE) == {}


def test_a_clone_on_its_way_is_kept_too_and_serves_the_next_pod():
    engine = an_engine()
    engine.send(s.PolicySeen(policy=clones(paused_scale_in=True)))
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web", cpu=1_000)))
    key = engine.state.pods["bank/web-1"].burst
    engine.send(leave("web-1"))
    engine.to_serving(key)
    assert engine.state.bursts[key].burst.status.phase == "Serving"
    engine.send(s.PodSeen(pod=a_service_pod("web-2", "web", cpu=1_000)))
    assert engine.state.pods["bank/web-2"].burst == key


def test_a_person_brings_home_what_a_pause_keeps():
    engine = an_engine()
    key = serve(engine, "web-1")
    engine.send(s.PolicySeen(policy=clones(paused_scale_in=True)))
    engine.send(s.DrainRequested())
    assert engine.state.bursts[key].burst.status.phase == "Draining"


def test_a_lease_that_cannot_be_paid_ends_what_a_pause_keeps():
    engine = an_engine()
    key = serve(engine, "web-1")
    limits = Limits(budget=Budget(per_day_micro_usd=1))
    engine.send(s.PolicySeen(policy=clones(paused_scale_in=True, limits=limits)))
    began = go_on(engine, 120 * MINUTE)
    assert list(began) == [key]


def test_nothing_new_starts_outward():
    engine = tasks(a_policy(paused_scale_out=True), s.PodSeen(pod=a_pod(since=T0)))
    engine.wait(10 * MINUTE)
    assert engine.state.bursts == {}
    assert engine.codes("bank/task-1")[-1] == "PausedScaleOut"
    engine.send(s.PolicySeen(policy=a_policy()))
    assert len(engine.state.bursts) == 1


def test_a_number_does_not_fall_inward_and_still_rises():
    world = Cluster(a_scaling_policy(paused_scale_in=True))
    world.reads(4)
    world.run(60)
    assert world.replicas == 4
    world.run(900, value=0)
    assert world.replicas == 4
    assert world.state.policies["bank/classic"].scaler.chain[0].code == "PausedScaleIn"
    world.run(60, value=5)
    assert world.replicas == min(5, a_scaling_policy().scaling.max_replicas)
    world.send(s.PolicySeen(policy=a_scaling_policy()))
    world.run(900, value=0)
    assert world.replicas == 0


def test_a_number_does_not_rise_outward():
    world = Cluster(a_scaling_policy(paused_scale_out=True), workload=cloud(1))
    world.reads(4)
    world.run(60)
    assert world.replicas <= 1


@pytest.mark.parametrize("how", ["paused", "paused_scale_out"])
def test_a_signal_stays_as_it_was(how):
    world = a_world()
    world.send(read(world, 7))
    world.send(s.SignalPublished(policy="bank/hint", replicas=1), after_ms=15_000)
    assert published(world) == [(7, True)]
    world.send(s.PolicySeen(policy=a_signal_policy(**{how: True})))
    world.send(read(world, 9))
    world.wait(15_000)
    assert published(world) == [], "neither the 9 that is wanted nor a 0 that would end what runs"


def test_force_makes_one_of_nothing_and_no_more():
    world = Cluster(a_scaling_policy(force_activation=True))
    world.reads(0)
    world.run(900, value=0)
    assert world.replicas == 1
    world.send(s.PolicySeen(policy=a_scaling_policy()))
    world.run(900, value=0)
    assert world.replicas == 0


def test_force_makes_the_minimum_of_an_idle_number():
    policy = a_scaling_policy(force_activation=True, scaling={"min_replicas": 2, "idle_replicas": 0})
    world = Cluster(policy)
    world.reads(0)
    world.run(60, value=0)
    assert world.replicas == 2


def test_force_without_a_value_still_activates():
    world = Cluster(a_scaling_policy(force_activation=True))
    world.run(60)
    assert world.replicas == 1


def test_force_lets_the_first_pending_pod_go():
    few = (PendingPodsTrigger(min_count=3),)
    engine = tasks(a_policy(triggers=few), s.PodSeen(pod=a_pod(since=T0)))
    engine.wait(MINUTE)
    assert engine.codes("bank/task-1")[-1] == "TooFew"
    engine.send(s.PolicySeen(policy=a_policy(triggers=few, force_activation=True)))
    assert len(engine.state.bursts) == 1


def test_force_starts_nothing_where_no_pod_waits():
    engine = tasks(a_policy(force_activation=True))
    engine.wait(10 * MINUTE)
    assert engine.state.bursts == {}


STOP = s.ClusterStop(stopped=True, by="kim", why="the invoice looks wrong.")


def test_a_stopped_cluster_starts_nothing_and_says_who_and_why():
    engine = tasks(a_policy(), STOP, s.PodSeen(pod=a_pod(since=T0)))
    engine.wait(10 * MINUTE)
    assert engine.state.bursts == {}
    decision = [one for one in engine.decisions if one.reasons[0].code == "ClusterStopped"][-1]
    assert decision.verdict == "Deny"
    assert decision.reasons[0].sentence == (
        "New bursts are stopped for the whole cluster by kim: the invoice looks wrong."
    )
    engine.send(s.ClusterStop(stopped=False))
    assert len(engine.state.bursts) == 1


def test_a_stopped_cluster_keeps_what_runs():
    engine = an_engine()
    key = serve(engine, "web-1")
    engine.send(STOP)
    go_on(engine, 120 * MINUTE)
    assert engine.state.bursts[key].burst.status.phase == "Serving"


def test_a_stopped_cluster_scales_nothing_up_and_lets_it_fall():
    world = Cluster(a_scaling_policy())
    world.reads(2)
    world.run(60)
    assert world.replicas == 2
    world.send(STOP)
    world.run(60, value=4)
    assert world.replicas == 2
    world.run(900, value=0)
    assert world.replicas == 0
    world.run(60, value=4)
    assert world.replicas == 0
    world.send(s.ClusterStop(stopped=False))
    world.run(60, value=4)
    assert world.replicas == 4


def test_a_stop_is_in_a_snapshot():
    engine = tasks(a_policy(), STOP)
    again = snapshot.restore(snapshot.dump(engine.state))
    assert again.stop == STOP
