"""Loads a trace: tells its format, reads it within bounds, cuts the slice that was asked for.

Called by the commands, by scenarios and by the lab's trace player. Never changes durations or resources of what it keeps.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Final, Literal

import msgspec

from burster.simulator.traces import native, openb
from burster.simulator.traces.lines import Lines, read_lines, trouble
from burster.simulator.traces.model import ENTRIES_MAX, Trace, TraceEntry, TraceFormat


FormatChoice = Literal["auto", "openb", "csv", "jsonl"]
#: Where a dense stretch is looked for first: no two arrivals in it are further apart.
_GAP_MS_FIRST: Final = 3_600_000
_LINES_BEFORE_MAX: Final = 10_000


def read_trace(
    path: Path | str, fmt: FormatChoice = "auto", *, limit: int | None = None, namespace: str = "default"
) -> Trace:
    """Read a trace file, or the slice of ``limit`` entries that tells most.

    openb: rows that can't be used are dropped and counted; a slice is the first dense stretch of that many pods (see dense_start);
    times start at 0. burster's own formats: a slice is the first entries; times stay as they are.
    ``namespace`` is for traces that know none. Raises InputError naming file, line and column.
    """
    path = Path(path)
    chosen, lines = tell_format(path) if fmt == "auto" else (fmt, read_lines(path))
    dropped: dict[str, int] = {}
    rows_read = 0
    entries: list[TraceEntry] = []
    for line, entry in _rows(path, lines, chosen, limit, namespace):
        rows_read += 1
        if isinstance(entry, str):
            dropped[entry] = dropped.get(entry, 0) + 1
            continue
        if len(entries) >= ENTRIES_MAX:
            problem = f"the trace has more than {ENTRIES_MAX} entries; split it, or take a slice with --limit"
            raise trouble(path, problem, line=line)
        entries.append(entry)
    if not entries:
        raise trouble(path, _nothing(rows_read, dropped))
    start_ms = 0
    if chosen == "openb":
        if limit is not None and limit < len(entries):
            first = dense_start([entry.arrival_ms for entry in entries], limit)
            dropped[f"outside the slice of {limit}"] = len(entries) - limit
            entries = entries[first : first + limit]
        start_ms = entries[0].arrival_ms
        entries = [msgspec.structs.replace(entry, arrival_ms=entry.arrival_ms - start_ms) for entry in entries]
    return Trace(
        source=str(path),
        format=chosen,
        entries=tuple(entries),
        rows_read=rows_read,
        dropped=dropped,
        rebased_from_ms=start_ms,
    )


def tell_format(path: Path) -> tuple[TraceFormat, Lines]:
    """Tell a trace's format by its first line with something in it; return it with all of its lines. Raises InputError."""
    lines = read_lines(path)
    seen: list[tuple[int, str]] = []
    for number, line in lines:
        if len(seen) >= _LINES_BEFORE_MAX:
            raise trouble(path, f"nothing but empty lines and comments up to line {number}; is this a trace?")
        seen.append((number, line))
        if not line.strip() or line.startswith("#"):
            continue
        if line.lstrip().startswith("{"):
            return "jsonl", chain(seen, lines)
        names = {cell.strip().strip('"') for cell in line.split(",")}
        if "arrival_ms" in names:
            return "csv", chain(seen, lines)
        if names & {"cpu_milli", "creation_time", "scheduled_time"}:
            return "openb", chain(seen, lines)
        problem = (
            "this is no header of a trace that burster knows; "
            "expected burster's own (arrival_ms,name,...), JSON lines, or openb's (name,cpu_milli,...)"
        )
        raise trouble(path, problem, line=number)
    raise trouble(path, "the file is empty; make a trace with `burster trace generate`")


def dense_start(arrivals_ms: Sequence[int], count: int) -> int:
    """Return where the first dense stretch of ``count`` arrivals starts.

    Dense: no two neighbours more than 1 h apart. Where there is no such stretch the bound is doubled until there is one: real traces
    start with days in which nothing happens, and a slice of those would show nothing.
    """
    gap_ms = _GAP_MS_FIRST
    while True:
        start = 0
        for index, (before, after) in enumerate(pairwise(arrivals_ms), start=1):
            if index - start >= count:
                return start
            if after - before > gap_ms:
                start = index
        if len(arrivals_ms) - start >= count:
            return start
        gap_ms *= 2


def _rows(
    path: Path, lines: Lines, fmt: TraceFormat, limit: int | None, namespace: str
) -> Iterator[tuple[int, TraceEntry | str]]:
    if fmt == "openb":
        # the whole file: where its dense part is shows only at the end
        return openb.read_openb(path, lines, namespace)
    return islice(native.read_csv(path, lines) if fmt == "csv" else native.read_jsonl(path, lines), limit)


def _nothing(rows_read: int, dropped: dict[str, int]) -> str:
    if not rows_read:
        return "the file has a header and no records; make a trace with `burster trace generate`"
    why = "; ".join(f"{count} {reason}" for reason, count in dropped.items())
    return f"none of the {rows_read} records can be used ({why}); choose another trace"
