"""Machines in the virtual world: they boot, are proven, do waiting work, are taken back, and nothing of them is left."""

from pathlib import Path

import pytest

from burster.engine import StepResult
from burster.model import instructions as i
from burster.simulator.cloud_model import CloudModel
from burster.simulator.run import Outcome, simulate
from burster.simulator.scenario import NO_OVERRIDES, Overrides, load_scenario


SCENARIO = Path(__file__).parents[2] / "simulations" / "machines.yaml"


def play(seed: int | None = None) -> tuple[Outcome, list[i.Instruction]]:
    asked: list[i.Instruction] = []

    def note(_at_ms: int, _stimuli: object, result: StepResult) -> None:
        asked.extend(result.instructions)

    overrides = NO_OVERRIDES if seed is None else Overrides(seed=seed)
    return simulate(load_scenario(SCENARIO, overrides).setup, note), asked


def test_the_shipped_scenario_gives_what_is_written_here():
    outcome, _ = play()
    bills = outcome.cloud.bills(outcome.ended_ms)
    assert outcome.cloud.launches == 11
    assert outcome.cloud.failures == {"SpotEvicted": 6, "ZonalAllocationFailed": 1}
    assert sum(cost for _, cost in bills) == 2_262_875
    assert outcome.verdicts["Burst"] == 11


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_left_and_money_is_what_the_machines_have_cost(seed):
    outcome, asked = play(seed)
    assert not outcome.cloud.vms
    assert outcome.hands.live == 0
    billed = sum(cost for _, cost in outcome.cloud.bills(outcome.ended_ms))
    assert billed <= outcome.hands.settled_micro_usd <= billed + billed // 20, "never less than the truth"
    launched = [one.burst.spec.pod_name for one in asked if isinstance(one, i.LaunchMachine)]
    assert len(launched) == len(set(launched))
    taken_out = {one.burst.key for one in asked if isinstance(one, i.PublishEndpoint) and not one.ready}
    assert {one.burst.key for one in asked if isinstance(one, i.PublishEndpoint) and one.ready} <= taken_out


def test_the_same_seed_is_the_same_run():
    first, second = play(3), play(3)
    assert first[1] == second[1]


def test_how_long_a_spot_machine_lasts_is_drawn():
    model = CloudModel(evictions_per_hour=0.5)
    drawn = [model.evicted_after_ms(1, str(number)) or 0 for number in range(2_000)]
    assert 6_600_000 < sum(drawn) / len(drawn) < 7_800_000
    assert CloudModel().evicted_after_ms(1, "x") is None
