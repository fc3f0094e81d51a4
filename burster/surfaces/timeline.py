"""How a run went over time, as a bounded number of samples: what the report draws its curves from.

Fed with every StatusView that is shown anyway. When the room is full every second sample is dropped and the interval doubles, so an
hour and a month cost the same.
"""

from typing import Final

import msgspec

from burster.surfaces.view import StatusView
from burster.surfaces.words import percent


SAMPLES_MAX: Final = 1_000
_NOT_RUNNING: Final = frozenset({"Reserved", "Released", "Failed"})


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One moment."""

    at_ms: int
    cpu_percent: int
    memory_percent: int
    pending: int
    bursts: int
    spent_micro_usd: int  #: settled and running together


class Timeline:
    """The samples so far, in order of time."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._interval_ms = 0

    def add(self, view: StatusView) -> None:
        """Take a view's numbers, unless the last sample is too near to be worth another."""
        sample = sample_of(view)
        if self._samples:
            last = self._samples[-1]
            if sample.at_ms < last.at_ms + self._interval_ms:
                return
            # on a flat stretch only its two ends are kept
            if len(self._samples) > 1 and _alike(sample, last) and _alike(last, self._samples[-2]):
                self._samples[-1] = sample
                return
        self._samples.append(sample)
        if len(self._samples) > SAMPLES_MAX:
            self._thin_out()

    def _thin_out(self) -> None:
        span = self._samples[-1].at_ms - self._samples[0].at_ms
        self._interval_ms = max(self._interval_ms * 2, span * 2 // SAMPLES_MAX, 1)
        self._samples = self._samples[::2]

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples, oldest first."""
        return tuple(self._samples)


def _alike(one: Sample, other: Sample) -> bool:
    return msgspec.structs.replace(one, at_ms=other.at_ms) == other


def sample_of(view: StatusView) -> Sample:
    """Return a view's numbers."""
    used, there = view.onprem.used, view.onprem.allocatable
    return Sample(
        at_ms=view.at_ms,
        cpu_percent=percent(used.cpu_millicores, there.cpu_millicores),
        memory_percent=percent(used.memory_bytes, there.memory_bytes),
        pending=view.pending_total,
        bursts=sum(count for phase, count in view.bursts_by_phase.items() if phase not in _NOT_RUNNING),
        spent_micro_usd=view.spent_micro_usd + view.accruing_micro_usd,
    )
