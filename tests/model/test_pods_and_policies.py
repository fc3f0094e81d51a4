"""Which pods count, and which a selector is about."""

import pytest

from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import WorkloadSelector


def a_pod(**more):
    return Pod(namespace="bank", name="web-5d4f-abcde", uid="u", unschedulable_since_ms=1, **more)


def test_only_a_pod_that_the_scheduler_gave_up_on_counts():
    assert a_pod().unschedulable
    assert not a_pod(gated=True).unschedulable
    assert not a_pod(terminating=True).unschedulable
    assert not a_pod(node_name="n1").unschedulable
    assert not Pod(namespace="bank", name="x", uid="u").unschedulable


WEB = Owner(api_version="apps/v1", kind="Deployment", name="web", uid="d")
MATCHES = {
    "nothing set": ({}, True),
    "its kind": ({"kind": "Deployment"}, True),
    "another kind": ({"kind": "Job"}, False),
    "its workload's name": ({"name_pattern": "we."}, True),
    "a part of the name": ({"name_pattern": "we"}, False),
    "an alternative is anchored too": ({"name_pattern": "x|we"}, False),
    "its own name": ({"pod_name_pattern": "web-.*"}, True),
    "a part of its own name": ({"pod_name_pattern": "web"}, False),
    "its label": ({"match_labels": {"app": "web"}}, True),
    "another value": ({"match_labels": {"app": "db"}}, False),
    "a label it lacks": ({"match_labels": {"app": "web", "tier": ""}}, False),
    "all of it": (
        {"kind": "Deployment", "name_pattern": "web", "pod_name_pattern": "web-.*", "match_labels": {"app": "web"}},
        True,
    ),
}


@pytest.mark.parametrize(("selector", "want"), MATCHES.values(), ids=MATCHES)
def test_a_selector_wants_every_part(selector, want):
    assert WorkloadSelector(**selector).matches(a_pod(workload=WEB, labels={"app": "web"})) is want


def test_a_bare_pod_is_its_own_workload():
    assert WorkloadSelector(kind="Pod", name_pattern="web-.*").matches(a_pod())
    assert not WorkloadSelector(kind="Deployment").matches(a_pod())


def test_resources_add_up_and_fit_only_where_every_part_fits():
    one = Resources(cpu_millicores=500, memory_bytes=10, gpus=1)
    two = one + one
    assert two == Resources(cpu_millicores=1000, memory_bytes=20, gpus=2)
    assert one.fits_in(two)
    assert one.fits_in(one)
    assert not two.fits_in(one)
    assert not Resources(gpus=3).fits_in(two)
