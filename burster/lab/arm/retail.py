"""The public price list as pages: what ``/api/retail/prices`` answers.

Called by the server. Beside the price that is meant, a size also has Windows, Spot and Low Priority rows, as in the
real list: a client that takes the first row it finds gets a wrong price here as well. The list can also be wrong in
every way that a client must survive.
"""

import re
from typing import Any, Final
from urllib.parse import quote

from burster.lab.arm.catalogue import PRICES_AS_OF, REGIONS, SPOT_PERCENT, Size, price_micro_usd_per_hour, sizes_in
from burster.lab.arm.declared import PriceFault
from burster.lab.arm.errors import ArmError


_TERM = re.compile(r"\s*(\w+)\s+eq\s+'([^']*)'\s*")
_FILTERABLE: Final = {
    "armRegionName",
    "serviceName",
    "priceType",
    "armSkuName",
    "productName",
    "skuName",
    "serviceFamily",
    "type",
}
#: product suffix, meter suffix, price in percent of the plain Linux one
_VARIANTS: Final = (
    ("", " Spot", SPOT_PERCENT),
    ("", " Low Priority", SPOT_PERCENT),
    (" Windows", "", 150),
    ("", "", 100),
)
#: what a price is told as where the list is wrong
_WRONG: Final[dict[PriceFault, float | str]] = {"Negative": -0.101, "Zero": 0.0, "Text": "n/a", "Huge": 1e300}
#: what a proxy answers in the list's place
HTML: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to continue.</body></html>"


def price_page(filter_text: str, skip: int, page_size: int, url: str, fault: PriceFault = "") -> dict[str, Any]:
    """Return one page; ArmError 400 for a filter that can't be read."""
    wanted = _read_filter(filter_text)
    rows = [row for row in _rows(wanted.get("armRegionName")) if _is_wanted(row, wanted)]
    if fault == "Empty":
        rows = []
    page = [_spoilt(row, fault) for row in rows[skip : skip + page_size]]
    following = skip if fault == "Loop" else skip + len(page)
    more = following < len(rows)
    return {
        "BillingCurrency": "EUR" if fault == "OtherCurrency" else "USD",
        "CustomerEntityId": "Default",
        "CustomerEntityType": "Retail",
        "Items": page,
        "NextPageLink": f"{url}?$filter={quote(filter_text)}&$skip={following}" if more else None,
        "Count": len(page),
    }


def _spoilt(row: dict[str, Any], fault: PriceFault) -> dict[str, Any]:
    if fault == "OtherCurrency":
        return {**row, "currencyCode": "EUR"}
    wrong = _WRONG.get(fault)
    return row if wrong is None else {**row, "retailPrice": wrong, "unitPrice": wrong}


def _read_filter(text: str) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for term in re.split(r"\s+and\s+", text) if text.strip() else ():
        match = _TERM.fullmatch(term)
        if match is None or match[1] not in _FILTERABLE:
            raise ArmError(400, "BadRequest", f"Invalid OData parameters supplied: {term}")
        wanted["type" if match[1] == "priceType" else match[1]] = match[2]
    return wanted


def _is_wanted(row: dict[str, Any], wanted: dict[str, str]) -> bool:
    return all(row[name] == value for name, value in wanted.items())


def _rows(region: str | None) -> list[dict[str, Any]]:
    regions = [region] if region in REGIONS else ([] if region else list(REGIONS))
    return [
        _row(where, size, micro_usd * percent // 100, product, meter)
        for where in regions
        for size in sizes_in(where)
        if (micro_usd := price_micro_usd_per_hour(where, size)) is not None
        for product, meter, percent in _VARIANTS
        if percent != SPOT_PERCENT or size.series.low_priority
    ]


def _row(region: str, size: Size, micro_usd: int, product: str, meter: str) -> dict[str, Any]:
    short = size.name.removeprefix("Standard_").replace("_", " ")
    series = size.series.name.removeprefix("Standard_").replace("{n}", "").replace("_", "")
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": micro_usd / 1_000_000,
        "unitPrice": micro_usd / 1_000_000,
        "armRegionName": region,
        "location": region,
        "effectiveStartDate": f"{PRICES_AS_OF}T00:00:00Z",
        "meterId": f"{region}-{size.name}{product}{meter}".replace(" ", "-").lower(),
        "meterName": f"{short}{meter}",
        "productId": f"lab-{series}",
        "skuId": f"lab-{series}/{size.vcpus}",
        "productName": f"Virtual Machines {series} Series{product}",
        "skuName": f"{short}{meter}",
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": size.name,
    }
