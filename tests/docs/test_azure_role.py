"""docs/azure.md names the Azure actions that burster's client needs: with those it can do everything, and without any one it can't."""

import re

import pytest

from burster.clients.arm import Arm, ArmSettings
from burster.lab.arm import ArmServer, Role
from burster.lab.lockstep import run_lockstep
from burster.model.errors import RemoteError
from burster.sources.offerings import observe_offerings
from burster.sources.preflight import cloud_rights
from burster.sources.quota import observe_quota
from tests.contract.arm.conftest import SUBNET, SUBSCRIPTION, TARGET, vm_body
from tests.docs.rights import ROOT


GALLERY = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Compute/galleries/lab/images/podvm/versions/1.0.0"
#: what Azure asks for beside the request itself, which the stand-in does not tell apart
UNTOLD = {
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/disks/write",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Compute/diskEncryptionSets/read",
}
#: without it something else is asked instead
DISPENSABLE = {"Microsoft.Network/virtualNetworks/usages/read"}


class NoPrices:
    async def region_prices(self, region):
        from burster.clients.prices import RegionPrices

        return RegionPrices(region=region, micro_usd_per_hour={}, origin="snapshot")


def tables():
    """Return the actions of each table of the page's roles."""
    text = (ROOT / "docs/azure.md").read_text("utf-8")
    roles = text[text.index("## Roles") : text.index("## Clouds")]
    found = [
        re.findall(r"^\| `(Microsoft\.[\w./]+)`", part, re.MULTILINE) for part in roles.split("| action | for |")[1:]
    ]
    assert len(found) == 3
    return found


async def reading(arm):
    await observe_offerings(TARGET, arm, NoPrices())
    await observe_quota(TARGET, arm)
    await arm.get_vm(TARGET, "podvm-a")
    await arm.list_resources(TARGET)
    await arm.read_subscription(TARGET)
    await arm.locations(TARGET)
    await arm.read_resource_group(TARGET)
    await arm.read_subnet(TARGET, SUBNET)
    await arm.read_image(TARGET, GALLERY)


async def sweeping(arm):
    await arm.delete_vm(TARGET, "podvm-a")
    for kind in ("Nic", "Disk", "PublicIp"):
        for resource in await arm.list_resources(TARGET):
            if resource.kind == kind:
                await arm.delete_resource(TARGET, resource)


async def making(arm):
    made = await arm.begin_vm(TARGET, "burstvm-a", vm_body("burstvm-a"))
    await arm.follow_operation(TARGET, made.token)
    await arm.delete_vm(TARGET, "burstvm-a", force=True)
    await arm.delete_vm(TARGET, "podvm-a")
    for resource in await arm.list_resources(TARGET):
        if resource.kind != "PublicIp":
            await arm.delete_resource(TARGET, resource)


STORIES = {"reading": (reading, 0), "sweeping": (sweeping, 1), "making": (making, 2)}


def left_behind(name):
    """A machine whose interface, disk and public address outlive it."""
    body = vm_body(name)
    network = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
    network["deleteOption"] = body["properties"]["storageProfile"]["osDisk"]["deleteOption"] = "Detach"
    network["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = {"name": f"{name}-ip"}
    return body


def play(story, actions):
    async def main(clock):
        async with ArmServer(clock) as server, Arm(ArmSettings(base_url=server.url, auth="none")) as arm:
            await arm.begin_vm(TARGET, "podvm-a", left_behind("podvm-a"))
            await clock.sleep(700)
            server.reconfigure(roles=(Role(actions=tuple(actions)),))
            await story(arm)

    run_lockstep(main)


@pytest.mark.parametrize("name", STORIES)
def test_what_the_page_lists_is_enough(name):
    story, last = STORIES[name]
    play(story, {*tables()[0], *tables()[last]})


@pytest.mark.parametrize("name", STORIES)
def test_nothing_that_the_page_lists_is_too_much(name):
    story, last = STORIES[name]
    listed = {*tables()[0], *tables()[last]}
    for action in sorted({*tables()[last]} - UNTOLD - DISPENSABLE):
        with pytest.raises(RemoteError) as raised:
            play(story, listed - {action})
        assert raised.value.kind == "Unauthorized", action


def test_the_checks_ask_for_what_the_page_lists():
    reads, sweeps, machines = (set(each) for each in tables())
    assert set(cloud_rights.READS) <= reads
    assert set(cloud_rights.SWEEPS) <= sweeps
    assert set(cloud_rights.MACHINES) <= machines
