"""How lists and numbers are told in findings. Pure."""

from collections.abc import Sequence
from typing import Final


_NAMED_MAX: Final = 5


def plural(count: int, what: str) -> str:
    """Return ``1 node``, ``2 nodes``."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:_NAMED_MAX])
    return shown if len(names) <= _NAMED_MAX else f"{shown} and {len(names) - _NAMED_MAX} more"
