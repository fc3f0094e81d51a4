"""A controller whose clock is minutes off everybody else's: leases, deadlines, waiting and money hold, in its own time.

Whose clock counts: a pod's waiting begins when the API server says so, or when it was seen where that has not come; deadlines, leases and
budgets go by the controller's clock alone; what a VM costs begins by the cloud's, or when its pod was placed where that has not come. The
Lease of the election goes by nobody's (``tests/runtime/test_elector.py``).
"""

from pathlib import Path

import pytest

from tests.faults.mortal import Death
from tests.faults.people import a_scene
from tests.faults.scenes import play
from tests.faults.stories import SCENES


FAST, SLOW = 240_000, -240_000
#: Whose demand is not the wall clock's: a trigger that is over before it is looked at, by a clock that is off, has rightly started nothing.
BY_DEMAND = [one for one in SCENES if one.name != "a machine comes and goes"]
#: A clock that is ahead sees a VM's time longer than it is, one that is behind sees its end too late: in both it costs more, never less.
COSTS_MORE = "what is settled is what it cost"


@pytest.mark.parametrize("ahead_ms", [FAST, pytest.param(SLOW, marks=pytest.mark.long)], ids=["fast", "slow"])
@pytest.mark.parametrize(
    "scene", [pytest.param(one, marks=() if one is SCENES[1] else pytest.mark.long, id=one.name) for one in BY_DEMAND]
)
def test_a_clock_that_is_off_by_minutes_loses_and_leaves_nothing(scene, ahead_ms: int, tmp_path: Path) -> None:
    outcome = play(scene, tmp_path, ahead_ms=ahead_ms)
    assert [problem for problem in outcome.problems if not problem.startswith(COSTS_MORE)] == []
    assert outcome.vms > 0, "pods wait as long as the policy says, and no four minutes more"


@pytest.mark.long
@pytest.mark.parametrize("operation", range(12, 108, 12))
def test_nor_does_one_that_dies(operation: int, tmp_path: Path) -> None:
    for ahead_ms in (FAST, SLOW):
        outcome = play(
            SCENES[1], tmp_path / str(ahead_ms), (Death(operation, "during"),), down_s=17.0, ahead_ms=ahead_ms
        )
        # what a VM cost lies between two clocks, and a successor has seen only one of them (docs/known-limits.md)
        of_money = (COSTS_MORE, "nothing is left out of the money")
        assert [problem for problem in outcome.problems if not problem.startswith(of_money)] == []


@pytest.mark.parametrize("strategy", ["Clone", "Move"])
def test_what_was_placed_by_a_slow_clock_is_no_less_paid_for(strategy: str, tmp_path: Path) -> None:
    outcome = play(a_scene(strategy, "Serving", "delete the Burst"), tmp_path, ahead_ms=SLOW)
    assert [problem for problem in outcome.problems if not problem.startswith(COSTS_MORE)] == []
