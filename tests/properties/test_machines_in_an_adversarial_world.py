"""Whatever becomes of machines, and whenever the controller dies: one for each burst, proven before it is reached, and none left."""

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from burster.model import stimuli as s
from burster.model.limits import Budget
from tests.support.builders import an_offering
from tests.support.depth import EXPLORING
from tests.support.machine_life import a_lending_target, a_machine_policy
from tests.support.machine_world import MachineWorld


WEATHER = st.sampled_from(
    ["Unreachable", "Timeout", "Throttled", "Unavailable", "Protocol", "Unauthorized", "Conflict"]
)
CLOUD = st.sampled_from(["Capacity", "Quota", "Invalid", "NotFound"])
ONE = st.integers(0, 5)
ZONES = ("1", "2")
OFFERINGS = (
    an_offering(2, zones=ZONES),
    an_offering(2, zones=ZONES, spot=True, price_micro_usd_per_hour=20_000),
    an_offering(4, zones=ZONES),
)


class MachinesInAnAdversarialWorld(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        budget = Budget(per_hour_micro_usd=900_000, per_day_micro_usd=6_000_000)
        policy = a_machine_policy(max_bursts=3, budget=budget, lease_ms=600_000, drain_ms=60_000, cooldown_ms=60_000)
        policy = msgspec.structs.replace(
            policy, placement=msgspec.structs.replace(policy.placement, spot="Prefer"), priority=0
        )
        self.world = MachineWorld(policy, a_lending_target(machines={"zones": ZONES}), OFFERINGS)
        self.world.want(1)

    @rule(count=st.integers(0, 4))
    def demand(self, count: int) -> None:
        self.world.want(count)

    @rule(rounds=st.integers(1, 6), seconds=st.sampled_from([5, 10, 60]))
    def all_goes_well(self, rounds: int, seconds: int) -> None:
        for _ in range(rounds):
            self.world.go_well()
            self.world.wait(seconds * 1_000)

    @rule(choice=ONE)
    def work(self, choice: int) -> None:
        self.world.work(choice)

    @rule(choice=ONE)
    def answer(self, choice: int) -> None:
        self.world.answer(choice)

    @rule(choice=ONE, kind=WEATHER, done=st.booleans())
    def weather(self, choice: int, kind, done: bool) -> None:
        self.world.fail(choice, kind, done=done)

    @rule(choice=ONE, kind=CLOUD)
    def refuse(self, choice: int, kind) -> None:
        launches = sorted(key for key in self.world.jobs if key.startswith("launch/"))
        if launches:
            position = sorted(self.world.jobs).index(launches[choice % len(launches)])
            self.world.fail(position, kind, done=False)

    @rule(choice=ONE)
    def boot(self, choice: int) -> None:
        self.world.boot(choice)

    @rule(coming=st.sampled_from(["Right", "Right", "Right", "Wrong", "Failed"]))
    def what_comes(self, coming) -> None:
        self.world.coming = coming

    @rule(choice=ONE, power=st.sampled_from(["deallocated", "stopped"]))
    def halt(self, choice: int, power: str) -> None:
        self.world.halt(choice, power)

    @rule(choice=ONE)
    def somebody_deletes(self, choice: int) -> None:
        self.world.somebody_deletes(choice)

    @rule(seconds=st.sampled_from([1, 15, 60, 300, 900]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds * 1_000)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule()
    def everything_home(self) -> None:
        self.world.step([s.DrainRequested()])
        self.world.step([s.DrainCancelled()])

    @rule()
    def somebody_mends_the_target(self) -> None:
        target = msgspec.structs.replace(self.world.target, generation=self.world.target.generation + 1)
        self.world.target = target
        self.world.step([s.TargetSeen(target=target)])

    def teardown(self) -> None:
        self.world.come_to_rest()


QUICK = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
FULL = settings(QUICK, max_examples=200, stateful_step_count=70, derandomize=not EXPLORING)


def run(how: settings) -> None:
    case = MachinesInAnAdversarialWorld.TestCase
    case.settings = how
    case("runTest").runTest()


def test_one_machine_for_each_burst_proven_before_it_is_reached_and_none_left() -> None:
    run(QUICK)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_same_at_full_depth() -> None:
    run(FULL)
