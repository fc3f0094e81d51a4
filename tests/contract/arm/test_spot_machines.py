"""Spot machines: what may be asked for, what they cost and count against, and how they are taken back."""

import pytest

from burster.lab.arm import ArmConfig


SPOT = {"priority": "Spot", "evictionPolicy": "Delete", "billingProfile": {"maxPrice": -1}}


async def _running(world, name="burstvm-a", **changes):
    assert (await world.put(name, world.body(name, **(SPOT | changes)))).status == 201
    await world.clock.sleep(700)


@pytest.mark.parametrize(
    ("properties", "want_status", "want_code"),
    [
        pytest.param({"priority": "Sometimes"}, 400, "InvalidParameter", id="unknown priority"),
        pytest.param({"evictionPolicy": "Delete"}, 400, "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines", id="no spot machine"),
        pytest.param(
            {"billingProfile": {"maxPrice": 1.0}}, 400, "MaxPriceCanBeSetOnlyOnAzureSpotVirtualMachines", id="price of no spot machine"
        ),
        pytest.param({**SPOT, "evictionPolicy": "Keep"}, 400, "InvalidParameter", id="unknown policy"),
        pytest.param({**SPOT, "billingProfile": {"maxPrice": 0}}, 400, "MaxPriceValueInvalid", id="no price"),
        pytest.param(
            {**SPOT, "billingProfile": {"maxPrice": 0.0201}}, 409, "SpotPriceGreaterThanProvidedMaxPrice", id="dearer than that"
        ),
    ],
)  # fmt: skip
def test_what_spot_machines_are_not_is_refused(lab, properties, want_status, want_code):
    async def story(world):
        answer = await world.put("burstvm-a", world.body("burstvm-a", **properties))
        assert (answer.status, answer.code) == (want_status, want_code)
        assert world.server.leaks() == ()

    lab(story)


def test_a_size_that_is_not_sold_so_is_refused(lab):
    async def story(world):
        body = world.body("burstvm-a", size="Standard_NCC40ads_H100_v5", region="eastus2", **SPOT)
        answer = await world.put("burstvm-a", body)
        assert (answer.status, answer.code) == (400, "BadRequest")

    lab(story)


def test_a_spot_machine_counts_against_its_own_quota_and_costs_the_spot_price(lab):
    async def story(world):
        await _running(world)
        rows = (await world.call("GET", "providers/Microsoft.Compute/locations/eastus/usages")).body["value"]
        used = {row["name"]["value"]: row["currentValue"] for row in rows}
        assert (used["lowPriorityCores"], used["cores"], used["standardDCEV6Family"]) == (2, 0, 0)
        full = await world.put("burstvm-b", world.body("burstvm-b", **SPOT))
        assert "exceeding approved LowPriorityCores quota" in full.message
        (billed,) = world.server.billing.of("burstvm-a")
        assert (billed.spot, billed.price_micro_usd_per_hour) == (True, 20_200)
        vm = await world.compute.virtual_machines.get("rg", "burstvm-a")
        assert (vm.priority, vm.eviction_policy, vm.billing_profile.max_price) == ("Spot", "Delete", -1)

    lab(story, config=ArmConfig(spot_quota=3))


def test_an_evicted_machine_gets_notice_and_is_deleted_with_its_parts(lab):
    async def story(world):
        await _running(world)
        event = world.server.evict("burstvm-a", notice_s=30)
        assert (event["EventType"], event["Resources"], event["EventStatus"]) == ("Preempt", ["burstvm-a"], "Scheduled")
        assert world.server.scheduled_events("burstvm-a")["Events"] == [event]
        await world.clock.sleep(29)
        assert world.server.vms["burstvm-a"].state == "Succeeded"
        await world.clock.sleep(2)
        assert world.server.vms["burstvm-a"].state == "Deleting"
        await world.clock.sleep(90)
        assert world.server.leaks() == ()

    lab(story)


def test_a_deallocated_machine_stays_costs_nothing_and_keeps_its_quota(lab):
    async def story(world):
        await _running(world, evictionPolicy="Deallocate")
        world.server.evict("burstvm-a", notice_s=0)

        async def codes():
            await world.clock.sleep(15)
            return [
                status.code
                for status in (await world.compute.virtual_machines.instance_view("rg", "burstvm-a")).statuses
            ]

        assert await codes() == ["ProvisioningState/succeeded", "PowerState/deallocating"]
        assert await codes() == ["ProvisioningState/succeeded", "PowerState/deallocated"]
        assert world.server.scheduled_events("burstvm-a")["Events"] == []
        spent = world.server.billing.cost_micro_usd(world.clock.now_ms())
        await world.clock.sleep(3_600)
        assert world.server.billing.cost_micro_usd(world.clock.now_ms()) == spent
        rows = (await world.call("GET", "providers/Microsoft.Compute/locations/eastus/usages")).body["value"]
        assert {row["currentValue"] for row in rows if row["name"]["value"] == "lowPriorityCores"} == {2}
        await world.delete("burstvm-a")
        await world.clock.sleep(100)
        assert world.server.leaks() == ()

    lab(story)


def test_only_a_running_spot_machine_can_be_evicted(lab):
    async def story(world):
        await world.made("podvm-a")
        for name in ("podvm-a", "burstvm-none"):
            with pytest.raises(LookupError):
                world.server.evict(name)

    lab(story)


def test_a_machine_that_was_deleted_and_made_again_is_not_evicted_for_the_old_one(lab):
    async def story(world):
        await _running(world)
        world.server.evict("burstvm-a", notice_s=900)
        await world.delete("burstvm-a")
        await world.clock.sleep(100)
        await _running(world)
        await world.clock.sleep(900)
        assert world.server.vms["burstvm-a"].state == "Succeeded"

    lab(story)


def test_spot_machines_are_taken_back_by_seed_after_lives_of_their_own(lab):
    async def story(world):
        names = [f"burstvm-{number}" for number in range(30)]
        for name in [*names, "podvm-a"]:
            body = world.body(name) if name == "podvm-a" else world.body(name, **SPOT)
            assert (await world.put(name, body)).status == 201
        left = []
        for _ in range(4):
            await world.clock.sleep(1_800)
            left.append(len(world.server.vms))
        assert left[0] > left[1] > left[3] > 1
        assert "podvm-a" in world.server.vms
        return left

    config = ArmConfig(spot_life_mean_ms=3_600_000)
    assert lab(story, config=config) == lab(story, config=config)
