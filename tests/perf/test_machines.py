"""500 machines asked for at once: no throttle is breached, every record is right, a hundred cost the controller a second of CPU at most."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from burster.clients.arm import Arm, ArmSettings
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices, PriceSettings
from burster.ledger import Ledger
from burster.runtime.clock import SystemClock
from burster.runtime.wiring import Controller, ControllerOptions
from burster.sources.offerings import observe_offerings
from burster.sources.quota import observe_quota
from tests.perf.conftest import Note


ROOT = Path(__file__).parents[2]
MACHINES = 500
CPU_S_PER_100 = 1.0


class Facts:
    """What a target offers and may use, as a controller reads it."""

    def __init__(self, arm: Arm, prices: Prices) -> None:
        self._arm = arm
        self._prices = prices

    async def offerings(self, target: Any) -> Any:
        return await observe_offerings(target, self._arm, self._prices)

    async def quota(self, target: Any) -> Any:
        return await observe_quota(target, self._arm)


class Lab:
    """The lab's process, asked by lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.arm = ""

    async def ask(self, line: str = "") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(f"{line}\n".encode())
            await self._process.stdin.drain()
        return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def a_lab(folder: Path) -> AsyncIterator[Lab]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.perf.machine_lab", str(folder), str(MACHINES),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    lab = Lab(process)
    try:
        lab.arm = (await lab.ask())["arm"]
        yield lab
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def answers(address: str, port: int) -> None:
    """Every machine's port answers."""


@pytest.mark.perf
async def test_five_hundred_machines_at_once(tmp_path: Path, note: Note) -> None:
    async with contextlib.AsyncExitStack() as stack:
        lab = await stack.enter_async_context(a_lab(tmp_path))
        kube = await stack.enter_async_context(
            await Kube.connect(KubeSettings(kubeconfig=str(tmp_path / "kubeconfig")))
        )
        arm = await stack.enter_async_context(Arm(ArmSettings(base_url=lab.arm, auth="none")))
        prices = await stack.enter_async_context(Prices(PriceSettings(base_url=lab.arm), now_ms=SystemClock().now_ms))
        ledger = stack.enter_context(Ledger.open(tmp_path / "ledger.sqlite"))
        controller = Controller(
            kube=kube,
            cloud=arm,
            facts=Facts(arm, prices),
            ledger=ledger,
            clock=SystemClock(),
            options=ControllerOptions(cluster="perf"),
            reach=answers,
        )
        running = asyncio.create_task(controller.run())
        try:
            await asyncio.sleep(5)
            assert controller.loop.state.ready
            before_s, begun = time.process_time(), time.monotonic()
            await lab.ask("begin")
            found = await until(lab, lambda now: now["machines"] >= MACHINES)
            asked_s, asked_cpu_s = time.monotonic() - begun, time.process_time() - before_s
            found = await until(lab, lambda now: now["phases"].get("Serving", 0) >= MACHINES)
            served_s, served_cpu_s = time.monotonic() - begun, time.process_time() - before_s
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
    note(f"{MACHINES} machines asked for", "s", asked_s)
    note("… CPU for each 100, asked for", "s", asked_cpu_s / MACHINES * 100, promised=f"{CPU_S_PER_100:.0f}")
    note(f"{MACHINES} machines serve", "s", served_s)
    note("… CPU for each 100, until they serve", "s", served_cpu_s / MACHINES * 100)
    assert found["refused"] == 0, found["asked"]
    assert arm.throttle_refusals == 0
    wanted = {"records": MACHINES, "machines": MACHINES, "claimed": MACHINES, "recorded": MACHINES, "slices": MACHINES}
    assert {name: found[name] for name in wanted} == wanted, found
    assert asked_cpu_s / MACHINES * 100 <= CPU_S_PER_100


async def until(lab: Lab, what: Any, deadline_s: float = 150) -> dict[str, Any]:
    """Look every second until something is so."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(deadline_s):
        while not found or not what(found):
            await asyncio.sleep(1)
            found = await lab.ask("look")
    return found
