"""Every file of the library is valid, says in its first line what it is for, and fits to the targets beside it."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from burster.cli.policy import app
from burster.model.pods import Owner, Pod
from burster.policy.compile import compile_documents
from burster.policy.convert import convert_text
from burster.policy.load import load_files
from burster.simulator.cases.load import load_cases
from burster.simulator.cases.run import run_case
from burster.simulator.catalogue import offering_of


LIBRARY = Path(__file__).parents[2] / "policies"
CASES = sorted(LIBRARY.rglob("*.cases.yaml"))
FILES = sorted(path for path in LIBRARY.rglob("*.yaml") if path not in CASES)
USE_CASES = sorted({path.parent.name for path in FILES} - {"targets"})


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
    assert len(library().policies) == 20
    for each in library().policies:
        assert set(each.placement.targets) <= set(targets)
        assert each.limits.max_bursts
        assert each.limits.budget.per_hour_micro_usd or each.limits.budget.per_day_micro_usd


def test_every_target_has_sizes_of_a_known_price_and_of_its_own_hardware():
    for target in library().targets:
        offered = target.catalogue or [offering_of(target, size) for size in target.sizes]
        assert {one.size for one in offered if one is not None} == set(target.sizes)
        priced = [one for one in offered if one is not None and one.price_micro_usd_per_hour is not None]
        assert priced, f"nothing at {target.name} has a price"
        assert {one.tee for one in priced} <= set(target.tees)


def test_every_target_says_who_attests_and_what_is_run():
    for target in library().targets:
        assert target.trustee_url.startswith("https://")
        assert target.initdata is not None
        assert "*" not in target.allowed_namespaces


def test_the_library_has_no_lint():
    done = CliRunner().invoke(app, ["validate", str(LIBRARY), "--lint", "error", "--at", "2026-11-01T09:00:00Z"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", USE_CASES)
def test_each_use_case_has_policies_and_cases_that_hold_and_name_each_of_them(name):
    (path,) = sorted((LIBRARY / name).glob("*.cases.yaml"))
    file = load_cases(path)
    results = [run_case(file, loaded) for loaded in file.cases]
    assert [failure for result in results for failure in result.failures] == []
    decided = {decision.policy for result in results for decision in result.decisions}
    assert {policy.key for policy in file.policies} <= decided


README = (LIBRARY / "README.md").read_text("utf-8")
ROWS = re.findall(r"^\| \[(\S+)\]\((\S+)\) \| (.+) \| (.+) \| (.+) \|$", README, re.MULTILINE)


def test_the_readme_lists_each_use_case_once_and_in_order():
    assert [name for name, *_ in ROWS] == USE_CASES
    assert all(name == folder for name, folder, *_ in ROWS)


@pytest.mark.parametrize(("name", "strategy", "shown"), [(row[0], row[3], row[4]) for row in ROWS])
def test_the_readme_names_the_strategy_and_fields_that_are_there(name, strategy, shown):
    policies = [document.model for document in load_files([LIBRARY / name]) if document.kind == "BurstPolicy"]
    assert {policy.spec.placement.strategy for policy in policies} == {strategy}
    written = "".join(path.read_text("utf-8") for path in FILES if path.parent.name in {name, "targets"})
    fields = re.findall(r"`([^`]+)`", shown)
    assert len(fields) >= 1
    for field in fields:
        assert re.search(rf"\b{re.escape(field.rsplit('.', 1)[-1])}", written), f"{field} is not to be seen in {name}"


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


def test_the_scaled_object_is_the_issues_own_with_limits_added():
    golden = LIBRARY.parent / "tests" / "policy" / "keda" / "classic.yaml"
    (converted,) = convert_text(golden.read_text("utf-8"), "classic.yaml", target="azure-westeurope-tdx").objects
    (document,) = load_files([LIBRARY / "classic-scaled-object" / "policy.yaml"])
    assert converted.policy is not None
    spec = dict(document.object["spec"])
    assert {key: spec[key] for key in converted.policy["spec"]} == converted.policy["spec"]
    assert set(spec) - set(converted.policy["spec"]) == {"limits", "confidential"}
