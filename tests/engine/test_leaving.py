"""A policy that is being deleted: nothing new, what it started comes home in its own order, and only then does its finalizer go."""

import itertools

import msgspec
import pytest

from burster.engine import snapshot
from burster.model import stimuli as s
from burster.model.policies import Placement
from burster.model.scaling import Scaling
from tests.engine.test_releases import MINUTE, go_on, leave
from tests.engine.test_scale_a_workload import Cluster, a_scaling_policy, cloud
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


KEY = "bank/tasks"


def clones(**changes):
    placement = {"targets": ("azure",), "strategy": "Clone", "disruption_percent": 10} | changes.pop("placement", {})
    return a_policy(uid="uid-p", placement=Placement(**placement), scaling=Scaling(cooldown_ms=300_000), **changes)


def an_engine(policy=None, *more):
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy or clones(), guarded=True),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *more,
    )
    return engine


def serve(engine, name, cpu=1_000):
    engine.send(s.PodSeen(pod=a_service_pod(name, "web", cpu=cpu)))
    key = engine.state.pods[f"bank/{name}"].burst
    engine.to_serving(key)
    engine.send(after_ms=1_000)
    return key


def delete(engine, policy=None, **facts):
    engine.send(s.PolicySeen(policy=policy or clones(), deleting=True, **({"guarded": True} | facts)))


def draining(engine):
    return [key for key, entry in engine.state.bursts.items() if entry.burst.status.phase == "Draining"]


def comes_home(engine, key):
    """The cloud pod goes, its VM too, and the record is removed."""
    burst = engine.burst(key)
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=key, pod_uid=burst.status.pod_uid))
    for _ in range(10):
        if key not in engine.state.bursts:
            return
        answers = [s.VmsObserved(key=key, vms=()) for one in engine.asked("ObserveVms") if one.burst.key == key]
        answers += [s.RecordDeleted(key=key) for one in engine.asked("ForgetBurst") if one.burst.key == key]
        engine.send(*answers, after_ms=0 if answers else 1_000)
    raise AssertionError(f"{key} is {engine.phase(key)}")


def released(engine):
    return [(one.policy, one.uid) for one in engine.asked("ReleasePolicy")]


def test_a_policy_of_which_nothing_is_left_goes_at_once():
    engine = an_engine()
    delete(engine)
    assert released(engine) == [(KEY, "uid-p")]
    engine.send(s.PolicyReleased(policy=KEY))
    assert released(engine) == []
    engine.send(s.PolicyGone(key=KEY))
    assert engine.state.leaving == {}
    assert engine.state.policies == {}


def test_one_that_was_never_kept_is_asked_for_nothing():
    engine = an_engine()
    delete(engine, guarded=False)
    engine.wait(10 * MINUTE)
    assert released(engine) == []


def test_nothing_new_starts_by_it():
    engine = an_engine()
    serve(engine, "web-1")
    delete(engine)
    engine.send(s.PodSeen(pod=a_service_pod("web-2", "api")))
    engine.wait(MINUTE)
    assert engine.state.pods["bank/web-2"].burst == ""
    assert engine.codes("bank/web-2")[-1] == "PolicyLeaving"


def test_they_go_one_after_the_other_the_dearest_first_and_the_finalizer_last():
    engine = an_engine()
    cheap, dear = serve(engine, "web-1"), serve(engine, "web-2", cpu=3_000)
    prices = {key: engine.burst(key).spec.price_micro_usd_per_hour for key in (cheap, dear)}
    assert prices[dear] > prices[cheap]
    delete(engine)
    assert draining(engine) == [dear]
    assert go_on(engine, 5 * MINUTE) == {}, "one of two is more than 10 % already"
    comes_home(engine, dear)
    assert draining(engine) == [cheap]
    assert released(engine) == []
    comes_home(engine, cheap)
    assert released(engine) == [(KEY, "uid-p")]
    assert engine.state.scopes["Policy", KEY].account.outstanding_micro_usd == 0


