"""Only the price that is meant counts; anything doubtful is no price at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from burster.clients.price_cache import Kept, PriceCache
from burster.clients.price_rows import Rows
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


JUNE_18 = 1_781_740_800_000  # the shipped copy's day
DAY = 86_400_000


class Pages:
    """A price list on loopback."""

    def __init__(self, *bodies, status=200, headers=None, port=0):
        self.port = port
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
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()
        host, self.port = self.runner.addresses[0][:2]
        self.url = f"http://{host}:{self.port}"
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()


def _page(*rows, link=None):
    return json.dumps({"Items": list(rows), "NextPageLink": link, "Count": len(rows)}).encode()


async def _read(pages, **settings):
    async with pages, Prices(PriceSettings(base_url=pages.url, **settings), now_ms=lambda: JUNE_18) as prices:
        return await prices.region_prices("eastus")


SOUND = ROW | {"armSkuName": "Standard_DC4es_v6", "retailPrice": 0.202}


@pytest.mark.parametrize(
    ("change", "want"),
    [
        pytest.param({}, 101_000, id="plain Linux by the hour"),
        pytest.param({"productName": "Virtual Machines DCesv6 Series Windows"}, None, id="Windows"),
        pytest.param({"skuName": "DC2es v6 Spot"}, None, id="Spot"),
        pytest.param({"meterName": "DC2es v6 Low Priority"}, None, id="Low Priority"),
        pytest.param({"type": "Reservation", "reservationTerm": "1 Year"}, None, id="reservation"),
        pytest.param({"reservationTerm": None}, 101_000, id="no reservation, said so"),
        pytest.param({"type": "DevTestConsumption"}, None, id="dev and test"),
        pytest.param({"unitOfMeasure": "1/Month"}, None, id="by the month"),
        pytest.param({"armRegionName": "westus"}, None, id="another region"),
        pytest.param({"tierMinimumUnits": 100}, None, id="only above 100 hours"),
        pytest.param({"retailPrice": 0}, None, id="for nothing"),
        pytest.param({"retailPrice": -1}, None, id="negative"),
        pytest.param({"retailPrice": 1e9}, None, id="absurd"),
        pytest.param({"retailPrice": 0.0001}, None, id="next to nothing"),
        pytest.param({"retailPrice": 0.01}, None, id="a tenth of what it was"),
        pytest.param({"retailPrice": 0.0102}, 10_200, id="a little more than that"),
        pytest.param({"retailPrice": 0.1010001}, 101_001, id="rounded up"),
    ],
)
async def test_a_row_counts_only_if_it_is_the_one_that_is_meant(change, want):
    prices = await _read(Pages(_page(ROW | change, SOUND)))
    assert prices.of("standard_dc2ES_v6") == want
    assert prices.of("Standard_DC4es_v6") == 202_000
    assert prices.origin == "retail"


async def test_one_strange_row_takes_its_sizes_price_away_and_is_named():
    prices = await _read(Pages(_page(ROW, ROW | {"retailPrice": -0.5}, SOUND)))
    assert prices.of("Standard_DC2es_v6") is None
    assert prices.doubt_of("Standard_DC2es_v6") == "-0.5 USD an hour"
    assert prices.doubt_of("Standard_DC4es_v6") == ""


async def test_spot_has_prices_of_its_own():
    spot = {"skuName": "DC2es v6 Spot", "retailPrice": 0.02}
    prices = await _read(Pages(_page(ROW, ROW | spot, ROW | spot | {"retailPrice": 0.03})))
    assert (prices.of("Standard_DC2es_v6"), prices.of("Standard_DC2es_v6", spot=True)) == (101_000, 30_000)
    prices = await _read(Pages(_page(ROW, ROW | spot | {"retailPrice": 0})))
    assert prices.of("Standard_DC2es_v6", spot=True) is None
    assert prices.doubt_of("Standard_DC2es_v6", spot=True) == "0 USD an hour"


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
        pytest.param(Pages(*(_page(link="{url}/api/retail/prices?" + str(n)) for n in range(9))), "more than 5 pages", id="no end"),
        pytest.param(Pages(_page(link="{url}/api/retail/prices?again")), "round in a circle", id="a circle"),
        pytest.param(Pages(_page(link="https://127.0.0.1/prices")), "another host", id="sent to another port"),
        pytest.param(Pages(_page(link="http://[")), "another host", id="no address"),
        pytest.param(Pages(b"<!DOCTYPE html><title>Sign in</title>"), "an HTML page titled 'Sign in'", id="a login page"),
        pytest.param(Pages(b""), "it is empty", id="nothing"),
        pytest.param(Pages(b"[" * 100_000), "makes no sense", id="too deep"),
        pytest.param(Pages(_page(ROW | {"currencyCode": "EUR"})), "is in EUR, and burster counts in USD only", id="euros"),
        pytest.param(Pages(json.dumps({"BillingCurrency": "CHF", "Items": []}).encode()), "is in CHF", id="francs"),
        pytest.param(Pages(_page(ROW | {"retailPrice": -1})), "of standard_dc2es_v6 the list says -1 USD", id="all negative"),
        pytest.param(Pages(_page(ROW | {"retailPrice": 0})), "not one row is a price", id="all for nothing"),
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
    assert prices.problem.endswith(f"the price list answered {status}")


@pytest.mark.parametrize(("max_days", "want"), [(7, -3), (12, 2), (0, None)])
async def test_nobody_at_the_address_means_the_snapshot_with_its_age(max_days: int, want: int | None):
    settings = PriceSettings(base_url="http://127.0.0.1:9", max_age_ms=max_days * DAY)
    async with Prices(settings, now_ms=lambda: JUNE_18 + 10 * DAY) as prices:
        found = await prices.region_prices("eastus")
    assert (found.origin, found.age_ms, found.usable_ms) == ("snapshot", 10 * DAY, None if want is None else want * DAY)
    assert "can't be reached" in found.problem


async def test_the_shipped_copy_by_choice_has_no_limit():
    async with Prices(PriceSettings(base_url=""), now_ms=lambda: JUNE_18) as prices:
        found = await prices.region_prices("eastus")
    assert (found.usable_ms, found.problem, found.as_of) == (None, "", "2026-06-18")


# --- the last good list


class KeptFeed:
    """A process that reads one feed again and again, with a clock, and keeps what it read in a folder."""

    def __init__(self, folder: Path, port: int = 0):
        self.folder = folder
        self.now = JUNE_18 + 100 * DAY
        self.asked = 0
        self.port = port

    async def ask(self, *bodies: bytes, status: int = 200, after_ms: int = 0, fresh_ms: int = 0) -> Any:
        """Serve these pages under the feed's one address, and read the region once."""
        self.now += after_ms
        pages = Pages(*bodies, status=status, port=self.port)
        async with pages:
            self.port = pages.port
            settings = PriceSettings(base_url=pages.url, cache_folder=str(self.folder), fresh_ms=fresh_ms)
            async with Prices(settings, now_ms=lambda: self.now) as prices:
                found = await prices.region_prices("eastus")
        self.asked = len(pages.asked)
        return found


