"""Memory that is held and not used, given back to the system. Called by the service at its start and when a lead has read its lists.

Importing the cloud's client library leaves some 60 MiB of freed memory with the C library, a third of what the process has then: by itself
glibc gives memory back from the end of its heap only.
"""

import ctypes
import gc
from collections.abc import Callable
from typing import Any, Final

from burster.engine import StepResult
from burster.model.stimuli import Stimulus


def _find_trim() -> Callable[[int], object]:
    """Return glibc's malloc_trim; where there is another C library, something that does nothing."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return _nothing


def _nothing(_pad: int) -> None:
    """There is nobody to ask."""


_trim: Final[Any] = _find_trim()


def settle() -> None:
    """Collect what the imports left over, take what stays out of every later collection, and give back the rest."""
    gc.collect()
    gc.freeze()
    _trim(0)


class OnceReady:
    """A listener that gives back what reading the first lists took, at the first step that is ready."""

    def __init__(self) -> None:
        self._done = False

    def __call__(self, _stimuli: list[Stimulus], result: StepResult, _now_ms: int) -> None:
        """Look whether it is time."""
        if not self._done and result.state.ready:
            self._done = True
            _trim(0)
