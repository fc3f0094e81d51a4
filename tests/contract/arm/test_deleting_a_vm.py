"""DELETE of a VM: what goes with it, what stays, and how one learns that it is gone."""

import pytest
from azure.core.exceptions import HttpResponseError

from burster.lab.arm import ArmConfig, Fault


def test_a_deletion_is_promised_at_once_and_done_later(lab):
    async def story(world):
        await world.made("podvm-a")
        answer = await world.delete("podvm-a")
        assert answer.status == 202
        assert answer.headers["Retry-After"] == "4"
        assert (await world.get("podvm-a")).body["properties"]["provisioningState"] == "Deleting"
        waiting = await world.call("GET", answer.headers["Location"])
        assert waiting.status == 202
        await world.clock.sleep(29)
        assert (await world.get("podvm-a")).status == 200
        await world.clock.sleep(62)
        gone = await world.get("podvm-a")
        assert (gone.status, gone.code) == (404, "ResourceNotFound")
        assert (await world.call("GET", answer.headers["Azure-AsyncOperation"])).body["status"] == "Succeeded"
        assert (await world.call("GET", answer.headers["Location"])).status == 204

    lab(story)


def test_deleting_what_is_not_there_says_so(lab):
    async def story(world):
        assert (await world.delete("podvm-none")).status == 204

    lab(story)


def test_azures_own_client_waits_for_the_end(lab):
    async def story(world):
        await world.made("podvm-a")
        poller = await world.compute.virtual_machines.begin_delete("rg", "podvm-a")
        await poller.wait()
        assert (await world.get("podvm-a")).status == 404

    lab(story)


def test_what_says_delete_goes_with_the_vm_and_what_says_detach_stays(lab):
    async def story(world):
        await world.made("podvm-a")
        detached = world.body("podvm-b")
        del detached["properties"]["storageProfile"]["osDisk"]["deleteOption"]
        detached["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]["deleteOption"] = (
            "Detach"
        )
        await world.put("podvm-b", detached)
        await world.clock.sleep(700)
        for name in ("podvm-a", "podvm-b"):
            await world.arm.delete_vm(world.target, name)
        assert [leak.rsplit("/", 1)[1] for leak in world.server.leaks()] == ["podvm-b-disk", "podvm-b-net"]
        assert (await world.disk("podvm-b")).body["properties"]["diskState"] == "Unattached"
        for kind, name in (
            ("Microsoft.Compute/disks", "podvm-b-disk"),
            ("Microsoft.Network/networkInterfaces", "podvm-b-net"),
        ):
            assert (await world.call("DELETE", f"resourceGroups/rg/providers/{kind}/{name}")).status == 200
            assert (await world.call("DELETE", f"resourceGroups/rg/providers/{kind}/{name}")).status == 204
        assert world.server.leaks() == ()

    lab(story)


def test_a_disk_in_use_cannot_be_deleted(lab):
    async def story(world):
        await world.made("podvm-a")
        answer = await world.call("DELETE", "resourceGroups/rg/providers/Microsoft.Compute/disks/podvm-a-disk")
        assert (answer.status, answer.code) == (409, "OperationNotAllowed")

    lab(story)


def test_deleting_a_vm_that_is_still_being_made_ends_its_creation(lab):
    async def story(world):
        created = await world.put("podvm-a")
        await world.clock.sleep(2)
        await world.arm.delete_vm(world.target, "podvm-a")
        operation = await world.call("GET", created.headers["Azure-AsyncOperation"])
        assert operation.body["error"]["code"] == "OperationPreempted"
        await world.clock.sleep(700)
        assert world.server.leaks() == ()

    lab(story)


def test_a_second_deletion_joins_the_first(lab):
    async def story(world):
        await world.made("podvm-a")
        first, second = await world.delete("podvm-a"), await world.delete("podvm-a")
        assert first.headers["Azure-AsyncOperation"] == second.headers["Azure-AsyncOperation"]

    lab(story)


def test_a_vm_marked_for_deletion_takes_no_update(lab):
    async def story(world):
        await world.made("podvm-a")
        await world.delete("podvm-a")
        answer = await world.put("podvm-a")
        assert (answer.status, answer.code) == (409, "OperationNotAllowed")
        assert "marked for deletion" in answer.message

    lab(story)


def test_a_failed_deletion_leaves_the_vm_and_its_cost(lab):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(
            Fault(operation="Deprovision", code="InternalExecutionError", message="An internal error.")
        )
        poller = await world.compute.virtual_machines.begin_delete("rg", "podvm-a")
        with pytest.raises(HttpResponseError, match="An internal error"):
            await poller.wait()
        assert world.server.vms["podvm-a"].state == "Failed"
        assert world.server.billing.vms[0].ended_at_ms is None
        await world.arm.delete_vm(world.target, "podvm-a")
        assert world.server.leaks() == ()

    lab(story)


def test_force_halves_the_wait(lab):
    async def story(world):
        await world.made("podvm-a")
        await world.call("DELETE", f"{world.vm_path('podvm-a')}?forceDeletion=true")
        await world.clock.sleep(46)
        return (await world.get("podvm-a")).status

    assert lab(story, config=ArmConfig(delete_min_ms=60_000, delete_max_ms=90_000)) == 404
