"""docs/faults.md names tests: each of them exists."""

import ast
import re

import pytest

from tests.docs.rights import ROOT


PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([a-z0-9_/]+\.py(?:::[A-Za-z_0-9]+)?)`", PAGE.partition("\n## ")[2])))


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 5
    assert all(line.count("|") == 5 for line in PAGE.splitlines() if line.startswith("|")), "four columns in each row"


@pytest.mark.parametrize("named", NAMED)
def test_a_named_test_exists(named: str) -> None:
    file, _, name = named.partition("::")
    path = ROOT / "tests" / file
    assert path.is_file(), f"there is no tests/{file}"
    tests = {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    assert tests, f"tests/{file} has no tests"
    assert not name or name in tests, f"tests/{file} has no {name}"
