"""burster simulate, as a person or a script uses it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from burster.cli import run


ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "simulations" / "demo.yaml")
FILES = {"summary.json", "decisions.jsonl", "timeseries.parquet", "report.html", "ledger.sqlite"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "demo"
    assert run(["simulate", DEMO, "--out", str(out)]) == 0
    return out


def test_a_run_leaves_its_files_and_nothing_else(finished):
    assert {path.name for path in finished.iterdir()} == FILES


def test_the_summary_has_what_scripts_rely_on(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert summary.keys() >= {"seed", "engine_version", "policy_hash", "decisions", "wall_seconds", "events_per_second"}
    assert summary["trace"].keys() >= {"pods", "span_seconds"}
    assert summary["pods"].keys() >= {"total", "ran_on_prem", "ran_in_cloud", "unserved"}
    assert summary["wait_seconds"].keys() == {"mean", "p50", "p95", "p99", "max"}
    assert summary["cost_usd"].keys() >= {"total", "compute", "egress", "idle"}
    assert summary["cloud"].keys() >= {"vm_hours", "launches", "launch_failures", "peak_vms"}
    assert summary["limits"]["denials"]["PolicyBudget"] > 0
    lines = (finished / "decisions.jsonl").read_text().splitlines()
    assert len(lines) == summary["decisions"]
    assert all(json.loads(line)["reasons"] for line in lines)


def test_the_report_needs_no_network_and_has_the_numbers(finished):
    page = (finished / "report.html").read_text()
    ours = page.split("</head>")[1]
    assert page.count("<script") == 2
    assert not re.search(r"""(?:src|href)\s*=\s*["']""", ours)
    assert "PolicyBudget" in ours
    summary = json.loads((finished / "summary.json").read_text())
    assert f"${summary['cost_usd']['total']:.4f}" in ours
    assert "Assumed, not measured" in ours


def test_the_time_series_is_a_table_that_ends_with_the_cost(finished):
    frame = pl.read_parquet(finished / "timeseries.parquet")
    summary = json.loads((finished / "summary.json").read_text())
    assert frame["at_ms"].is_sorted()
    assert frame["vms_creating"].max() > 0
    assert frame["cost_micro_usd"][-1] / 1e6 == pytest.approx(summary["cost_usd"]["compute"], abs=1e-4)


def test_the_same_inputs_give_the_same_bytes(finished, tmp_path):
    assert run(["simulate", DEMO, "--out", str(tmp_path / "again")]) == 0
    again = tmp_path / "again"
    assert (again / "decisions.jsonl").read_bytes() == (finished / "decisions.jsonl").read_bytes()
    assert (again / "timeseries.parquet").read_bytes() == (finished / "timeseries.parquet").read_bytes()
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (finished, again))
    for summary in (one, two):
        del summary["wall_seconds"], summary["events_per_second"]
    assert one == two


def test_json_output_is_one_document_and_nothing_else(capsys):
    assert run(["simulate", DEMO, "-o", "json", "--seed", "3", "--limit", "30"]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert (summary["seed"], summary["trace"]["rows_read"]) == (3, 30)
    assert captured.err == ""


def test_the_table_says_what_to_look_at_next(finished, tmp_path, capsys):
    assert run(["simulate", DEMO, "--out", str(tmp_path / "run"), "--limit", "20"]) == 0
    out = capsys.readouterr().out
    assert "on-prem" in out
    assert str(tmp_path / "run" / "report.html") in out


def test_other_rules_and_another_load_can_be_tried(tmp_path, capsys):
    trace = tmp_path / "own.csv"
    trace.write_text("arrival_ms,name,duration_ms,cpu_millicores\n0,a,600000,24000\n0,b,600000,24000\n")
    rules = ROOT / "simulations" / "cluster" / "rules.yaml"
    assert run(["simulate", DEMO, "--trace", str(trace), "--format", "csv", "--policy", str(rules), "-o", "json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["pods"] == {"total": 2, "ran_on_prem": 0, "ran_in_cloud": 2, "unserved": 0, "restarts": 0}


def test_a_finished_run_can_be_asked_why(finished, capsys):
    assert run(["why", "task-0020", "--run", str(finished)]) == 0
    assert "task-0020" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "want", "code"),
    [
        (["none.yaml"], "none.yaml: no such file", 2),
        ([DEMO, "--trace", "none.csv"], "none.csv: there is no such file", 2),
        ([DEMO, "--policy", "none.yaml"], "none.yaml: no such file", 2),
        ([DEMO, "--limit", "none"], "limit", 2),
        ([DEMO, "--format", "excel"], "excel", 2),
        ([DEMO, "--out", "/dev/null/run"], "the results can't be written", 2),
    ],
)
def test_what_can_not_be_done_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, want, code):
    monkeypatch.chdir(tmp_path)
    assert run(["simulate", *arguments]) == code
    captured = capsys.readouterr()
    assert want in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_that_says_nonsense_is_invalid_not_unreadable(tmp_path, capsys):
    path = tmp_path / "scenario.yaml"
    path.write_text("cluster: {nodes: [{cpu: 1, memory: 1Gi}]}\ntrace: {generate: {}}\nseeds: 1\n")
    assert run(["simulate", str(path)]) == 1
    assert "scenario.yaml:3:1: seeds: unknown field; did you mean seed?" in capsys.readouterr().err


def test_a_failing_run_leaves_nothing_and_spoils_nothing(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("burster.simulator.report.render", lambda *_: 1 / 0)
    assert run(["simulate", DEMO, "--out", str(tmp_path / "new" / "run")]) != 0
    assert not (tmp_path / "new").exists()
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert run(["simulate", DEMO, "--out", str(finished)]) != 0
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path):
    out = tmp_path / "run"
    program = "import sys; from burster.cli import main; main(sys.argv[1:])"
    scenario = str(ROOT / "simulations" / "cluster.yaml")
    process = subprocess.Popen(
        [sys.executable, "-c", program, "simulate", scenario, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        deadline = time.monotonic() + 30
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert not out.exists()


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path):
    left = tmp_path / f".run-{os.getpid()}.part"
    left.mkdir()
    (left / "ledger.sqlite").write_text("half of something")
    assert run(["simulate", DEMO, "--out", str(tmp_path), "--limit", "5"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == FILES
