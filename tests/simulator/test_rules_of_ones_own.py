"""Rules given on the command line take the place of the scenario's; a target they bring along stands in for the one of that name."""

from pathlib import Path

import pytest

from burster.policy.errors import PolicyErrors
from burster.shipped import shipped
from burster.simulator.scenario import Overrides, load_scenario


OWN = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: mine, namespace: default}
spec:
  workload: {kind: Pod}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  limits: {maxBursts: 2}
  placement: {targets: [azure-westeurope-tdx]}
---
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: azure-westeurope-tdx}
spec:
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: burst-westeurope, region: westeurope}
  sizes: [Standard_DC4es_v6]
  allowedNamespaces: [default]
  trustee: {url: "https://trustee.example"}
"""


def load(file: Path):
    return load_scenario(shipped("simulations") / "demo.yaml", Overrides(policies=(file,)))


def test_a_target_of_ones_own_stands_in_for_the_scenarios(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    loaded = load(file)
    assert [policy.name for policy in loaded.setup.policies] == ["mine"]
    assert [target.sizes for target in loaded.setup.targets] == [("Standard_DC4es_v6",)]
    assert len(loaded.documents) == 2


def test_the_scenarios_target_is_still_there_where_one_brings_none(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN.split("---", maxsplit=1)[0])
    assert [target.name for target in load(file).setup.targets] == ["azure-westeurope-tdx"]


def test_the_same_name_twice_in_ones_own_files_is_still_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"{OWN}---\n{OWN}")
    with pytest.raises(PolicyErrors, match="already defined"):
        load(file)
