"""Lists: pages, lag, sizes, SKUs, usages and prices."""

import pytest

from burster.lab.arm import ArmConfig


def test_a_long_list_comes_in_pages_that_azures_client_follows(lab):
    async def story(world):
        await world.made(*(f"podvm-{number:02}" for number in range(7)))
        first = await world.call("GET", "resourceGroups/rg/providers/Microsoft.Compute/virtualMachines")
        assert len(first.body["value"]) == 3
        assert "$skiptoken" in first.body["nextLink"]
        names = [vm.name async for vm in world.compute.virtual_machines.list("rg")]
        assert names == [f"podvm-{number:02}" for number in range(7)]
        everywhere = [vm.name async for vm in world.compute.virtual_machines.list_all()]
        assert everywhere == names

    lab(story, config=ArmConfig(list_page_size=3))


def test_a_list_knows_only_its_own_resource_group(lab):
    async def story(world):
        await world.made("podvm-a")
        other = await world.call("GET", "resourceGroups/other/providers/Microsoft.Compute/virtualMachines")
        assert other.body == {"value": []}

    lab(story)


def test_a_lagging_list_misses_what_is_new_and_shows_what_is_gone(lab):
    async def story(world):
        async def listed():
            return [vm.name for vm in await world.arm.list_vms(world.target)]

        await world.put("podvm-a")
        assert await listed() == []
        assert (await world.get("podvm-a")).status == 200
        await world.clock.sleep(31)
        assert await listed() == ["podvm-a"]
        await world.clock.sleep(700)
        await world.arm.delete_vm(world.target, "podvm-a")
        assert await listed() == ["podvm-a"]
        await world.clock.sleep(31)
        assert await listed() == []

    lab(story, config=ArmConfig(list_lag_ms=30_000))


def test_usages_follow_the_vms(lab):
    async def story(world):
        async def used():
            rows = (await world.call("GET", "providers/Microsoft.Compute/locations/eastus/usages")).body["value"]
            by_name = {row["name"]["value"]: (row["currentValue"], row["limit"]) for row in rows}
            return by_name["cores"], by_name["standardDCEV6Family"], by_name["standardECEV6Family"]

        assert await used() == ((0, 1000), (0, 200), (0, 200))
        await world.made("podvm-a")
        await world.delete("podvm-a")
        assert await used() == ((2, 1000), (2, 200), (0, 200))
        await world.clock.sleep(100)
        assert await used() == ((0, 1000), (0, 200), (0, 200))

    lab(story)


def test_the_sku_list_says_what_a_size_is_and_who_may_have_it(lab):
    async def story(world):
        filtered = "providers/Microsoft.Compute/skus?$filter=location eq 'eastus'"
        rows = {row["name"]: row for row in (await world.call("GET", filtered)).body["value"]}
        size = rows["Standard_DC4es_v6"]
        capabilities = {each["name"]: each["value"] for each in size["capabilities"]}
        assert capabilities["ConfidentialComputingType"] == "TDX"
        assert (capabilities["vCPUs"], capabilities["MemoryGB"]) == ("4", "16")
        assert size["family"] == "standardDCEV6Family"
        assert size["locationInfo"][0]["zones"] == ["1", "2", "3"]
        assert size["restrictions"][0]["reasonCode"] == "QuotaId"
        assert rows["Premium_LRS"]["resourceType"] == "disks"
        snp = {each["name"]: each["value"] for each in rows["Standard_DC2as_v5"]["capabilities"]}
        assert snp["ConfidentialComputingType"] == "SNP"
        plain = {each["name"] for each in rows["Standard_D2s_v6"]["capabilities"]}
        assert "ConfidentialComputingType" not in plain
        everything = (await world.call("GET", "providers/Microsoft.Compute/skus")).body["value"]
        assert len(everything) > 3 * len(rows)

    lab(story, config=ArmConfig(restricted={"eastus/Standard_DC4es_v6": "QuotaId"}))


def test_the_size_list_has_no_gpus_and_no_tee(lab):
    async def story(world):
        rows = (await world.call("GET", "providers/Microsoft.Compute/locations/eastus2/vmSizes")).body["value"]
        gpu = next(row for row in rows if "H100" in row["name"])
        assert set(gpu) == {
            "name",
            "numberOfCores",
            "memoryInMB",
            "osDiskSizeInMB",
            "resourceDiskSizeInMB",
            "maxDataDiskCount",
        }
        assert (gpu["numberOfCores"], gpu["memoryInMB"]) == (40, 320 * 1024)
        assert "Standard_DC2es_v6" not in {row["name"] for row in rows}

    lab(story)


def test_prices_come_in_pages_with_rows_that_are_not_meant(lab):
    async def story(world):
        url = f"{world.server.url}/api/retail/prices?$filter=armRegionName eq 'eastus' and armSkuName eq 'Standard_DC2es_v6'"
        rows, pages = [], 0
        while url:
            page = (await world.call("GET", url)).body
            assert page["Count"] == len(page["Items"])
            rows += page["Items"]
            url, pages = page["NextPageLink"], pages + 1
        assert pages == 2
        assert [row["retailPrice"] for row in rows] == [0.0202, 0.0202, 0.1515, 0.101]
        refused = await world.call("GET", f"{world.server.url}/api/retail/prices?$filter=drop table")
        assert (refused.status, refused.code) == (400, "BadRequest")

    lab(story, config=ArmConfig(price_page_size=3))


@pytest.mark.parametrize(
    ("operation", "times"),
    [pytest.param("get", 36, id="one VM"), pytest.param("list", 900, id="the whole subscription")],
)
def test_who_asks_too_often_is_told_to_wait(lab, operation, times):
    async def story(world):
        await world.made("podvm-a")
        path = world.vm_path("podvm-a") if operation == "get" else "providers/Microsoft.Compute/virtualMachines"
        for left in range(times - 1, -1, -1):
            answer = await world.call("GET", path)
            assert answer.status == 200
            assert answer.headers["x-ms-ratelimit-remaining-resource"].endswith(f";{left}")
        refused = await world.call("GET", path)
        assert (refused.status, refused.code) == (429, "OperationNotAllowed")
        assert refused.body["error"]["details"][0]["code"] == "TooManyRequests"
        wait_s = int(refused.headers["Retry-After"])
        assert 1 <= wait_s <= 5
        await world.clock.sleep(wait_s)
        assert (await world.call("GET", path)).status == 200

    lab(story)


def test_puts_of_one_vm_are_limited_but_not_those_of_many(lab):
    async def story(world):
        statuses = [(await world.put("podvm-a")).status for _ in range(13)]
        assert statuses == [201, *[200] * 11, 429]
        assert (await world.put("podvm-b")).status == 201

    lab(story)
