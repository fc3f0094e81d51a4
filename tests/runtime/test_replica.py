"""One process that may lead: when it says that it ails, what it shows while it stands by, and that a stop ends in any case."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from burster.ledger import LedgerPlace
from burster.runtime.clock import SystemClock
from burster.runtime.dumps import StateDumps
from burster.runtime.metric_poller import PollNumbers
from burster.runtime.replica import Replica
from burster.surfaces.metrics import Metrics


class Clock(SystemClock):
    """Steady time that passes when the test says so."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def a_replica(tmp_path: Path, clock: Clock, **options: Any) -> Replica:
    def never(*_: object) -> Any:
        raise AssertionError

    place = LedgerPlace(path=tmp_path / "ledger.sqlite")
    return Replica(place, never, clock, elector=None, dumps=StateDumps(tmp_path), **options)


def leads(replica: Replica, **parts: Any) -> SimpleNamespace:
    controller = SimpleNamespace(loop=SimpleNamespace(steps_total=0), **parts)
    replica.controller = cast("Any", controller)
    return controller


@pytest.mark.parametrize(("tick_ms", "stuck_s"), [(15_000, 120), (1_000, 120), (60_000, 240), (600_000, 2_400)])
def test_a_loop_that_has_stopped_is_told_and_one_that_ticks_rarely_is_not(tmp_path, tick_ms, stuck_s) -> None:
    clock = Clock()
    replica = a_replica(tmp_path, clock, tick_ms=tick_ms)
    loop = leads(replica).loop
    for _ in range(5):
        loop.steps_total += 1
        assert replica.ailing() == ""
        clock.now_s += max(tick_ms / 1000, 100)
        assert replica.ailing() == "", "a step at every tick is a loop that is well"
    loop.steps_total += 1
    assert replica.ailing() == ""
    clock.now_s += stuck_s
    assert replica.ailing() == ""
    clock.now_s += 1
    assert replica.ailing() == f"the loop has not moved for {stuck_s + 1}s"


def test_who_stands_by_does_not_ail_however_long(tmp_path) -> None:
    clock = Clock()
    replica = a_replica(tmp_path, clock)
    leads(replica)
    replica.ailing()
    replica.controller = None
    clock.now_s += 10_000
    assert replica.ailing() == ""


def test_who_has_lost_the_lead_shows_no_number_of_its_own_any_more(tmp_path) -> None:
    """KEDA would read the stale number of one replica beside the true one of the other."""
    replica = a_replica(tmp_path, Clock())
    metrics = Metrics(signals=replica.signals, polls=replica.polls)
    polled = SimpleNamespace(numbers=lambda: PollNumbers(queries=3, askers=4))
    leads(replica, signals=[("bank/queue", 7, True)], metrics=polled)
    shown = metrics.exposition().decode()
    assert 'burster_wanted_replicas{namespace="bank",policy="queue"} 7.0' in shown
    assert "burster_metric_queries 3.0" in shown
    replica.controller = None
    shown = metrics.exposition().decode()
    assert "burster_wanted_replicas{" not in shown
    assert "burster_metric_queries 0.0" in shown


HANGS = """
import asyncio, threading, time, types
from burster.runtime import service
from burster.settings import load_settings

service.GRACE_S = 1.0

async def serve(*_, **__):
    replica = types.SimpleNamespace(dump=lambda: None)
    with service._signals(replica) as stop:
        asyncio.get_running_loop().run_in_executor(None, time.sleep, {seconds})  # a name server that does not answer
        print("up", flush=True)
        await stop.wait()

service._serve = serve
service.run_controller(load_settings(ledger_path="{ledger}"))
print("ended by itself", flush=True)
"""


@pytest.mark.parametrize(("seconds", "by_itself"), [(0.2, True), (600, False)])
def test_a_stop_ends_within_the_grace_also_where_something_hangs_that_can_not_be_cancelled(
    tmp_path, seconds, by_itself
) -> None:
    script = HANGS.format(seconds=seconds, ledger=tmp_path / "ledger.sqlite")
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
        env={**os.environ},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    try:
        out, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.monotonic() - began < 10
    assert ("ended by itself" in out) == by_itself
    assert (process.returncode == 0) == by_itself
    # what hung is told: where each thread was, without what it held
    assert bool(re.search(r"Timeout .*\nThread 0x", errors)) == (not by_itself), errors
