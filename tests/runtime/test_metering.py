"""What the controller counts for Prometheus while it works: checked against a real run in the lab."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path

from burster.lab.demo_result import DemoOptions
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import Player
from burster.lab.site import SiteOptions, open_site
from burster.lab.stage import set_stage
from burster.lab.world import make_controller
from burster.ledger import Ledger
from burster.runtime.metering import Meter
from burster.surfaces.metrics import Metrics


def value(exposition: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    total = 0.0
    for line in exposition.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if match and all(f'{key}="{wanted}"' in (match[1] or "") for key, wanted in labels.items()):
            total += float(match[2])
    return total


def test_a_run_is_counted(tmp_path: Path) -> None:
    stage = set_stage(DemoOptions(run_dir=str(tmp_path), seed=7))

    async def main(clock: LabClock) -> str:
        options = SiteOptions(nodes=stage.nodes, documents=stage.documents, namespaces=("default",), seed=7)
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with open_site(clock, options) as site, site.connections() as connections:
                controller = make_controller(clock, site, connections, ledger, seed=7)
                metrics = Metrics(controller.view)
                controller.listen(Meter(metrics, controller, clock))
                player = Player(site.store, clock, stage.trace)
                tasks = [asyncio.create_task(controller.run()), asyncio.create_task(player.run(clock.now_ms()))]
                await clock.sleep(18 * 60)
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                return metrics.exposition().decode()

    text = run_lockstep(main)
    names = sorted({line.split("{")[0].split(" ")[0] for line in text.splitlines() if line.startswith("burster_")})
    bursts = value(text, "burster_decisions_total", verdict="Burst")
    assert bursts > 0, names
    assert value(text, "burster_instructions_total", kind="RecordBurst", outcome="ok") == bursts, names
    assert value(text, "burster_reaction_seconds_count") == bursts, names
    assert value(text, "burster_event_to_decision_seconds_count") == bursts, names
    assert value(text, "burster_decision_to_action_seconds_count") == bursts, names
    parts = value(text, "burster_event_to_decision_seconds_sum") + value(text, "burster_decision_to_action_seconds_sum")
    assert abs(parts - value(text, "burster_reaction_seconds_sum")) < 1e-6, "the whole is the sum of its parts"
    assert value(text, "burster_watch_restarts_total", why="listed") >= 6, names
