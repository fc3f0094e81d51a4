"""A Deployment's pending pods are answered by clones, which come home when on-prem takes the pods."""

from burster.model import stimuli as s
from tests.support.builders import Engine, a_policy, a_service_pod


def leave(name: str, why: str = "Bound") -> s.PodLeft:
    return s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why=why)


def test_a_clone_keeps_the_pending_pod_in_its_queue_and_is_named_apart(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("on-prem-deployment-abc-1")))
    spec = ready.burst().spec
    assert spec.strategy == "Clone"
    assert spec.pod_name.startswith("burst-")
    assert len(spec.pod_name) <= 48, "what makes it unique must survive the VM name's cut"
    assert "bank/on-prem-deployment-abc-1" in ready.state.pods


def test_a_serving_clone_outlives_its_demand_by_the_cooldown_only(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("web-1")))
    key = ready.to_serving().key
    ready.send(leave("web-1"), after_ms=1_000)
    ready.wait(299_999)
    assert ready.phase(key) == "Serving"
    ready.wait(1)
    assert ready.phase(key) == "Draining"
    assert ready.asked("DeletePod")[0].grace_ms == 600_000
    assert "DemandGone" in ready.codes("bank/web-1")


def test_a_spare_clone_answers_the_next_pod_of_its_workload_instead_of_a_new_one(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("web-1")))
    key = ready.to_serving().key
    ready.send(leave("web-1"), after_ms=1_000)
    ready.send(s.PodSeen(pod=a_service_pod("web-2")), after_ms=1_000)
    assert list(ready.state.bursts) == [key]
    assert ready.codes("bank/web-2")[-1] == "AnsweredByClone"
    ready.wait(3_000_000)
    assert ready.phase(key) == "Serving"


def test_a_clone_still_being_made_is_withdrawn_when_on_prem_takes_the_pod(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("web-1")))
    burst = ready.burst()
    ready.send(leave("web-1"))
    assert ready.phase() == "Reserved", "the record's write is under way: nothing is concluded before its answer"
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    assert ready.phase() == "Released"
    assert ready.burst().status.settled_micro_usd == 0


def test_an_uncovered_sibling_takes_over_the_clone_of_a_pod_that_left(engine: Engine) -> None:
    from tests.support.builders import a_target, an_offering

    engine.sync(
        s.PolicySeen(policy=a_policy(max_bursts=1)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    engine.send(s.PodSeen(pod=a_service_pod("web-1")), s.PodSeen(pod=a_service_pod("web-2")))
    key = engine.to_serving().key
    assert engine.codes("bank/web-2") == ["PolicyMaxBursts"]
    engine.send(leave("web-1"))
    assert engine.state.bursts[key].covers == "bank/web-2"
    assert engine.phase(key) == "Serving"
