"""What somebody does to a workload that a policy scales is known when it happens, however seldom the controller looks."""

import asyncio
from contextlib import suppress
from typing import Any

from burster.lab.demo_result import DemoOptions
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import SiteOptions, open_site
from burster.lab.stage import set_stage
from burster.ledger import Ledger
from burster.model.pods import Resources
from burster.model.stimuli import Stimulus, WorkloadGone, WorkloadSeen
from burster.policy.load import load_files
from burster.runtime.wiring import Controller, ControllerOptions
from tests.docs.rights import ROOT
from tests.docs.test_rights import NAMESPACE, SCALE, a_scaled


DEPLOYMENTS = "deployments.apps"
#: no evaluate tick within the test
SELDOM = {"evaluate": 36_000_000, "gc": 120_000, "offerings": 43_200_000, "quota": 600_000}


def is_of_a_workload(stimulus: Stimulus) -> bool:
    return isinstance(stimulus, WorkloadSeen | WorkloadGone)


def test_a_number_is_known_at_once_and_a_workload_that_goes_is_gone(tmp_path):
    (tmp_path / "rules.yaml").write_text(SCALE.replace("KIND_", "Deployment").replace("KIND", "deployment"))
    target = ROOT / "policies" / "targets" / "azure-westeurope-tdx.yaml"
    rules = load_files([str(tmp_path / "rules.yaml"), str(target)])
    stage = set_stage(DemoOptions(run_dir=str(tmp_path), seed=7))

    async def main(clock: LabClock) -> None:
        options = SiteOptions(
            nodes=(Resources(cpu_millicores=2_000, memory_bytes=8 * 1024**3),),
            documents=tuple(rules),
            namespaces=(NAMESPACE,),
            seed=7,
            arm=stage.arm,
        )
        async with open_site(clock, options) as site, site.connections() as connections:
            site.store.create(DEPLOYMENTS, NAMESPACE, a_scaled("Deployment"))
            with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
                controller = Controller(
                    kube=connections.kube,
                    cloud=connections.arm,
                    facts=connections,
                    ledger=ledger,
                    clock=clock,
                    options=ControllerOptions(dry_run=True, intervals_ms=SELDOM),
                )
                told: list[Any] = []
                controller.listen(lambda stimuli, _result, _now_ms: told.extend(filter(is_of_a_workload, stimuli)))
                running = asyncio.create_task(controller.run(), name="controller")
                await clock.sleep(30)
                assert told[-1].replicas == 0
                site.store.patch(DEPLOYMENTS, NAMESPACE, "cloud", {"spec": {"replicas": 3}})
                await clock.sleep(2)
                assert told[-1].replicas == 3
                assert told[-1].runtime_class == "kata-remote"
                site.store.delete(DEPLOYMENTS, NAMESPACE, "cloud")
                await clock.sleep(2)
                assert told[-1] == WorkloadGone(namespace=NAMESPACE, kind="Deployment", name="cloud")
                assert controller.state.workloads == {}
                stats = controller.source_stats["workloads"]
                assert (stats.lists, stats.failures) == (1, 0)
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    run_lockstep(main)