def test_a_record_that_can_not_be_removed_is_asked_for_again_after_pauses_that_grow():
    """A namespace that is deleted takes burster's rights in it away: without a pause that was thousands of requests a minute."""
    engine = an_engine()
    key = serve(engine, "web-1")
    delete(engine)
    burst = engine.burst(key)
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=key, pod_uid=burst.status.pod_uid))
    engine.send(s.VmsObserved(key=key, vms=()))
    asked_at_ms = []
    end_ms = engine.state.now_ms + 5 * MINUTE
    while engine.state.now_ms < end_ms and len(asked_at_ms) <= 30:
        asked = engine.asked("ForgetBurst")
        asked_at_ms += [engine.state.now_ms for _ in asked]
        engine.send(
            *(
                s.InstructionFailed(
                    instruction="ForgetBurst", key=one.key, subject=key, kind="Unauthorized", message="403 Forbidden"
                )
                for one in asked
            ),
            after_ms=0 if asked else 200,
        )
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked_at_ms)]
    assert 5 <= len(asked_at_ms) <= 30
    assert pauses == sorted(pauses)
    assert released(engine) == []
    engine.send(s.RecordDeleted(key=key))
    assert released(engine) == [(KEY, "uid-p")]


def test_one_that_hangs_holds_the_others_up_for_its_drain_time_only():
    engine = an_engine()
    first, second = serve(engine, "web-1"), serve(engine, "web-2")
    delete(engine)
    (going,) = draining(engine)
    began = go_on(engine, 20 * MINUTE)
    (other,) = {first, second} - {going}
    drain_ms = engine.burst(going).spec.drain_ms
    assert began[other] == drain_ms + MINUTE


def test_what_does_not_serve_yet_goes_at_once():
    engine = an_engine()
    served = serve(engine, "web-1")
    engine.send(s.PodSeen(pod=a_service_pod("api-1", "api")))
    starting = engine.state.pods["bank/api-1"].burst
    engine.send(s.BurstRecorded(key=starting, uid="uid-b"))
    engine.send(s.PodPlaced(key=starting, pod_uid="uid-c"))
    delete(engine)
    assert sorted(draining(engine)) == sorted([served, starting])


def test_what_is_reserved_is_withdrawn_when_its_record_is_answered():
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("api-1", "api")))
    key = engine.state.pods["bank/api-1"].burst
    delete(engine)
    assert released(engine) == []
    engine.send(s.BurstRecorded(key=key, uid="uid-b"))
    assert engine.asked("PlacePod") == []
    engine.send(*(s.RecordDeleted(key=key) for _ in engine.asked("ForgetBurst")))
    assert key not in engine.state.bursts
    assert released(engine) == [(KEY, "uid-p")]


def test_a_task_comes_home_too():
    policy = a_policy(uid="uid-p")
    engine = an_engine(policy, s.PodSeen(pod=a_pod(since=T0)))
    engine.wait(MINUTE)
    (key,) = engine.state.bursts
    engine.to_serving(key)
    delete(engine, policy)
    assert draining(engine) == [key]


def test_a_pause_does_not_keep_what_a_deleted_policy_started():
    engine = an_engine()
    key = serve(engine, "web-1")
    delete(engine, clones(paused=True))
    assert draining(engine) == [key]


def test_a_record_is_not_kept_for_its_retention():
    engine = an_engine()
    key = serve(engine, "web-1")
    engine.send(leave("web-1"))
    go_on(engine, 10 * MINUTE)
    burst = engine.burst(key)
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=key, pod_uid=burst.status.pod_uid))
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released"
    delete(engine)
    engine.send()
    engine.send(s.RecordDeleted(key=key))
    assert released(engine) == [(KEY, "uid-p")]


