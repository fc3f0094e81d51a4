"""Ctrl-C and SIGTERM at any moment of a demo: everything is released, nothing is left, and it says so."""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.processes import World, end_group, is_alone, until


EVERYTHING = {"decisions.jsonl", "ledger.sqlite", "report.html", "summary.json", "timeline.json"}
MOMENTS = [round(random.Random(f"moment {number}").uniform(0, 7), 2) for number in range(12)]


def is_itself(pid: int) -> bool:
    """Say whether a process has come past Python's own start, where signals are not yet a program's business."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def interrupt(folder: Path, after_s: float, *signals: signal.Signals, options: tuple[str, ...] = ()) -> None:
    world = World(folder)
    process = world.start("demo", "--out", "run", *options)
    try:
        until("it runs", lambda: is_itself(process.pid) or process.poll() is not None, timeout_s=30, poll_s=0.01)
        time.sleep(after_s)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        _, err = process.communicate(timeout=60)
        assert is_alone(process)
    finally:
        end_group(process)
    check(world, process.returncode, err, signals[0])


def check(world: World, code: int, err: str, number: signal.Signals) -> None:
    run = world.folder / "run"
    left = {path.name for path in run.iterdir()} if run.exists() else set[str]()
    assert left in (set(), EVERYTHING)
    assert world.left == []
    summary = json.loads((run / "summary.json").read_text()) if left else {}
    if left:
        assert summary["leaks"] == 0
        assert [one["name"] for one in summary["invariants"] if not one["ok"]] == []
    if code == 0:
        # it had ended before it was interrupted
        assert (err, summary["interrupted"]) == ("", False)
        return
    assert code == 128 + number
    assert err in {"", "burster: interrupted; everything was released\n"}
    assert not left or (summary["interrupted"] or err == "")


def test_ctrl_c_in_the_middle(tmp_path: Path) -> None:
    interrupt(tmp_path, 3.5, signal.SIGINT)


def test_ctrl_c_while_it_starts(tmp_path: Path) -> None:
    interrupt(tmp_path, 0.2, signal.SIGINT)


def test_ctrl_c_of_a_slow_demo_does_not_wait_for_its_clock(tmp_path: Path) -> None:
    before = time.monotonic()
    interrupt(tmp_path, 6.0, signal.SIGINT, options=("--speed", "100"))
    assert time.monotonic() - before < 30


@pytest.mark.long
@pytest.mark.parametrize("after_s", MOMENTS)
def test_ctrl_c_at_any_moment(tmp_path: Path, after_s: float) -> None:
    interrupt(tmp_path, after_s, signal.SIGINT)


@pytest.mark.long
@pytest.mark.parametrize("after_s", MOMENTS[:4])
def test_impatience_changes_nothing(tmp_path: Path, after_s: float) -> None:
    interrupt(tmp_path, after_s, signal.SIGINT, signal.SIGINT, signal.SIGINT)


@pytest.mark.long
@pytest.mark.parametrize("after_s", MOMENTS[4:8])
def test_sigterm_is_the_same(tmp_path: Path, after_s: float) -> None:
    interrupt(tmp_path, after_s, signal.SIGTERM)


@pytest.mark.long
def test_a_closed_terminal_is_the_same(tmp_path: Path) -> None:
    interrupt(tmp_path, 3.0, signal.SIGHUP)


@pytest.mark.long
def test_both_one_after_the_other(tmp_path: Path) -> None:
    interrupt(tmp_path, 3.0, signal.SIGTERM, signal.SIGINT)
