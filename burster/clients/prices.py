"""What VM sizes cost: Azure's public retail price list, and a dated copy of it for when that can't be reached.

Called by burster.sources.offerings. Amounts are micro-USD per hour of a plain Linux machine, on demand. Where the
list names several prices for one size, the highest counts: money is never under-reserved. A price it can't be sure of
is left out, and an unknown price is refused later. It must never send a credential: the list is public.
"""

import asyncio
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from functools import cache
from importlib import resources
from typing import Final, Literal, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from burster.model.errors import RemoteError, RemoteKind
from burster.model.quantities import MICRO_USD_PER_USD


_SNAPSHOT: Final = "price_snapshot.json"
_API_VERSION: Final = "2023-01-01-preview"
_PAGE_MAX_BYTES: Final = 8 * 1024 * 1024
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_OK: Final = 200
#: No VM costs more than this per hour; what claims to is a misreading.
_PRICE_MAX_USD: Final = Decimal(10_000)
_REGIONS_MAX: Final = 100
#: The list can't be had now; what it said before still holds better than nothing.
_PASSING: Final[frozenset[RemoteKind]] = frozenset({"Unreachable", "Timeout", "Throttled", "Unavailable"})
_NOT_MEANT: Final = ("spot", "low priority")


class RegionPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a region's prices. Sizes are in lower case; ``as_of`` is the snapshot's date, empty for today's list."""

    region: str
    micro_usd_per_hour: Mapping[str, int]
    origin: Literal["retail", "snapshot"]
    as_of: str = ""

    def of(self, size: str) -> int | None:
        """Return a size's price, None where it is not known."""
        return self.micro_usd_per_hour.get(size.casefold())


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the price list is; ``base_url`` empty: only the snapshot is used. ``max_pages`` bounds what a region may have."""

    base_url: str = "https://prices.azure.com"
    request_timeout_ms: int = 20_000
    max_pages: int = 200


class _Item(msgspec.Struct, rename="camel"):
    retail_price: Decimal
    arm_region_name: str = ""
    arm_sku_name: str = ""
    product_name: str = ""
    sku_name: str = ""
    meter_name: str = ""
    currency_code: str = "USD"
    unit_of_measure: str = ""
    type: str = ""
    tier_minimum_units: Decimal = Decimal(0)
    reservation_term: str = ""


class _Page(msgspec.Struct, rename="pascal"):
    items: list[_Item]
    next_page_link: str | None = None


class _Snapshot(msgspec.Struct):
    as_of: str
    micro_usd_per_hour: dict[str, dict[str, int]]


class Prices:
    """The price list, one region at a time. Close it with ``aclose`` or use it as an async context manager."""

    def __init__(self, settings: PriceSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._last: dict[str, RegionPrices] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def region_prices(self, region: str) -> RegionPrices:
        """Return today's prices; the last ones seen, or else the snapshot's, while the list can't be had.

        Raises RemoteError for a list that makes no sense: then nobody knows what is right.
        """
        if not self._settings.base_url:
            return snapshot_prices(region)
        try:
            prices = await self._fetch(region)
        except RemoteError as error:
            if error.kind not in _PASSING:
                raise
            return self._last.get(region) or snapshot_prices(region)
        if region in self._last or len(self._last) < _REGIONS_MAX:
            self._last[region] = prices
        return prices

    async def _fetch(self, region: str) -> RegionPrices:
        found: dict[str, int] = {}
        url: str | None = f"{self._settings.base_url.rstrip('/')}/api/retail/prices"
        query: dict[str, str] | None = {"api-version": _API_VERSION, "$filter": _filter(region)}
        for _ in range(self._settings.max_pages):
            page = await self._page(url, query, region)
            for item in page.items:
                _take(item, region, found)
            if not page.next_page_link:
                return RegionPrices(region=region, micro_usd_per_hour=found, origin="retail")
            url, query = self._checked_link(page.next_page_link, region), None
        raise RemoteError(
            "Protocol",
            f"prices of {region}: the list has more than {self._settings.max_pages} pages",
            code="TooManyPages",
        )

    def _checked_link(self, link: str, region: str) -> str:
        """Return the next page's address; a list must not send us elsewhere."""
        if urlsplit(link).hostname != urlsplit(self._settings.base_url).hostname:
            raise RemoteError(
                "Protocol", f"prices of {region}: the next page is said to be at another host", code="BadLink"
            )
        return link

    async def _page(self, url: str, query: dict[str, str] | None, region: str) -> _Page:
        if self._session is None:
            local = urlsplit(self._settings.base_url).hostname in {"127.0.0.1", "::1", "localhost"}
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=not local)
        what = f"prices of {region}"
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                async with self._session.get(url, params=query, allow_redirects=False) as response:
                    if response.status != _OK:
                        raise _refused(response, what)
                    body = await _read(response, what)
        except TimeoutError:
            message = f"{what}: no answer within {self._settings.request_timeout_ms} ms"
            raise RemoteError("Timeout", message) from None
        except aiohttp.ClientError as error:
            raise RemoteError("Unreachable", f"{what}: the price list can't be reached: {error}") from error
        try:
            return msgspec.json.decode(body, type=_Page)
        except msgspec.DecodeError as error:
            raise RemoteError("Protocol", f"{what}: the answer makes no sense: {error}") from error


