"""What a start takes over from a ledger: what was settled, which bursts were decided, what numbers scaled workloads had before.

A run that was dry has decided and settled nothing in earnest: what it wrote is there to be read, and counts for nothing here. Called by
``store`` alone, over all segments; it never writes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from burster.ledger.backend import Row, Segment
from burster.ledger.rows import decode_decision, spend_of
from burster.model.stimuli import Original, Spend


#: What a run notes about itself where nothing of it was carried out.
DRY_RUN: Final = "dry_run"
#: Codes of the notes on a workload's number, as ``engine.numbers.originals`` decides them.
_NOTED, _RESTORED = "OriginalNoted", "OriginalRestored"
_AMOUNT: Final = "at_ms, burst, uid, policy, target, micro_usd"


def spends(segments: Sequence[Segment]) -> tuple[Spend, ...]:
    """Return what was settled, one entry per burst, oldest first, the larger amount where it was settled twice."""
    found: dict[str, Spend] = {}
    for position, segment in enumerate(segments):
        rows = [] if position else segment.rows(f"SELECT {_AMOUNT} FROM carried ORDER BY id")  # noqa: S608 -- fixed names
        rows += _in_earnest(segment, f"SELECT {_AMOUNT} FROM spend WHERE 1 = 1", ())  # noqa: S608 -- fixed names
        for row in rows:
            spend = spend_of(row)
            key = f"uid {spend.uid}" if spend.uid else f"burst {spend.burst}"
            known = found.get(key)
            if known is None or spend.micro_usd > known.micro_usd:
                found[key] = spend
    return tuple(found.values())


def decided_bursts(segments: Sequence[Segment], since_ms: int) -> tuple[str, ...]:
    """Return the keys of all bursts that were decided since then, sorted."""
    query = "SELECT burst FROM decisions WHERE verdict = 'Burst' AND at_ms >= ?"
    return tuple(sorted({key for segment in segments for (key,) in _in_earnest(segment, query, (since_ms,)) if key}))


def originals(segments: Sequence[Segment], since_ms: int) -> tuple[Original, ...]:
    """Return what number each scaled workload had before its policy first set it, unless it was given back since; by policy."""
    found: dict[str, Original] = {}
    query = "SELECT body FROM decisions WHERE verdict = 'Note' AND code IN (?, ?) AND at_ms >= ?"
    for segment in segments:
        for (body,) in _in_earnest(segment, query, (_NOTED, _RESTORED, since_ms)):
            decision = decode_decision(body)
            if decision.reasons[0].code == _RESTORED:
                found.pop(decision.policy, None)
                continue
            namespace, _, name = decision.subject.partition("/")
            found[decision.policy] = Original(
                policy=decision.policy,
                namespace=namespace,
                kind=decision.kind,
                name=name,
                replicas=decision.reasons[0].numbers["original"],
            )
    return tuple(found[policy] for policy in sorted(found))


def _in_earnest(segment: Segment, query: str, values: tuple[Any, ...]) -> list[Row]:
    """Return what a SELECT with a WHERE finds, in order, without what was written by runs that were dry."""
    dry = list(_dry_steps(segment))
    clause = "".join(" AND NOT step BETWEEN ? AND ?" for _ in dry)
    return segment.rows(f"{query}{clause} ORDER BY id", (*values, *(step for span in dry for step in span)))


def _dry_steps(segment: Segment) -> Iterator[tuple[int, int]]:
    """Yield the first and last step of each dry run: the steps of a run follow one another."""
    for (run,) in segment.rows("SELECT run FROM meta WHERE key = ? AND value = 'true' ORDER BY run", (DRY_RUN,)):
        first, last = segment.rows("SELECT min(step), max(step) FROM steps WHERE run = ?", (run,))[0]
        if first is not None:
            yield first, last
