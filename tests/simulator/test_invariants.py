"""What must hold in every run, however busy."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from burster.ledger import Ledger
from burster.model.quantities import cost_micro_usd
from burster.model.stimuli import Tick
from burster.simulator.outputs import run_directory
from burster.simulator.run import Setup, _Run, simulate
from burster.simulator.scenario import NO_OVERRIDES, Overrides, load_scenario
from burster.simulator.summary import policy_hash, summarise


ROOT = Path(__file__).parents[2]
DEMO = ROOT / "simulations" / "demo.yaml"
OPENB = ROOT.parent / "shared" / "traces" / "openb" / "openb_pod_list_default.csv"
#: the observation of a VM's end lags behind it by at most this
POLL_MS = 61_000


@pytest.fixture(scope="module")
def demo() -> Setup:
    return load_scenario(DEMO).setup


def troubled(setup: Setup, seed: int) -> Setup:
    cloud = msgspec.structs.replace(setup.cloud, failure_probability=0.3, quota_vcpus={"cores": 24})
    return msgspec.structs.replace(setup, cloud=cloud, seed=seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_pod_waits_while_a_node_has_room_and_nothing_is_overbooked(demo, seed):
    run = _Run(troubled(demo, seed), lambda *_: check())

    def check() -> None:
        onprem = run.world.onprem
        assert all(free >= 0 for column in (onprem.cpu, onprem.memory, onprem.gpus) for free in column)
        assert onprem.cpu_used == onprem.cpu_total - sum(onprem.cpu)
        waiting = list(onprem.waiting())
        assert len(waiting) == onprem.pending == len(run.world.waiting)
        for pod in waiting:
            assert onprem._choose(pod.requests, range(len(onprem.nodes))) < 0

    outcome = run.play(lambda *_: None)
    assert outcome.steps > 100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_vm_goes_every_record_is_released_and_every_pod_is_somewhere(demo, seed):
    setup = troubled(demo, seed)
    outcome = simulate(setup)
    assert not outcome.cloud.vms
    assert outcome.hands.live == 0
    pods = summarise(setup, outcome, 1.0)["pods"]
    assert pods["ran_on_prem"] + pods["ran_in_cloud"] + pods["unserved"] == pods["total"] == setup.trace.pods
    assert pods["unserved"] == 0
    assert outcome.cloud.failures


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_a_task_is_never_in_two_places_at_once_and_never_loses_its_work(demo, seed):
    run = _Run(troubled(demo, seed), lambda *_: check())

    def check() -> None:
        for ticket in run.hands.tickets.values():
            pod = ticket.pod
            if pod is not None and ticket.phase in {"Pending", "Running"}:
                assert pod.node < 0
                assert pod not in run.world.waiting.values()

    outcome = run.play(lambda *_: None)
    tasks = [pod for pod in outcome.world.pods if pod.duration_ms is not None]
    assert all(pod.gone and not pod.restarts for pod in tasks)
    cloud_tasks = sum(pod.duration_ms for pod in tasks if pod.served_by == "cloud")
    tickets = outcome.hands.tickets.values()
    clones = {ticket.burst.key for ticket in tickets if ticket.burst.spec.strategy == "Clone"}
    assert sum(vm.work_ms for vm in outcome.cloud.gone if vm.burst not in clones) == cloud_tasks > 0


def test_on_prem_work_is_the_sum_of_what_ran_there(demo):
    setup = msgspec.structs.replace(demo, policies=())
    tasks = tuple(entry for entry in setup.trace.entries if entry.kind == "Pod")
    setup = msgspec.structs.replace(setup, trace=msgspec.structs.replace(setup.trace, entries=tasks))
    outcome = simulate(setup)
    assert outcome.timeline.cpu_millicore_ms == sum(
        entry.duration_ms * entry.requests.cpu_millicores for entry in tasks
    )


def test_the_timeline_thinned_out_keeps_its_integral_and_its_bounds(demo, monkeypatch):
    whole = simulate(demo).timeline
    monkeypatch.setattr("burster.simulator.timeline.POINTS_MAX", 64)
    thin = simulate(demo).timeline
    assert len(thin.rows) <= 64 < len(whole.rows)
    assert thin.cpu_millicore_ms == whole.cpu_millicore_ms
    assert thin.rows[-1] == whole.rows[-1]
    assert set(thin.rows) <= set(whole.rows)


def test_the_cost_follows_from_the_vms_and_from_the_ledger(demo, tmp_path):
    with run_directory(tmp_path / "run", seed=demo.seed, policy_hash=policy_hash(demo)) as directory:
        outcome = simulate(demo, directory.step)
        summary = summarise(demo, outcome, 1.0)
        directory.finish(summary, outcome.timeline, "")
    bills = [cost_micro_usd(vm.price_micro_usd_per_hour, vm.gone_ms - vm.created_ms) for vm in outcome.cloud.gone]
    assert round(summary["cost_usd"]["compute"] * 1e6) == sum(bills)
    assert abs(outcome.cloud.running_cost_micro_usd(outcome.ended_ms) - sum(bills)) <= len(bills)
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        spends = ledger.spend()
    settled = sum(spend.micro_usd for spend in spends)
    assert round(summary["cost_usd"]["settled_by_burster"] * 1e6) == settled
    lag = sum(cost_micro_usd(vm.price_micro_usd_per_hour, POLL_MS) for vm in outcome.cloud.gone)
    assert sum(bills) <= settled <= sum(bills) + lag


def test_skipping_quiet_time_is_the_same_as_stepping_through_it(demo):
    log: list[bytes] = []

    def note(_at: int, _stimuli: object, result: object) -> None:
        log.extend(msgspec.json.encode(decision) for decision in result.decisions)

    skipped = simulate(demo, note)
    jumped, log = log, []
    stepped = _Run(demo, note)
    world = stepped.world
    for second in range(3000):
        world.agenda.at(second * 1000, 3, lambda _: world.outbox.append(Tick(kind="evaluate")), None)
    outcome = stepped.play(lambda *_: None)
    assert log == jumped
    assert outcome.steps > skipped.steps + 2000
    assert outcome.cloud.bills(outcome.ended_ms)[-1][1] == skipped.cloud.bills(skipped.ended_ms)[-1][1]


def test_a_step_is_reported_with_what_went_in(demo):
    seen: list[int] = []
    simulate(demo, lambda at_ms, stimuli, _result: seen.append(at_ms) if stimuli else None)
    assert seen == sorted(seen)
    assert seen[0] == demo.epoch_ms


PROGRAM = """
import hashlib, sys
from pathlib import Path
from burster.simulator.run import simulate
from burster.simulator.scenario import Overrides, load_scenario
from burster.simulator.summary import summarise
import msgspec
setup = load_scenario(Path(sys.argv[1]), Overrides(seed=11)).setup
digest = hashlib.sha256()
def note(at, stimuli, result):
    digest.update(msgspec.json.encode([at, stimuli, result.decisions, result.instructions]))
