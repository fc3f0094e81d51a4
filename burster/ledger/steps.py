"""Steps as they were recorded, read back in pages."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from burster.ledger.backend import Segment
from burster.ledger.rows import decode_decision, decode_stimulus, unpack
from burster.model.decisions import Decision
from burster.model.stimuli import Stimulus


_PAGE: Final = 2_000


class LedgerStep(msgspec.Struct, frozen=True, kw_only=True):
    """One engine step as it was recorded. ``run`` counts the times a controller was started on this ledger.

    ``before`` and ``after`` are snapshots of the engine's state, where there are any: at the beginning of a segment, and after steps that
    could not be recorded.
    """

    step: int
    run: int
    at_ms: int
    stimuli: tuple[Stimulus, ...]
    decisions: tuple[Decision, ...]
    before: bytes = b""
    after: bytes = b""


def steps_of(segment: Segment, opened_in: int, before: bytes) -> Iterator[LedgerStep]:
    """Yield a segment's steps; ``before`` is the snapshot in its opening, of a state of run ``opened_in``."""
    last = -1
    query = f"SELECT step, run, at_ms, snapshot FROM steps WHERE step > ? ORDER BY step LIMIT {_PAGE}"  # noqa: S608 -- a number
    while page := segment.rows(query, (last,)):
        first, last = page[0][0], page[-1][0]
        stimuli = _bodies(segment, "stimuli", first, last)
        decisions = _bodies(segment, "decisions", first, last)
        for step, run, at_ms, after in page:
            yield LedgerStep(
                step=step,
                run=run,
                at_ms=at_ms,
                stimuli=tuple(map(decode_stimulus, stimuli.get(step, ()))),
                decisions=tuple(map(decode_decision, decisions.get(step, ()))),
                # a run that began since has nothing to do with the state of the one that opened the segment
                before=before if run == opened_in else b"",
                after=unpack(after),
            )
            before = b""


def _bodies(segment: Segment, table: str, first: int, last: int) -> Mapping[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    query = f"SELECT step, body FROM {table} WHERE step BETWEEN ? AND ? ORDER BY id"  # noqa: S608 -- fixed names
    for step, body in segment.rows(query, (first, last)):
        found.setdefault(step, []).append(body)
    return found
