"""What is behind the truth, forgotten, empty or nonsense: everything a careful client must survive."""

import pytest

from burster.lab.arm import ArmConfig, known_fault


PRICES = "/api/retail/prices?$filter=armRegionName eq 'eastus' and armSkuName eq 'Standard_DC2es_v6'"


@pytest.mark.parametrize(
    ("fault", "want"),
    [
        pytest.param("OtherCurrency", ("EUR", {"EUR"}), id="another currency"),
        pytest.param("Negative", ("USD", {-0.101}), id="negative"),
        pytest.param("Zero", ("USD", {0.0}), id="zero"),
        pytest.param("Text", ("USD", {"n/a"}), id="no number"),
        pytest.param("Huge", ("USD", {1e300}), id="beyond measure"),
        pytest.param("Empty", ("USD", set()), id="nothing"),
    ],
)
def test_prices_can_be_nonsense(lab, fault, want):
    async def story(world):
        body = (await world.call("GET", world.server.url + PRICES)).body
        key = "currencyCode" if fault == "OtherCurrency" else "retailPrice"
        assert (body["BillingCurrency"], {row[key] for row in body["Items"]}) == want

    lab(story, config=ArmConfig(price_fault=fault))


def test_prices_can_be_a_page_for_people(lab):
    async def story(world):
        async with world.http.get(world.server.url + PRICES) as answer:
            return answer.status, answer.content_type, (await answer.text())[:15]

    assert lab(story, config=ArmConfig(price_fault="Html")) == (200, "text/html", "<!DOCTYPE html>")


def test_pages_of_prices_can_go_in_a_circle(lab):
    async def story(world):
        first = (await world.call("GET", world.server.url + PRICES)).body
        second = (await world.call("GET", first["NextPageLink"])).body
        return first["Items"] == second["Items"], second["NextPageLink"] == first["NextPageLink"]

    assert lab(story, config=ArmConfig(price_fault="Loop", price_page_size=1)) == (True, True)


def test_what_is_wrong_can_be_put_right_while_it_runs(lab):
    async def story(world):
        assert [sku async for sku in world.compute.resource_skus.list()] == []
        world.server.reconfigure(skus_empty=False, sku_page_size=40)
        paged = [sku.name async for sku in world.compute.resource_skus.list(filter="location eq 'eastus'")]
        first = await world.call("GET", "providers/Microsoft.Compute/skus?$filter=location eq 'eastus'")
        assert len(first.body["value"]) == 40
        world.server.reconfigure(sku_page_size=0)
        assert paged == [sku.name async for sku in world.compute.resource_skus.list(filter="location eq 'eastus'")]

    lab(story, config=ArmConfig(skus_empty=True))


def test_a_new_vm_is_unknown_for_a_moment_and_yet_its_name_is_taken(lab):
    async def story(world):
        await world.put("podvm-a")
        assert (await world.get("podvm-a")).status == 404
        again = await world.put("podvm-a", If_None_Match="*")
        assert (again.status, again.code) == (412, "PreconditionFailed")
        await world.clock.sleep(6)
        assert (await world.get("podvm-a")).status == 200

    lab(story, config=ArmConfig(read_lag_ms=5_000))


def test_an_operation_that_ended_is_forgotten_after_a_while(lab):
    async def story(world):
        link = (await world.put("podvm-a")).headers["Azure-AsyncOperation"]
        await world.clock.sleep(650)
        assert (await world.call("GET", link)).body["status"] == "Succeeded"
        await world.clock.sleep(750)
        assert (await world.call("GET", link)).status == 404

    lab(story, config=ArmConfig(operations_kept_ms=700_000))


@pytest.mark.parametrize(
    ("code", "want"),
    [("RetryableError", "A retryable error occurred."), ("AnotherOperationInProgress", "Another operation on this or dependent")],
)  # fmt: skip
def test_what_says_to_come_back_later_does_so_in_azures_words(lab, code, want):
    async def story(world):
        world.server.faults.add(known_fault(code, times=None))
        answer = await world.put("podvm-a")
        assert (answer.status, answer.code) == (429, code)
        assert want in answer.message
        assert world.server.leaks() == ()

    lab(story)


def test_a_region_that_does_not_exist_is_told_with_those_that_do(lab):
    async def story(world):
        answer = await world.put("podvm-a", world.body("podvm-a", region="atlantis"))
        assert (answer.status, answer.code) == (400, "LocationNotAvailableForResourceType")
        assert "'atlantis' is not available for resource type 'Microsoft.Compute/virtualMachines'" in answer.message
        assert "eastus" in answer.message

    lab(story)


def test_a_name_that_is_on_its_way_out_is_not_free(lab):
    async def story(world):
        await world.made("podvm-a")
        await world.delete("podvm-a")
        assert (await world.put("podvm-a", If_None_Match="*")).status == 412
        refused = await world.put("podvm-a")
        assert (refused.status, refused.code) == (409, "OperationNotAllowed")
        assert "marked for deletion" in refused.message
        await world.clock.sleep(100)
        assert (await world.put("podvm-a", If_None_Match="*")).status == 201

    lab(story)
