"""What somebody does to a workload that a policy scales is known when it happens, however seldom the controller looks."""

import asyncio
from contextlib import suppress
from typing import Any

from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import open_site
from burster.ledger import Ledger
from burster.model.stimuli import Stimulus, WorkloadGone, WorkloadSeen
from burster.runtime.wiring import Controller, ControllerOptions
from tests.docs.test_rights import NAMESPACE, SCALE, a_scaled
from tests.support.small_site import beside_the_target, one_node


DEPLOYMENTS = "deployments.apps"
#: no evaluate tick within the test
SELDOM = {"evaluate": 36_000_000, "gc": 120_000, "offerings": 43_200_000, "quota": 600_000}


def is_of_a_workload(stimulus: Stimulus) -> bool:
    return isinstance(stimulus, WorkloadSeen | WorkloadGone)


def test_a_number_is_known_at_once_and_a_workload_that_goes_is_gone(tmp_path):
    rules = beside_the_target(tmp_path, SCALE.replace("KIND_", "Deployment").replace("KIND", "deployment"))

    async def main(clock: LabClock) -> None:
        options = one_node(tmp_path, rules, (NAMESPACE,))
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
