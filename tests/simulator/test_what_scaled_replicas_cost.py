"""What is settled for replicas of a scaled workload is never less than what the simulated cloud bills for their VMs."""

from functools import cache
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burster.simulator.cloud_model import CloudModel, Spread
from burster.simulator.readings import Point
from burster.simulator.run import Outcome, Setup, simulate
from burster.simulator.scenario import load_scenario


CLASSIC = Path(__file__).parents[2] / "simulations" / "classic.yaml"
MINUTE = 60_000


@cache
def classic() -> Setup:
    return load_scenario(CLASSIC).setup


def billed(outcome: Outcome) -> int:
    return sum(bill for _, bill in outcome.cloud.bills(outcome.ended_ms))


def test_the_classic_settles_no_less_than_is_billed() -> None:
    outcome = simulate(classic())
    assert billed(outcome) <= outcome.hands.settled_micro_usd <= billed(outcome) + 8 * 5 * MINUTE * 120_000 // 3_600_000


@settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 1_000),
    delete_ms=st.sampled_from([0, 1_000, 30_000, 120_000]),
    boot_ms=st.sampled_from([1_000, 60_000]),
    values=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    every_ms=st.sampled_from([2 * MINUTE, 11 * MINUTE, 70 * MINUTE]),
)
def test_nor_for_any_other_number_that_rises_and_falls(
    seed: int, delete_ms: int, boot_ms: int, values: list[int], every_ms: int
) -> None:
    setup = classic()
    points = tuple(Point(at_ms=place * every_ms, value_milli=value * 1_000) for place, value in enumerate([*values, 0]))
    series = msgspec.structs.replace(
        setup.metrics[0], formula=None, points=points, until_ms=(len(values) + 1) * every_ms
    )
    cloud = CloudModel(
        boot=Spread(median_ms=boot_ms, p95_ms=2 * boot_ms),
        guest=Spread(median_ms=8_000, p95_ms=15_000),
        delete=Spread(median_ms=delete_ms, p95_ms=2 * delete_ms),
    )
    outcome = simulate(msgspec.structs.replace(setup, seed=seed, cloud=cloud, metrics=(series,)))
    assert billed(outcome) <= outcome.hands.settled_micro_usd