@pytest.mark.parametrize("refused", [False, True])
def test_a_finalizer_that_can_not_be_taken_off_is_tried_again(refused):
    engine = an_engine()
    if refused:
        engine.send(s.PolicyRefused(key=KEY, uid="uid-p", message="no", deleting=True, guarded=True))
    else:
        delete(engine)
    assert len(released(engine)) == 1
    key = engine.asked("ReleasePolicy")[0].key
    pauses = []
    for _ in range(8):
        engine.send(
            s.InstructionFailed(instruction="ReleasePolicy", key=key, subject=KEY, kind="Unavailable", message="no")
        )
        began = engine.now
        while not released(engine):
            engine.wait(500)
        pauses.append(engine.now - began)
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_one_that_nobody_answers_is_asked_for_again():
    engine = an_engine()
    delete(engine)
    engine.wait(89_999)
    assert released(engine) == []
    engine.wait(1)
    assert len(released(engine)) == 1


def test_a_policy_refused_ever_since_brings_a_predecessors_bursts_home():
    before = an_engine()
    key = serve(before, "web-1")
    burst = before.burst(key)
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.PolicyRefused(key=KEY, uid="uid-p", message="no", deleting=True, guarded=True),
        s.BurstSeen(burst=burst),
    )
    engine.send(after_ms=1_000)
    assert engine.phase(key) != "Serving"
    assert released(engine) == []


def test_a_finalizer_taken_off_by_hand_is_told():
    engine = an_engine()
    serve(engine, "web-1")
    engine.send(s.PolicySeen(policy=clones(), guarded=False))
    (event,) = [one for one in engine.asked("EmitEvent") if one.kind == "BurstPolicy"]
    assert (event.reason, event.severity) == ("DrainFinalizerRemoved", "Warning")
    engine.send(s.PolicySeen(policy=clones(), guarded=False))
    assert engine.asked("EmitEvent") == []


def test_a_policy_that_goes_without_its_finalizer_leaves_nothing_behind():
    engine = an_engine()
    keys = [serve(engine, "web-1"), serve(engine, "web-2")]
    engine.send(s.PolicyGone(key=KEY))
    assert sorted(draining(engine)) == sorted(keys)


def test_another_policy_of_the_same_name_is_not_being_deleted():
    engine = an_engine()
    delete(engine)
    engine.send(s.PolicySeen(policy=msgspec.structs.replace(clones(), uid="uid-q")))
    assert engine.state.leaving == {}
    engine.send(s.PodSeen(pod=a_service_pod("web-2", "api")))
    assert engine.state.pods["bank/web-2"].burst != ""


def test_it_is_in_a_snapshot():
    engine = an_engine()
    serve(engine, "web-1")
    delete(engine)
    engine.state = snapshot.restore(snapshot.dump(engine.state))
    assert engine.state.leaving[KEY].guarded


SCALED = "bank/classic"


def scaled(**scaling):
    return msgspec.structs.replace(a_scaling_policy(scaling=scaling), uid="uid-s")


@pytest.mark.parametrize(("restore", "left"), [(True, 1), (False, 0)])
def test_a_number_goes_back_before_the_finalizer_does(restore, left):
    policy = scaled(restore_to_original=restore)
    world = Cluster(policy, workload=cloud(1))
    world.reads(4)
    world.run(60)
    assert world.replicas == 4
    world.send(s.PolicySeen(policy=policy, deleting=True, guarded=True))
    (asked,) = world.asked("SetScale")
    assert (asked.replicas, asked.restores) == (left, True)
    assert released(world) == []
    world.workload = cloud(left)
    world.send(s.ScaleSet(policy=SCALED, replicas=left), world.workload)
    assert released(world) == [(SCALED, "uid-s")]
    assert SCALED not in world.state.scale_books


def test_a_number_that_somebody_else_owns_by_now_is_theirs_and_is_not_waited_for():
    policy = scaled()
    world = Cluster(policy)
    world.reads(2)
    world.run(60)
    world.send(msgspec.structs.replace(cloud(2), owner="HorizontalPodAutoscaler web"))
    world.send(s.PolicySeen(policy=policy, deleting=True, guarded=True))
    assert world.asked("SetScale") == []
    assert released(world) == [(SCALED, "uid-s")]
    assert "ScaleTargetOwned" in [one.reason for one in world.asked("EmitEvent")]
