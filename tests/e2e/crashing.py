"""A controller that dies at chosen instruction boundaries, and the lab it dies in."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

from burster.lab.apiserver.faults import Rule, SeededFaults
from burster.lab.arm import ArmConfig
from burster.lab.caa.config import CaaFaults
from burster.lab.checks import check_run
from burster.lab.demo_result import DemoOptions, Invariant
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import Player
from burster.lab.site import Site, SiteOptions, open_site
from burster.lab.stage import set_stage
from burster.lab.witness import Witness
from burster.lab.world import make_controller
from burster.ledger import Ledger
from burster.model.instructions import EmitEvent, Instruction
from burster.model.stimuli import Stimulus
from burster.runtime.executor import Adaptor
from burster.runtime.wiring import Controller


class DyingAdaptor:
    """Carries out ``lives`` instructions; at the next one the process "dies": before it, in the middle of it, or right after it."""

    def __init__(self, inner: Adaptor, lives: int, how: str) -> None:
        self._inner = inner
        self._lives = lives
        self._how = how
        self.dead = asyncio.Event()
        self.last = ""

    async def carry_out(self, instruction: Instruction) -> Stimulus | None:
        if self.dead.is_set():
            await asyncio.Event().wait()
        if isinstance(instruction, EmitEvent):
            return await self._inner.carry_out(instruction)
        self._lives -= 1
        if self._lives >= 0:
            return await self._inner.carry_out(instruction)
        self.last = f"{self._how} {instruction.key}"
        if self._how == "before":
            self.dead.set()
            await asyncio.Event().wait()
        if self._how == "during":
            # The request is sent; nobody waits for what comes of it.
            self.dead.set()
            return await self._inner.carry_out(instruction)
        await self._inner.carry_out(instruction)
        self.dead.set()
        await asyncio.Event().wait()
        raise AssertionError("a dead process goes on")


async def _one_life(clock: LabClock, site: Site, player: Player, folder: Path, lives: int | None, how: str) -> str:
    """Run one controller process until it dies, or to the end where ``lives`` is None."""
    dying: list[DyingAdaptor] = []

    def around(adaptor: Adaptor) -> Adaptor:
        if lives is None:
            return adaptor
        dying.append(DyingAdaptor(adaptor, lives, how))
        return dying[0]

    async with site.connections() as connections:
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            controller = make_controller(clock, site, connections, ledger, seed=0, around=around)
            running = asyncio.create_task(controller.run(), name="controller")
            waiting = asyncio.create_task(
                dying[0].dead.wait() if dying else _until_home(clock, site, player, controller)
            )
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in (waiting, running):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    return dying[0].last if dying else ""


async def _until_home(clock: LabClock, site: Site, player: Player, controller: Controller) -> None:
    """Wait until every task is done and the cloud is empty; give up after a virtual day."""
    for _ in range(24 * 60):
        await clock.sleep(60)
        pods = site.store.list("pods")
        unfinished = [pod for pod in pods if pod["spec"].get("restartPolicy") == "Never" and not _over(pod)]
        if player.finished and not unfinished and not controller.active_bursts() and not site.arm.leaks():
            return


def _over(pod: dict[str, object]) -> bool:
    status = pod["status"]
    assert isinstance(status, dict)
    return status.get("phase") in {"Succeeded", "Failed"}


def run_with_crashes(
    seed: int,
    folder: Path,
    *,
    crashes: int,
    arm: ArmConfig | None = None,
    caa_faults: CaaFaults | None = None,
    api_rules: tuple[Rule, ...] = (),
    sweep: dict[str, Any] | None = None,
) -> tuple[tuple[Invariant, ...], list[str]]:
    """Play the shipped demo with a controller that dies ``crashes`` times; return what must hold, and where it died.

    ``sweep``: what the target says of it instead of what the demo says.
    """
    stage = set_stage(DemoOptions(run_dir=str(folder), seed=seed))
    for document in stage.documents:
        if sweep is not None and document.object["kind"] == "BurstTarget":
            document.object["spec"]["sweep"] = sweep
    rng = random.Random(f"{seed}/crashes")
    deaths: list[str] = []
    blind_ms = 0

    async def main(clock: LabClock) -> tuple[Invariant, ...]:
        options = SiteOptions(
            nodes=stage.nodes,
            documents=stage.documents,
            namespaces=("default",),
            seed=seed,
            arm=arm or ArmConfig(),
            caa_faults=caa_faults or CaaFaults(),
        )
        async with open_site(clock, options) as site:
            site.api.faults = SeededFaults(seed, api_rules)
            witness = Witness(site.store, stage.policies, clock.now_ms)
            player = Player(site.store, clock, stage.trace)
            playing = asyncio.create_task(player.run(clock.now_ms()), name="player")
            for _ in range(crashes):
                how = rng.choice(("before", "during", "after"))
                deaths.append(await _one_life(clock, site, player, folder, rng.randint(0, 60), how))
                down_s = rng.choice((0.0, 0.5, 10.0, 90.0))
                nonlocal blind_ms
                blind_ms += int(down_s * 1000)
                await clock.sleep(down_s)
            await _one_life(clock, site, player, folder, None, "")
            await playing
            witness.close()
            with Ledger.read(folder / "ledger.sqlite") as ledger:
                return check_run(site, player, witness, ledger, stage.policies, clock.now_ms(), blind_ms=blind_ms)

    return run_lockstep(main), deaths
