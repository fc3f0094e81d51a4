"""Markdown tables."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a pipe inside a cell is escaped."""
    lines = [
        _line(head),
        _line(["---"] * len(head)),
        *(_line([cell.replace("|", "\\|") for cell in row]) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
