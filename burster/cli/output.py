"""How commands print: JSON documents and tables on standard output, everything else on standard error."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer


if TYPE_CHECKING:
    from rich.console import Console


Output = Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="How to print it.")]


def print_json(value: Any) -> None:
    """Print one JSON document, indented, and nothing else."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def console(*, stderr: bool = False) -> "Console":
    """Return a console. Without a terminal it is wide enough not to break lines that a script may read."""
    from rich.console import Console

    wide = None if (sys.stderr if stderr else sys.stdout).isatty() else 200
    return Console(stderr=stderr, highlight=False, width=wide)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table; a column whose name ends in ``#`` is aligned right. ``empty`` is said where there are no rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    count = 0
    for row in rows:
        count += 1
        # Text, so that a name with brackets is not taken for markup
        table.add_row(*(Text(str(cell)) for cell in row))
    if count:
        console().print(table)
    else:
        sys.stdout.write(f"{empty}\n")


def line(text: str = "") -> None:
    """Print a line on standard output."""
    sys.stdout.write(f"{text}\n")
