"""VMs and parts of VMs that nobody claims, in a whole lab in virtual time: all gone after the grace, or all told; and paid for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import aiohttp
import orjson
import pytest

from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.engine.reaping import ReapRules
from burster.lab.arm import known_fault
from burster.lab.caa.body import vm_body
from burster.lab.caa.config import LAB_CONFIG, CaaFaults, read_config
from burster.lab.caa.peerpods import RESOURCE
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import Connections, Site, open_site
from burster.lab.world import make_controller
from burster.ledger import Ledger
from burster.policy.load import load_files
from burster.runtime.cloud_sweep import CloudSweep, SweepOptions
from burster.runtime.reaper import Reaper, ReaperOptions
from burster.runtime.reaper_cluster import ClusterReader
from burster.runtime.wiring import Controller
from tests.e2e.crashing import run_with_crashes
from tests.support.small_site import one_node


SIZE = "Standard_DC2es_v6"
TARGET = """
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {{name: azure}}
spec:
  azure: {{subscriptionId: {subscription}, resourceGroup: {group}, region: {region}}}
  sizes: [{size}]
  allowedNamespaces: []
  sweep: {{mode: {mode}, grace: 5m, scope: {{exclusive: true}}}}
"""
Story = Callable[["_Group", Controller, LabClock], Awaitable[None]]


class _Group:
    """The target's resource group, and somebody who makes VMs in it as cloud-api-adaptor would, and forgets them."""

    def __init__(self, site: Site, connections: Connections, web: aiohttp.ClientSession) -> None:
        self.site, self.arm, self.connections, self._web = site, site.arm, connections, web
        scope = (
            f"/subscriptions/{LAB_CONFIG['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{LAB_CONFIG['AZURE_RESOURCE_GROUP']}"
        )
        self.vms = f"{scope}/providers/Microsoft.Compute/virtualMachines"

    async def make(self, name: str, *, detach: bool = False) -> None:
        body = vm_body(
            read_config(LAB_CONFIG),
            name=name,
            size=SIZE,
            image=LAB_CONFIG["AZURE_IMAGE_ID"],
            data="",
            disable_cvm=False,
        )
        if detach:
            properties: Any = body["properties"]
            properties["storageProfile"]["osDisk"]["deleteOption"] = "Detach"
            properties["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]["deleteOption"] = "Detach"
        async with self._web.put(self._url(name), data=orjson.dumps(body)) as answer:
            assert answer.status == 201, await answer.text()

    async def delete(self, name: str) -> None:
        async with self._web.delete(self._url(name)) as answer:
            assert answer.status == 202, await answer.text()

    def _url(self, name: str) -> str:
        return f"{self.arm.url}{self.vms}/{name}?api-version=2024-07-01"

    def claim(self, name: str) -> None:
        """Write the PeerPod record that cloud-api-adaptor writes of a VM."""
        self.site.store.create(
            RESOURCE,
            "default",
            {
                "apiVersion": "confidentialcontainers.org/v1alpha1",
                "kind": "PeerPod",
                "metadata": {"namespace": "default", "name": "theirs-resource-abcde"},
                "spec": {"cloudProvider": "azure", "instanceID": f"{self.vms}/{name}"},
            },
        )

    @property
    def left(self) -> set[str]:
        return {one.rpartition("/")[2] for one in self.arm.leaks()}


def play(folder: Path, mode: Literal["Report", "Delete"], story: Story, *, controlled: bool = True) -> list[str]:
    """Play it, and return the codes of the sweep's decisions."""
    codes: list[str] = []

    async def main(clock: LabClock) -> None:
        (folder / "target.yaml").write_text(
            TARGET.format(
                mode=mode,
                size=SIZE,
                subscription=LAB_CONFIG["AZURE_SUBSCRIPTION_ID"],
                group=LAB_CONFIG["AZURE_RESOURCE_GROUP"],
                region=LAB_CONFIG["AZURE_REGION"],
            )
        )
        options = one_node(folder, load_files([str(folder / "target.yaml")]), ("default",))
        with Ledger.open(folder / "ledger.sqlite", seed=7, policy_hash="x") as ledger:
            async with (
                open_site(clock, options) as site,
                site.connections() as connections,
                aiohttp.ClientSession() as web,
            ):
                controller = make_controller(clock, site, connections, ledger, seed=7, title="t", listeners=())
                controller.listen(
                    lambda _stimuli, result, _now: codes.extend(
                        f"{one.reasons[0].code} {one.subject}" for one in result.decisions if one.verdict == "Sweep"
                    )
                )
                running = asyncio.create_task(controller.run() if controlled else asyncio.sleep(0))
                try:
                    await story(_Group(site, connections, web), controller, clock)
                finally:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)

    run_lockstep(main)
    return codes


def leaked(controller: Controller) -> int:
    return controller.state.leaked_total_micro_usd


async def everything_that_leaks(group: _Group) -> None:
    """Each known way in which something is left behind."""
    group.arm.faults.add(known_fault("OSProvisioningTimedOut", name="podvm-late-.*"))
    await group.make("podvm-late-0123abcd")
    for sandbox in ("00000001", "00000002", "00000003"):
        await group.make(f"podvm-retried-{sandbox}")
    await group.make("podvm-unrecorded-0123abcd")
    await group.make("podvm-detached-0123abcd", detach=True)


