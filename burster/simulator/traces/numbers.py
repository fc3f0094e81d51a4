"""Reads the numbers in a trace's cells: whole, finite, never negative, and a clear sentence for anything else.

Called by the readers for every cell, so the good case is one call; the sentences are only made when something is wrong.
"""

import re
from decimal import Decimal
from typing import Final

from burster.model.quantities import MILLIS_PER_SECOND, QUANTITY_MAX


#: 2^63-1 has 19 digits; longer text is not even converted, since converting it takes time that grows with its square.
_DIGITS_MAX: Final = 19
_SECONDS = re.compile(r"\d{1,16}(?:\.\d{1,9})?")
#: A thousand years: later times are typing errors, and sums of them must stay exact everywhere.
TIME_MS_MAX: Final = 1000 * 366 * 86_400_000


class CellError(ValueError):
    """A cell can't be used; the message lacks file, line and column, which the reader knows."""


def whole(text: str) -> int:
    """Return a whole number from 0 to 2^63-1. Raises CellError."""
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        value = int(text)
        if value <= QUANTITY_MAX:
            return value
    raise CellError(_sentence(text, "a whole number, 0 or more"))


def time_ms(text: str) -> int:
    """Return a time or duration that is written in ms. Raises CellError."""
    value = whole(text)
    if value > TIME_MS_MAX:
        raise CellError(f"{text} is more than a thousand years; write a time in ms")
    return value


def seconds_as_ms(text: str) -> int:
    """Return a time that is written in seconds, with or without decimals, in ms, rounded down. Raises CellError."""
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        value = int(text) * MILLIS_PER_SECOND
    elif text.isascii() and _SECONDS.fullmatch(text):
        value = int(Decimal(text) * MILLIS_PER_SECOND)
    else:
        raise CellError(_sentence(text, "a time in seconds, 0 or more"))
    if value > TIME_MS_MAX:
        raise CellError(f"{text} s is more than a thousand years; write a time in seconds")
    return value


def _sentence(text: str, wanted: str) -> str:
    shown = repr(text if len(text) <= 40 else f"{text[:37]}...")  # noqa: PLR2004 - a sentence quotes no novel
    plain = text.strip().lower().lstrip("+-")
    if not plain:
        return f"the cell is empty; write {wanted}"
    if plain in {"nan", "inf", "infinity", "null", "none", "n/a", "na"}:
        return f"{shown} is not a number; write {wanted}, or leave the row out"
    if text.strip().startswith("-"):
        return f"{shown} is negative; write {wanted}"
    return f"{shown} is not what belongs here; write {wanted}"
