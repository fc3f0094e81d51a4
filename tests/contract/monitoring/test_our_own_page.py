"""What burster tells of itself, read by Prometheus' own linter: names with base units, help texts, counters that end in _total."""

import subprocess

import pytest

from burster.surfaces.metrics import Metrics
from tests.support.prometheus import real_binaries
from tests.surfaces.test_status_over_http import DECISION, VIEW


def a_full_page() -> bytes:
    metrics = Metrics(lambda: VIEW, signals=lambda: [("n/p", 1, True)], polls=lambda: (1, 2, 3, 4.0))
    metrics.decided([DECISION])
    metrics.stepped(["PodSeen"], 0.1)
    metrics.instruction_ended("RecordBurst", "ok", 0.1)
    metrics.burst_decided(0.1)
    metrics.reacted(0.2, after_decision=0.1)
    metrics.ledger_failed()
    metrics.watch_restarted("pods", "listed")
    metrics.metric_read("https://thanos:9092", "ok", 0.1)
    return metrics.exposition()


def checked(page: bytes) -> tuple[int, str]:
    folder = real_binaries()
    if folder is None:
        pytest.skip("no promtool here: `tools/prometheus` fetches Debian's and tells what to set")
    told = subprocess.run(
        [str(folder / "promtool"), "check", "metrics"], input=page, capture_output=True, check=False, timeout=60
    )
    return told.returncode, told.stderr.decode()


def test_promtool_has_nothing_to_say():
    assert checked(a_full_page()) == (0, "")


def test_it_would_say_something():
    code, said = checked(a_full_page().replace(b"burster_step_seconds", b"burster_step_milliseconds"))
    assert code != 0
    assert "milliseconds" in said
