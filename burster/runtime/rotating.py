"""Has the ledger's segment sealed when it is full or old, with the engine's state at the beginning of the next."""

from typing import Final

import structlog

from burster.engine import StepResult, snapshot
from burster.ledger import Ledger, LedgerUnwritableError
from burster.model.stimuli import Stimulus


_log = structlog.get_logger("burster.runtime.rotating")
#: an attempt that failed (a full disk) is not made again at each step
_PAUSE_MS: Final = 60_000


class Rotating:
    """Is shown each step after it was recorded."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._not_before_ms = 0

    def __call__(self, _stimuli: list[Stimulus], result: StepResult, now_ms: int) -> None:
        """Rotate where it is due. Raises StaleEpochError."""
        if now_ms < self._not_before_ms:
            return
        try:
            if not self._ledger.rotation_due(now_ms):
                return
            step, sha256 = self._ledger.head
            segment, removed = self._ledger.rotate(now_ms, snapshot.dump(result.state))
        except LedgerUnwritableError as error:
            self._not_before_ms = now_ms + _PAUSE_MS
            _log.warning("ledger.not_rotated", message=str(error))
            return
        # Whoever keeps this line can tell later whether anything up to here was changed.
        _log.info("ledger.rotated", segment=segment, sealed_at_step=step, sha256=sha256, removed=removed)
