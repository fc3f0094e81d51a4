"""The same facts at the same times give the same instructions and decisions, byte for byte, in every process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.random_walk import digest


ROOT = Path(__file__).parents[2]


def elsewhere(seed: int, hash_seed: str) -> str:
    """The digest of a walk in another process."""
    code = f"from tests.support.random_walk import digest; print(digest({seed}))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_a_walk_is_the_same_twice_and_another_seeds_is_another() -> None:
    assert digest(1) == digest(1) != digest(2)


def test_the_hash_seed_of_python_decides_nothing() -> None:
    want = digest(3)
    for hash_seed in ("0", "1", "4242"):
        assert elsewhere(3, hash_seed) == want


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("first", range(0, 400, 50))
def test_many_long_walks_keep_every_promise(first: int) -> None:
    for seed in range(first, first + 50):
        digest(seed, steps=1_500)
