"""Only the price that is meant counts; anything doubtful is no price at all."""

import json

import pytest
from aiohttp import web

from burster.clients.prices import Prices, PriceSettings, snapshot_prices
from burster.model.errors import RemoteError


ROW = {
    "currencyCode": "USD",
    "tierMinimumUnits": 0.0,
    "retailPrice": 0.101,
    "armRegionName": "eastus",
    "meterName": "DC2es v6",
    "productName": "Virtual Machines DCesv6 Series",
    "skuName": "DC2es v6",
    "unitOfMeasure": "1 Hour",
    "type": "Consumption",
    "armSkuName": "Standard_DC2es_v6",
}


class Pages:
    """A price list on loopback."""

    def __init__(self, *bodies, status=200, headers=None):
        self.bodies = list(bodies)
        self.status = status
        self.headers = headers or {}
        self.asked = []
        self.runner = None
        self.url = ""

    async def _serve(self, request):
        self.asked.append(request.path_qs)
        body = self.bodies[min(len(self.asked), len(self.bodies)) - 1]
        text = body.replace(b"{url}", self.url.encode())
        return web.Response(status=self.status, body=text, content_type="application/json", headers=self.headers)

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        host, port = self.runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()


def _page(*rows, link=None):
    return json.dumps({"Items": list(rows), "NextPageLink": link, "Count": len(rows)}).encode()


async def _read(pages, **settings):
    async with pages, Prices(PriceSettings(base_url=pages.url, **settings)) as prices:
        return await prices.region_prices("eastus")


@pytest.mark.parametrize(
    ("change", "want"),
    [
        pytest.param({}, 101_000, id="plain Linux by the hour"),
        pytest.param({"productName": "Virtual Machines DCesv6 Series Windows"}, None, id="Windows"),
        pytest.param({"skuName": "DC2es v6 Spot"}, None, id="Spot"),
        pytest.param({"meterName": "DC2es v6 Low Priority"}, None, id="Low Priority"),
        pytest.param({"type": "Reservation", "reservationTerm": "1 Year"}, None, id="reservation"),
        pytest.param({"type": "DevTestConsumption"}, None, id="dev and test"),
        pytest.param({"unitOfMeasure": "1/Month"}, None, id="by the month"),
        pytest.param({"currencyCode": "EUR"}, None, id="another currency"),
        pytest.param({"armRegionName": "westus"}, None, id="another region"),
        pytest.param({"tierMinimumUnits": 100}, None, id="only above 100 hours"),
        pytest.param({"retailPrice": 0}, None, id="for nothing"),
        pytest.param({"retailPrice": -1}, None, id="negative"),
        pytest.param({"retailPrice": 1e9}, None, id="absurd"),
        pytest.param({"retailPrice": 0.1010001}, 101_001, id="rounded up"),
    ],
)
async def test_a_row_counts_only_if_it_is_the_one_that_is_meant(change, want):
    prices = await _read(Pages(_page(ROW | change)))
    assert prices.of("standard_dc2ES_v6") == want
    assert prices.origin == "retail"


async def test_of_several_prices_the_highest_counts():
    prices = await _read(Pages(_page(ROW | {"retailPrice": 0.2}, ROW, ROW | {"retailPrice": 0.3})))
    assert prices.of("Standard_DC2es_v6") == 300_000


async def test_pages_are_followed_to_the_last():
    pages = Pages(_page(link="{url}/api/retail/prices?$skip=1"), _page(ROW, link=""))
    assert (await _read(pages)).of("Standard_DC2es_v6") == 101_000
    assert "armRegionName%20eq%20'eastus'" in pages.asked[0].replace("+", "%20").replace("%27", "'")
    assert len(pages.asked) == 2


@pytest.mark.parametrize(
    ("pages", "want"),
    [
        pytest.param(Pages(_page(link="{url}/api/retail/prices?again")), "more than 5 pages", id="no end"),
        pytest.param(Pages(_page(link="http://evil.example/prices")), "another host", id="sent elsewhere"),
        pytest.param(Pages(b"<html>"), "makes no sense", id="no json"),
        pytest.param(Pages(b'{"Items": [{"retailPrice": "cheap"}]}'), "makes no sense", id="no number"),
        pytest.param(Pages(b'{"Items": [{"retailPrice": NaN}]}'), "makes no sense", id="NaN"),
        pytest.param(Pages(b"[" + b" " * 9_000_000 + b"]"), "larger than", id="too large"),
        pytest.param(Pages(b"{}", status=302, headers={"Location": "http://evil.example"}), "answered 302", id="redirected"),
    ],
)  # fmt: skip
async def test_a_list_that_makes_no_sense_gives_no_prices(pages, want):
    with pytest.raises(RemoteError, match=want) as raised:
        await _read(pages, max_pages=5)
    assert raised.value.kind == "Protocol"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_list_that_is_not_served_now_is_replaced_by_the_snapshot(status):
    prices = await _read(Pages(b"{}", status=status))
    assert (prices.origin, prices.as_of) == ("snapshot", "2026-06-18")


async def test_nobody_at_the_address_means_the_snapshot():
    async with Prices(PriceSettings(base_url="http://127.0.0.1:9")) as prices:
        assert (await prices.region_prices("eastus")).origin == "snapshot"


async def test_without_an_address_nothing_is_asked():
    async with Prices(PriceSettings(base_url="")) as prices:
        assert (await prices.region_prices("westeurope")).of("Standard_DC4es_v6") == 242_000


def test_the_snapshot_knows_nothing_of_pairs_that_are_not_sold():
    assert snapshot_prices("eastus2").of("Standard_DC2es_v6") is None
    assert snapshot_prices("atlantis").micro_usd_per_hour == {}
