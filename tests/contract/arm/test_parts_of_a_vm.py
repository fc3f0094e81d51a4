"""Disks, network interfaces and public addresses: whose they are, when they go, and what stays behind."""

import copy

import pytest

from burster.lab.arm import ArmConfig, known_fault


NIC = "resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/{}"
PUBLIC_IP = "resourceGroups/rg/providers/Microsoft.Network/publicIPAddresses/{}"
DISK = "resourceGroups/rg/providers/Microsoft.Compute/disks/{}"


def _body(world, name, *, nic="Delete", disk="Delete", address=""):
    body = copy.deepcopy(world.body(name))
    body["properties"]["storageProfile"]["osDisk"]["deleteOption"] = disk
    interface = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]
    interface["tags"] = {"burst": "a"}
    interface["properties"]["deleteOption"] = nic
    if address:
        wanted = {"name": "ip", "properties": {"deleteOption": address}}
        interface["properties"]["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = wanted
    return body


async def _gone(world, name):
    await world.delete(name)
    await world.clock.sleep(100)


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param({}, [], id="all of them go"),
        pytest.param({"nic": "Detach"}, ["burstvm-a-net"], id="the interface stays"),
        pytest.param({"disk": "Detach"}, ["burstvm-a-disk"], id="the disk stays"),
        pytest.param({"address": "Delete"}, [], id="the address goes too"),
        pytest.param({"address": "Detach"}, ["ip"], id="the address stays"),
    ],
)
def test_what_goes_with_a_vm_is_what_was_asked_for(lab, options, want):
    async def story(world):
        assert (await world.put("burstvm-a", _body(world, "burstvm-a", **options))).status == 201
        await world.clock.sleep(700)
        assert world.server.strays == ()
        await _gone(world, "burstvm-a")
        assert [left.rsplit("/", 1)[1] for left in world.server.strays] == want
        assert world.server.leaks() == world.server.strays

    lab(story)


def test_what_a_vm_has_can_not_be_deleted(lab):
    async def story(world):
        await world.put("a", _body(world, "a", address="Detach"))
        await world.clock.sleep(700)
        nic = await world.call("DELETE", NIC.format("a-net"))
        assert (nic.status, nic.code) == (400, "NicInUse")
        address = await world.call("DELETE", PUBLIC_IP.format("ip"))
        assert (address.status, address.code) == (400, "PublicIPAddressCannotBeDeleted")
        disk = await world.call("DELETE", DISK.format("a-disk"))
        assert (disk.status, disk.code) == (409, "OperationNotAllowed")
        assert (await world.nic("a")).body["tags"] == {"burst": "a"}
        assert "tags" not in (await world.disk("a")).body

    lab(story)


def test_an_address_goes_once_its_interface_has_gone(lab):
    async def story(world):
        await world.put("a", _body(world, "a", nic="Detach", address="Detach"))
        await world.clock.sleep(700)
        await _gone(world, "a")
        assert (await world.call("DELETE", PUBLIC_IP.format("ip"))).code == "PublicIPAddressCannotBeDeleted"
        assert (await world.call("DELETE", NIC.format("a-net"))).status == 200
        assert (await world.call("DELETE", PUBLIC_IP.format("ip"))).status == 200
        assert (await world.call("DELETE", PUBLIC_IP.format("ip"))).status == 204
        assert world.server.leaks() == ()

    lab(story)


def test_an_interface_is_kept_for_the_vm_that_it_had(lab):
    async def story(world):
        await world.put("a", _body(world, "a", nic="Detach"))
        await world.clock.sleep(700)
        await world.delete("a")
        while "a" in world.server.vms:
            await world.clock.sleep(1)
        refused = await world.call("DELETE", NIC.format("a-net"))
        assert (refused.status, refused.code) == (400, "NicReservedForAnotherVm")
        assert "retry after 180 seconds" in refused.message or "retry after 179 seconds" in refused.message
        await world.clock.sleep(181)
        assert (await world.call("DELETE", NIC.format("a-net"))).status == 200

    lab(story, config=ArmConfig(nic_reserved_ms=180_000))


