"""What is wrong with cluster or cloud holds new bursts back: nothing is launched, the condition says why, and it heals by itself."""

import asyncio
from contextlib import suppress
from typing import Any

from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import task_pod
from burster.lab.site import Site, open_site
from burster.lab.world import make_controller
from burster.ledger import Ledger
from burster.model.pods import Resources
from burster.model.stimuli import Tick
from burster.runtime.wiring import Controller
from burster.simulator.traces.model import TraceEntry
from tests.e2e.test_doctor_beside_a_lab import the_documents
from tests.support.broken_sites import BROKEN, FROM_LISTS
from tests.support.small_site import one_node


TARGET = "azure-westeurope-tdx"
BLOCKING = {name: broken for name, broken in (BROKEN | FROM_LISTS).items() if broken.blocks}
_LISTS = ("offerings", "quota", "preflight")


def a_task(number: int) -> dict[str, Any]:
    requests = Resources(cpu_millicores=3_000, memory_bytes=1024**3)
    return task_pod(
        TraceEntry(
            arrival_ms=0, name=f"task-{number}", namespace="batch", kind="Pod", requests=requests, duration_ms=60_000
        )
    )


def ready(site: Site) -> tuple[str, str, str]:
    status = site.store.get("bursttargets.burster.dev", "", TARGET).get("status", {})
    (one,) = [each for each in status.get("conditions", ()) if each["type"] == "Ready"]
    return one["status"], one["reason"], one["message"]


async def try_each(clock: LabClock, site: Site, controller: Controller) -> list[str]:
    """Break, wait for the standing checks, ask for a burst, mend; return what went otherwise than it should."""
    wrong: list[str] = []

    async def look_again(seconds: float) -> None:
        for kind in _LISTS:
            controller.post(Tick(kind=kind))
        await clock.sleep(seconds)

    for number, (name, broken) in enumerate(BLOCKING.items()):
        broken.breaks(site)
        await look_again(10)
        site.store.create("pods", "batch", a_task(number))
        await clock.sleep(30)
        told = ready(site)
        if told[:2] != ("False", broken.check) or broken.cure not in told[2]:
            wrong.append(f"{name}: {told}")
        if site.store.list("bursts.burster.dev") or site.arm.vms:
            wrong.append(f"{name}: something was launched")
        site.store.delete("pods", "batch", f"task-{number}", grace_seconds=0)
        broken.mends(site)
        await look_again(40)
        if ready(site)[:2] != ("True", "Ready"):
            wrong.append(f"{name}, mended: {ready(site)}")
    return wrong


def test_nothing_is_launched_while_any_of_it_is_wrong(tmp_path):
    async def main(clock: LabClock) -> list[str]:
        options = one_node(tmp_path, the_documents(tmp_path), ("batch",))
        async with open_site(clock, options) as site, site.connections() as connections:
            with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
                controller = make_controller(clock, site, connections, ledger, seed=7)
                running = asyncio.create_task(controller.run())
                await clock.sleep(30)
                wrong = await try_each(clock, site, controller)
                site.store.create("pods", "batch", a_task(999))
                await clock.sleep(60)
                assert len(site.store.list("bursts.burster.dev")) == 1, "where all is well again, it goes"
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                return wrong

    wrong = run_lockstep(main)
    assert len(BLOCKING) > 20
    assert not wrong, "\n".join(wrong)
