"""Machines through burster's own client: asked for once, followed from any process, gone with all that came with them."""

import msgspec
import pytest

from burster.clients.arm import Arm, ArmSettings
from burster.lab.arm import ArmConfig, Fault, known_fault
from burster.model.errors import RemoteError


def another(world):
    """An Arm as another process has it."""
    return Arm(ArmSettings(base_url=world.server.url, auth="none"))


async def ended(world, arm, token):
    while (state := await arm.follow_operation(world.target, token)).state == "InProgress":
        assert state.retry_after_ms == 4_000
        await world.clock.sleep(state.retry_after_ms / 1000)
    return state


def test_a_machine_is_asked_for_and_followed_in_another_process_to_its_end(lab):
    async def story(world):
        made = await world.arm.begin_vm(
            world.target, "burstvm-a", world.body("burstvm-a", priority="Spot", evictionPolicy="Delete")
        )
        assert (made.vm.name, made.vm.provisioning_state, made.vm.spot) == ("burstvm-a", "Creating", True)
        assert "127.0.0.1" not in made.token
        assert len(made.token) < 400
        async with another(world) as arm:
            assert (await ended(world, arm, made.token)).state == "Succeeded"
            vm = await arm.get_vm(world.target, "burstvm-a")
        assert (vm.provisioning_state, vm.power_state, vm.vm_id) == ("Succeeded", "running", made.vm.vm_id)
        assert vm.private_address.startswith("10.")

    lab(story)


def test_a_second_one_of_the_same_name_is_refused_and_the_first_is_untouched(lab):
    async def story(world):
        made = await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        with pytest.raises(RemoteError) as raised:
            await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a", userData="b3RoZXI="))
        assert (raised.value.kind, raised.value.matter, raised.value.status) == ("AlreadyExists", "exists", 412)
        assert (await ended(world, world.arm, made.token)).state == "Succeeded"

    lab(story)


@pytest.mark.parametrize(
    ("fault", "want"),
    [
        pytest.param(known_fault("AllocationFailed"), ("Capacity", "AllocationFailed", "capacity", None), id="capacity"),
        pytest.param(known_fault("ZonalAllocationFailed"), ("Capacity", "ZonalAllocationFailed", "zonal-capacity", None), id="zone"),
        pytest.param(known_fault("OSProvisioningTimedOut"), ("Unavailable", "OSProvisioningTimedOut", "guest", None), id="guest"),
    ],
)  # fmt: skip
def test_a_late_failure_is_told_by_the_operation_and_by_the_machine_it_leaves(lab, fault, want):
    async def story(world):
        world.server.faults.add(fault)
        made = await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a", zones=None))
        state = await ended(world, world.arm, made.token)
        assert state.state == "Failed"
        failure = state.failure
        assert (failure.kind, failure.code, failure.matter, failure.limit_vcpus) == want
        assert failure.message
        vm = await world.arm.get_vm(world.target, "burstvm-a")
        assert (vm.provisioning_state, vm.failure_code) == ("Failed", want[1])
        assert vm.failure_message

    lab(story)


def test_a_quota_that_does_not_suffice_is_told_at_once_with_its_limit(lab):
    async def story(world):
        with pytest.raises(RemoteError) as raised:
            await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        error = raised.value
        assert (error.kind, error.matter, error.limit_vcpus) == ("Quota", "family-quota", 0)
        assert "raise this quota" in error.message

    lab(story, config=ArmConfig(family_quota=0))


def test_an_operation_that_arm_has_forgotten_is_told_so(lab):
    async def story(world):
        made = await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        await world.clock.sleep(3_000)
        assert (await world.arm.follow_operation(world.target, made.token)).state == "Forgotten"

    lab(story, config=ArmConfig(operations_kept_ms=60_000))


@pytest.mark.parametrize(("status", "code"), [(500, "InternalServerError"), (403, "AuthorizationFailed")])
def test_a_look_that_fails_says_nothing_about_the_operation(lab, status, code):
    async def story(world):
        made = await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        world.server.faults.add(Fault(operation="GetOperation", status=status, code=code, times=None))
        with pytest.raises(RemoteError) as raised:
            await world.arm.follow_operation(world.target, made.token)
        assert raised.value.code == code

    lab(story)


