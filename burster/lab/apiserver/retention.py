"""Which objects have grown too old to keep: a real API server forgets events after an hour.

The store asks it at each write of an event. It deletes nothing itself.
"""

from collections import OrderedDict


class Retention:
    """Keys by the time of their last write."""

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        self._written: OrderedDict[str, int] = OrderedDict()

    def written(self, key: str, now_ms: int) -> list[str]:
        """Note a write, and name the keys whose last one is too long ago."""
        self._written[key] = now_ms
        self._written.move_to_end(key)
        expired: list[str] = []
        while self._written:
            oldest, at_ms = next(iter(self._written.items()))
            if at_ms > now_ms - self._keep_ms:
                break
            del self._written[oldest]
            expired.append(oldest)
        return expired
