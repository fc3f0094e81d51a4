"""The engine's state in files, for somebody who looks for a fault: asked for by SIGUSR2, bounded in size and number.

The state holds names, numbers and what rules say; no secret enters it: Secrets are known by name only, credentials never leave the
clients.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import structlog

from burster.engine import State, snapshot


_log = structlog.get_logger("burster.runtime.dumps")
FILES_MAX: Final = 5
BYTES_MAX: Final = 64 * 1024**2


class StateDumps:
    """A folder of the latest dumps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, state: State, now_ms: int) -> Path | None:
        """Write a state, and remove the oldest dumps; return the file, None where it could not be. Never raises."""
        counts = {"pods": len(state.pods), "bursts": len(state.bursts), "policies": len(state.policies)}
        data = snapshot.dump(state)
        if len(data) > BYTES_MAX:
            _log.warning("state.not_dumped", why=f"it is larger than {BYTES_MAX} bytes", bytes=len(data), **counts)
            return None
        path = self._folder / f"state-{now_ms}.json"
        part = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
            part.replace(path)
        except OSError as error:
            _log.warning("state.not_dumped", why=str(error), bytes=len(data), **counts)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return None
        for old in sorted(self._folder.glob("state-*.json"))[:-FILES_MAX]:
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)
        _log.info("state.dumped", file=str(path), bytes=len(data), **counts)
        return path
