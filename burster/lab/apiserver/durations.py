"""Durations as kubectl shows them: 5s, 3m12s, 2d4h.

Tables use it; nothing parses it.
"""

from typing import Final

from burster.lab.apiserver.objects import parse_timestamp


_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_YEAR: Final = 365 * _DAY
#: up to this many seconds, and then: the units shown
_STEPS: Final = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def human(seconds: int) -> str:
    """A duration in at most two units."""
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    for limit, unit, letter, fine, fine_letter in _STEPS:
        if seconds < limit:
            whole, rest = divmod(seconds, unit)
            part = rest // fine if fine else 0
            return f"{whole}{letter}{part}{fine_letter}" if part else f"{whole}{letter}"
    return f"{seconds // _YEAR}y"


def age(written: str, now_ms: int) -> str:
    """How long ago a timestamp was."""
    at_ms = parse_timestamp(written) if written else None
    return "<unknown>" if at_ms is None else human((now_ms - at_ms) // 1000)