def test_a_deletion_that_takes_time_is_an_operation_that_azures_client_follows(lab):
    async def story(world):
        await world.put("a", _body(world, "a", disk="Detach", nic="Detach"))
        await world.clock.sleep(700)
        await _gone(world, "a")
        poller = await world.compute.disks.begin_delete("rg", "a-disk")
        assert (await world.disk("a")).body["properties"]["provisioningState"] == "Deleting"
        await poller.result()
        assert (await world.disk("a")).status == 404
        first = await world.call("DELETE", NIC.format("a-net"))
        second = await world.call("DELETE", NIC.format("a-net"))
        assert (first.status, first.headers["Location"]) == (202, second.headers["Location"])
        assert "/providers/Microsoft.Network/locations/eastus/operations/" in first.headers["Azure-AsyncOperation"]
        busy = await world.put("a", _body(world, "a"))
        assert (busy.status, busy.code) == (429, "AnotherOperationInProgress")
        await world.clock.sleep(11)
        assert (await world.call("GET", first.headers["Azure-AsyncOperation"])).body["status"] == "Succeeded"
        assert world.server.leaks() == ()

    lab(story, config=ArmConfig(part_delete_ms=10_000))


def test_a_disk_that_was_left_behind_stands_in_the_way_of_its_name(lab):
    async def story(world):
        await world.put("a", _body(world, "a", disk="Detach"))
        await world.clock.sleep(700)
        await _gone(world, "a")
        refused = await world.put("a", _body(world, "a"))
        assert (refused.status, refused.code) == (409, "ConflictingUserInput")
        assert (
            refused.message == "Disk a-disk already exists in resource group RG. Only CreateOption.Attach is supported."
        )
        assert (await world.call("DELETE", DISK.format("a-disk"))).status == 200
        assert (await world.put("a", _body(world, "a"))).status == 201

    lab(story)


@pytest.mark.parametrize("kept", ["Delete", "Detach"])
def test_a_creation_that_failed_is_tried_again_on_its_own_parts(lab, kept):
    async def story(world):
        world.server.faults.add(known_fault("AllocationFailed"))
        await world.put("a", _body(world, "a", nic=kept, disk=kept, address=kept))
        await world.clock.sleep(700)
        failed = (await world.get("a")).body["properties"]["vmId"]
        before = world.server.leaks()
        assert len(before) == 4
        assert (await world.put("a", _body(world, "a", nic=kept, disk=kept, address=kept))).status == 201
        await world.clock.sleep(700)
        vm = (await world.get("a")).body["properties"]
        assert (vm["provisioningState"], vm["vmId"] != failed) == ("Succeeded", True)
        assert world.server.leaks() == before
        assert world.server.strays == ()
        subnet = (await world.call("GET", f"{world.server.url}{world.subnet}")).body["properties"]
        assert len(subnet["ipConfigurations"]) == 1

    lab(story, config=ArmConfig(family_quota=2))  # room for one


def test_an_interface_that_is_there_already_can_be_used(lab):
    async def story(world):
        await world.put("a", _body(world, "a", nic="Detach"))
        await world.clock.sleep(700)
        body = _body(world, "b")
        nic_id = (await world.nic("a")).body["id"]
        reference = {"id": nic_id, "properties": {"deleteOption": "Delete"}}
        body["properties"]["networkProfile"] = {"networkInterfaces": [reference]}
        assert (await world.put("b", body)).code == "NicInUse"
        await _gone(world, "a")
        assert (await world.put("b", body)).status == 201
        await world.clock.sleep(700)
        address = (await world.nic("a")).body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
        assert address == "10.0.0.4"
        await _gone(world, "b")
        assert world.server.leaks() == ()

    lab(story)


def test_everything_that_is_left_behind_is_on_the_bill(lab):
    async def story(world):
        await world.put("a", _body(world, "a", disk="Detach", address="Delete"))
        await world.clock.sleep(700)
        await _gone(world, "a")
        billing, now_ms = world.server.billing, world.clock.now_ms
        ended = {part.name: part.ended_at_ms is not None for part in billing.parts}
        assert ended == {"a-disk": False, "a-net": True, "ip": True}
        vms, before = billing.cost_micro_usd(now_ms()), billing.parts_cost_micro_usd(now_ms())
        await world.clock.sleep(3_600)
        assert billing.cost_micro_usd(now_ms()) == vms
        assert billing.parts_cost_micro_usd(now_ms()) - before == 30 * 226

    lab(story)