async def test_a_list_of_nonsense_leaves_the_last_good_one_with_its_age(tmp_path: Path) -> None:
    feed = KeptFeed(tmp_path)
    await feed.ask(_page(SOUND))
    found = await feed.ask(b"<html>", after_ms=2 * DAY)
    assert (found.of("Standard_DC4es_v6"), found.as_of, found.age_ms) == (202_000, "2026-09-26", 2 * DAY)
    assert found.usable_ms == 5 * DAY
    assert "an HTML page" in found.problem
    found = await feed.ask(_page(SOUND | {"retailPrice": 0.5}), after_ms=DAY)
    assert (found.of("Standard_DC4es_v6"), found.as_of, found.problem, found.usable_ms) == (500_000, "", "", 7 * DAY)


async def test_a_list_that_has_lost_everything_is_nonsense(tmp_path: Path) -> None:
    feed = KeptFeed(tmp_path)
    await feed.ask(_page(SOUND))
    found = await feed.ask(_page())
    assert (found.of("Standard_DC4es_v6"), "it had 1 sizes before" in found.problem) == (202_000, True)


async def test_another_process_finds_it_on_disk(tmp_path: Path) -> None:
    first = KeptFeed(tmp_path)
    await first.ask(_page(SOUND))
    other = KeptFeed(tmp_path, first.port)
    found = await other.ask(b"", status=503, after_ms=8 * DAY)
    assert (found.of("Standard_DC4es_v6"), found.usable_ms) == (202_000, -DAY)


