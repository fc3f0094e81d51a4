"""What a burst counts against while it lives, and that it lets go of exactly that."""

from burster.model import stimuli as s
from burster.model.offerings import Quota
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


ROW = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=0, limit_vcpus=100)


def test_what_was_launched_is_counted_once_and_let_go_of_at_the_end() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.QuotaSeen(target="azure", rows=(ROW,)),
        s.PodSeen(pod=a_pod()),
    )
    launched = engine.state.targets["azure"].launched
    assert set(launched.values()) == {2}
    assert engine.state.bursts[engine.burst().key].launch_counted
    key = engine.burst().key
    engine.send(
        s.InstructionFailed(instruction="RecordBurst", key=f"record/{key}", subject=key, kind="Invalid", message="no")
    )
    assert set(engine.state.targets["azure"].launched.values()) == {0}
