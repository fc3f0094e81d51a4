"""How commands print: documents and tables on standard output, everything else on standard error.

What comes from a cluster was written by others: control characters in it are shown, not obeyed.
"""

import csv
import io
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import typer


if TYPE_CHECKING:
    from rich.console import Console


Form = Literal["table", "json", "yaml"]
SheetForm = Literal["table", "json", "yaml", "csv"]
Output = Annotated[Form, typer.Option("-o", "--output", help="How to print it.")]
SheetOutput = Annotated[SheetForm, typer.Option("-o", "--output", help="How to print it.")]
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: a spreadsheet takes what begins so for a formula
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def print_json(value: Any, *, indent: bool = True) -> None:
    """Print one JSON document and nothing else; on one line where many follow."""
    encoded = msgspec.json.encode(value)
    sys.stdout.write((msgspec.json.format(encoded, indent=2) if indent else encoded).decode() + "\n")


def print_yaml(value: Any, *, another: bool = False) -> None:
    """Print one YAML document; ``another``: after others."""
    import yaml

    text: str = yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False, allow_unicode=True)
    sys.stdout.write(f"---\n{text}" if another else text)


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a sheet with a line of headings (RFC 4180, but for plain line ends)."""
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(columns)
    for row in rows:
        sheet.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row])
    sys.stdout.write(text.getvalue())


def console(*, stderr: bool = False) -> "Console":
    """Return a console. Without a terminal it is wide enough not to break lines that a script may read."""
    from rich.console import Console

    wide = None if (sys.stderr if stderr else sys.stdout).isatty() else 200
    return Console(stderr=stderr, highlight=False, width=wide)


def shown(text: str) -> str:
    """Return text with its control characters made visible."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


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
        table.add_row(*(Text(shown(str(cell))) for cell in row))
    if count:
        console().print(table)
    else:
        sys.stdout.write(f"{empty}\n")


def line(text: str = "") -> None:
    """Print a line on standard output."""
    sys.stdout.write(f"{shown(text)}\n")
