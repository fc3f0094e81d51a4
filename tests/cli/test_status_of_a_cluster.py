"""`burster status` without --run asks a cluster's API server once and shows its records."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import orjson

from burster.lab.demo_result import DemoOptions
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import Player
from burster.lab.site import SiteOptions, open_site
from burster.lab.stage import set_stage
from burster.lab.world import make_controller
from burster.ledger import Ledger


async def burster(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "burster", *words, stdout=-1, stderr=-1, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def test_the_records_and_the_pending_pods_of_a_live_cluster_are_shown(tmp_path: Path) -> None:
    stage = set_stage(DemoOptions(run_dir=str(tmp_path), seed=7))

    async def main(clock: LabClock) -> None:
        options = SiteOptions(nodes=stage.nodes, documents=stage.documents, namespaces=("default",), seed=7)
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            async with open_site(clock, options) as site, site.connections() as connections:
                controller = make_controller(clock, site, connections, ledger, seed=7)
                tasks = [
                    asyncio.create_task(controller.run()),
                    asyncio.create_task(Player(site.store, clock, stage.trace).run(clock.now_ms())),
                ]
                await clock.sleep(20 * 60)
                with clock.hold():
                    code, out, err = await burster("status", "--kubeconfig", site.kubeconfig, "-o", "json")
                    table_code, table, _ = await burster("status", "--kubeconfig", site.kubeconfig)
                assert code == 0, err
                view = orjson.loads(out)["status"]
                bursts = site.store.list("bursts.burster.dev")
                assert sum(view["bursts_by_phase"].values()) == len(bursts) > 0
                assert view["pending_total"] > 0
                assert "nodes are available" in view["pending"][0]["why"]
                assert table_code == 0
                assert view["bursts"][0]["pod"].split("/")[1][:20] in table
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    run_lockstep(main, speed=10_000.0)


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
    )
    code, out, err = asyncio.run(burster("status", "--kubeconfig", str(config)))
    assert (code, out) == (2, "")
    assert err.startswith("burster: the cluster can't be asked")
    assert len(err.splitlines()) == 1
