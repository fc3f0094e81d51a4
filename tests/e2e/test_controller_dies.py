"""The controller dies at random instruction boundaries and is started again: nothing leaks, runs twice or is lost."""

from pathlib import Path

import pytest

from tests.e2e.crashing import run_with_crashes


def check(seed: int, folder: Path) -> None:
    invariants, deaths = run_with_crashes(seed, folder, crashes=6)
    broken = [f"{one.name}: {one.detail}" for one in invariants if not one.ok]
    assert not broken, f"seed {seed}, died {deaths}: {broken}"
    assert len(deaths) == 6


@pytest.mark.parametrize("seed", range(4))
def test_a_few_seeds(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 54))
def test_fifty_more_seeds(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)
