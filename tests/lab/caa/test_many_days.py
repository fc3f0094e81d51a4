"""Days of peer pods that are deleted at any moment while ARM misbehaves: whatever happens, accounts add up."""

import random

import pytest

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.faults import known_fault


CAPACITY = (
    known_fault("SkuNotAvailable", times=None, probability=0.2),
    known_fault("AllocationFailed", times=None, probability=0.2),
)


async def _day(stage, seed):
    dice = random.Random(seed)
    for number in range(25):
        stage.pod(f"t{number}", seconds=dice.randint(1, 200))
        await stage.passes(dice.choice([0, 0.01, 1, 17]))
        if dice.random() < 0.3:
            # at any moment of its life: waiting, being made, running, ended, or deleted already
            name = f"t{dice.randint(0, number)}"
            if any(pod["metadata"]["name"] == name for pod in stage.store.list("pods")):
                stage.delete(name)
    await stage.passes(4_000)
    assert all(pod["status"]["phase"] == "Succeeded" for pod in stage.store.list("pods"))
    assert stage.lab.runs.started_more_than_once() == {}
    assert {run.outcome for run in stage.lab.runs} <= {"Succeeded", "Deleted"}
    assert {vm.state for vm in stage.arm.vms.values()} <= {"Failed"}, "only what CAA itself leaks"
    assert not any(record["metadata"].get("finalizers") for record in stage.records())
    for pod in stage.store.list("pods"):
        stage.delete(pod["metadata"]["name"])
    await stage.passes(200)
    assert stage.records() == []
    assert stage.lab.adaptor.sandboxes == {}
    assert stage.lab.fill().cpu_millicores_used == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_day(play, seed):
    async def story(stage):
        await _day(stage, seed)

    play(story, arm=ArmConfig(faults=CAPACITY, retry_after_s=10), seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 53))
def test_fifty_more_days(play, seed):
    async def story(stage):
        await _day(stage, seed)

    play(story, arm=ArmConfig(faults=CAPACITY, retry_after_s=10), seed=seed)
