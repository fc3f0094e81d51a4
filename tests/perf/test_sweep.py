"""A sweep over 10,000 VMs: at most 5 s and 150 MB. Each round is a process of its own; who serves the resource group is another."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.perf.conftest import Note


ROOT = Path(__file__).parents[2]
VMS = 10_000
SECONDS, MEGABYTES = 5.0, 150
ROUNDS = 3


@pytest.mark.perf
@pytest.mark.parametrize("page_size", [200])
def test_a_sweep_over_ten_thousand_vms(note: Note, page_size: int) -> None:
    crowd = subprocess.Popen(
        [sys.executable, "-m", "tests.perf.crowd", str(VMS), str(page_size)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    try:
        urls = crowd.stdout.readline().split()
        assert len(urls) == 2
        rounds = []
        for _ in range(ROUNDS):
            done = subprocess.run(
                [sys.executable, "-m", "tests.perf.one_sweep", *urls],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            rounds.append(json.loads(done.stdout))
    finally:
        crowd.stdin.close()
        crowd.wait(timeout=30)
        crowd.stdout.close()
    assert all(one["vms"] == VMS and one["decisions"] >= 100 and one["deletions"] >= 50 for one in rounds), rounds
    note(
        f"sweep over {VMS} VMs, {page_size} a page", "s", [one["seconds"] for one in rounds], promised=f"{SECONDS:.0f}"
    )
    note(f"sweep over {VMS} VMs, resident", "MB", [one["rss_mb"] for one in rounds], promised=str(MEGABYTES))
    assert sorted(one["seconds"] for one in rounds)[ROUNDS // 2] <= SECONDS, rounds
    assert max(one["rss_mb"] for one in rounds) <= MEGABYTES, rounds
