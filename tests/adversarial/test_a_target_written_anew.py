"""A target that is deleted and written again is the same place: what is known of its cloud holds still."""

from burster.model import stimuli as s
from burster.model.offerings import Quota
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


def test_its_quota_is_not_forgotten() -> None:
    engine = Engine()
    used_up = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=10, limit_vcpus=10)
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.QuotaSeen(target="azure", rows=(used_up,)),
    )
    engine.send(s.TargetGone(name="azure"))
    engine.send(s.TargetSeen(target=a_target(generation=2)), s.PodSeen(pod=a_pod()))
    assert engine.codes("bank/task-1") == ["QuotaExhausted"]
    assert not engine.asked("RecordBurst")
