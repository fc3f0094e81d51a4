"""Kubernetes quantities, durations and money as integers.

Resources are millicores and bytes, money is micro-USD, time is milliseconds: the core never compares floats. Grammar of quantities:
Kubernetes' ``resource.Quantity`` (sign, decimal number, suffix n u m k M G T P E Ki Mi Gi Ti Pi Ei or exponent), rounded up to nano
as there; what Kubernetes would cap at 2^63-1 is refused, as nobody means it. Durations: Go's ``time.ParseDuration`` as far as
policies use it (h, m, s, ms), and d for 24 hours.
"""

import re
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Final

from burster.model.errors import QuantityError


MILLIS_PER_SECOND: Final = 1_000
MILLIS_PER_HOUR: Final = 3_600_000
MICRO_USD_PER_USD: Final = 1_000_000
MONEY_MAX_USD: Final = 10**9
#: Kubernetes caps quantities at 2^63-1; what is larger is a typing error, not a machine.
QUANTITY_MAX: Final = 2**63 - 1

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?P<suffix>[eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?"
)
_SUFFIXES: Final[dict[str, Decimal]] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_MONEY = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")
_DURATION_UNITS: Final[dict[str, int]] = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION_MAX_MS: Final = 366 * 86_400_000
#: longer text is no number that somebody typed
_TEXT_MAX: Final = 64
#: digits enough to keep any number of _TEXT_MAX characters times any suffix exact: rounding happens once, and upwards
_EXACT: Final = Context(prec=2_200)
_NANO: Final = Decimal("1e-9")


def _parse(text: str, what: str, example: str) -> Decimal:
    match = _QUANTITY.fullmatch(text) if len(text) <= _TEXT_MAX else None
    if match is None:
        raise QuantityError(f"{_shown(text)} is no {what}: write it as Kubernetes does, for example {example}")
    suffix = match["suffix"] or ""
    scale = _SUFFIXES[suffix] if suffix in _SUFFIXES else Decimal(f"1{suffix}")
    value = _EXACT.multiply(Decimal(match["number"]), scale)
    if value < 0:
        raise QuantityError(f"{text!r} is negative: a {what} is 0 or more, for example {example}")
    if value > QUANTITY_MAX:
        raise QuantityError(f"{text!r} is larger than any {what} Kubernetes accepts (2^63-1)")
    return value.quantize(_NANO, ROUND_CEILING, _EXACT)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]!r}…"


@lru_cache(maxsize=4096)
def parse_cpu_millicores(text: str) -> int:
    """Return a cpu quantity in millicores, rounded up as Kubernetes does.

    Raises QuantityError for anything else than a non-negative quantity.
    """
    cores = _parse(text, "cpu quantity", '"500m" or "2"')
    millicores = int(_EXACT.multiply(cores, Decimal(1000)).to_integral_value(ROUND_CEILING))
    if millicores > QUANTITY_MAX:
        raise QuantityError(f"{text!r} is more cpu than fits into 2^63-1 millicores: that is surely a typing error")
    return millicores


def parse_milli(text: str) -> int:
    """Return a metric's value in thousandths, rounded away from zero as Kubernetes does (``Quantity.MilliValue``); it may be below 0.

    Raises QuantityError.
    """
    if not text.startswith("-"):
        return parse_cpu_millicores(text)  # the same unit, and the same rounding
    if text[1:2] in {"+", "-"}:
        raise QuantityError(f"{_shown(text)} is no quantity")
    return -parse_cpu_millicores(text[1:])


@lru_cache(maxsize=4096)
def parse_memory_bytes(text: str) -> int:
    """Return a memory quantity in bytes, rounded up. Raises QuantityError."""
    return int(_parse(text, "memory quantity", '"512Mi" or "4Gi"').to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=4096)
def parse_count(text: str) -> int:
    """Return a quantity of whole things (GPUs, pods). Raises QuantityError."""
    value = _parse(text, "whole number", '"1"')
    if value != value.to_integral_value():
        raise QuantityError(f'{text!r} is not a whole number: write for example "1"')
    return int(value)


@lru_cache(maxsize=1024)
def parse_duration_ms(text: str) -> int:
    """Return a duration such as ``30s``, ``5m``, ``1h30m`` in milliseconds; a bare ``0`` is allowed. Raises QuantityError."""
    if text == "0":
        return 0
    position, total = 0, Decimal(0)
    for match in _DURATION_PART.finditer(text) if len(text) <= _TEXT_MAX else ():
        if match.start() != position:
            break
        position = match.end()
        total = _EXACT.add(total, _EXACT.multiply(Decimal(match[1]), Decimal(_DURATION_UNITS[match[2]])))
    if not text or position != len(text):
        raise QuantityError(f'{_shown(text)} is no duration: write for example "30s", "5m" or "1h30m"')
    if total > _DURATION_MAX_MS:
        raise QuantityError(f"{text!r} is longer than a year: that is surely a typing error")
    return int(total.to_integral_value(ROUND_CEILING))  # what isn't 0 doesn't become 0


def parse_micro_usd(text: str) -> int:
    """Return an amount such as ``12.50`` (USD) in micro-USD, rounded half up. Raises QuantityError."""
    if len(text) > _TEXT_MAX or not _MONEY.fullmatch(text):
        raise QuantityError(f'{_shown(text)} is no amount of money: write USD as a number, for example "12.50"')
    value = Decimal(text)
    if value < 0 or value > MONEY_MAX_USD:
        raise QuantityError(f"{text!r} is no amount of money between 0 and {MONEY_MAX_USD} USD")
    return int(_EXACT.multiply(value, Decimal(MICRO_USD_PER_USD)).to_integral_value(ROUND_HALF_UP))


def format_micro_usd(micro_usd: int) -> str:
    """Return ``$1.2345``-style text: four decimals, exact enough to add up by eye."""
    dollars, rest = divmod((abs(micro_usd) + 50) // 100, 10_000)
    sign = "-" if micro_usd < 0 and (dollars or rest) else ""
    return f"{sign}${dollars}.{rest:04d}"


def format_duration_ms(duration_ms: int) -> str:
    """Return the shortest Go-style text for a duration: ``1h5m``, ``30s``, ``250ms``."""
    if duration_ms < MILLIS_PER_SECOND:
        return f"{duration_ms}ms"
    seconds, millis = divmod(duration_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    if millis:
        parts.append(f"{seconds + millis / 1000:g}s")
    elif seconds:
        parts.append(f"{seconds}s")
    return "".join(parts)


def format_memory_bytes(memory_bytes: int) -> str:
    """Return memory in the largest binary unit that divides it, else in bytes: ``4Gi``."""
    for power, suffix in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if memory_bytes and memory_bytes % 1024**power == 0:
            return f"{memory_bytes // 1024**power}{suffix}"
    return str(memory_bytes)


def cost_micro_usd(price_micro_usd_per_hour: int, duration_ms: int) -> int:
    """Return the price of a duration, rounded up to the micro-USD: money is never under-counted."""
    return -(-price_micro_usd_per_hour * duration_ms // MILLIS_PER_HOUR)
