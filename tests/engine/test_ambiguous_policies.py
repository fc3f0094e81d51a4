"""Which of several policies takes a pod, and that it is told where nobody could have said so."""

import pytest

from burster.engine.snapshot import dump, restore
from burster.model import stimuli as s
from burster.model.policies import WorkloadSelector
from burster.model.triggers import ExternalTrigger
from tests.support.builders import Engine, a_policy, a_service_pod


POD = a_service_pod("web-1", "web", labels={"a": "1", "b": "2", "c": "3"})
OWNER = WorkloadSelector(name="web")
KIND_AND_PATTERN = WorkloadSelector(kind="Deployment", name_pattern="w.*")
PATTERN = WorkloadSelector(pod_name_pattern="web-.*")
LABELS = WorkloadSelector(match_labels={"a": "1", "b": "2", "c": "3"})
ONE_LABEL = WorkloadSelector(match_labels={"a": "1"})
ANY = WorkloadSelector()
RISING = (ANY, ONE_LABEL, LABELS, PATTERN, KIND_AND_PATTERN, OWNER)


def an_engine(*selectors: WorkloadSelector, **changes) -> Engine:
    engine = Engine()
    engine.sync(*(s.PolicySeen(policy=a_policy(f"p{n}", workload=one, **changes)) for n, one in enumerate(selectors)))
    return engine


def warned(engine: Engine) -> list[tuple[str, str]]:
    return [
        (one.policy, one.reasons[0].sentence.split(" and ")[1].split(" ")[0])
        for one in engine.decisions
        if one.reasons[0].code == "AmbiguousPolicies"
    ]


@pytest.mark.parametrize("place", range(1, len(RISING)))
def test_the_more_exact_selector_takes_the_pod(place: int) -> None:
    engine = an_engine(RISING[place - 1], RISING[place])
    engine.send(s.PodSeen(pod=POD))
    assert engine.state.pods[POD.key].policy == "bank/p1"
    assert warned(engine) == []


def test_two_with_the_same_right_are_told_once_and_the_first_by_name_takes_it() -> None:
    engine = an_engine(PATTERN, PATTERN, PATTERN)
    assert warned(engine) == []  # no pod yet
    engine.send(s.PodSeen(pod=POD), s.PodSeen(pod=a_service_pod("web-2", "web")))
    assert engine.state.pods[POD.key].policy == "bank/p0"
    assert warned(engine) == [("bank/p0", "bank/p1"), ("bank/p0", "bank/p2")]
    (first, _) = [one for one in engine.decisions if one.reasons[0].code == "AmbiguousPolicies"]
    assert (first.verdict, first.subject) == ("Warn", "bank/p0")
    assert first.reasons[0].sentence == (
        "Policies bank/p0 and bank/p1 both match a pod, with the same priority and just as exactly: bank/p0 takes it by its name. "
        "Give one of the two a higher priority, or select different workloads."
    )
    engine.state = restore(dump(engine.state))
    engine.send(s.PodSeen(pod=a_service_pod("web-3", "web")))
    engine.send(s.PolicySeen(policy=a_policy("q", workload=OWNER)))
    assert len(warned(engine)) == 2


def test_it_is_told_anew_when_one_of_the_two_has_changed() -> None:
    engine = an_engine(PATTERN, PATTERN)
    engine.send(s.PodSeen(pod=POD))
    engine.send(s.PolicySeen(policy=a_policy("p1", workload=PATTERN, priority=1)))
    assert engine.state.pods[POD.key].policy == "bank/p1"
    assert engine.state.ambiguous == {}
    engine.send(s.PolicySeen(policy=a_policy("p1", workload=PATTERN, generation=3)))
    assert len(warned(engine)) == 2
    engine.send(s.PolicyGone(key="bank/p0"))
    assert engine.state.ambiguous == {}


def test_a_policy_that_takes_no_pods_stands_in_nobodys_way() -> None:
    engine = an_engine(PATTERN)
    engine.send(s.PolicySeen(policy=a_policy("x", workload=PATTERN, triggers=(ExternalTrigger(name="q"),))))
    engine.send(s.PodSeen(pod=POD))
    assert warned(engine) == []


def test_a_third_that_is_less_exact_is_no_rival() -> None:
    engine = an_engine(OWNER, PATTERN, PATTERN)
    engine.send(s.PodSeen(pod=POD))
    assert warned(engine) == []