async def test_a_fresh_one_is_not_asked_for_again(tmp_path: Path) -> None:
    first = KeptFeed(tmp_path)
    await first.ask(_page(SOUND))
    other = KeptFeed(tmp_path, first.port)
    found = await other.ask(_page(SOUND | {"retailPrice": 0.5}), after_ms=3_599_999, fresh_ms=3_600_000)
    assert (found.of("Standard_DC4es_v6"), found.problem, other.asked) == (202_000, "", 0)
    found = await other.ask(_page(SOUND | {"retailPrice": 0.5}), after_ms=1, fresh_ms=3_600_000)
    assert (found.of("Standard_DC4es_v6"), other.asked) == (500_000, 1)


KEPT = Kept(origin="o", region="eastus", currency="USD", read_at_ms=JUNE_18, micro_usd_per_hour={"a": 5})


@pytest.mark.parametrize(
    ("spoil", "now_ms"),
    [
        pytest.param(lambda _: b"", JUNE_18, id="empty"),
        pytest.param(lambda body: body[: len(body) // 2], JUNE_18, id="half of it"),
        pytest.param(lambda body: body.replace(b":5", b":-5"), JUNE_18, id="a negative price"),
        pytest.param(lambda body: body.replace(b":5", b":0"), JUNE_18, id="a price of nothing"),
        pytest.param(lambda body: body.replace(b"eastus", b"westus"), JUNE_18, id="another region's"),
        pytest.param(lambda body: body.replace(b'"o"', b'"p"'), JUNE_18, id="another feed's"),
        pytest.param(lambda body: body + b" " * 9_000_000, JUNE_18, id="too large"),
        pytest.param(lambda body: body, JUNE_18 - 3_600_001, id="from the future"),
    ],
)
def test_what_can_not_be_believed_on_disk_is_not_there(tmp_path: Path, spoil: Any, now_ms: int) -> None:
    cache = PriceCache(str(tmp_path / "deep" / "er"), "o")
    assert cache.store(KEPT)
    assert cache.load("eastus", JUNE_18) == KEPT
    (file,) = (tmp_path / "deep" / "er").iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    assert cache.load("eastus", now_ms) is None


def test_a_folder_that_can_not_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = PriceCache(str(tmp_path / "file" / "under"), "o")
    assert (cache.store(KEPT), cache.load("eastus", JUNE_18)) == (False, None)
    odd = PriceCache(str(tmp_path), "o")
    assert odd.load("../../etc/passwd", JUNE_18) is None


# --- anything at all


_AMOUNTS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**30), 10**30),
    st.sampled_from([0.101, 0.202, 0.3]),
)
_ROWS = st.lists(
    st.builds(
        lambda price, change: ROW | {"retailPrice": price} | change,
        _AMOUNTS,
        st.sampled_from([{}, {"armSkuName": "Standard_DC4es_v6"}, {"skuName": "x Spot"}, {"productName": "Windows"}]),
    ),
    max_size=6,
)


@given(_ROWS)
def test_a_price_is_never_lower_than_any_row_of_its_size(rows: list[dict[str, Any]]) -> None:
    reader = Rows("eastus", snapshot_prices("eastus").micro_usd_per_hour)
    try:
        reader.read(_page(*rows))
        plain, spot = reader.prices(), reader.prices(spot=True)
    except RemoteError:
        return
    for row in rows:
        if "Windows" in row["productName"]:
            continue
        found = (spot if "Spot" in row["skuName"] else plain).get(row["armSkuName"].casefold())
        assert found is None or found >= row["retailPrice"] * 1_000_000 - 1e-6
        assert found is None or 500 <= found <= 10_000_000_000


@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=10) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["Items", "NextPageLink", "BillingCurrency", "retailPrice", "armSkuName", "currencyCode", "x"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_whatever_comes_is_prices_or_a_clear_error(body: bytes) -> None:
    reader = Rows("eastus", {})
    told: RemoteError | None = None
    try:
        reader.read(body)
        assert all(price > 0 for price in reader.prices().values())
    except RemoteError as error:
        told = error
    assert told is None or (told.kind == "Protocol" and len(str(told)) < 600)


async def test_without_an_address_nothing_is_asked():
    async with Prices(PriceSettings(base_url=""), now_ms=lambda: JUNE_18) as prices:
        assert (await prices.region_prices("westeurope")).of("Standard_DC4es_v6") == 242_000


def test_the_snapshot_knows_nothing_of_pairs_that_are_not_sold():
    assert snapshot_prices("eastus2").of("Standard_DC2es_v6") is None
    assert snapshot_prices("atlantis").micro_usd_per_hour == {}
