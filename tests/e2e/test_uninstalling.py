"""docs/uninstalling.md, step by step, and the ways in which people do it otherwise: whatever goes first, nothing is left behind."""

import asyncio
from contextlib import suppress

import pytest

from burster.lab.apiserver.errors import ApiError
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import service, task_pod
from burster.lab.site import open_site
from burster.ledger import Ledger
from burster.policy.records import DRAIN_FINALIZER
from burster.runtime.wiring import Controller, ControllerOptions
from tests.docs.rights import Rights
from tests.docs.test_rights import NAMESPACE, an_entry
from tests.support.small_site import beside_the_target, one_node


#: what a controller that acts has beyond rbac.yaml
WHO_ACTS = ("lease.yaml", "targets.yaml", "own.yaml")
POLICIES, BURSTS = "burstpolicies.burster.dev", "bursts.burster.dev"
RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: everything, namespace: batch}
spec:
  workload: {podNamePattern: "(web|task).*"}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  placement: {targets: [azure-westeurope-tdx], drain: 10s}
"""


def play(tmp_path, scene):
    """Have four bursts serve, of a service and of tasks, then let the scene happen with a controller that runs."""
    rules = beside_the_target(tmp_path, RULES)

    async def main(clock: LabClock):
        options = one_node(tmp_path, rules, (NAMESPACE,))
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
                await clock.sleep(1)
                site.store.create("deployments.apps", NAMESPACE, service(an_entry("web", "Deployment", replicas=3)))
                for number in (1, 2, 3):
                    entry = an_entry(f"task-{number}", "Pod", duration_ms=36_000_000)
                    site.store.create("pods", NAMESPACE, task_pod(entry))
                await clock.sleep(900)
                serving = [one for one in records(site) if one["status"]["phase"] == "Serving"]
                assert len(serving) >= 3
                assert policy(site)["metadata"]["finalizers"] == [DRAIN_FINALIZER]
                await scene(site, clock, controller)
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                return controller

    return run_lockstep(main)


def records(site):
    return site.store.list(BURSTS, NAMESPACE)


def policy(site):
    return site.store.get(POLICIES, NAMESPACE, "everything")


def is_there(site) -> bool:
    return any(one["metadata"]["name"] == "everything" for one in site.store.list(POLICIES, NAMESPACE))


def assert_nothing_is_left(site, controller):
    assert records(site) == []
    assert [
        one for one in site.store.list("pods", NAMESPACE) if "burster.dev/burst" in one["metadata"].get("labels", {})
    ] == []
    assert controller.active_bursts() == []
    assert controller.loop.state.scopes["Policy", f"{NAMESPACE}/everything"].account.outstanding_micro_usd == 0


def test_deleting_the_policies_first_leaves_nothing_behind(tmp_path):
    async def scene(site, clock, controller):
        site.store.delete(POLICIES, NAMESPACE, "everything")
        assert policy(site)["metadata"]["deletionTimestamp"]
        most = 0
        for _ in range(3_600):
            await clock.sleep(1)
            if not is_there(site):
                break
            most = max(most, sum(one["status"].get("phase") == "Draining" for one in records(site)))
        assert not is_there(site), "the finalizer goes when everything is home"
        assert most == 1, "one after the other: each is more than 10 % of those that serve"
        assert_nothing_is_left(site, controller)

    play(tmp_path, scene)


def test_a_finalizer_that_is_removed_by_hand_leaves_nothing_behind_either(tmp_path):
    async def scene(site, clock, controller):
        site.store.delete(POLICIES, NAMESPACE, "everything")
        await clock.sleep(2)
        site.store.patch(POLICIES, NAMESPACE, "everything", {"metadata": {"finalizers": None}})
        assert not is_there(site)
        await clock.sleep(2 * 3_600)
        assert_nothing_is_left(site, controller)

    play(tmp_path, scene)


def test_a_stop_halts_what_is_new_at_once_and_its_end_lets_it_go(tmp_path):
    async def scene(site, clock, controller):
        home = controller._options.home
        body = {"metadata": {"name": "burster-stop"}, "data": {"stop": "true", "by": "kim", "reason": "a drill."}}
        site.store.create("configmaps", home, {"apiVersion": "v1", "kind": "ConfigMap", **body})
        before = len(controller.loop.state.bursts)
        site.store.create("pods", NAMESPACE, task_pod(an_entry("task-9", "Pod", duration_ms=36_000_000)))
        await clock.sleep(120)
        assert len(controller.loop.state.bursts) == before
        told = [one["reason"] for one in site.store.list("events", NAMESPACE)]
        assert "PolicyPaused" in told
        site.store.delete("configmaps", home, "burster-stop")
        await clock.sleep(30)
        assert len(controller.loop.state.bursts) == before + 1

    play(tmp_path, scene)


@pytest.mark.parametrize("there", ["BurstsStarted", "BurstServing"])
def test_events_tell_what_happened(tmp_path, there):
    async def scene(site, clock, controller):
        del clock, controller
        assert there in {one["reason"] for one in site.store.list("events", NAMESPACE)}

    play(tmp_path, scene)


def test_a_namespace_that_is_deleted_while_bursts_run_leaves_nothing_behind(tmp_path):
    """Its RoleBinding goes, and burster's rights in it; all else is deleted too, and what has a finalizer waits."""

    async def scene(site, clock, controller):
        site.api.faults = Rights(NAMESPACE, WHO_ACTS)
        await clock.sleep(60)
        assert site.api.faults.refused == set()
        site.store.delete("namespaces", "", NAMESPACE)
        site.api.faults = rights = Rights("", WHO_ACTS)
        for resource in ("deployments.apps", POLICIES, BURSTS, "pods"):
            for one in site.store.list(resource, NAMESPACE):
                with suppress(ApiError):  # gone with its owner
                    site.store.delete(resource, NAMESPACE, one["metadata"]["name"])
        await clock.sleep(3 * 3_600)
        assert not is_there(site)
        assert_nothing_is_left(site, controller)
        assert f"create pods in {NAMESPACE}" in rights.refused, "a moved pod was to come home, and could not"
        with Ledger.read(tmp_path / "ledger.sqlite") as ledger:
            codes = {reason.code for one in ledger.decisions(verdict="Fail") for reason in one.reasons}
        assert "NotReturned" in codes

    play(tmp_path, scene)
