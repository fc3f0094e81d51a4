"""What comes and goes for weeks leaves nothing behind in the state."""

import msgspec

from burster.model import stimuli as s
from burster.model.offerings import Quota, Vm
from burster.model.triggers import ExternalTrigger
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


def an_engine() -> Engine:
    engine = Engine()
    engine.sync(s.PolicySeen(policy=a_policy()), s.TargetSeen(target=a_target()))
    return engine


def test_namespaces_without_policies_are_forgotten_with_the_next_cleaning() -> None:
    engine = an_engine()
    for number in range(20):
        pod = msgspec.structs.replace(a_pod(), namespace=f"ci-{number}", uid=f"u-{number}")
        engine.send(s.PodSeen(pod=pod))
        engine.send(s.PodLeft(namespace=pod.namespace, name=pod.name, uid=pod.uid, why="Gone"))
    engine.send(s.PodSeen(pod=a_pod()))
    assert len(engine.state.matchers) == 21
    kept = engine.state.matchers["bank"]
    engine.send(s.Tick(kind="gc"))
    assert engine.state.matchers == {"bank": kept}


def test_readings_go_with_their_triggers() -> None:
    engine = an_engine()
    for number in range(5):
        name = f"q{number}"
        engine.send(s.PolicySeen(policy=a_policy(triggers=(ExternalTrigger(name=name),), generation=number + 2)))
        engine.send(s.MetricRead(policy="bank/tasks", trigger=name, at_ms=engine.now, value_milli=0))
    assert list(engine.state.policies["bank/tasks"].readings) == ["q4"]


def test_vms_that_nobody_claims_are_forgotten_with_their_target() -> None:
    engine = an_engine()
    vm = Vm(name="podvm-x-0123abcd", resource_id="x", region="r", size="x", provisioning_state="Succeeded")
    engine.send(s.CloudListed(target="azure", listed_at_ms=engine.now, vms=(vm,)))
    engine.send(s.Tick(kind="gc"))
    assert [one.resource.name for one in engine.state.leftovers.values()] == [vm.name]
    engine.send(s.TargetGone(name="azure"))
    engine.send(s.Tick(kind="gc"))
    assert engine.state.leftovers == {}


def test_what_a_target_offered_and_might_use_is_forgotten_a_day_after_it() -> None:
    engine = an_engine()
    for number in range(5):
        name = f"trial-{number}"
        engine.send(s.TargetSeen(target=a_target(name=name)))
        engine.send(s.OfferingsSeen(target=name, offerings=(an_offering(2, target=name),)))
        engine.send(s.QuotaSeen(target=name, rows=(Quota(region="r", family="cores", used_vcpus=0, limit_vcpus=9),)))
        engine.send(s.TargetGone(name=name))
    engine.send(s.Tick(kind="gc"))
    assert len(engine.state.early_offerings) == len(engine.state.early_quotas) == 5
    engine.wait(86_400_000)
    engine.send(s.Tick(kind="gc"))
    assert not engine.state.early_offerings
    assert not engine.state.early_quotas
