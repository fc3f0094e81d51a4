"""Twelve real SIGKILLs of real controllers on a real control plane, two in each phase of a burst, while Clones and Moves are under way."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.plane_evidence import Phases, account_for, phase_of
from tests.e2e.real_lab import RULES, SERVICE, a_task
from tests.e2e.real_plane import Place, a_place
from tests.e2e.test_real_control_plane import is_home
from tests.e2e.test_real_kills import QUICK_LEASE


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True), pytest.mark.timeout(900)]
LIFE = ("Placing", "Provisioning", "Attesting", "Serving", "Draining", "Releasing")
#: what a phase may take to come about before the leader is killed anyhow
PATIENCE_S = 20


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    # one pod of the service fits on-prem, a task never
    async with a_place(tmp_path, rules=RULES, node_cpu="2500m") as place:
        yield place


async def a_clone_serves(place: Place) -> bool:
    return any(
        each["spec"]["strategy"] == "Clone" and phase_of(each) == "Serving" for each in await place.all_of("bursts")
    )


async def test_twelve_kills_over_all_phases(place: Place) -> None:
    rng = random.Random("twelve kills")
    order = rng.sample(LIFE * 2, k=12)
    tasks: list[str] = []
    struck: list[str] = []

    async def more_to_do(replicas: int) -> None:
        new = range(len(tasks), len(tasks) + 3)
        await place.apply("".join(a_task(number, rng.randint(4, 8)) for number in new))
        tasks.extend(f"default/task-{number}" for number in new)
        await place.kubectl("scale", "deployment/web", f"--replicas={replicas}")

    async def leads(number: int) -> None:
        async def does() -> bool:
            return await place.lead() >= number

        await place.until(f"lead {number}", does)

    await place.apply(SERVICE)
    leader = place.controller(**QUICK_LEASE)
    async with Phases(place) as phases:
        for number, phase in enumerate(order, start=1):
            await leads(number)
            heir = place.controller(**QUICK_LEASE)  # it comes up, and stands by, while the leader leads
            await more_to_do(rng.choice((4, 5)))
            if phase == "Draining":
                await place.until("a clone serves", lambda: a_clone_serves(place))
                await place.kubectl("scale", "deployment/web", "--replicas=1")
            if await phases.next(phase, timeout_s=PATIENCE_S):
                struck.append(phase)
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            assert leader.poll() is None, place.log_of(leader).read_text()
            leader.send_signal(signal.SIGKILL)
            await asyncio.to_thread(leader.wait)
            leader = heir
        sys.stderr.write(
            f"\nkilled as a burst entered {', '.join(struck)}; {len(order) - len(struck)} at another moment\n"
        )
    assert set(struck) == set(LIFE)

    async def done() -> bool:
        pods = await place.all_of("pods")
        phases = {f"default/{pod['metadata']['name']}": pod["status"]["phase"] for pod in pods}
        return all(phases.get(task) == "Succeeded" for task in tasks)

    await place.until("every task is done", done)
    await place.kubectl("scale", "deployment/web", "--replicas=1")
    await place.until("everything is home", lambda: is_home(place))
    assert place.hollow.runs.started_more_than_once() == {}
    assert await place.lead() == 13
    await place.ends_well(leader)
    await account_for(place, RULES, tasks, blind_ms=30_000)
