"""What is for sale and how much of it may be had: SKUs, sizes, usages and prices as ARM's pages.

Pure functions called by the server's answers, from the catalogue and the lab's declarations.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from burster.lab.arm.catalogue import REGIONS, sizes_in
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError
from burster.lab.arm.quotas import UsageRow
from burster.lab.arm.retail import price_page
from burster.lab.arm.views import disk_sku_view, size_view, sku_view, usage_view


_LOCATION_FILTER = re.compile(r"\s*location\s+eq\s+'([^']*)'\s*", re.IGNORECASE)

Json = dict[str, Any]


def check_region(region: str) -> None:
    """Raise ArmError 400 for a region that doesn't exist."""
    if region not in REGIONS:
        known = ", ".join(REGIONS)
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{region}' and API version '2026-04-01' for type 'locations/usages'. "
            f"The supported api-versions are '2024-07-01, 2025-04-01, 2026-04-01'. The supported locations are '{known}'.",
        )


def prices(config: ArmConfig, query: Mapping[str, str], url: str) -> Json:
    """Return one page of the public price list; ArmError 400."""
    skip = query.get("$skip", "0")
    if not skip.isdecimal():
        raise ArmError(400, "BadRequest", "Invalid value for '$skip'.")
    size, url = config.price_page_size, f"{url}/api/retail/prices"
    return price_page(query.get("$filter", ""), int(skip), size, url, config.price_fault)


def skus(config: ArmConfig, query: Mapping[str, str], url: str) -> Json:
    """Return one page of the SKU list; ArmError 400 for a filter that ARM doesn't have."""
    filter_text = query.get("$filter", "")
    match = _LOCATION_FILTER.fullmatch(filter_text)
    if filter_text and match is None:
        raise ArmError(400, "InvalidFilter", "The only supported filter is \"location eq '<region>'\".")
    wanted = match[1].casefold() if match else ""
    regions = [region for region in REGIONS if wanted in {"", region}]
    rows = [
        view
        for region in regions
        for view in (disk_sku_view(region), *(sku_view(size, region, config) for size in sizes_in(region)))
    ]
    if config.skus_empty:
        rows = []
    size, after = config.sku_page_size or len(rows), query.get("$skiptoken", "0")
    begin = int(after) if after.isdecimal() else 0
    answer: Json = {"value": rows[begin : begin + size]}
    if begin + size < len(rows):
        following = f"api-version={query['api-version']}&$filter={quote(filter_text)}&$skiptoken={begin + size}"
        answer["nextLink"] = f"{url}?{following}"
    return answer


def sizes(region: str) -> Json:
    """Return the old list of sizes; ArmError 400 for a region that doesn't exist."""
    check_region(region)
    return {"value": [size_view(size) for size in sizes_in(region)]}


def usages(rows: Iterable[UsageRow]) -> Json:
    """Return a region's usages."""
    return {"value": [usage_view(row) for row in rows]}
