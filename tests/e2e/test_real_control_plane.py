"""A burst and the way home on a real control plane: its own scheduler, Deployments, garbage collector and rights.

The lab supplies kubelets, CAA and the cloud only.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.real_lab import RULES, SERVICE, a_task
from tests.e2e.real_plane import Place, a_place


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True), pytest.mark.timeout(300)]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path, rules=RULES) as place:
        yield place


async def is_home(place: Place) -> bool:
    """Say whether every burst is over and nothing of it is left: no VM nor part of one, no clone. Records tell of it for a while."""
    phases = set((await place.each("bursts")).values())
    clones = [name for name in await place.each("pods") if name.startswith("burst-")]
    return phases == {"Released"} and not clones and not place.arm.leaks()


async def no_peer_pods(place: Place) -> bool:
    return not await place.each("peerpods", ".metadata.uid")


async def ends_well(place: Place, controller) -> None:
    await place.ends_well(controller)


async def test_clones_of_a_deployment_come_and_go(place: Place) -> None:
    await place.apply(SERVICE)

    async def unschedulable() -> bool:
        reasons = await place.each("pods", ".status.conditions[?(@.type=='PodScheduled')].reason")
        return len(reasons) == 6 and list(reasons.values()).count("Unschedulable") >= 2

    await place.until("the real scheduler finds no room", unschedulable)
    controller = place.controller()

    async def serving() -> bool:
        phases = list((await place.each("bursts")).values())
        return len(phases) >= 2 and set(phases) == {"Serving"}

    await place.until("clones serve", serving)
    assert len(place.arm.vms) == len(await place.each("bursts"))
    ready = await place.each("pods", ".status.conditions[?(@.type=='Ready')].status")
    clones = {run.name for run in place.hollow.runs.running("cloud")}
    assert {ready[name] for name in clones} == {"True"}
    replicas = await place.each("deployments", ".status.replicas")
    assert replicas == {"web": "6"}, "a clone is no pod of the Deployment"

    await place.kubectl("scale", "deployment/web", "--replicas=2")
    await place.until("everything is home", lambda: is_home(place), timeout_s=90)
    await place.until("CAA's records went with their pods", lambda: no_peer_pods(place))
    await place.ends_well(controller)


async def test_bare_pods_move_run_once_and_come_home(place: Place) -> None:
    # what is on-prem works all along, however busy the machine is
    await place.apply("".join(a_task(number, 900) for number in range(2)))

    async def at_home() -> bool:
        return len(place.hollow.runs.running("on-prem")) == 2

    await place.until("two run on-prem", at_home)
    await place.apply("".join(a_task(number, 12) for number in range(2, 4)))

    async def without_room() -> set[str]:
        reasons = await place.each("pods", ".status.conditions[?(@.type=='PodScheduled')].reason")
        return {name for name, reason in reasons.items() if reason == "Unschedulable"}

    async def unschedulable() -> bool:
        return len(await without_room()) == 2

    await place.until("the real scheduler finds no room", unschedulable)
    waiting = await without_room()
    controller = place.controller()

    async def moved() -> bool:
        return {run.name for run in place.hollow.runs.running("cloud")} == waiting

    await place.until("tasks run in the cloud", moved)
    assert len(place.arm.vms) == len(waiting)

    async def done() -> bool:
        phases = await place.each("pods")
        return {phases[name] for name in waiting} == {"Succeeded"}

    await place.until("every task is done", done)
    await place.until("everything is home", lambda: is_home(place), timeout_s=90)
    assert place.hollow.runs.started_more_than_once() == {}
    assert sorted(run.name for run in place.hollow.runs) == [f"task-{number}" for number in range(4)]
    await place.kubectl("delete", "pods", "--all")
    await place.until("CAA's records went with their pods", lambda: no_peer_pods(place))
    assert await place.each("pods") == {}
    await place.ends_well(controller)
