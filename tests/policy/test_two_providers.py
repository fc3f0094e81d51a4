"""A policy of two providers, and nodes of one's own: taken, told in sentences, compared, and refused where nothing can be shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from burster.model.targets import Target, proof_of
from burster.policy.compile import compile_documents
from burster.policy.diff import compare
from burster.policy.errors import PolicyErrors
from burster.policy.explain import explain_target
from burster.policy.load import Document, load_files, load_text


LIBRARY = Path(__file__).parents[2] / "policies"
EXIT = (
    LIBRARY / "sovereign-exit/policy.yaml",
    LIBRARY / "targets/azure-westeurope-tdx.yaml",
    LIBRARY / "targets/sovereign-frankfurt.yaml",
)
NODES_FIRST = (
    LIBRARY / "on-prem-tee-first/policy.yaml",
    LIBRARY / "targets/on-prem-tdx.yaml",
    LIBRARY / "targets/azure-westeurope-tdx.yaml",
)


def documents(*paths: Path, **changes: Any) -> tuple[Document, ...]:
    """The library's files, with changes to the policy's ``confidential``."""
    texts = [each.object for each in load_files([str(path) for path in paths])]
    for obj in texts:
        if obj["kind"] == "BurstPolicy":
            obj["spec"]["confidential"] = {**obj["spec"].get("confidential", {}), **changes}
    return load_text("\n---\n".join(json.dumps(obj) for obj in texts), "rules.yaml")


def target(name: str, *paths: Path) -> Target:
    return next(one for one in compile_documents(documents(*paths)).targets if one.name == name)


def test_what_is_proven_follows_from_the_provider() -> None:
    assert [proof_of(name) for name in ("azure", "onprem", "sovereign", "aws")] == ["Arm", "Node", "Record", "Record"]


@pytest.mark.parametrize("paths", [EXIT, NODES_FIRST], ids=["two providers", "nodes of one's own first"])
def test_the_librarys_policies_of_several_places_are_taken(paths: tuple[Path, ...]) -> None:
    compiled = compile_documents(documents(*paths))
    (policy,) = compiled.policies
    assert {one.name for one in compiled.targets} == set(policy.placement.targets)
    assert len({one.proof for one in compiled.targets}) == 2


def test_a_second_provider_is_told_with_what_it_can_not_show() -> None:
    told = explain_target(target("sovereign-frankfurt", *EXIT))
    assert (
        "Of its VMs burster knows what cloud-api-adaptor records: that there is one, at sovereign. That they are confidential"
        " attestation alone proves, so only policies with attestation Required may burst here."
    ) in told
    assert "They cost what the catalogue says, from the pod's placing until the record is let go." in told


def test_nodes_of_ones_own_are_told_with_their_labels() -> None:
    told = explain_target(target("on-prem-tdx", *NODES_FIRST))
    assert (
        "Pods run in VMs of nodes that carry feature.node.kubernetes.io/cpu-security.tdx.enabled=true; each pod's node is checked once it"
        " has one."
    ) in told


def test_without_attestation_a_policy_and_a_place_that_has_only_records_can_not_meet() -> None:
    with pytest.raises(PolicyErrors) as told:
        compile_documents(documents(*EXIT, attestation="VmOnly"))
    (problem,) = told.value.problems
    assert problem.path == "spec.confidential.attestation"
    assert "nobody can show what VMs target sovereign-frankfurt has" in problem.message
    compile_documents(documents(*NODES_FIRST, attestation="VmOnly"))


def test_other_labels_of_nodes_are_a_change_of_security() -> None:
    before = documents(*NODES_FIRST)
    after = documents(*NODES_FIRST)
    changed = [each.object for each in after]
    for obj in changed:
        if obj["metadata"]["name"] == "on-prem-tdx":
            obj["spec"]["nodeSelector"] = {"site": "a"}
    after = load_text("\n---\n".join(json.dumps(obj) for obj in changed), "rules.yaml")
    changes = compare(compile_documents(before), compile_documents(after))
    assert {(one.object, one.area) for one in changes if "a label that nodes need" in one.sentence} == {
        ("BurstTarget on-prem-tdx", "security")
    }
