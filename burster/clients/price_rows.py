"""Azure's retail price list as it comes, page by page, and what of it is a price.

Called by burster.clients.prices with the very bytes that came. Amounts are micro-USD per hour of a Linux machine, rounded up. Where the
list names several prices for one size, the highest counts: money is never under-reserved. What can be no price takes its size's price
away and is named. It never raises but RemoteError.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

import msgspec

from burster.model.errors import RemoteError
from burster.model.quantities import MICRO_USD_PER_USD


CURRENCY: Final = "USD"
#: No VM costs more than this per hour, and none less; what claims to is a misreading.
PRICE_MAX_USD: Final = Decimal(10_000)
PRICE_MIN_USD: Final = Decimal("0.0005")
#: A price that is so many times less than the one of the shipped copy is none: prices move by percents.
_FALL_MAX: Final = 10
_LOW_PRIORITY: Final = "low priority"
_SPOT: Final = "spot"
_SHOWN_MAX: Final = 60
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class _Item(msgspec.Struct, rename="camel"):
    retail_price: Decimal
    arm_region_name: str = ""
    arm_sku_name: str = ""
    product_name: str = ""
    sku_name: str = ""
    meter_name: str = ""
    currency_code: str = CURRENCY
    unit_of_measure: str = ""
    type: str = ""
    tier_minimum_units: Decimal = Decimal(0)
    reservation_term: str | None = None


class _Page(msgspec.Struct, rename="pascal"):
    items: list[_Item]
    billing_currency: str = CURRENCY
    next_page_link: str | None = None


class Rows:
    """What the pages of one region's list have said so far. Sizes are in lower case."""

    def __init__(self, region: str, shipped: Mapping[str, int]) -> None:
        """``shipped``: the copy's prices of the region, against which a fall is judged."""
        self._region = region
        self._shipped = shipped
        self._found: dict[bool, dict[str, int]] = {False: {}, True: {}}
        self._doubts: dict[bool, dict[str, str]] = {False: {}, True: {}}

    def read(self, body: bytes) -> str:
        """Take a page in; return where the next one is, "" after the last. Raises RemoteError for what is no price list in USD."""
        what = f"prices of {self._region}"
        try:
            page = msgspec.json.decode(body, type=_Page)
        except (msgspec.DecodeError, RecursionError, ArithmeticError) as error:
            message = f"{what}: the answer makes no sense as a price list: {_shown(body)} ({str(error)[:200]})"
            raise RemoteError("Protocol", message, code="NoPriceList") from None
        if page.billing_currency != CURRENCY:
            raise _wrong_currency(what, page.billing_currency)
        for item in page.items:
            if _is_meant(item, self._region):
                if item.currency_code != CURRENCY:
                    raise _wrong_currency(what, item.currency_code)
                self._take(item)
        return page.next_page_link or ""

    def _take(self, item: _Item) -> None:
        spot = _SPOT in _names(item)
        size, found, doubts = item.arm_sku_name.casefold(), self._found[spot], self._doubts[spot]
        problem = self._problem(item.retail_price, size, spot=spot)
        if problem:
            doubts.setdefault(size, problem)
            return
        price = int((item.retail_price * MICRO_USD_PER_USD).to_integral_value(ROUND_CEILING))
        found[size] = max(price, found.get(size, 0))

    def _problem(self, price: Decimal, size: str, *, spot: bool) -> str:
        """Return why an amount can be no price of a size; "" where it can."""
        if not (price.is_finite() and PRICE_MIN_USD <= price <= PRICE_MAX_USD):
            return f"{str(price)[:_SHOWN_MAX]} USD an hour"
        before = 0 if spot else self._shipped.get(size, 0)
        if price * MICRO_USD_PER_USD * _FALL_MAX < before:
            return f"{str(price)[:_SHOWN_MAX]} USD an hour, where it was {Decimal(before) / MICRO_USD_PER_USD}"
        return ""

    def prices(self, *, spot: bool = False) -> dict[str, int]:
        """Return the prices that nothing speaks against. Raises RemoteError where there are rows, and not one of them is a price."""
        doubts = self._doubts[spot]
        good = {size: price for size, price in self._found[spot].items() if size not in doubts}
        if doubts and not good and not spot:
            size, said = min(doubts.items())
            message = f"prices of {self._region}: not one row is a price; of {size} the list says {said}"
            raise RemoteError("Protocol", message, code="NoPrices")
        return good

    def doubts(self) -> dict[str, str]:
        """Return what the list says of a size in place of a price."""
        return {**{f"{size}/spot": said for size, said in self._doubts[True].items()}, **self._doubts[False]}


def _is_meant(item: _Item, region: str) -> bool:
    """Say whether a row is about a Linux machine by the hour, on demand or spot, in the region."""
    return not (
        not item.arm_sku_name
        or item.arm_region_name != region
        or item.unit_of_measure != "1 Hour"
        or item.type != "Consumption"
        or item.reservation_term
        or item.tier_minimum_units
        or "windows" in item.product_name.casefold()
        or _LOW_PRIORITY in _names(item)
    )


def _names(item: _Item) -> str:
    return f"{item.sku_name} {item.meter_name}".casefold()


def _wrong_currency(what: str, currency: str) -> RemoteError:
    said = _UNPRINTABLE.sub("?", currency)[:_SHOWN_MAX] or "no currency"
    message = f"{what}: the list is in {said}, and burster counts in {CURRENCY} only: ask for a list in {CURRENCY}"
    return RemoteError("Protocol", message, code="WrongCurrency")


def _shown(body: bytes) -> str:
    """Return what an answer that is no price list seems to be."""
    start = body[:4_096].lstrip()
    if start.startswith(b"<"):
        title = _TITLE.search(start)
        named = f" titled {_plain(title[1])!r}" if title else ""
        return f"an HTML page{named}"
    return f"it begins with {_plain(start)!r}" if start else "it is empty"


def _plain(text: bytes) -> str:
    return _UNPRINTABLE.sub("?", text[:_SHOWN_MAX].decode("utf-8", "replace")).strip()