@pytest.mark.parametrize(
    "token",
    [
        "", "1", "1a", "nonsense", "1ahttps://evil.example/subscriptions/s", "1a//evil.example/subscriptions/s", "2a/subscriptions/s/x",
        "1x/subscriptions/s/x", "1a/subscriptions/../../evil", "1a/subscriptions/s@evil:80\u00e9", "1a/subscriptions/" + "x" * 9_000,
    ],
)  # fmt: skip
def test_what_is_no_token_is_never_followed(lab, token):
    async def story(world):
        with pytest.raises(RemoteError) as raised:
            await world.arm.follow_operation(world.target, token)
        assert raised.value.kind == "Invalid"
        assert not world.server.requests

    lab(story)


def test_a_machine_is_deleted_by_force_with_all_that_came_with_it(lab):
    async def story(world):
        await world.arm.begin_vm(world.target, "burstvm-a", world.body("burstvm-a"))
        await world.clock.sleep(700)
        await world.arm.delete_vm(world.target, "burstvm-a", force=True)
        assert world.server.leaks() == ()
        assert await world.arm.list_resources(world.target) == []

    lab(story)


def test_everything_of_the_group_is_listed_with_what_holds_it_and_what_nothing_holds_can_be_deleted(lab):
    async def story(world):
        body = world.body("burstvm-a")
        network = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
        network["deleteOption"] = body["properties"]["storageProfile"]["osDisk"]["deleteOption"] = "Detach"
        network["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = {"name": "burstvm-a-ip"}
        await world.arm.begin_vm(world.target, "burstvm-a", body)
        await world.clock.sleep(700)
        listed = await world.arm.list_resources(world.target)
        vm_id = next(each.resource_id for each in listed if each.kind == "Vm")
        holders = {each.kind: each.attached_to.casefold() for each in listed}
        assert sorted(holders) == ["Disk", "Nic", "PublicIp", "Vm"]
        assert holders["Nic"] == holders["Disk"] == vm_id.casefold()
        assert "/networkinterfaces/burstvm-a-net" in holders["PublicIp"]
        await world.arm.delete_vm(world.target, "burstvm-a")
        left = await world.arm.list_resources(world.target)
        assert {each.kind: each.attached_to for each in left if each.kind != "PublicIp"} == {"Nic": "", "Disk": ""}
        disk = next(each for each in left if each.kind == "Disk")
        assert disk.created_at_ms is not None
        for kind in ("Nic", "Disk", "PublicIp"):
            for each in left:
                if each.kind == kind:
                    await world.arm.delete_resource(world.target, each)
                    await world.arm.delete_resource(world.target, each)
        assert world.server.leaks() == ()

    lab(story)


def test_what_a_machine_holds_can_not_be_deleted_under_it(lab):
    async def story(world):
        await world.made("podvm-a")
        listed = {each.kind: each for each in await world.arm.list_resources(world.target)}
        for kind in ("Nic", "Disk"):
            with pytest.raises(RemoteError) as raised:
                await world.arm.delete_resource(world.target, listed[kind])
            assert (raised.value.kind, raised.value.matter) == ("Conflict", "conflict")

    lab(story)


@pytest.mark.parametrize(
    ("old", "new"),
    [("/rg/", "/prod/"), ("/subscriptions/0", "/subscriptions/1"), ("-net", "-net/../x"), ("Microsoft.Network", "X.Y")],
)
def test_what_is_not_of_the_targets_group_is_never_deleted(lab, old, new):
    async def story(world):
        await world.made("podvm-a")
        nic = next(each for each in await world.arm.list_resources(world.target) if each.kind == "Nic")
        world.server.requests.clear()
        other = msgspec.structs.replace(nic, resource_id=nic.resource_id.replace(old, new))
        with pytest.raises(RemoteError) as raised:
            await world.arm.delete_resource(world.target, other)
        assert raised.value.kind == "Invalid"
        assert not world.server.requests

    lab(story)


def test_all_pages_of_everything_are_listed(lab):
    async def story(world):
        await world.made(*(f"podvm-{number}" for number in range(7)))
        listed = await world.arm.list_resources(world.target)
        assert sorted(each.kind for each in listed) == ["Disk"] * 7 + ["Nic"] * 7 + ["Vm"] * 7

    lab(story, config=ArmConfig(list_page_size=2))