def test_what_leaks_is_gone_after_the_grace_and_paid_for(tmp_path: Path) -> None:
    async def story(group: _Group, controller: Controller, clock: LabClock) -> None:
        await everything_that_leaks(group)
        await group.make("podvm-theirs-0123abcd")
        group.claim("podvm-theirs-0123abcd")
        await clock.sleep(280)
        await group.delete("podvm-detached-0123abcd")
        assert len(group.arm.vms) == 7
        await clock.sleep(1_500)
        theirs = {"podvm-theirs-0123abcd", "podvm-theirs-0123abcd-net", "podvm-theirs-0123abcd-disk"}
        assert group.left == theirs
        bill = sum(vm.cost_micro_usd(clock.now_ms()) for vm in group.arm.billing.vms if "theirs" not in vm.name)
        assert bill <= leaked(controller) <= bill * 1.05

    codes = play(tmp_path, "Delete", story)
    assert "SweepDeletes podvm-late-0123abcd" in codes
    assert "SweepDeletes podvm-detached-0123abcd-disk" in codes
    assert not [code for code in codes if "theirs" in code]


def test_where_the_target_only_reports_all_of_it_is_told_once_and_stays(tmp_path: Path) -> None:
    async def story(group: _Group, controller: Controller, clock: LabClock) -> None:
        await everything_that_leaks(group)
        await clock.sleep(280)
        await group.delete("podvm-detached-0123abcd")
        await clock.sleep(3_600)
        assert len(group.arm.vms) == 5
        bill = sum(vm.cost_micro_usd(clock.now_ms()) for vm in group.arm.billing.vms)
        assert 0 < leaked(controller) <= bill

    codes = play(tmp_path, "Report", story)
    told = {code.partition(" ")[2] for code in codes if "Unclaimed" in code}
    assert told == {
        "podvm-late-0123abcd",
        *(f"podvm-retried-0000000{n}" for n in (1, 2, 3)),
        "podvm-unrecorded-0123abcd",
        "podvm-detached-0123abcd-net",
        "podvm-detached-0123abcd-disk",
    }
    assert not [code for code in codes if "Deletes" in code]


def test_a_person_is_shown_what_is_left_and_deletes_it_without_a_controller(tmp_path: Path) -> None:
    async def story(group: _Group, _controller: Controller, clock: LabClock) -> None:
        await everything_that_leaks(group)
        await group.make("podvm-theirs-0123abcd")
        group.claim("podvm-theirs-0123abcd")
        await clock.sleep(280)
        await group.delete("podvm-detached-0123abcd")
        await clock.sleep(300)
        arm, kube = group.connections.arm, group.connections.kube
        reader = ClusterReader(kube, clock.now_ms, home="burster-system")
        sweep = CloudSweep(arm, reader, PeerPodRecords(kube), clock, cluster="prod-1")
        targets = await reader.targets()
        shown = await sweep.run(targets, SweepOptions(), lambda _: None)
        assert shown.left == 6, "five VMs, and a disk; the interface has no age yet"
        assert len(group.arm.vms) == 6
        done = await sweep.run(targets, SweepOptions(delete=True, wait=True), lambda _: None)
        assert (done.left, done.troubles) == (0, ())
        assert all("theirs" in one for one in group.left)

    play(tmp_path, "Report", story, controlled=False)


def test_the_reaper_ends_all_of_it_by_arm_alone(tmp_path: Path) -> None:
    async def story(group: _Group, _controller: Controller, clock: LabClock) -> None:
        await everything_that_leaks(group)
        await clock.sleep(280)
        await group.delete("podvm-detached-0123abcd")
        rules = ReapRules(grace_ms=600_000, max_age_ms=7_200_000)
        targets = await ClusterReader(group.connections.kube, clock.now_ms, home="h").targets()
        options = ReaperOptions(cluster="prod-1", mode="Delete", rules=rules, targets=targets)
        arm = group.connections.arm
        reaper = Reaper(arm, None, clock, options, skew_ms=lambda: arm.clock_skew_ms)
        for _ in range(30):
            await reaper.round()
            await clock.sleep(60)
        assert len(group.arm.vms) == 5, "younger than the age that was set; what they have left behind is gone"
        assert not [one for one in group.left if "detached" in one]
        for _ in range(100):
            await reaper.round()
            await clock.sleep(60)
        assert group.left == set()

    play(tmp_path, "Report", story, controlled=False)


LEAKING = CaaFaults(
    swallow_delete="default/task-00[12].*",
    slow_vm="default/task-001.*",
    leak_abandoned=True,
    crash_before_record="default/task-00[34].*",
)


@pytest.mark.long
@pytest.mark.parametrize(("seed", "crashes"), [(3, 0), (11, 2)])
def test_a_storm_of_retries_and_a_caa_that_dies_leave_nothing_and_cost_what_is_settled(
    seed: int, crashes: int, tmp_path: Path
) -> None:
    sweep = {"mode": "Delete", "grace": "5m", "scope": {"exclusive": True}}
    invariants, deaths = run_with_crashes(seed, tmp_path, crashes=crashes, caa_faults=LEAKING, sweep=sweep)
    broken = [f"{one.name}: {one.detail}" for one in invariants if not one.ok]
    assert not broken, f"died {deaths}: {broken}"
