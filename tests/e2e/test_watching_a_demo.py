"""A real kubectl beside a running demo: the life of Bursts in columns that can be read."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.processes import KUBECTL, World, end_group, kubectl, until


pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
ORDER = ("", "Reserved", "Placing", "Provisioning", "Attesting", "Serving", "Draining", "Releasing", "Released")
COLUMNS = ("NAMESPACE", "NAME", "PHASE", "POLICY", "POD", "TARGET", "SIZE", "COST", "VM", "AGE")


def lives(watched: str) -> dict[str, list[str]]:
    """Return each burst's phases as a watch showed them. Columns move while it goes on: a phase is told by its name."""
    found: dict[str, list[str]] = {}
    for line in watched.splitlines()[1:]:
        words = line.split()
        phase = words[2] if words[2] in ORDER else ""
        life = found.setdefault(words[1], [])
        if not life or life[-1] != phase:
            life.append(phase)
    return found


def test_the_life_of_every_burst_by_kubectl(tmp_path: Path) -> None:
    world = World(tmp_path)
    config = tmp_path / "run/kubeconfig"
    demo = world.start("demo", "--speed", "120", "--out", "run")
    started = [demo]
    try:
        until("there is a kubeconfig", lambda: config.exists() and config.read_text(), timeout_s=30)
        assert config.stat().st_mode & 0o777 == 0o600
        with (tmp_path / "watched").open("w") as file:
            command = [KUBECTL, "--kubeconfig", str(config), "get", "bursts", "-A", "-w"]
            watching = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, text=True)
        started.append(watching)
        until("a burst is out", lambda: (tmp_path / "watched").read_text().count("\n") > 5, timeout_s=60)
        names = kubectl(config, "get", "bursts", "-o", "name").split()
        told = kubectl(config, "describe", names[0])
        for part in ("Strategy:", "Size:", "Phase:", "Reserved Micro Usd:", "Conditions:"):
            assert part in told
        rules = kubectl(config, "get", "burstpolicies,bursttargets", "-A")
        for part in (
            "burstpolicy.burster.dev/tasks",
            "Move",
            "bursttarget.burster.dev/azure-westeurope-tdx",
            "westeurope",
        ):
            assert part in rules
        events = kubectl(config, "get", "events")
        assert "FailedScheduling" in events
        assert "BurstStarted" in events
        out, err = demo.communicate(timeout=100)
        watching.wait(timeout=20)
    finally:
        for process in started:
            end_group(process)
            process.communicate()
    assert (demo.returncode, err) == (0, "")
    assert out.splitlines()[1] == f"Watch along: kubectl --kubeconfig {config} get bursts -A -w"
    assert not config.exists()
    watched = (tmp_path / "watched").read_text()
    assert tuple(watched.splitlines()[0].split()) == COLUMNS
    assert re.search(
        r"Serving +tasks +task-\d+ +azure-westeurope-tdx +Standard_DC\d+es_v6 +\$0\.\d+ +podvm-\S+ +\d+[ms]", watched
    )
    found = lives("\n".join(line for line in watched.splitlines() if line.startswith(("NAMESPACE", "default"))))
    assert len(found) > 10
    whole = [life for life in found.values() if life[-1] == "Released"]
    assert len(whole) > 5
    for life in whole:
        steps = [ORDER.index(phase) for phase in life]
        assert all(before < after for before, after in pairwise(steps)), life
        assert {"Placing", "Provisioning", "Serving"} <= set(life)
