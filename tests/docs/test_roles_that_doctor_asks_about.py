"""The actions that the checks ask about on the resource group are those that docs/azure.md lists for it."""

import re
from pathlib import Path

import pytest

from burster.sources.preflight.cloud_rights import MACHINES, READS, SWEEPS


PAGE = (Path(__file__).parents[2] / "docs" / "azure.md").read_text("utf-8")
TABLES = {
    "What every target needs": READS,
    "A target with `sweep.mode: Delete` needs": SWEEPS,
    "A target for machines (strategy `Machine`) needs": MACHINES,
}


@pytest.mark.parametrize(("head", "asked"), TABLES.items(), ids=TABLES)
def test_the_actions_on_the_resource_group_are_the_same(head, asked):
    table = PAGE.split(head, 1)[1].split("\n\n", 2)[1]
    # a star: of the subscription; "(on …)": of something else
    listed = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert set(listed) == set(asked)
