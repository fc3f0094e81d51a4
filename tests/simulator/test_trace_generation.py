"""A generated trace is its seed's and nobody else's."""

from pathlib import Path

import pytest

from burster.model.errors import InputError
from burster.simulator.traces import read_trace
from burster.simulator.traces.generate import Plan, generate
from burster.simulator.traces.native import to_csv


SHIPPED = Path(__file__).parents[2] / "simulations" / "traces" / "demo.csv"


def test_the_shipped_trace_is_what_the_default_plan_makes_byte_for_byte():
    assert SHIPPED.read_bytes() == to_csv(generate(Plan()).entries).encode()


def test_the_shipped_trace_tells_the_demos_story():
    trace = read_trace(SHIPPED)
    tasks = [entry for entry in trace.entries if entry.kind == "Pod"]
    replicas = [entry.replicas for entry in trace.entries if entry.name == "on-prem-deployment"]
    assert len(tasks) == 60
    assert max(replicas) == 6
    assert replicas[-1] == 1
    assert {entry.requests.cpu_millicores for entry in tasks} == {1000, 2000, 3000, 4000}
    assert all(120_000 <= entry.duration_ms <= 1_200_000 for entry in tasks)
    assert trace.entries[-1].arrival_ms < 40 * 60_000


def test_another_seed_is_another_trace():
    assert generate(Plan(seed=1)).entries != generate(Plan(seed=2)).entries


def test_arrivals_follow_the_day_and_keep_to_the_span():
    day_ms = 86_400_000
    trace = generate(Plan(pods=20_000, span_ms=3 * day_ms, day_ms=day_ms, deployment=""))
    hours = [0] * 24
    for entry in trace.entries:
        assert 0 <= entry.arrival_ms < 3 * day_ms
        hours[entry.arrival_ms % day_ms // 3_600_000] += 1
    assert hours.index(max(hours)) in {10, 11}
    assert max(hours) > 6 * min(hours)
    assert [entry.arrival_ms for entry in trace.entries] == sorted(entry.arrival_ms for entry in trace.entries)


def test_a_span_of_part_of_a_day_has_that_parts_arrivals_only():
    trace = generate(Plan(pods=500, span_ms=6 * 3_600_000, day_ms=86_400_000, deployment=""))
    assert len(trace.entries) == 500
    assert trace.entries[-1].arrival_ms < 6 * 3_600_000


@pytest.mark.parametrize(
    ("plan", "want"),
    [
        (Plan(pods=-1), "can't be generated"),
        (Plan(span_ms=0), "needs a span"),
        (Plan(duration_min_ms=2, duration_max_ms=1), "exchange them"),
        (Plan(cpu_max_millicores=999), "1 at least"),
        (Plan(deployment="No Name"), "no name for a Deployment"),
        (Plan(pods=0, deployment=""), "nothing is to be generated"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan, want):
    with pytest.raises(InputError, match=want):
        generate(plan)
