"""Zones, outages and creations that fail by seed: what is refused at once, what fails late, and what then is left."""

import pytest

from burster.lab.arm import ArmConfig, FailureMix, OthersUse, Outage


HOUR_MS = 3_600_000


async def _end_of(world, name, body=None):
    """What becomes of a creation: a code, or nothing where it succeeds."""
    answer = await world.put(name, body or world.body(name))
    if answer.status != 201:
        return answer.code
    await world.clock.sleep(700)
    return (await world.call("GET", answer.headers["Azure-AsyncOperation"])).body.get("error", {}).get("code", "")


def test_a_zone_where_the_size_does_not_exist_is_refused_and_not_in_the_sku_list(lab):
    async def story(world):
        skus = [sku async for sku in world.compute.resource_skus.list(filter="location eq 'eastus'")]
        size = next(sku for sku in skus if sku.name == "Standard_DC2es_v6")
        assert size.location_info[0].zones == ["2"]
        refused = await world.put("podvm-a", {**world.body("podvm-a"), "zones": ["1"]})
        assert (refused.status, refused.code) == (409, "SkuNotAvailable")
        assert "not available in location 'eastus' zones '1' for subscription" in refused.message
        both = await world.put("podvm-a", {**world.body("podvm-a"), "zones": ["1", "2"]})
        assert (both.status, both.code) == (400, "InvalidParameter")
        assert (await world.put("podvm-a", {**world.body("podvm-a"), "zones": ["2"]})).status == 201

    lab(story, config=ArmConfig(zones={"eastus/Standard_DC2es_v6": ("2",)}))


def test_an_outage_of_a_zone_spares_the_others_and_ends(lab):
    async def story(world):
        def placed(name, *zones):
            return {**world.body(name), "zones": list(zones)}

        assert await _end_of(world, "a", placed("a", "2")) == "ZonalAllocationFailed"
        assert await _end_of(world, "b", placed("b", "1")) == ""
        assert await _end_of(world, "c", placed("c")) == ""
        await world.clock.sleep(3_600)
        assert await _end_of(world, "d", placed("d", "2")) == ""

    outage = Outage(region="eastus", zone="2", code="ZonalAllocationFailed", until_ms=HOUR_MS)
    lab(story, config=ArmConfig(outages=(outage,)))


def test_an_outage_told_at_once_leaves_nothing_and_a_late_one_leaves_everything(lab):
    async def story(world):
        assert await _end_of(world, "a") == "SkuNotAvailable"
        assert world.server.leaks() == ()
        await world.clock.sleep(3_600)
        assert await _end_of(world, "a") == "AllocationFailed"
        assert len(world.server.leaks()) == 3
        assert world.server.vms["a"].state == "Failed"
        view = await world.compute.virtual_machines.instance_view("rg", "a")
        assert [status.code for status in view.statuses] == ["ProvisioningState/failed/AllocationFailed"]
        assert "sufficient capacity" in view.statuses[0].message
        assert "privateIPAddress" not in str((await world.nic("a")).body)
        assert world.server.billing.cost_micro_usd(world.clock.now_ms()) == 0
        await world.delete("a")
        await world.clock.sleep(100)
        assert world.server.leaks() == ()

    early = Outage(region="eastus", size="standard_dc2es_v6", code="SkuNotAvailable", until_ms=HOUR_MS)
    late = Outage(region="eastus", from_ms=HOUR_MS)
    lab(story, config=ArmConfig(outages=(early, late)))


