"""Every file of the library is valid, says in its first line what it is for, and fits to the targets beside it."""

from pathlib import Path

import pytest

from burster.model.pods import Owner, Pod
from burster.policy.compile import compile_documents
from burster.policy.load import load_files


LIBRARY = Path(__file__).parents[2] / "policies"
FILES = sorted(LIBRARY.rglob("*.yaml"))
#: regions in which the v6 TDX sizes have a price
V6_REGIONS = {"eastus", "westeurope", "westus", "westus3"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_each_file_is_valid_by_itself_and_introduces_itself(path):
    assert compile_documents(load_files([path]))
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def library():
    return compile_documents(load_files([LIBRARY]))


def policy(name):
    (found,) = (each for each in library().policies if each.name == name)
    return found


def a_pod(name, namespace, owner="", labels=None):
    workload = Owner(api_version="v1", kind=owner, name=name.rsplit("-", 2)[0], uid="o") if owner else None
    return Pod(namespace=namespace, name=name, uid="p", workload=workload, labels=labels or {})


def test_every_policy_goes_to_targets_of_the_library_and_has_a_cap_in_count_and_money():
    targets = {target.name: target for target in library().targets}
    assert len(library().policies) == 4
    for each in library().policies:
        assert set(each.placement.targets) <= set(targets)
        assert each.limits.max_bursts
        assert each.limits.budget.per_hour_micro_usd


def test_targets_are_where_their_sizes_have_a_price():
    for target in library().targets:
        assert target.region in V6_REGIONS
        assert target.tees == ("TDX",)
        assert all(size.endswith("es_v6") for size in target.sizes)


def test_the_classic_matches_its_deployments_pods_and_never_its_own_clones():
    classic = policy("classic-on-prem-deployment")
    assert classic.limits.max_bursts == 4
    assert classic.workload.matches(a_pod("on-prem-deployment-5d4f-abcde", "default", "Deployment"))
    assert not classic.workload.matches(a_pod("burst-on-prem-deployment-x", "default", "Burst"))


def test_batch_moves_jobs_and_labelled_bare_pods():
    assert policy("batch-jobs").placement.strategy == policy("batch-tasks").placement.strategy == "Move"
    assert policy("batch-jobs").workload.matches(a_pod("risk-x-1", "batch", "Job"))
    assert policy("batch-tasks").workload.matches(a_pod("task-0001", "batch", labels={"burst": "allowed"}))
    assert not policy("batch-tasks").workload.matches(a_pod("task-0001", "batch"))


def test_fraud_detection_clones_its_two_services_first_of_all():
    fraud = policy("fraud-detection")
    labels = {"app.kubernetes.io/part-of": "fraud-detection"}
    assert fraud.workload.matches(a_pod("fraud-scoring-5d4f-abcde", "fraud", "Deployment", labels))
    assert not fraud.workload.matches(a_pod("fraud-training-5d4f-abcde", "fraud", "Deployment", labels))
    assert fraud.priority == max(each.priority for each in library().policies)
