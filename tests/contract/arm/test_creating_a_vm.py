"""PUT of a VM: what comes back at once, what comes later, and what is there meanwhile."""

import pytest
from azure.core.exceptions import HttpResponseError

from burster.lab.arm import ArmConfig, known_fault


def test_a_new_vm_is_promised_at_once_and_there_later(lab):
    async def story(world):
        answer = await world.put("podvm-a")
        assert answer.status == 201
        assert answer.body["properties"]["provisioningState"] == "Creating"
        assert answer.headers["Retry-After"] == "4"
        operation = answer.headers["Azure-AsyncOperation"]
        running = await world.call("GET", operation)
        assert (running.status, running.body["status"]) == (200, "InProgress")
        assert running.headers["Retry-After"] == "4"

        await world.clock.sleep(700)
        ended = await world.call("GET", operation)
        assert ended.body["status"] == "Succeeded"
        assert ended.body["endTime"] > ended.body["startTime"]
        found = await world.get("podvm-a")
        assert found.body["properties"]["provisioningState"] == "Succeeded"
        assert found.body["properties"]["timeCreated"] == ended.body["startTime"]

    lab(story)


def test_azures_own_client_creates_polls_and_reads(lab):
    async def story(world):
        start_ms = world.clock.now_ms()
        poller = await world.compute.virtual_machines.begin_create_or_update("rg", "podvm-a", world.body("podvm-a"))
        vm = await poller.result()
        assert vm.provisioning_state == "Succeeded"
        assert vm.security_profile.security_type == "ConfidentialVM"
        assert 15_000 < world.clock.now_ms() - start_ms < 600_000

    lab(story)


def test_a_creation_ends_whether_anybody_looks_or_not(lab):
    async def story(world):
        await world.put("podvm-a")
        await world.clock.sleep(700)
        assert world.server.vms["podvm-a"].state == "Succeeded"
        assert [seen.operation for seen in world.server.requests] == ["PutVm"]

    lab(story)


def test_ids_are_compared_in_any_case(lab):
    async def story(world):
        await world.made("podvm-a")
        path = "RESOURCEGROUPS/RG/Providers/microsoft.COMPUTE/virtualmachines/PodVM-A"
        assert (await world.call("GET", path)).body["name"] == "podvm-a"
        assert (await world.call("PUT", path, world.body("podvm-a"))).status == 200

    lab(story)


def test_a_vm_comes_with_interface_and_disk_and_the_address_comes_later(lab):
    async def story(world):
        await world.put("podvm-a")
        early = (await world.nic("podvm-a")).body["properties"]["ipConfigurations"][0]["properties"]
        assert "privateIPAddress" not in early
        assert early["subnet"]["id"] == world.subnet
        disk = (await world.disk("podvm-a")).body
        assert disk["managedBy"].endswith("/virtualMachines/podvm-a")
        await world.clock.sleep(700)
        late = (await world.nic("podvm-a")).body["properties"]["ipConfigurations"][0]["properties"]
        assert late["privateIPAddress"] == "10.0.0.4"

    lab(story)


def test_the_vm_tells_its_interface_but_no_user_data_and_no_configuration(lab):
    async def story(world):
        await world.made("podvm-a")
        properties = (await world.get("podvm-a")).body["properties"]
        assert "userData" not in properties
        assert list(properties["networkProfile"]) == ["networkInterfaces"]
        assert properties["networkProfile"]["networkInterfaces"][0]["id"].endswith("/podvm-a-net")
        asked = await world.call("GET", f"{world.vm_path('podvm-a')}?$expand=userData")
        assert asked.body["properties"]["userData"] == "aGVsbG8="
        viewed = await world.call("GET", f"{world.vm_path('podvm-a')}?$expand=instanceView")
        codes = [status["code"] for status in viewed.body["properties"]["instanceView"]["statuses"]]
        assert codes == ["ProvisioningState/succeeded", "PowerState/running"]

    lab(story)


def test_a_repeated_put_changes_tags_and_keeps_the_machine(lab):
    async def story(world):
        await world.made("podvm-a")
        before = (await world.get("podvm-a")).body["properties"]["vmId"]
        again = await world.put("podvm-a", {**world.body("podvm-a"), "tags": {"team": "audit"}})
        assert (again.status, again.body["properties"]["provisioningState"]) == (200, "Updating")
        await world.clock.sleep(10)
        after = (await world.get("podvm-a")).body
        assert after["tags"] == {"team": "audit"}
        assert after["properties"]["vmId"] == before
        assert after["properties"]["provisioningState"] == "Succeeded"

    lab(story)