def test_what_others_use_comes_and_goes_and_counts(lab):
    async def story(world):
        async def used():
            rows = (await world.call("GET", "providers/Microsoft.Compute/locations/eastus/usages")).body["value"]
            by_name = {row["name"]["value"]: row["currentValue"] for row in rows}
            return by_name["standardDCEV6Family"], by_name["cores"]

        assert await used() == (0, 50)
        assert (await world.put("a")).status == 201
        await world.clock.sleep(3_600)
        assert await used() == (201, 251)
        refused = await world.put("b")
        assert "Current Limit: 200, Current Usage: 201, Additional Required: 2" in refused.message
        await world.clock.sleep(3_600)
        assert (await world.put("b")).status == 201

    others = (
        OthersUse(region="eastus", family="cores", vcpus=50),
        OthersUse(region="eastus", family="STANDARDdcev6family", vcpus=199, from_ms=HOUR_MS, until_ms=2 * HOUR_MS),
    )
    lab(story, config=ArmConfig(others_use=others))


def test_the_mix_fails_as_many_as_it_says_with_what_it_says(lab):
    async def story(world):
        codes = []
        for number in range(400):
            answer = await world.put(f"podvm-{number}")
            codes.append(answer.code if answer.status != 201 else "")
        await world.clock.sleep(700)
        late = [vm.failure for vm in world.server.vms.values() if vm.failure]
        at_once = [code for code in codes if code]
        failed = len(late) + len(at_once)
        assert 160 < failed < 240
        assert at_once.count("OperationNotAllowed") / failed > 0.9
        assert set(late) <= {
            "ZonalAllocationFailed",
            "AllocationFailed",
            "OverconstrainedAllocationRequest",
            "InternalExecutionError",
        }
        assert late
        return codes

    config = ArmConfig(
        failure_mix=FailureMix(rate_permille=500), family_quota=9_000, cores_quota=9_000, subnet_addresses=2_000
    )
    assert lab(story, config=config) == lab(story, config=config)


def test_a_refused_quota_of_the_mix_says_which_family_and_a_later_try_has_its_own_luck(lab):
    async def story(world):
        tries = []
        for _ in range(12):
            answer = await world.put("podvm-a")
            tries.append(answer.status)
            if answer.status == 201:
                break
            assert "exceeding approved standardDCEV6Family Cores quota" in answer.message
        return tries

    config = ArmConfig(failure_mix=FailureMix(rate_permille=400, shares=(("OperationNotAllowed", 1),)))
    outcomes = [lab(story, config=config, seed=seed) for seed in range(6)]
    assert {tries[-1] for tries in outcomes} == {201}
    assert len({len(tries) for tries in outcomes}) > 1


def test_a_mix_with_windows_fails_a_size_for_everybody_alike(lab):
    async def story(world):
        async def refused(hour):
            await world.clock.sleep(max(0, hour * 3_600 - (world.clock.now_ms() - start_ms) / 1000))
            return {(await world.put(f"podvm-{hour}-{number}")).status for number in range(8)}

        start_ms = world.clock.now_ms()
        return [await refused(hour) for hour in range(6)]

    mix = FailureMix(rate_permille=500, shares=(("SkuNotAvailable", 1),), window_ms=HOUR_MS)
    hours = lab(story, config=ArmConfig(failure_mix=mix))
    assert {len(hour) for hour in hours} == {1}
    assert {status for hour in hours for status in hour} == {201, 409}


@pytest.mark.parametrize("throttled", [False, True])
def test_arms_own_limits_are_told_and_kept_where_the_lab_says_so(lab, throttled):
    async def story(world):
        answers = [await world.put(f"podvm-{number}", {"location": "eastus"}) for number in range(201)]
        left = [answer.headers.get("x-ms-ratelimit-remaining-subscription-writes") for answer in answers]
        assert left[0] == ("199" if throttled else "200")
        if not throttled:
            assert {answer.status for answer in answers} == {400}
            return
        assert (answers[-1].status, answers[-1].code) == (429, "SubscriptionRequestsThrottled")
        assert answers[-1].headers["Retry-After"] == "1"
        reads = (await world.get("podvm-a")).headers
        assert reads["x-ms-ratelimit-remaining-subscription-reads"] == "249"

    lab(story, config=ArmConfig(throttled_by_arm=throttled))
