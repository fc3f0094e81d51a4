"""Whether a ledger is what was written: complete, decodable, indexed by what it says, and each step chained to all before it.

Reads only. The first kind of damage that is found is told, not what follows from it: after one changed step every later hash is wrong.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from burster.ledger.backend import Row, Segment
from burster.ledger.rows import (
    COLUMNS,
    NOTHING_BEFORE,
    decode_decision,
    decode_stimulus,
    digest_of_notes,
    hash_of_opening,
    hash_of_step,
    index_of_decision,
    index_of_stimulus,
)


_PAGE: Final = 1_000
#: what a torn write could have left behind is among these
_LATEST: Final = 256
_STEP_MAX: Final = 2**63 - 1


def problems(segments: Sequence[Segment], *, at_most: int) -> list[str]:
    """Return what is wrong, each in a sentence; empty where all is well. The first segment may be a later one than number 1."""
    for check in (_structure, _contents, _chain):
        found = list(islice(check(segments), at_most))
        if found:
            return found
    return []


def first_problem(segments: Sequence[Segment]) -> str:
    """Return what must be seen before anything is written behind these segments, in a sentence; empty where nothing is found.

    That is what costs little: the newest segment's pages, every amount of money with the step that it was settled in, and the latest
    steps. All else is for ``problems``.
    """
    newest = segments[-1]
    checks = (
        newest.problems(quick=True),
        *(_openings(segments)),
        *(_settlements(each) for each in segments),
        _latest(newest),
    )
    return next((one for check in checks for one in check), "")


def _openings(segments: Sequence[Segment]) -> Iterator[list[str]]:
    for segment in segments:
        row = segment.rows(f"SELECT {', '.join(COLUMNS['opening'])} FROM opening")  # noqa: S608 - fixed names
        carried = segment.rows(f"SELECT {', '.join(COLUMNS['carried'])} FROM carried ORDER BY id")  # noqa: S608 - the same
        if len(row) != 1 or hash_of_opening(tuple(row[0][:-1]), carried) != bytes(row[0][-1]):
            yield [f"the chain breaks at the beginning of {segment.name}: it was changed after it was written"]


def _settlements(segment: Segment) -> Iterator[str]:
    wanted = {step for (step,) in segment.rows("SELECT step FROM steps WHERE spends <> 0")}
    wanted |= {step for (step,) in segment.rows("SELECT DISTINCT step FROM spend")}
    yield from _changed(segment, sorted(wanted))


def _latest(segment: Segment) -> Iterator[str]:
    yield from _changed(
        segment,
        sorted(step for (step,) in segment.rows("SELECT step FROM steps ORDER BY step DESC LIMIT ?", (_LATEST,))),
    )


def _changed(segment: Segment, wanted: Sequence[int]) -> Iterator[str]:
    """Yield which of some steps are not what their hash says, each taken with the hash that is beside the one before it."""
    notes = _notes(segment)
    for first, last in _stretches(wanted):
        before = segment.rows("SELECT sha256 FROM steps WHERE step = ?", (first - 1,)) or segment.rows(
            "SELECT sha256 FROM opening"
        )
        count = 0
        for step, expected, found in _steps(segment, bytes(before[0][0]), notes, first, last):
            count += 1
            if expected != found:
                yield f"the chain breaks at step {step}: it, or a hash, was changed after it was written"
        if count != last - first + 1:
            yield f"{last - first + 1 - count} of the steps {first} to {last} are missing"


def _stretches(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each row of successive numbers."""
    start = 0
    for at, number in enumerate(numbers):
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            yield numbers[start], number
            start = at + 1


def _structure(segments: Sequence[Segment]) -> Iterator[str]:
    before: int | None = None
    for segment in segments:
        yield from segment.problems()
        for table in ("stimuli", "decisions", "spend"):
            column = {"spend": "spends"}.get(table, table)
            query = (
                f"SELECT s.step, s.{column}, count(r.id) FROM steps s LEFT JOIN {table} r ON r.step = s.step "  # noqa: S608
                f"GROUP BY s.step, s.{column} HAVING s.{column} <> count(r.id) ORDER BY s.step"
            )
            for step, wanted, found in segment.rows(query):
                yield f"step {step} recorded {wanted} {table}, the file holds {found}"
        openings = segment.rows("SELECT segment, step FROM opening")
        if [number for number, _ in openings] != [segment.number]:
            yield f"{segment.name} is not segment {segment.number}: its opening says otherwise"
            return
        first = openings[0][1]
        if before is not None and first != before:
            yield f"{segment.name} begins after step {first}, and what is before it ends with step {before}"
        count, last = segment.rows("SELECT count(*), coalesce(max(step), 0) FROM steps")[0]
        last = last or first
        if last - first != count:
            yield f"{last - first - count} of {last - first} steps are missing"
        before = last


