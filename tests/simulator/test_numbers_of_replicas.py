"""The classic peak with each strategy whose demand is a number: the same queue, the same metric, everything home at the end."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from burster.model.instructions import PublishSignal, SetScale
from burster.model.policies import Policy, WorkloadSelector
from burster.simulator.run import Outcome, Setup, simulate
from burster.simulator.scenario import load_scenario


CLASSIC = Path(__file__).parents[2] / "simulations" / "classic.yaml"
MINUTE = 60_000


def a_setup(strategy: str, **scaling: Any) -> Setup:
    setup = load_scenario(CLASSIC).setup
    (policy,) = setup.policies
    changes: dict[str, Any] = {
        "placement": msgspec.structs.replace(policy.placement, strategy=strategy),
        "scaling": msgspec.structs.replace(policy.scaling, **scaling),
    }
    if strategy == "Clone":
        changes["workload"] = WorkloadSelector(kind="Deployment", name="on-prem-deployment", api_version="apps/v1")
        changes["scaling"] = msgspec.structs.replace(changes["scaling"], target=None)
    changed: Policy = msgspec.structs.replace(policy, **changes)
    return msgspec.structs.replace(setup, policies=(changed,))


def played(setup: Setup) -> tuple[Outcome, list[tuple[int, int]]]:
    """Return what came of it, and when each number was asked for."""
    asked: list[tuple[int, int]] = []

    def note(now_ms: int, _stimuli: Any, result: Any) -> None:
        asked.extend(
            ((now_ms - setup.epoch_ms) // 1_000, one.replicas)
            for one in result.instructions
            if isinstance(one, SetScale | PublishSignal)
        )

    return simulate(setup, note), asked


@pytest.mark.parametrize("strategy", ["Scale", "Signal", "Clone"])
def test_the_queue_is_answered_and_everything_comes_home(strategy: str) -> None:
    outcome, _ = played(a_setup(strategy))
    waited = [pod for pod in outcome.world.pods if pod.served_at_ms > pod.arrived_ms]
    assert len(waited) == 3
    assert all(pod.served_by == "cloud" for pod in waited)
    assert all(pod.served_at_ms - pod.arrived_ms < 3 * MINUTE for pod in waited)
    assert outcome.cloud.peak_vms == 3
    assert outcome.cloud.vms == {}
    assert not outcome.hands.live
    assert not outcome.hands.scaled.extra


def test_scale_goes_from_nothing_to_one_to_all_and_back_after_the_cooldown() -> None:
    _, asked = played(a_setup("Scale"))
    assert asked == [(600, 1), (615, 3), (3_300, 0)]


def test_never_more_than_the_largest_number() -> None:
    outcome, asked = played(a_setup("Scale", max_replicas=2))
    assert max(number for _, number in asked) == 2
    assert outcome.cloud.peak_vms == 2
    assert sum(pod.served_by == "" for pod in outcome.world.pods) == 1


def test_what_is_settled_is_what_it_cost_but_for_the_end_of_the_last_vms() -> None:
    outcome, _ = played(a_setup("Scale"))
    billed = sum(bill for _, bill in outcome.cloud.bills(outcome.ended_ms))
    price = 3 * 120_800
    going = price * 5 * MINUTE // 3_600_000
    assert 0 <= outcome.hands.settled_micro_usd - billed < going


def test_a_trigger_that_can_not_be_read_buys_nothing_and_gives_nothing_up() -> None:
    setup = a_setup("Scale")
    (series,) = setup.metrics
    assert played(msgspec.structs.replace(setup, metrics=()))[1] == []
    from burster.simulator.readings import Point

    points = (
        Point(at_ms=0),
        Point(at_ms=10 * MINUTE, value_milli=3_000),
        Point(at_ms=20 * MINUTE, fails="refused"),
    )
    failing = msgspec.structs.replace(series, formula=None, points=points, until_ms=40 * MINUTE)
    _, asked = played(msgspec.structs.replace(setup, metrics=(failing,), patience_ms=MINUTE))
    assert [number for at, number in asked if at <= 40 * 60] == [1, 3]


def test_the_same_setup_gives_the_same_outcome() -> None:
    first, second = (played(a_setup("Scale")) for _ in range(2))
    assert first[1] == second[1]
    assert first[0].steps == second[0].steps
    assert first[0].cloud.bills(first[0].ended_ms)[0][1] == second[0].cloud.bills(second[0].ended_ms)[0][1]