def test_if_none_match_creates_only_what_is_new(lab):
    async def story(world):
        assert (await world.put("podvm-a", If_None_Match="*")).status == 201
        again = await world.put("podvm-a", If_None_Match="*")
        assert (again.status, again.code) == (412, "PreconditionFailed")

    lab(story)


@pytest.mark.parametrize(
    ("change", "want_target"),
    [
        pytest.param(lambda body: body["properties"].update(userData="bmV3"), "userData", id="user data"),
        pytest.param(lambda body: body.update(zones=["1"]), "zones", id="zones"),
        pytest.param(
            lambda body: body["properties"]["hardwareProfile"].update(vmSize="Standard_DC4es_v6"),
            "hardwareProfile.vmSize",
            id="size",
        ),
        pytest.param(
            lambda body: body["properties"]["storageProfile"]["imageReference"].update(id="/images/other"),
            "storageProfile",
            id="image",
        ),
    ],
)
def test_what_makes_the_machine_cannot_be_changed(lab, change, want_target):
    async def story(world):
        await world.made("podvm-a")
        body = world.body("podvm-a")
        change(body)
        answer = await world.put("podvm-a", body)
        assert (answer.status, answer.code) == (409, "PropertyChangeNotAllowed")
        assert answer.body["error"]["target"] == want_target

    lab(story)


def test_a_vm_cannot_move_to_another_region(lab):
    async def story(world):
        await world.made("podvm-a")
        answer = await world.put("podvm-a", world.body("podvm-a", region="westus3"))
        assert (answer.status, answer.code) == (409, "InvalidResourceLocation")

    lab(story)


@pytest.mark.parametrize("code", ["AllocationFailed", "ZonalAllocationFailed", "OSProvisioningTimedOut"])
def test_a_late_failure_leaves_the_vm_failed_with_its_interface_and_disk(lab, code):
    async def story(world):
        world.server.faults.add(known_fault(code))
        poller = await world.compute.virtual_machines.begin_create_or_update("rg", "podvm-a", world.body("podvm-a"))
        with pytest.raises(HttpResponseError) as raised:
            await poller.result()
        assert raised.value.error.code == code
        assert (await world.get("podvm-a")).body["properties"]["provisioningState"] == "Failed"
        assert (await world.nic("podvm-a")).status == 200
        assert (await world.disk("podvm-a")).status == 200
        assert len(world.server.leaks()) == 3

    lab(story)


def test_a_put_after_an_allocation_failure_tries_again(lab):
    async def story(world):
        world.server.faults.add(known_fault("AllocationFailed"))
        await world.made("podvm-a")
        assert world.server.vms["podvm-a"].state == "Failed"
        assert (await world.put("podvm-a")).status == 201
        await world.clock.sleep(700)
        assert world.server.vms["podvm-a"].state == "Succeeded"

    lab(story)


def test_a_public_address_is_made_and_told(lab):
    async def story(world):
        body = world.body("podvm-a")
        nic = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]
        nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = {
            "name": "podvm-a-ip",
            "properties": {"deleteOption": "Delete"},
        }
        await world.put("podvm-a", body)
        await world.clock.sleep(700)
        told = (await world.nic("podvm-a")).body["properties"]["ipConfigurations"][0]["properties"]
        public = await world.call("GET", f"{world.server.url}{told['publicIPAddress']['id']}")
        assert public.body["properties"]["ipAddress"].startswith("203.0.113.")
        await world.arm.delete_vm(world.target, "podvm-a")
        assert world.server.leaks() == ()

    lab(story)


def test_the_same_seed_gives_the_same_latency_in_any_order(lab):
    names = [f"podvm-{number}" for number in range(8)]

    async def times(world, order):
        ready = {}
        for name in order:
            await world.put(name)
        while len(ready) < len(names):
            await world.clock.sleep(0.5)
            for name, vm in world.server.vms.items():
                if vm.state == "Succeeded":
                    ready.setdefault(name, world.clock.now_ms())
        return ready

    forwards = lab(lambda world: times(world, names))
    backwards = lab(lambda world: times(world, names[::-1]))
    assert forwards == backwards
    assert len(set(forwards.values())) > 4
    assert lab(lambda world: times(world, names), seed=8) != forwards


def test_creation_takes_about_as_long_as_people_report(lab):
    async def story(world):
        for number in range(200):
            await world.put(f"podvm-{number}")
        await world.clock.sleep(50)
        half = sum(vm.state == "Succeeded" for vm in world.server.vms.values())
        await world.clock.sleep(70)
        most = sum(vm.state == "Succeeded" for vm in world.server.vms.values())
        assert 80 <= half <= 120
        assert 180 <= most < 200

    lab(story, config=ArmConfig(family_quota=1_000))
