"""Everything is asked to come home while tasks work, tasks that end within their grace, and the controller dies meanwhile."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from burster.lab.checks import check_run
from burster.lab.cluster.kubelet import KubeletConfig
from burster.lab.demo_result import DemoOptions, Invariant
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import Player
from burster.lab.site import Site, SiteOptions, open_site
from burster.lab.stage import set_stage
from burster.lab.witness import Witness
from burster.lab.world import make_controller
from burster.ledger import Ledger
from burster.model.stimuli import DrainRequested


async def controlled(clock: LabClock, site: Site, folder: Path, seconds: float, *, drain: bool) -> None:
    """Run a controller for so long, then kill it."""
    async with site.connections() as connections:
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            controller = make_controller(clock, site, connections, ledger, seed=0)
            running = asyncio.create_task(controller.run())
            if drain:
                await clock.sleep(1)
                controller.post(DrainRequested())
            await asyncio.wait({running}, timeout=seconds)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@pytest.mark.parametrize(
    "dies_after_s",
    [pytest.param(2.0, marks=pytest.mark.long), 8.0, pytest.param(22.0, marks=pytest.mark.long), 40.0],
)
def test_a_task_that_ends_within_its_grace_is_not_run_again(dies_after_s: float, tmp_path: Path) -> None:
    stage = set_stage(DemoOptions(run_dir=str(tmp_path), seed=11))
    # A task is given 25 of its 30 seconds of grace before it obeys: whoever is done by then has succeeded.
    options = SiteOptions(
        nodes=stage.nodes,
        documents=stage.documents,
        namespaces=("default",),
        seed=11,
        kubelet=KubeletConfig(stop_ms=25_000),
    )

    async def main(clock: LabClock) -> tuple[tuple[Invariant, ...], int]:
        async with open_site(clock, options) as site:
            witness = Witness(site.store, stage.policies, clock.now_ms)
            player = Player(site.store, clock, stage.trace)
            playing = asyncio.create_task(player.run(clock.now_ms()))
            await controlled(clock, site, tmp_path, 20 * 60, drain=False)
            await controlled(clock, site, tmp_path, dies_after_s, drain=True)
            await clock.sleep(60)
            await controlled(clock, site, tmp_path, 90 * 60, drain=True)
            await playing
            witness.close()
            with Ledger.read(tmp_path / "ledger.sqlite") as ledger:
                facts = check_run(site, player, witness, ledger, stage.policies, clock.now_ms(), blind_ms=90_000)
            done = sum(run.where == "cloud" and run.outcome == "Succeeded" for run in site.cluster.runs)
            return facts, done

    invariants, done_in_cloud = run_lockstep(main)
    broken = [f"{one.name}: {one.detail}" for one in invariants if not one.ok]
    assert not broken
    assert done_in_cloud > 0
