"""What VM sizes cost: Azure's public retail price list, the last good one, and a dated copy for when neither can be had.

Called by burster.sources.offerings. Amounts are micro-USD per hour of a plain Linux machine, on demand or as spot. A price it can't be
sure of is left out, and an unknown price is refused later. A list that can't be had or makes no sense is told with what was found, and
the last good one goes on with its age. It must never send a credential: the list is public.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

import aiohttp
import msgspec

from burster.clients.price_cache import Kept, PriceCache
from burster.clients.price_rows import CURRENCY, Rows
from burster.clients.price_settings import PriceSettings
from burster.model.errors import RemoteError, RemoteKind


_SNAPSHOT: Final = "price_snapshot.json"
_API_VERSION: Final = "2023-01-01-preview"
_PAGE_MAX_BYTES: Final = 8 * 1024 * 1024
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_OK: Final = 200
_REGIONS_MAX: Final = 100
#: The list can't be had now; the shipped copy says more than nothing. Of a list that makes no sense nobody knows what is right.
_PASSING: Final[frozenset[RemoteKind]] = frozenset({"Unreachable", "Timeout", "Throttled", "Unavailable"})
_PORTS: Final = {"http": 80, "https": 443}


#: what a caller needs besides the class
__all__ = ["PriceSettings", "Prices", "RegionPrices", "snapshot_prices"]


class RegionPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a region's prices. Sizes are in lower case; ``as_of`` is the list's date, empty for today's list.

    ``usable_ms``: for how long from now they may be launched by, at most 0 where they are too old; None: without limit.
    ``problem``: why this is not today's list. ``doubts``: what the list says in place of a size's price (of spot: ``size/spot``).
    """

    region: str
    micro_usd_per_hour: Mapping[str, int]
    origin: Literal["retail", "snapshot"]
    as_of: str = ""
    spot_micro_usd_per_hour: Mapping[str, int] = {}
    currency: str = CURRENCY
    age_ms: int = 0
    usable_ms: int | None = None
    problem: str = ""
    doubts: Mapping[str, str] = {}

    def of(self, size: str, *, spot: bool = False) -> int | None:
        """Return a size's price, None where it is not known."""
        return (self.spot_micro_usd_per_hour if spot else self.micro_usd_per_hour).get(size.casefold())

    def doubt_of(self, size: str, *, spot: bool = False) -> str:
        """Return what the list says in place of a size's price; "" where it says nothing strange."""
        return self.doubts.get(f"{size.casefold()}/spot" if spot else size.casefold(), "")


class _Snapshot(msgspec.Struct):
    as_of: str
    micro_usd_per_hour: dict[str, dict[str, int]]