def _contents(segments: Sequence[Segment]) -> Iterator[str]:
    for segment in segments:
        yield from _contents_of(segment, "stimuli", COLUMNS["stimuli"][2:-1], _stimulus_index)
        yield from _contents_of(segment, "decisions", COLUMNS["decisions"][1:-1], _decision_index)


def _stimulus_index(body: bytes) -> Row:
    return index_of_stimulus(decode_stimulus(body))


def _decision_index(body: bytes) -> Row:
    return index_of_decision(decode_decision(body))


def _contents_of(segment: Segment, table: str, said: Sequence[str], ask: Callable[[bytes], Row]) -> Iterator[str]:
    last = 0
    query = f"SELECT id, body, {', '.join(said)} FROM {table} WHERE id > ? ORDER BY id LIMIT {_PAGE}"  # noqa: S608 - fixed names
    while page := segment.rows(query, (last,)):
        for number, body, *indexed in page:
            last = number
            try:
                meant = ask(body)
            except msgspec.DecodeError as error:
                yield f"record {number} of {table} can't be decoded: {error}"
                continue
            if tuple(indexed) != meant:
                yield f"record {number} of {table} is found under {indexed}, and says {list(meant)}"


def _chain(segments: Sequence[Segment]) -> Iterator[str]:
    head: bytes | None = None
    for segment in segments:
        opening = segment.rows(f"SELECT {', '.join(COLUMNS['opening'])} FROM opening")[0]  # noqa: S608 - fixed names
        carried = segment.rows(f"SELECT {', '.join(COLUMNS['carried'])} FROM carried ORDER BY id")  # noqa: S608 - the same
        *told, written = opening
        previous = bytes(told[-1])
        expected = head if head is not None else NOTHING_BEFORE if segment.number == 1 else previous
        if previous != expected:
            yield f"the chain breaks at the beginning of {segment.name}: it does not follow from what is before it"
            return
        head = hash_of_opening(tuple(told), carried)
        if head != bytes(written):
            yield f"the chain breaks at the beginning of {segment.name}: it was changed after it was written"
            return
        notes = _notes(segment)
        for step, expected_hash, found in _steps(segment, head, notes, 0, _STEP_MAX):
            if expected_hash != found:
                yield f"the chain breaks at step {step}: it, or a hash, was changed after it was written"
                return
            head = found
        for last, sha256 in segment.rows("SELECT step, sha256 FROM seal"):
            if bytes(sha256) != head:
                yield f"{segment.name} was sealed at step {last} with another hash than its last step has"
                return


def _notes(segment: Segment) -> dict[int, str]:
    runs: dict[int, dict[str, str]] = {}
    for run, key, value in segment.rows("SELECT run, key, value FROM meta"):
        runs.setdefault(run, {})[key] = value
    return {run: digest_of_notes(notes) for run, notes in runs.items()}


def _steps(
    segment: Segment, head: bytes, notes: dict[int, str], begin: int, end: int
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the number of each step from ``begin`` to ``end``, the hash it should have and the one it has; the latter is gone on with.

    ``head``: the hash before the first of them.
    """
    last = begin - 1
    query = f"SELECT {', '.join(COLUMNS['steps'])} FROM steps WHERE step > ? AND step <= ? ORDER BY step LIMIT {_PAGE}"  # noqa: S608 - fixed names
    while page := segment.rows(query, (last, end)):
        first, last = page[0][0], page[-1][0]
        stimuli = _by_step(segment, "stimuli", "body", first, last)
        decisions = _by_step(segment, "decisions", "body", first, last)
        spends = _by_step(segment, "spend", ", ".join(COLUMNS["spend"]), first, last)
        for *told, written in page:
            step, run = told[0], told[1]
            bodies = [bytes(row[1]) for row in (*stimuli.get(step, ()), *decisions.get(step, ()))]
            amounts = [row[1:] for row in spends.get(step, ())]
            found = bytes(written)
            yield step, hash_of_step(head, tuple(told), notes.get(run, ""), bodies, amounts), found
            head = found


def _by_step(segment: Segment, table: str, columns: str, first: int, last: int) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    query = f"SELECT step, {columns} FROM {table} WHERE step BETWEEN ? AND ? ORDER BY id"  # noqa: S608 - fixed names
    for row in segment.rows(query, (first, last)):
        found.setdefault(row[0], []).append(row)
    return found
