"""`--watch`: an answer is shown again whenever it has changed, until Ctrl-C (exit code 130, as of every command that is interrupted).

On a terminal a table is painted over; elsewhere one follows the other, JSON as one document a line. What goes wrong on the way is said
once on standard error, and it is asked again: only the first question must succeed.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import msgspec

from burster.cli.asking import Source, note
from burster.cli.output import Form, SheetForm, print_json, print_yaml
from burster.model.errors import BursterError


#: how often somebody is asked again who has just failed to answer
_AGAIN_S: Final = 2.0

T = TypeVar("T")


def show(
    source: Source,
    ask: Callable[[], T],
    tell: Callable[[T], None],
    *,
    output: Form | SheetForm,
    watch: bool,
    document: Callable[[T], Any] | None = None,
) -> None:
    """Ask and print; with ``watch`` for ever. ``tell`` prints tables (and CSV), ``document`` is what JSON and YAML show of an answer."""
    last: bytes | None = None
    answer = ask()
    while True:
        value: Any = answer if document is None else document(answer)
        said = msgspec.msgpack.encode(_without_now(value))
        if said != last:
            if output == "json":
                print_json(value, indent=not watch)
            elif output == "yaml":
                print_yaml(value, another=last is not None)
            else:
                if last is not None:
                    _make_room()
                tell(answer)
            sys.stdout.flush()
            last = said
        if not watch:
            return
        answer = next_answer(source, ask)


def next_answer(source: Source, ask: Callable[[], T]) -> T:
    """Return the next answer, whatever goes wrong before it."""
    complaint = ""
    while True:
        try:
            source.wait()
            return ask()
        except BursterError as error:
            if str(error) != complaint:
                complaint = str(error)
                note(complaint)
            time.sleep(_AGAIN_S)


def _make_room() -> None:
    """Clear a terminal; anywhere else leave an empty line between two tables."""
    sys.stdout.write("\x1b[H\x1b[2J" if sys.stdout.isatty() else "\n")


def _without_now(value: Any) -> Any:
    """Return an answer without the moment of asking: that alone is no change."""
    plain: Any = msgspec.to_builtins(value)
    if not isinstance(plain, dict):
        return plain
    whole = cast("dict[str, Any]", plain)
    status: Any = whole.get("status")
    if isinstance(status, dict):
        whole["status"] = {name: item for name, item in cast("dict[str, Any]", status).items() if name != "at_ms"}
    return {name: item for name, item in whole.items() if name != "at_ms"}
