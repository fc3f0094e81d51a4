"""Which policy answers for a pod: always what asking every policy in order would say."""

import random
from typing import Any

import pytest

from burster.engine.matching import Matcher
from burster.model.pods import Owner, Pod
from burster.model.policies import LabelRule, Policy, WorkloadSelector
from tests.support.builders import a_pod, a_policy, a_service_pod


def matcher(*selectors: WorkloadSelector) -> Matcher:
    policies = [a_policy(f"p{number}", workload=selector) for number, selector in enumerate(selectors)]
    return Matcher((policy.name, policy) for policy in policies)


@pytest.mark.parametrize(
    ("selector", "pod", "want"),
    [
        pytest.param({}, a_pod(), True, id="everything"),
        pytest.param({"kind": "Pod"}, a_pod(), True, id="a bare pod by its kind"),
        pytest.param({"kind": "Deployment"}, a_pod(), False, id="another kind"),
        pytest.param({"kind": "Deployment"}, a_service_pod("a"), True, id="a kind"),
        pytest.param({"name": "web"}, a_service_pod("a", "web"), True, id="a workload's name"),
        pytest.param({"name": "web"}, a_service_pod("web", "other"), False, id="a pod's name is no workload's"),
        pytest.param({"name": "task-1"}, a_pod("task-1"), True, id="a bare pod's name"),
        pytest.param({"name": "web", "kind": "Job"}, a_service_pod("a", "web"), False, id="both must hold"),
        pytest.param({"match_labels": {"x": "1"}}, a_pod(labels={"x": "1", "y": "2"}), True, id="a label"),
        pytest.param(
            {"match_labels": {"x": "1", "y": "3"}}, a_pod(labels={"x": "1", "y": "2"}), False, id="all labels"
        ),
        pytest.param({"name_pattern": "we."}, a_service_pod("a", "web"), True, id="a pattern"),
        pytest.param({"pod_name_pattern": "a-.*"}, a_service_pod("a-1", "web"), True, id="a pattern for pods"),
        pytest.param({"pod_name_pattern": "a-.*"}, a_service_pod("b-1", "web"), False, id="another pod"),
    ],
)
def test_one_selector(selector: dict[str, Any], pod: Pod, want: bool):
    assert matcher(WorkloadSelector(**selector)).find(pod) == ("p0" if want else "")


def test_the_first_in_order_wins_however_it_is_filed():
    by_label, by_kind = WorkloadSelector(match_labels={"x": "1"}), WorkloadSelector(kind="Pod")
    by_name, plain = WorkloadSelector(name="task-1"), WorkloadSelector()
    pod = a_pod(labels={"x": "1"})
    for order in ((by_label, by_kind, by_name, plain), (plain, by_name, by_kind, by_label)):
        assert matcher(*order).find(pod) == "p0"
        assert matcher(*order[1:]).find(pod) == "p0"


def test_an_answer_is_remembered_for_all_that_matter_and_for_nothing_else():
    asked = matcher(
        WorkloadSelector(match_expressions=(LabelRule(key="x", operator="Exists"),)), WorkloadSelector(kind="Pod")
    )
    assert asked.find(a_pod(labels={"x": "1"})) == "p0"
    assert asked.find(a_pod(labels={"z": "1"})) == "p1"
    assert asked.find(a_service_pod("a")) == ""
    assert asked.find(a_service_pod("a", labels={"x": ""})) == "p0"


def test_two_api_versions_of_a_name_are_two_workloads():
    asked = matcher(WorkloadSelector(kind="Job", name="x", api_version="batch/v1"))
    for version, want in (("other/v1", ""), ("batch/v1", "p0"), ("other/v1", "")):
        owner = Owner(api_version=version, kind="Job", name="x", uid="u")
        assert asked.find(a_pod(owner=owner, workload=owner)) == want


def test_what_is_remembered_is_bounded():
    asked = matcher(WorkloadSelector(match_labels={"x": "1"}))
    for number in range(5_000):
        assert asked.find(a_pod(f"t-{number}", labels={"x": "1"})) == "p0"
    assert len(asked._answers) <= 4_096


def _random_selector(rng: random.Random) -> WorkloadSelector:
    return WorkloadSelector(
        kind=rng.choice(["", "", "Pod", "Deployment", "Job"]),
        name=rng.choice(["", "", "", "a", "b"]),
        name_pattern=rng.choice(["", "", "[ab]", "c"]),
        pod_name_pattern=rng.choice([""] * 9 + ["a.*"]),
        match_labels=rng.choice([{}, {}, {"x": "1"}, {"x": "1", "y": "2"}]),
        match_expressions=rng.choice([(), (), (LabelRule(key="z", operator="DoesNotExist"),)]),
    )


def _random_pod(rng: random.Random) -> Pod:
    labels = {key: rng.choice("12") for key in "xyz" if rng.random() < 0.5}
    name = rng.choice("abc")
    kind = rng.choice(["", "Deployment", "Job"])
    workload = Owner(api_version="apps/v1", kind=kind, name=rng.choice("abc"), uid="") if kind else None
    return a_pod(name, labels=labels, workload=workload)


@pytest.mark.parametrize("seed", range(20))
def test_any_world(seed: int):
    rng = random.Random(seed)
    policies: list[Policy] = [a_policy(f"p{n}", workload=_random_selector(rng)) for n in range(rng.randrange(1, 12))]
    asked = Matcher((policy.name, policy) for policy in policies)
    for _ in range(200):
        pod = _random_pod(rng)
        want = next((policy.name for policy in policies if policy.workload.matches(pod)), "")
        assert asked.find(pod) == want
