"""What `burster policy` commands read: files, folders and standard input, checked, compiled, and with their texts.

Every problem of every source is raised at once. Called by the commands that need valid policies.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import msgspec
import typer

from burster.cli.policy_rendered import split_rendered
from burster.files import open_named
from burster.model.errors import BursterError, InputError
from burster.model.targets import Target
from burster.policy.compile import Compiled, compile_documents
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.lint.base import Known
from burster.policy.load import FILE_BYTES_MAX, STDIN, Document, load_files, load_text


Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.")]
_Options = ParamSpec("_Options")


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: valid documents, what they compile to, the texts by source, and how many documents were of other kinds."""

    documents: tuple[Document, ...]
    compiled: Compiled
    texts: dict[str, str]
    skipped: int = 0


def read_files(paths: Sequence[str]) -> Files:
    """Return what files, folders and standard input define. Raises PolicyErrors with everything that is wrong."""
    documents: list[Document] = []
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    skipped = 0
    named = [path for path in paths if path not in {STDIN, ""}]
    if "" in paths:
        # what a shell makes of a variable that is not set; as a path it would be the folder one is in
        problems.append(Problem(source='""', message="an empty name: name a file, a folder or -", unreadable=True))
    if named:
        _collect(documents, problems, lambda: load_files(named))
        texts |= {source: text for source in _sources(documents) if (text := _text(source)) is not None}
    if STDIN in paths:
        try:
            skipped = _read_stdin(documents, problems, texts)
        except PolicyErrors as errors:
            problems += errors.problems
    problems += _twice(documents)
    if problems:
        raise PolicyErrors(problems)
    return Files(documents=tuple(documents), compiled=compile_documents(documents), texts=texts, skipped=skipped)


def known_around(targets: Iterable[Target], at_ms: int) -> Known:
    """Return what the lint and the explanation may know: the targets, and the shipped list of their regions' prices."""
    from burster.clients.prices import snapshot_prices

    by_name = {target.name: target for target in targets}
    prices = {
        name: dict(snapshot_prices(target.region).micro_usd_per_hour)
        for name, target in by_name.items()
        if target.provider == "azure"
    }
    return Known(at_ms=at_ms, targets=by_name, list_prices=prices)


def moment_ms(text: str) -> int:
    """Return the time that ``--at`` names, or now where it names none."""
    from burster.runtime.clock import SystemClock

    if not text:
        return SystemClock().now_ms()
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time: write for example 2026-12-24T18:00:00+01:00"
        raise PolicyErrors([Problem(source="--at", message=message, unreadable=True)]) from None
    if moment.tzinfo is None:
        message = f"{text!r} has no time zone: add Z for UTC, or +01:00"
        raise PolicyErrors([Problem(source="--at", message=message, unreadable=True)])
    return round((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * 1000)


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return a problem as `-o json` shows it."""
    return {
        "file": problem.source,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "excerpt": problem.excerpt,
    }


def errors_as_asked(command: Callable[_Options, None]) -> Callable[_Options, None]:
    """Have a command whose output is to be JSON say there what it could not do too, so that a program reads one document always."""

    @functools.wraps(command)
    def told(*arguments: _Options.args, **options: _Options.kwargs) -> None:
        try:
            command(*arguments, **options)
        except BursterError as error:
            if options.get("output") != "json":
                raise
            from burster.cli.output import print_json

            told = error.problems if isinstance(error, PolicyErrors) else (Problem(source="", message=str(error)),)
            print_json({"problems": [problem_json(one) for one in told]})
            raise typer.Exit(getattr(error, "exit_code", 2 if isinstance(error, InputError) else 1)) from None

    return told


def stdin_bytes() -> bytes:
    """Return what standard input holds, one byte more than a file may have at most. Raises PolicyErrors where it can't be read."""
    # a program may be started without any standard input at all
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] (it is None then)
        message = "standard input is closed: pipe something into it, or name a file"
        raise PolicyErrors([Problem(source=STDIN, message=message, unreadable=True)])
    try:
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        message = f"can't be read ({error.strerror}): pipe a file into it, or name one"
        raise PolicyErrors([Problem(source=STDIN, message=message, unreadable=True)]) from None


def _read_stdin(documents: list[Document], problems: list[Problem], texts: dict[str, str]) -> int:
    data = stdin_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if text is None or len(data) > FILE_BYTES_MAX:
        _collect(documents, problems, lambda: load_text(data, STDIN))
        return 0
    parts, skipped = split_rendered(text, STDIN)
    if not parts and skipped:
        message = f"holds no BurstPolicy or BurstTarget among its {skipped} document(s): check what was piped in"
        problems.append(Problem(source=STDIN, message=message, unreadable=True))
        return skipped
    if not parts:
        _collect(documents, problems, lambda: load_text(text, STDIN))
    for part in parts:
        _collect(documents, problems, lambda part=part: load_text(part.text, part.source))
        texts[part.source] = part.text
    return skipped


def _collect(documents: list[Document], problems: list[Problem], load: Any) -> None:
    try:
        documents += load()
    except PolicyErrors as errors:
        problems += errors.problems


def _twice(documents: Iterable[Document]) -> Iterable[Problem]:
    """Yield objects defined in two of the sources that were read one by one."""
    seen: dict[tuple[str, str], Document] = {}
    for document in documents:
        first = seen.setdefault((document.kind, document.key), document)
        if first is not document:
            where = f"{first.source}:{first.line}"
            message = f"{document.kind} {document.key} is already defined in {where}: rename or remove one"
            yield document.problem(("metadata", "name"), message)


def _sources(documents: Iterable[Document]) -> list[str]:
    return list(dict.fromkeys(document.source for document in documents))


def _text(source: str) -> str | None:
    """Return a file's text a second time, for its comments; a pipe can be read once only."""
    path = Path(source)
    try:
        if not path.is_file():
            return None
        with open_named(path) as file:
            return file.read(FILE_BYTES_MAX).decode("utf-8-sig")
    except (OSError, ValueError):
        return None
