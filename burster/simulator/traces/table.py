"""Reads a CSV file as numbered records of named cells.

Called by the openb and the native reader. One record is one line: a quote that is never closed is an error on its own line and can't
swallow the rest of the file.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from burster.simulator.traces.lines import Lines, trouble


def read_table(path: Path, lines: Lines, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, cells by column name) for each record. Blank lines and, before the header, lines with # are skipped.

    Raises InputError for a missing or repeated column, a record of the wrong length, an empty file.
    """
    header: list[str] = []
    for number, line in lines:
        if not line.strip() or (not header and line.startswith("#")):
            continue
        cells = _cells(path, number, line)
        if not header:
            header = [cell.strip() for cell in cells]
            _check_header(path, number, header, required)
            continue
        if len(cells) != len(header):
            problem = f"the line has {len(cells)} cells, its header has {len(header)}; give every column a cell"
            raise trouble(path, problem, line=number)
        yield number, dict(zip(header, cells, strict=True))
    if not header:
        raise trouble(path, f"the file is empty; its first line must name the columns {','.join(required)}")


def _cells(path: Path, number: int, line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader((line,), strict=True))
    except (csv.Error, StopIteration) as error:
        problem = f"the line is no CSV ({error}); close every quote on the line where it was opened"
        raise trouble(path, problem, line=number) from None


def _check_header(path: Path, number: int, header: list[str], required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        found = ", ".join(header[:20])
        raise trouble(path, f"the header lacks the column {', '.join(missing)}; it has {found}", line=number)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise trouble(path, f"the header names {', '.join(repeated)} more than once; keep one of them", line=number)
