import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from burster.cli.demo import FIRST_LINE, called_as
from burster.lab.demo_result import Invariant
from burster.model.errors import InputError


def run_dir_of(out):
    return Path(re.search(r"^Summary  (.*)/summary\.json$", out, re.MULTILINE).group(1))


def test_a_run_says_what_it_is_first_and_what_to_try_last(burster, world, home):
    code, out, err = burster("demo")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == FIRST_LINE
    assert err == ""
    assert lines[1] == "== On-prem fills."
    assert "== 0 leaks [really]." in lines
    assert "2 pods: 0 ran on-prem, 1 in the cloud, 1 did not run" in out
    assert "holds: nothing ran twice: 2 pods looked at" in out
    run_dir = run_dir_of(out)
    assert run_dir.parent == home / "state/burster/runs"
    assert {path.name for path in run_dir.iterdir()} == {
        "ledger.sqlite",
        "decisions.jsonl",
        "timeline.json",
        "report.html",
        "summary.json",
    }
    assert lines[-4] == "Three things to try next:"
    assert lines[-3].endswith(f"why bank/batch-7 --run {run_dir}")


def test_what_it_says_to_try_works(burster, world):
    _, out, _ = burster("demo")
    command = out.splitlines()[-3].strip()
    arguments = shlex.split(command.removeprefix(called_as()))
    code, out, _ = burster(*arguments)
    assert code == 0
    assert "PolicyBudget" in out


def test_json_is_one_document_and_the_story_goes_elsewhere(burster, world, tmp_path):
    code, out, err = burster("demo", "-o", "json", "--seed", "9", "--out", tmp_path / "here")
    assert code == 0
    document = json.loads(out)
    want = {
        "seed": 9,
        "pods": {"total": 2, "ran_on_prem": 0, "ran_in_cloud": 1, "unserved": 1},
        "bursts": {"created": 1, "released": 1, "failed": 0},
        "reaction_ms": {"p50": 3.2, "p99": 9.7, "max": 11.0},
        "cost_usd": 0.1234,
        "leaks": 0,
        "invariants": [{"name": "nothing ran twice", "ok": True, "detail": "2 pods looked at"}],
        "report": str(tmp_path / "here/report.html"),
    }
    assert {key: document[key] for key in want} == want
    assert len(document["decisions_sha256"]) == 64
    assert err.startswith(FIRST_LINE)
    assert "== On-prem fills." in err
    assert json.loads((tmp_path / "here/summary.json").read_text()) == document
    written = (tmp_path / "here/decisions.jsonl").read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in written] == ["Wait", "Burst", "Deny", "Release"]


def test_flags_become_options(burster, world, tmp_path):
    trace, policy = tmp_path / "trace.csv", tmp_path / "policy.yaml"
    trace.touch()
    policy.touch()
    burster(
        "demo",
        "--trace",
        trace,
        "--limit",
        "5",
        "--policy",
        policy,
        "--policy",
        policy,
        "--speed",
        "60",
        "--scenario",
        "s",
    )
    (options,) = world.asked
    assert (options.seed, options.limit, options.speed, options.scenario) == (7, 5, 60.0, "s")
    assert (options.trace, options.policies, options.watched) == (str(trace), (str(policy), str(policy)), False)


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        pytest.param({"leaks": 1}, 1, id="a leak"),
        pytest.param(
            {"invariants": (Invariant(name="n", ok=False, detail="d"),)}, 1, id="an invariant that does not hold"
        ),
        pytest.param({"interrupted": True}, 130, id="interrupted"),
        pytest.param({"interrupted": True, "leaks": 1}, 130, id="interrupted before it was done"),
    ],
)
def test_exit_codes(burster, world, changes, want):
    world.changes = changes
    code, out, _ = burster("demo", "-o", "json")
    assert code == want
    assert json.loads(out)["leaks"] == changes.get("leaks", 0)


@pytest.mark.parametrize(
    ("error", "want", "said"),
    [
        pytest.param(KeyboardInterrupt(), 130, "", id="Ctrl-C while it starts"),
        pytest.param(
            InputError("t.csv:3: a negative duration"), 2, "burster: t.csv:3: a negative duration\n", id="a bad trace"
        ),
    ],
)
def test_what_ends_it_early(burster, world, error, want, said):
    world.error = error
    code, out, err = burster("demo", "-o", "json")
    assert (code, out) == (want, "")
    assert err.endswith(said)


def test_a_directory_that_holds_a_run_is_left_alone(burster, world, run_dir):
    before = (run_dir / "ledger.sqlite").read_bytes()
    code, _, err = burster("demo", "--out", run_dir)
    assert (code, world.asked) == (2, [])
    assert "holds a run already" in err
    assert (run_dir / "ledger.sqlite").read_bytes() == before


def test_a_directory_that_cannot_be(burster, world, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = burster("demo", "--out", tmp_path / "file")
    assert code == 2
    assert "can't hold the run" in err


@pytest.mark.parametrize("flag", ["--trace", "--policy"])
def test_a_file_that_is_not_there(burster, world, tmp_path, flag):
    code, out, err = burster("demo", flag, tmp_path / "nothing")
    assert (code, out, world.asked) == (2, "", [])
    assert err == f"burster: {tmp_path / 'nothing'}: there is no such file\n"


def test_two_runs_in_one_second_do_not_meet(burster, world):
    burster("demo")
    burster("demo")
    first, second = (options.run_dir for options in world.asked)
    assert first != second


def test_the_report_stands_alone(burster, world, tmp_path):
    burster("demo", "--out", tmp_path / "here")
    text = (tmp_path / "here/report.html").read_text()
    for shown in (
        "are simulated",
        "The story",
        "0 leaks [really].",
        "nothing ran twice",
        "podvm-1",
        "PolicyBudget",
        "<path d=",
    ):
        assert shown in text
    assert not re.search(r"<script|(src|href)=|url\(|@import", text)
    assert len(text) < 200_000


@pytest.mark.parametrize(
    ("called", "on_path", "want"),
    [
        pytest.param("/x/bin/burster", True, "burster", id="on the path"),
        pytest.param("{cwd}/.venv/bin/burster", False, ".venv/bin/burster", id="in this project"),
        pytest.param("/x/bin/burster", False, "/x/bin/burster", id="elsewhere"),
        pytest.param("/x/burster/__main__.py", False, f"{sys.executable} -m burster", id="as a module"),
    ],
)
def test_how_to_call_it_again(monkeypatch, called, on_path, want):
    monkeypatch.setattr(sys, "argv", [called.format(cwd=Path.cwd())])
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/burster" if on_path else None)
    assert called_as() == want
