"""`--watch` goes on where controllers restart and change their leader and API servers restart; it says so once, and ends by Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest

from burster.ledger import Ledger
from burster.model.stimuli import Spend
from tests.cli import scenes
from tests.cli.scenes import T0, Scene, a_burst, a_state, put_burst
from tests.support.control_plane import ControlPlane


@pytest.fixture(autouse=True)
def home():
    """Commands are processes with an environment of their own here; the control plane's binaries are in the developer's real home."""


class Watching:
    """A command that watches, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def out(self) -> dict:
        """Return the next document."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            line = await self.process.stdout.readline()
        assert line, await self.err()
        return orjson.loads(line)

    async def err(self) -> str:
        """Return the next line for people."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            return (await self.process.stderr.readline()).decode()

    async def interrupt(self) -> str:
        """Press Ctrl-C: it ends by itself, with the code that docs/seeing.md names; return what was left to say."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            out, err = await self.process.communicate()
        assert (self.process.returncode, out) == (130, b"")
        return err.decode()


@asynccontextmanager
async def watching(*words: str) -> AsyncIterator[Watching]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "burster", *words, "--watch", "-o", "json"),
        stdout=-1,
        stderr=-1,
        env=scenes.environment(),
        cwd=scenes.ROOT,
    )
    try:
        yield Watching(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def settle(path: Path, number: int, micro_usd: int) -> None:
    spend = Spend(
        burst=f"bank/b-{number}",
        uid=f"u-{number}",
        policy="bank/tasks",
        target="azure",
        at_ms=T0 + number,
        micro_usd=micro_usd,
    )
    with Ledger.open(path) as ledger:
        ledger.append_step(T0 + number, [], [], [spend])


async def test_a_controller_that_restarts_is_said_and_watched_again(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    settle(path, 1, 700)
    async with AsyncExitStack() as first:
        url = await first.enter_async_context(scenes.controller(path, a_state("bank")))
        async with watching("spend", "--server", url) as watch:
            assert (await watch.out())["total_micro_usd"] == 700
            await first.aclose()
            assert "nobody answers there" in await watch.err()
            settle(path, 2, 11)
            async with scenes.controller(path, a_state("bank"), port=int(url.rpartition(":")[2])):
                assert (await watch.out())["total_micro_usd"] == 711
            # and while nobody is there
            assert await watch.interrupt() == ""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scenes.lab_scene(tmp_path) as found:
        yield found


async def test_a_lead_that_changes_hands_shows_nothing_that_is_not_so(scene: Scene, tmp_path: Path):
    """The service leads to a first replica that ends, to one that stands by while nobody leads, and to the new leader behind it."""
    path = tmp_path / "ledger.sqlite"
    settle(path, 1, 700)
    options = ("--kubeconfig", str(scene.kubeconfig), "--controller-namespace", scene.home)
    async with watching("spend", *options) as watch:
        async with scenes.controller(path, a_state("bank")) as first:
            await scene.controller_at(first)
            told = [await watch.out()]
        async with scenes.controller(tmp_path / "none", None) as nobody:
            await scene.controller_at(nobody)
            settle(path, 2, 11)
            said = await watch.err()
            while "nobody leads yet" not in said:
                assert "burster" in said, "one line for each new trouble"
                said = await watch.err()
        async with (
            scenes.controller(tmp_path / "none", None, led_by="burster-b_0123456789ab") as idle,
            scenes.controller(path, a_state("bank")) as leader,
        ):
            port = idle.rpartition(":")[2]
            scene.proxied[f"/api/v1/namespaces/{scene.home}/pods/burster-b:{port}/proxy"] = leader
            await scene.controller_at(idle)
            told.append(await watch.out())
            assert await watch.interrupt() == ""
    assert [(one["source"], one["total_micro_usd"]) for one in told] == [
        ("the controller", 700),
        ("the controller", 711),
    ]


@pytest.mark.plane
@pytest.mark.long
async def test_an_api_server_that_restarts_is_said_and_watched_again(tmp_path: Path):
    with ControlPlane(tmp_path / "plane", controllers=(), scheduler=False) as plane:
        async with scenes.scene_of(plane.kubeconfig, real=False, kinds=True) as scene:
            here = scene.namespace
            await put_burst(scene, a_burst(here, 1, phase="Serving", placed_at_ms=T0, vm_started_at_ms=T0, vms=("v",)))
            async with watching("status", "-n", here, "--kubeconfig", str(plane.kubeconfig)) as watch:
                assert (await watch.out())["status"]["bursts_by_phase"] == {"Serving": 1}
                await asyncio.to_thread(plane.stop, "kube-apiserver")
                assert "the cluster can't be asked, and it is tried again" in await watch.err()
                await asyncio.to_thread(plane.start, "kube-apiserver")
                await asyncio.to_thread(plane.await_ready)
                await put_burst(scene, a_burst(here, 2, phase="Failed"))
                told: dict = {}
                while told.get("Failed") != 1:
                    told = (await watch.out())["status"]["bursts_by_phase"]
                assert told == {"Serving": 1, "Failed": 1}
                left = await watch.interrupt()
                # one line for each new kind of trouble, and no traceback
                assert all(line.startswith("burster: the cluster can't be asked") for line in left.splitlines()), left
