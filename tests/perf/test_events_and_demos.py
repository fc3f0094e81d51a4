"""How many pod events a second one core decodes and decides about, and what a whole demo costs, in CPU time."""

import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burster.engine import State, initial_state, step, unfinished
from burster.model import stimuli as s
from burster.model.stimuli import Stimulus
from burster.sources import pods
from burster.sources.reflector import Reflector
from tests.perf.conftest import Note
from tests.perf.test_sources_and_transport import _line
from tests.support.builders import T0, a_policy, a_target, an_offering


pytestmark = [pytest.mark.perf, pytest.mark.timeout(600)]

EVENTS = 10_000
ROUNDS = 5
PER_S = 20_000
#: where the machine is slow: deciding about an event, even starting a burst for it, costs at most so many times its decoding
RATIO = 4.5
OPENB = Path(__file__).parents[3] / "shared/traces/openb/openb_pod_list_default.csv"


def an_engine(*, max_bursts: int | None) -> State:
    """An engine that has synced, with one policy for the events' namespace."""
    facts: list[Stimulus] = [
        s.PolicySeen(policy=a_policy(namespace="shop", max_bursts=max_bursts)),
        s.TargetSeen(target=a_target(allowed_namespaces=("*",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *(s.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
    ]
    return step(initial_state(), facts, T0).state


def events_per_second(lines: list[bytes], *, batch: int, max_bursts: int | None) -> float:
    """Bytes of a watch to decisions, in CPU time."""
    state = an_engine(max_bursts=max_bursts)
    posted: list[Stimulus] = []
    sink = pods.PodSink(posted.append, lambda _: None)
    reflector = Reflector(None, pods.PATH, pods.POD_CODEC, sink, None, random.Random(1))  # type: ignore[arg-type]
    decided = 0
    begun = time.process_time()
    for line in lines:
        reflector._apply(line)
        if len(posted) == batch:
            decided += len(step(state, posted, T0 + 1_000).decisions)
            posted.clear()
            while unfinished(state):  # as the controller's loop does
                decided += len(step(state, [], T0 + 1_000).decisions)
    taken = time.process_time() - begun
    assert decided == len(lines)
    return len(lines) / taken


def decoded_per_second(lines: list[bytes]) -> float:
    """Bytes of a watch to stimuli and no further: the baseline."""
    posted: list[Stimulus] = []
    sink = pods.PodSink(posted.append, lambda _: None)
    reflector = Reflector(None, pods.PATH, pods.POD_CODEC, sink, None, random.Random(1))  # type: ignore[arg-type]
    begun = time.process_time()
    for line in lines:
        reflector._apply(line)
    return len(lines) / (time.process_time() - begun)


@pytest.mark.parametrize("batch", [1, 100, 1_000])
@pytest.mark.parametrize("max_bursts", [pytest.param(4, id="each waits"), pytest.param(None, id="each bursts")])
def test_20_000_events_a_second_are_decoded_and_decided(batch: int, max_bursts: int | None, note: Note):
    lines = [_line(number) for number in range(EVENTS)]
    assert len(lines[0]) > 3_500
    baseline = max(decoded_per_second(lines) for _ in range(ROUNDS))
    rounds = [events_per_second(lines, batch=batch, max_bursts=max_bursts) for _ in range(ROUNDS)]
    what = "each waits" if max_bursts else "each bursts"
    note(f"decoded and decided, {what}, {batch} to a step", "events/s", rounds, promised="20000", baseline=baseline)
    assert max(rounds) >= min(PER_S, baseline / RATIO)


@pytest.mark.parametrize(
    ("what", "cpu_s", "arguments"),
    [
        pytest.param("the shipped demo", 4.0, (), id="shipped"),
        pytest.param("200 pods of openb", 10.0, ("--trace", str(OPENB), "--limit", "200"), id="openb"),
    ],
)
def test_a_demo_costs_little(what: str, cpu_s: float, arguments: tuple[str, ...], tmp_path: Path, note: Note):
    if arguments and not OPENB.exists():
        pytest.skip("the openb trace is not on this machine")
    cpu: list[float] = []
    wall: list[float] = []
    for number in range(2):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "burster",
            "demo",
            "-o",
            "json",
            "--out",
            str(tmp_path / str(number)),
            *arguments,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=300, env={**os.environ, "HOME": str(tmp_path)})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        wall.append(time.perf_counter() - begun)
    note(f"{what}, CPU", "s", cpu, promised=f"{cpu_s:g}")
    note(f"{what}, wall", "s", wall)
    # neighbours on the machine make CPU time dearer, by half at the worst seen
    assert min(cpu) <= cpu_s * 1.5
