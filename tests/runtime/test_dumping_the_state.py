"""A dump of the state for somebody who looks for a fault: readable again, for its owner only, bounded in number and size."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from burster.engine import initial_state, snapshot
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import task_pod
from burster.lab.site import open_site
from burster.lab.world import make_controller
from burster.ledger import Ledger
from burster.model.pods import Resources
from burster.runtime import dumps
from burster.runtime.dumps import FILES_MAX, StateDumps
from burster.simulator.traces.model import TraceEntry
from tests.support.small_site import beside_the_target, one_node


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_can_be_read_again_and_by_nobody_else(tmp_path: Path) -> None:
    path = StateDumps(tmp_path / "dumps").write(initial_state(), 1_000)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert snapshot.dump(snapshot.restore(path.read_bytes())) == path.read_bytes()


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    for now_ms in range(1_000, 1_000 + FILES_MAX + 3):
        StateDumps(tmp_path).write(initial_state(), now_ms)
    assert names(tmp_path) == [f"state-{now_ms}.json" for now_ms in range(1_003, 1_003 + FILES_MAX)]


def test_one_that_is_too_large_or_cannot_be_written_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert StateDumps(tmp_path / "file").write(initial_state(), 1) is None
    monkeypatch.setattr(dumps, "BYTES_MAX", 10)
    assert StateDumps(tmp_path / "dumps").write(initial_state(), 1) is None
    assert not (tmp_path / "dumps").exists()


RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: tasks, namespace: default}
spec:
  workload: {podNamePattern: "task.*"}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  placement: {strategy: Move, targets: [azure-westeurope-tdx], drain: 10s}
"""
SECRET = "sesame-open-up"


def test_what_a_pod_keeps_to_itself_is_neither_in_a_dump_nor_in_the_ledger(tmp_path: Path) -> None:
    """A Move's record holds the pod's manifest, variables included: it stays in the cluster's objects."""
    rules = beside_the_target(tmp_path, RULES)

    async def main(clock: LabClock) -> bytes:
        options = one_node(tmp_path, rules, ("default",), millicores=500)
        async with open_site(clock, options) as site, site.connections() as connections:
            with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
                controller = make_controller(clock, site, connections, ledger, seed=7)
                running = asyncio.create_task(controller.run())
                await clock.sleep(30)
                needs = Resources(cpu_millicores=900, memory_bytes=1024**3)
                entry = TraceEntry(arrival_ms=0, name="task-1", requests=needs, duration_ms=36_000_000)
                pod = task_pod(entry)
                pod["metadata"]["annotations"] = {"bank.example/note": SECRET}
                pod["spec"]["containers"][0] |= {
                    "env": [{"name": "PASSWORD", "value": SECRET}],
                    "args": ["--password", SECRET],
                }
                site.store.create("pods", "default", pod)
                await clock.sleep(300)
                (record,) = site.store.list("bursts.burster.dev", "default")
                assert SECRET in json.dumps(record), "the record brings the pod home as it was"
                path = StateDumps(tmp_path / "dumps").write(controller.loop.state, clock.now_ms())
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                assert path is not None
                return path.read_bytes()

    dumped = run_lockstep(main)
    assert b"default/task-1" in dumped
    assert SECRET.encode() not in dumped
    assert SECRET.encode() not in (tmp_path / "ledger.sqlite").read_bytes()
    with Ledger.read(tmp_path / "ledger.sqlite") as ledger:
        assert not [one for one in ledger.stimuli() if SECRET in repr(one)]
        assert not [one for one in ledger.decisions() if SECRET in repr(one)]
