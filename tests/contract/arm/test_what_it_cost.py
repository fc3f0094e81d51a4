"""The lab knows the true cost of every VM, and what is left behind."""

import pytest

from burster.lab.arm import ArmConfig, Fault, known_fault
from burster.lab.lockstep import LAB_EPOCH_MS


def test_a_vm_costs_from_its_creation_until_it_is_gone(lab):
    async def story(world):
        await world.put("podvm-a")
        await world.clock.sleep(3_600)
        assert world.server.billing.cost_micro_usd(world.clock.now_ms()) == 101_000
        await world.delete("podvm-a")
        await world.clock.sleep(3_600)
        (billed,) = world.server.billing.of("PODVM-A")
        assert billed.began_at_ms == LAB_EPOCH_MS
        assert 3_630_000 <= billed.ended_at_ms - billed.began_at_ms <= 3_690_000
        assert billed.cost_micro_usd(world.clock.now_ms()) == -(
            -101_000 * (billed.ended_at_ms - LAB_EPOCH_MS) // 3_600_000
        )

    lab(story)


@pytest.mark.parametrize(
    ("code", "want_free"), [("AllocationFailed", True), ("ZonalAllocationFailed", True), ("OSProvisioningTimedOut", False)]
)  # fmt: skip
def test_only_what_never_had_a_machine_is_free(lab, code, want_free):
    async def story(world):
        world.server.faults.add(known_fault(code))
        await world.made("podvm-a")
        return world.server.billing.cost_micro_usd(world.clock.now_ms()) == 0

    assert lab(story) is want_free


def test_two_vms_of_one_name_are_billed_apart(lab):
    async def story(world):
        for _ in range(2):
            await world.made("podvm-a")
            await world.arm.delete_vm(world.target, "podvm-a")
        assert len(world.server.billing.of("podvm-a")) == 2
        assert world.server.leaks() == ()

    lab(story)


def test_a_client_whose_answer_was_lost_finds_its_own_vm_when_it_asks_again(lab):
    async def story(world):
        world.server.faults.add(Fault(operation="PutVm", effect="DropAfter"))
        assert (await world.put("podvm-a")).status == 200  # the plain client repeats what it may
        assert [seen.operation for seen in world.server.requests] == ["PutVm", "PutVm"]
        assert len(world.server.billing.vms) == 1

    lab(story)


def test_random_failures_hit_the_same_names_in_any_order(lab):
    names = [f"podvm-{number}" for number in range(40)]
    config = ArmConfig(faults=(known_fault("AllocationFailed", times=None, probability=0.3),))

    async def failed(world, order):
        await world.made(*order)
        return {name for name, vm in world.server.vms.items() if vm.state == "Failed"}

    assert lab(lambda world: failed(world, names), config=config) == lab(
        lambda world: failed(world, names[::-1]), config=config
    )


def test_hundreds_of_vms_come_and_go_without_a_trace(lab):
    async def story(world):
        for number in range(300):
            assert (await world.put(f"podvm-{number}")).status == 201
        await world.clock.sleep(700)
        assert {vm.state for vm in world.server.vms.values()} == {"Succeeded"}
        for number in range(300):
            assert (await world.delete(f"podvm-{number}")).status == 202
        await world.clock.sleep(100)
        assert world.server.leaks() == ()
        assert all(vm.ended_at_ms for vm in world.server.billing.vms)

    lab(story, config=ArmConfig(family_quota=5_000, cores_quota=5_000, subnet_addresses=2_000))