def snapshot_prices(region: str) -> RegionPrices:
    """Return what the shipped copy says of a region; no prices where it knows none."""
    snapshot = _load_snapshot()
    prices = {size.casefold(): price for size, price in snapshot.micro_usd_per_hour.get(region, {}).items()}
    return RegionPrices(region=region, micro_usd_per_hour=prices, origin="snapshot", as_of=snapshot.as_of)


@cache
def _load_snapshot() -> _Snapshot:
    text = resources.files("burster.clients").joinpath(_SNAPSHOT).read_bytes()
    return msgspec.json.decode(text, type=_Snapshot)


def _filter(region: str) -> str:
    return f"armRegionName eq '{region}' and serviceName eq 'Virtual Machines' and priceType eq 'Consumption'"


def _take(item: _Item, region: str, found: dict[str, int]) -> None:
    """Note the row's price if it is the one that is meant: a plain Linux machine by the hour, on demand, in USD."""
    names = f"{item.sku_name} {item.meter_name}".casefold()
    if (
        not item.arm_sku_name
        or item.arm_region_name != region
        or item.currency_code != "USD"
        or item.unit_of_measure != "1 Hour"
        or item.type != "Consumption"
        or item.reservation_term
        or item.tier_minimum_units
        or "windows" in item.product_name.casefold()
        or any(word in names for word in _NOT_MEANT)
        or not 0 < item.retail_price <= _PRICE_MAX_USD
    ):
        return
    price = int((item.retail_price * MICRO_USD_PER_USD).to_integral_value(ROUND_CEILING))
    size = item.arm_sku_name.casefold()
    found[size] = max(price, found.get(size, 0))


async def _read(response: aiohttp.ClientResponse, what: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > _PAGE_MAX_BYTES:
            raise RemoteError("Protocol", f"{what}: a page is larger than {_PAGE_MAX_BYTES} bytes", code="PageTooLarge")
    return bytes(body)


def _refused(response: aiohttp.ClientResponse, what: str) -> RemoteError:
    kind: RemoteKind = "Protocol"
    if response.status == _TOO_MANY:
        kind = "Throttled"
    elif response.status >= _SERVER_ERROR:
        kind = "Unavailable"
    seconds = response.headers.get("Retry-After", "")
    return RemoteError(
        kind,
        f"{what}: the price list answered {response.status}",
        status=response.status,
        retry_after_ms=int(seconds) * 1000 if seconds.isdecimal() else None,
    )
