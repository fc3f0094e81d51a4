"""A namespace's user who may write almost anything there, against a controller at work on the lab's API server."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import task_pod
from burster.lab.site import Site, open_site
from burster.ledger import Ledger
from burster.model.pods import Resources
from burster.policy.records import burst_to_object
from burster.runtime.wiring import Controller, ControllerOptions
from burster.simulator.traces.model import TraceEntry
from tests.adversarial.test_adoption import a_record
from tests.support.small_site import beside_the_target, one_node


RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: tasks, namespace: default}
spec:
  workload: {podNamePattern: "task.*"}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  placement: {targets: [azure-westeurope-tdx], drain: 10s}
"""
POLICIES = 500  #: more than twice as many as count


def a_pod(name: str, number: int, **metadata: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": "1", "memory": str(2**63 - 1)}}
    container = {"name": "a", "image": "a", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "mallory", "annotations": {"big": "x" * 200_000}, **metadata},
        "spec": {"containers": [{**container, "name": f"a{n}"} for n in range(number)]},
    }


def write_whatever_one_may(site: Site) -> None:
    """Bursts with money, pods that claim to be bursts, greedy pods, owners elsewhere, policies without end, events about others."""
    store = site.store
    for number, phase in enumerate(("Reserved", "Serving", "Releasing", "Released")):
        forged = burst_to_object(
            a_record("Move", phase, settled_micro_usd=10**15), pod_manifest={"metadata": {}, "spec": {}}
        )
        forged["metadata"] |= {"namespace": "mallory", "name": f"forged-{number}"}
        forged["metadata"] |= {"annotations": {"burster.dev/epoch": "99", "burster.dev/taken": "true"}}
        forged["metadata"].pop("uid")
        store.create("bursts.burster.dev", "mallory", forged)
    mine = next(iter(store.list("bursts.burster.dev", "default")))["metadata"]
    marks = {"labels": {"burster.dev/burst": mine["name"]}, "annotations": {"burster.dev/burst-uid": mine["uid"]}}
    store.create("pods", "mallory", a_pod("claims", 1, **marks))
    store.create("pods", "mallory", a_pod("greedy", 3))
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "../../default/secrets/x",
        "uid": "u",
        "controller": True,
    }
    store.create("pods", "mallory", a_pod("task-owned", 1, ownerReferences=[owner]))
    for number in range(POLICIES):
        spec = {
            "workload": {"podNamePattern": f"p{number}.*"},
            "triggers": [],
            "placement": {"targets": ["azure-westeurope-tdx"]},
        }
        spec["triggers"] = [{"type": "pending-pods", "metadata": {"pendingFor": "5s"}}]
        body = {"apiVersion": "burster.dev/v1alpha1", "kind": "BurstPolicy", "spec": spec}
        store.create(
            "burstpolicies.burster.dev", "mallory", body | {"metadata": {"name": f"p{number}", "namespace": "mallory"}}
        )
    cloud_pod = next(
        pod for pod in store.list("pods", "default") if "burster.dev/burst" in pod["metadata"].get("labels", {})
    )
    event = {
        "metadata": {"name": "forged", "namespace": "mallory"},
        "involvedObject": {"kind": "Pod", "uid": cloud_pod["metadata"]["uid"], "namespace": "mallory"},
        "reason": "FailedCreatePodSandBox",
        "message": 'failed: Code="SkuNotAvailable" Message="forged"',
        "count": 2**31 - 1,
    }
    store.create("events", "mallory", {"apiVersion": "v1", "kind": "Event", **event})


def test_nothing_of_it_costs_crosses_a_namespace_or_stops_the_others(tmp_path: Path) -> None:
    rules = beside_the_target(tmp_path, RULES)

    async def main(clock: LabClock) -> None:
        options = one_node(tmp_path, rules, ("default", "mallory"), millicores=500)
        async with open_site(clock, options) as site, site.connections() as connections:
            with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
                controller = Controller(
                    kube=connections.kube,
                    cloud=connections.arm,
                    facts=connections,
                    ledger=ledger,
                    clock=clock,
                    options=ControllerOptions(),
                )
                running = asyncio.create_task(controller.run())
                await clock.sleep(600)  # the ledger is older than what follows
                await a_task(site, clock, "task-1")
                (first,) = controller.active_bursts()
                write_whatever_one_may(site)
                await clock.sleep(120)
                await a_task(site, clock, "task-2")
                state = controller.loop.state
                assert not running.done(), running
                assert first in controller.active_bursts(), "it is its own business alone"
                assert len(controller.active_bursts()) == 2
                assert {key.partition("/")[0] for key in state.bursts} == {"default"}
                assert len(state.provenance.foreign) == 4
                theirs = [sum(key.startswith("mallory/") for key in one) for one in (state.policies, state.refused)]
                assert theirs == [200, 200], "as many as count, as many again that are told they do not, and no more"
                told = [one.get("status") for one in site.store.list("burstpolicies.burster.dev", "mallory")]
                assert sum(status is not None for status in told) == 2 * 200
                assert not state.cooling, "a forged event about another namespace's pod is about nothing"
                assert ledger.spend() == ()
                codes = [one.reasons[0].code for one in ledger.decisions()]
                assert codes.count("RecordForeign") == 4
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    run_lockstep(main)


async def a_task(site: Site, clock: LabClock, name: str) -> None:
    requests = Resources(cpu_millicores=1_000, memory_bytes=1024**3)
    entry = TraceEntry(
        arrival_ms=0, name=name, namespace="default", kind="Pod", requests=requests, duration_ms=36_000_000
    )
    site.store.create("pods", "default", task_pod(entry))
    await clock.sleep(30)
