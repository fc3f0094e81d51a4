"""When a segment of the ledger is full or old, what the next one takes over from it, and how long sealed ones are kept.

A segment begins with the hash before it, the engine's state, and every amount that was settled lately enough for a budget to ask for: so
any number of older segments may be removed without budgets forgetting anything. Older amounts go with their segments.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from burster.ledger.backend import Backend
from burster.ledger.rows import rows_of_opening
from burster.model.stimuli import Spend


DAY_MS: Final = 86_400_000
#: The longest budget window is a month of 31 days; twice that and a bit, so that last month's sum can be told too.
CARRIED_MS: Final = 63 * DAY_MS
#: Asking how large a segment is costs a query: not at each step.
_STEPS_BETWEEN: Final = 256


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds: of the segment that is written, and of the sealed ones. Zero: none."""

    segment_bytes: int = 256 * 1024**2
    segment_ms: int = 30 * DAY_MS
    keep_segments: int = 15
    keep_ms: int = 400 * DAY_MS


class Rotator:
    """Rotates one writer's ledger."""

    def __init__(self, backend: Backend, bounds: Rotation) -> None:
        self._backend = backend
        self._bounds = bounds
        self._run = 0
        self._notes: Mapping[str, str] = {}
        self._asked = 0
        self._began_ms: int | None = None
        self._owed = False

    def began(self, run: int, notes: Mapping[str, str]) -> None:
        """Note the run that writes from now on."""
        self._run, self._notes = run, notes

    def due(self, now_ms: int) -> bool:
        """Say whether the newest segment is full, or old."""
        if self._began_ms is None:
            self._began_ms = self._first_ms(now_ms)
        # a clock that was ahead is no reason to wait until it is so late again
        self._began_ms = min(self._began_ms, now_ms)
        if self._bounds.segment_ms and now_ms - self._began_ms >= self._bounds.segment_ms:
            return True
        self._asked += 1
        if self._owed:
            return True
        if not self._bounds.segment_bytes or self._asked % _STEPS_BETWEEN != 1:
            return False
        return self._backend.size_bytes() >= self._bounds.segment_bytes

    def _first_ms(self, now_ms: int) -> int:
        """Return when the newest segment began: the first one has no time of its own."""
        newest = self._backend.segments()[-1]
        began: int = newest.rows("SELECT at_ms FROM opening")[0][0]
        first = newest.rows("SELECT min(at_ms) FROM steps")[0][0]
        return began or first or now_ms

    def rotate(self, head: tuple[int, bytes], now_ms: int, snapshot: bytes, spends: Sequence[Spend]) -> None:
        """Seal at ``head`` (the last step and its hash) and begin the next segment."""
        step, sha256 = head
        number = self._backend.segments()[-1].number + 1
        carried = [spend for spend in spends if spend.at_ms >= now_ms - CARRIED_MS]
        opening, _ = rows_of_opening((number, self._run, step, now_ms), snapshot, sha256, carried, self._notes)
        self._owed = True
        self._backend.rotate(self._run, {"seal": [(step, now_ms, sha256)]}, opening)
        self._began_ms, self._asked, self._owed = now_ms, 0, False

    def prune(self, now_ms: int) -> tuple[int, ...]:
        """Remove sealed segments that are too many, and one that is too old; return their numbers.

        One at a time: a clock that jumps ahead must not cost the whole past.
        """
        removed: list[int] = []
        sealed = list(self._backend.segments()[:-1])
        for position, segment in enumerate(sealed):
            too_many = self._bounds.keep_segments and len(sealed) - position > self._bounds.keep_segments
            rows = segment.rows("SELECT at_ms FROM seal")
            too_old = self._bounds.keep_ms and bool(rows) and now_ms - rows[0][0] > self._bounds.keep_ms
            if not (too_many or (too_old and not removed)):
                break  # a gap in the middle would break the chain
            self._backend.drop(segment.number)
            removed.append(segment.number)
        return tuple(removed)
