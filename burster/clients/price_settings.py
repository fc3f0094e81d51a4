"""Where prices come from and how old they may be: a value that can be made without paying for a transport."""

from typing import Final

import msgspec


DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the price list is; ``base_url`` empty: only the shipped copy is used, by choice, however old. ``max_pages`` bounds a region.

    ``max_age_ms``: how old a list may be and still be launched by, 0 for any age. ``fresh_ms``: how old one may be that is not asked for
    again. ``cache_folder``: where lists are kept; empty: nowhere.
    """

    base_url: str = "https://prices.azure.com"
    request_timeout_ms: int = 20_000
    max_pages: int = 200
    max_age_ms: int = 7 * DAY_MS
    fresh_ms: int = 0
    cache_folder: str = ""
