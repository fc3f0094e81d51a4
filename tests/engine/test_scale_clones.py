"""Clones by metrics: as many as the number says, for no pod in particular; pods that wait are answered by spare ones first."""

from burster.model import stimuli as s
from burster.model.limits import Limits
from burster.model.pods import Resources
from burster.model.policies import Confidential, Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, PendingPodsTrigger, WorkloadRef
from tests.support.builders import GIB, Engine, a_policy, a_service_pod, a_target, an_offering


KEY = "bank/tasks"
REF = WorkloadRef(name="on-prem-deployment")


def a_clone_policy(*more, **changes):
    return a_policy(
        "tasks",
        triggers=(*more, ExternalTrigger(name="queue")),
        scaling=Scaling(max_replicas=10, **changes.pop("scaling", {})),
        workload=changes.pop("workload", WorkloadSelector(kind="Deployment", name="on-prem-deployment")),
        placement=Placement(targets=("azure",), strategy="Clone", disruption_percent=100),
        **changes,
    )


def on_prem(replicas=2, **changes):
    values = {
        "namespace": "bank",
        "kind": "Deployment",
        "name": "on-prem-deployment",
        "replicas": replicas,
        "requests": Resources(cpu_millicores=1000, memory_bytes=GIB),
    }
    return s.WorkloadSeen(**(values | changes))


def a_world(policy=None, *more):
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        s.PolicySeen(policy=policy or a_clone_policy()),
        on_prem(),
        *more,
    )
    return world


def read(world, value):
    return s.MetricRead(policy=KEY, trigger="queue", at_ms=world.now, value_milli=value * 1000)


def test_as_many_clones_are_started_as_the_number_says():
    world = a_world()
    world.send(read(world, 3))
    (asked,) = world.asked("RecordBurst")
    spec = asked.burst.spec
    assert spec.for_pod.name == spec.for_pod.uid == ""
    assert (spec.workload.kind, spec.workload.name, spec.strategy) == ("Deployment", "on-prem-deployment", "Clone")
    assert (spec.size, spec.cpu_millicores, spec.memory_bytes) == ("Standard_DC2es_v6", 1000, GIB)
    assert asked.burst.name == spec.pod_name
    assert asked.burst.name.startswith("burst-on-prem-deployment-")
    world.wait(15_000)
    assert len(world.asked("RecordBurst")) == 2
    assert len({one.burst.key for one in world.state.bursts.values()}) == 3
    decision = next(one for one in world.decisions if one.verdict == "Burst")
    assert decision.subject == "bank/on-prem-deployment"
    assert decision.reasons[0].code == "ScaleTargetActivated"
    assert "Pending" not in {reason.code for reason in decision.reasons}
    assert not [one for one in world.instructions if type(one).__name__ == "EmitEvent" and not one.name]


def test_limits_hold_and_are_told_once():
    world = a_world(a_clone_policy(limits=Limits(max_bursts=2)))
    world.send(read(world, 5))
    for _ in range(10):
        world.wait(15_000)
    assert len(world.state.bursts) == 2
    held = [one for one in world.decisions if one.verdict == "Scale" and one.reasons[0].code == "PolicyMaxBursts"]
    assert len(held) == 1


def test_what_is_too_many_goes_the_ordinary_way():
    world = a_world(a_clone_policy(scaling={"cooldown_ms": 60_000}))
    world.send(read(world, 2))
    world.wait(15_000)
    for key in list(world.state.bursts):
        world.to_serving(key)
    for _ in range(60):
        world.send(read(world, 0), after_ms=15_000)
    phases = [entry.burst.status.phase for entry in world.state.bursts.values()]
    assert all(phase not in {"Reserved", "Placing", "Provisioning", "Attesting", "Serving"} for phase in phases)
    released = [one for one in world.decisions if one.verdict == "Release"]
    assert {one.reasons[0].code for one in released} == {"TooManyClones"}


def test_pods_that_wait_are_answered_by_spare_clones_first():
    world = a_world(a_clone_policy(PendingPodsTrigger(pending_for_ms=0)))
    world.send(read(world, 1))
    (key,) = world.state.bursts
    world.to_serving(key)
    world.send(s.PodSeen(pod=a_service_pod("p-1")), read(world, 1))
    assert world.state.bursts[key].covers == "bank/p-1"
    assert len(world.state.bursts) == 1


def test_clones_that_answer_pods_are_never_too_many():
    world = a_world(a_clone_policy(PendingPodsTrigger(pending_for_ms=0)))
    world.send(read(world, 0), *(s.PodSeen(pod=a_service_pod(f"p-{n}")) for n in range(6)))
    assert len(world.state.bursts) == 6
    for _ in range(30):
        world.send(read(world, 0), after_ms=15_000)
    assert all(entry.withdraw is None for entry in world.state.bursts.values())
    assert len(world.state.bursts) == 6


def test_a_workload_that_is_not_known_starts_nothing():
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_clone_policy()),
    )
    world.send(read(world, 3))
    assert not world.state.bursts
    assert [one.reasons[0].code for one in world.decisions] == ["ScaleTargetUnknown"]


def test_a_policy_about_no_workload_in_particular_starts_nothing():
    world = a_world(a_clone_policy(workload=WorkloadSelector(match_labels={"a": "b"})))
    world.send(read(world, 3))
    assert not world.state.bursts
    assert world.codes(KEY) == ["ScaleTargetUnknown"]


def test_a_restart_takes_its_clones_over_and_keeps_them_while_nothing_is_known():
    world = a_world()
    world.send(read(world, 2))
    world.wait(15_000)
    bursts = [world.to_serving(key) for key in list(world.state.bursts)]
    second = Engine()
    second.now = world.now
    pods = [
        s.CloudPodSeen(
            burst_uid=one.uid,
            burst_key=one.key,
            pod_uid=one.status.pod_uid,
            phase="Running",
            size=one.spec.size,
            runtime_class=one.spec.runtime_class,
        )
        for one in bursts
    ]
    second.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_clone_policy()),
        on_prem(),
        *(s.BurstSeen(burst=one) for one in bursts),
        *pods,
    )
    for _ in range(60):
        second.wait(15_000)
    assert {entry.burst.status.phase for entry in second.state.bursts.values()} == {"Serving"}
    second.send(read(second, 2))
    assert not second.asked("RecordBurst")


def test_a_failed_clone_is_tried_again_after_a_pause():
    world = a_world()
    world.send(read(world, 1))
    (key,) = world.state.bursts
    failure = s.InstructionFailed(
        instruction="RecordBurst", key=f"record/{key}", subject=key, kind="Invalid", message="no"
    )
    world.send(failure)
    assert not world.state.bursts
    for _ in range(18):
        world.send(read(world, 1), after_ms=15_000)
    assert not world.state.bursts
    for _ in range(3):
        world.send(read(world, 1), after_ms=15_000)
    assert len(world.state.bursts) == 1


def test_rules_about_images_refuse_a_template_that_is_not_known():
    rules = a_clone_policy(confidential=Confidential(images_by_digest=True, attestation="VmOnly"))
    world = a_world(rules)
    world.send(read(world, 1))
    assert not world.state.bursts
    assert [one.reasons[0].code for one in world.decisions if one.verdict == "Scale"] == ["TemplateUnknown"]