outcome = simulate(setup, note)
digest.update(msgspec.json.encode(summarise(setup, outcome, 0.0)))
print(digest.hexdigest())
"""


def test_the_hash_seed_of_python_decides_nothing():
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(DEMO)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == len(hashlib.sha256().hexdigest())


def test_another_seed_changes_the_clouds_luck_and_not_the_load(demo):
    one, two = simulate(troubled(demo, 1)), simulate(troubled(demo, 2))
    assert [pod.arrived_ms for pod in one.world.pods] == [pod.arrived_ms for pod in two.world.pods]
    assert one.cloud.failures != two.cloud.failures or one.ended_ms != two.ended_ms


def test_the_demo_tells_its_story_within_its_time(demo):
    outcome = simulate(demo)
    summary = summarise(demo, outcome, 1.0)
    assert outcome.ended_ms <= 75 * 60_000
    assert summary["limits"]["denials"]["PolicyBudget"] > 0
    assert summary["pods"]["ran_in_cloud"] >= 10
    assert summary["pods"]["unserved"] == 0
    assert summary["cloud"]["left_at_end"] == 0
    clones = [ticket for ticket in outcome.hands.tickets.values() if ticket.burst.spec.strategy == "Clone"]
    assert clones
    without = simulate(msgspec.structs.replace(demo, policies=()))
    assert without.ended_ms <= 75 * 60_000
    assert summarise(demo, without, 1.0)["cost_usd"]["total"] == 0
    assert json.dumps(summary)


@pytest.mark.skipif(not OPENB.exists(), reason="the openb trace is not beside the project")
def test_a_slice_of_openb_runs_to_its_end():
    loaded = load_scenario(ROOT / "simulations" / "cluster.yaml", Overrides(trace=OPENB, limit=400))
    outcome = simulate(loaded.setup)
    summary = summarise(loaded.setup, outcome, 1.0)
    assert summary["pods"]["total"] == 400
    assert summary["pods"]["unserved"] == 0
    assert summary["trace"]["dropped"]
    assert summary["cloud"]["left_at_end"] == 0


@pytest.mark.long
@pytest.mark.skipif(not OPENB.exists(), reason="the openb trace is not beside the project")
def test_all_of_openb_runs_to_its_end():
    loaded = load_scenario(ROOT / "simulations" / "cluster.yaml", Overrides(trace=OPENB))
    outcome = simulate(loaded.setup)
    summary = summarise(loaded.setup, outcome, 1.0)
    assert summary["pods"]["total"] == 7255
    assert summary["pods"]["unserved"] == 0
    assert summary["cloud"]["left_at_end"] == 0


def test_no_overrides_is_the_scenario_as_written(demo):
    assert load_scenario(DEMO, NO_OVERRIDES).setup == demo