class Prices:
    """The price list, one region at a time. Close it with ``aclose`` or use it as an async context manager."""

    def __init__(self, settings: PriceSettings, *, now_ms: Callable[[], int]) -> None:
        """``now_ms``: the clock that lists are dated by, in epoch ms."""
        self._settings = settings
        self._now_ms = now_ms
        self._cache = PriceCache(settings.cache_folder, settings.base_url) if settings.cache_folder else None
        self._session: aiohttp.ClientSession | None = None
        self._last: dict[str, Kept] = {}

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
        """Return today's prices; while they can't be had, the last good ones, or else the snapshot's, with the reason.

        Raises RemoteError for a list that makes no sense where there was no good one before: then nobody knows what is right.
        """
        if not self._settings.base_url:
            return snapshot_prices(region)
        kept = self._kept(region)
        if kept is not None and self._age_ms(kept) < self._settings.fresh_ms:
            return self._of(kept)
        try:
            return await self._fetch(region, kept)
        except RemoteError as error:
            return self._instead(region, kept, error)

    def _kept(self, region: str) -> Kept | None:
        known = self._last.get(region)
        if known is None and self._cache is not None:
            known = self._cache.load(region, self._now_ms())
            if known is not None:
                self._remember(known)
        return known

    def _remember(self, kept: Kept) -> None:
        if kept.region in self._last or len(self._last) < _REGIONS_MAX:
            self._last[kept.region] = kept

    def _age_ms(self, kept: Kept) -> int:
        return max(0, self._now_ms() - kept.read_at_ms)

    def _usable_ms(self, age_ms: int) -> int | None:
        return self._settings.max_age_ms - age_ms if self._settings.max_age_ms else None

    def _of(self, kept: Kept, *, problem: str = "") -> RegionPrices:
        age_ms = self._age_ms(kept)
        return RegionPrices(
            region=kept.region,
            micro_usd_per_hour=kept.micro_usd_per_hour,
            spot_micro_usd_per_hour=kept.spot_micro_usd_per_hour,
            origin="retail",
            as_of=_date(kept.read_at_ms) if problem else "",
            age_ms=age_ms,
            usable_ms=self._usable_ms(age_ms),
            problem=problem,
        )

    def _instead(self, region: str, kept: Kept | None, error: RemoteError) -> RegionPrices:
        """Return the newest list there is in place of today's, and why; raise the error where there is none to be believed."""
        shipped = snapshot_prices(region)
        shipped_ms = _midnight_ms(shipped.as_of)
        if kept is not None:
            last = self._of(kept, problem=str(error))
            usable = last.usable_ms is None or last.usable_ms > 0
            if usable or error.kind not in _PASSING or kept.read_at_ms >= shipped_ms:
                return last
        if error.kind not in _PASSING:
            raise error
        age_ms = max(0, self._now_ms() - shipped_ms)
        return msgspec.structs.replace(shipped, age_ms=age_ms, usable_ms=self._usable_ms(age_ms), problem=str(error))

    async def _fetch(self, region: str, before: Kept | None) -> RegionPrices:
        rows = Rows(region, snapshot_prices(region).micro_usd_per_hour)
        url = f"{self._settings.base_url.rstrip('/')}/api/retail/prices"
        query: dict[str, str] | None = {"api-version": _API_VERSION, "$filter": _filter(region)}
        been = {url}
        for _ in range(self._settings.max_pages):
            link = rows.read(await self._page(url, query, region))
            if not link:
                return self._take(region, rows, before)
            url, query = self._checked_link(link, region), None
            if url in been:
                raise RemoteError(
                    "Protocol", f"prices of {region}: the list's pages go round in a circle", code="PagesLoop"
                )
            been.add(url)
        raise RemoteError(
            "Protocol",
            f"prices of {region}: the list has more than {self._settings.max_pages} pages",
            code="TooManyPages",
        )

    def _take(self, region: str, rows: Rows, before: Kept | None) -> RegionPrices:
        kept = Kept(
            origin=self._settings.base_url,
            region=region,
            currency=CURRENCY,
            read_at_ms=self._now_ms(),
            micro_usd_per_hour=rows.prices(),
            spot_micro_usd_per_hour=rows.prices(spot=True),
        )
        if before is not None and before.micro_usd_per_hour and not kept.micro_usd_per_hour:
            message = f"prices of {region}: the list is empty, and it had {len(before.micro_usd_per_hour)} sizes before"
            raise RemoteError("Protocol", message, code="NoPrices")
        self._remember(kept)
        if self._cache is not None:
            self._cache.store(kept)
        return msgspec.structs.replace(self._of(kept), doubts=rows.doubts())

    def _checked_link(self, link: str, region: str) -> str:
        """Return the next page's address; a list must not send us elsewhere, nor to where others can listen."""
        try:
            same = _server(urlsplit(link)) == _server(urlsplit(self._settings.base_url))
        except ValueError:
            same = False
        if not same:
            raise RemoteError(
                "Protocol", f"prices of {region}: the next page is said to be at another host", code="BadLink"
            )
        return link

    async def _page(self, url: str, query: dict[str, str] | None, region: str) -> bytes:
        if self._session is None:
            local = urlsplit(self._settings.base_url).hostname in {"127.0.0.1", "::1", "localhost"}
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=not local)
        what = f"prices of {region}"
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                async with self._session.get(url, params=query, allow_redirects=False) as response:
                    if response.status != _OK:
                        raise _refused(response, what)
                    return await _read(response, what)
        except TimeoutError:
            message = f"{what}: no answer within {self._settings.request_timeout_ms} ms"
            raise RemoteError("Timeout", message) from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise RemoteError("Unreachable", f"{what}: the price list can't be reached: {error}") from error


def snapshot_prices(region: str) -> RegionPrices:
    """Return what the shipped copy says of a region; no prices where it knows none. It has no prices of spot."""
    snapshot = _load_snapshot()
    prices = {size.casefold(): price for size, price in snapshot.micro_usd_per_hour.get(region, {}).items()}
    return RegionPrices(region=region, micro_usd_per_hour=prices, origin="snapshot", as_of=snapshot.as_of)


@cache
def _load_snapshot() -> _Snapshot:
    text = resources.files("burster.clients").joinpath(_SNAPSHOT).read_bytes()
    return msgspec.json.decode(text, type=_Snapshot)


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def _midnight_ms(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() * 1000)


def _server(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _filter(region: str) -> str:
    return f"armRegionName eq '{region}' and serviceName eq 'Virtual Machines' and priceType eq 'Consumption'"


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
