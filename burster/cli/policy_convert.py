"""`burster policy convert`: KEDA's ScaledObjects and ScaledJobs to BurstPolicies.

The policies go to standard output, or to a file; what could not be carried over is said line by line on standard error, and stands as
comments on top of each policy. An object that makes no sense is named and left out. Exit code 1: there was such a one, or nothing of one
could be carried over, or what came out is no valid policy; 2: something could not be read.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from burster.cli.policy_files import Paths, errors_as_asked, problem_json, stdin_bytes
from burster.files import open_named
from burster.policy.compile import compile_documents
from burster.policy.convert import KEDA_VERSION, KINDS, Conversion, convert_text, one_text
from burster.policy.convert.notes import Converted
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.load import FILE_BYTES_MAX, STDIN, SUFFIXES, load_text


@errors_as_asked
def convert(
    paths: Paths,
    *,
    target: Annotated[str, typer.Option(help="The BurstTarget that the policies go to.")] = "",
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="For objects that name no namespace.")] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the policies to this file.")] = None,
    output: Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")] = "text",
) -> None:
    """Make BurstPolicies of KEDA's ScaledObjects and ScaledJobs; say what could not be carried over."""
    conversions, broken = _conversions(_files(paths), target, namespace)
    converted = [one for conversion in conversions for one in conversion.objects]
    if not converted:
        raise _unreadable(", ".join(paths), f"holds no {' or '.join(KINDS)} of {KEDA_VERSION}: name a file that does")
    text = "---\n".join(one_text(one) for one in converted if one.policy is not None)
    invalid = _check(text, "converted" if out is None else str(out))
    if output == "json":
        _print_json(converted, (*broken, *invalid), sum(conversion.skipped for conversion in conversions))
    else:
        if out is None:
            typer.echo(text, nl=False)
        _tell(converted, broken, invalid)
    if out is not None:
        _write(out, text)
    if broken:
        raise typer.Exit(PolicyErrors(broken).exit_code)
    if invalid or any(one.policy is None for one in converted):
        raise typer.Exit(1)


def _conversions(paths: list[str], target: str, namespace: str) -> tuple[list[Conversion], tuple[Problem, ...]]:
    """Return what each file converts to, and what could not be converted. Raises PolicyErrors where that is everything."""
    made: list[Conversion] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            conversion = convert_text(_read(path), path, target=target, namespace=namespace)
        except PolicyErrors as errors:
            problems += errors.problems
        else:
            made.append(conversion)
            problems += conversion.problems
    if problems and not any(conversion.objects for conversion in made):
        raise PolicyErrors(problems)
    return made, tuple(problems)


def _files(paths: list[str]) -> list[str]:
    files: list[str] = []
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            files += sorted(str(one) for one in Path(path).rglob("*") if one.suffix in SUFFIXES and one.is_file())
        else:
            files.append(path)
    return files


def _read(path: str) -> str:
    try:
        if path == STDIN:
            data = stdin_bytes()
        else:
            with open_named(Path(path)) as file:
                data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _unreadable(path, f"can't be read ({reason}): check the path and its permissions") from None
    if len(data) > FILE_BYTES_MAX:
        raise _unreadable(path, f"larger than {FILE_BYTES_MAX >> 20} MiB, which no ScaledObject is: split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(path, "not UTF-8: save the file as UTF-8") from None
    # JSON may be indented by tabs, YAML may not; one space for each keeps every place
    return text.replace("\t", " ") if path.lower().endswith(".json") else text


def _unreadable(source: str, message: str) -> PolicyErrors:
    return PolicyErrors([Problem(source=source, message=message, unreadable=True)])


def _check(text: str, source: str) -> tuple[Problem, ...]:
    """Return what is wrong with the policies that came out: what KEDA tolerates, burster may not."""
    if not text:
        return ()
    try:
        compile_documents(load_text(text, source))
    except PolicyErrors as errors:
        return errors.problems
    return ()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"can't be written ({error.strerror}): name a file that can be"
        raise PolicyErrors([Problem(source=str(path), message=message, unreadable=True)]) from None


def _tell(converted: list[Converted], broken: tuple[Problem, ...], invalid: tuple[Problem, ...]) -> None:
    for one in converted:
        for note in one.notes:
            word = "not carried over" if note.kind == "dropped" else note.kind
            place = f"{note.source}:{note.line}:{note.column}"
            typer.echo(f"{place}: {word}: {note.path}: {note.message}", err=True)
    for problem in broken:
        typer.echo(f"not converted: {problem}", err=True)
    for problem in invalid:
        typer.echo(f"the policy is not valid yet: {problem}", err=True)


def _print_json(converted: list[Converted], problems: tuple[Problem, ...], skipped: int) -> None:
    from burster.cli.output import print_json

    told: list[dict[str, Any]] = [
        {
            "kind": one.kind,
            "name": one.name,
            "file": one.source,
            "line": one.line,
            "policy": one.policy,
            "notes": [
                {
                    "kind": note.kind,
                    "line": note.line,
                    "column": note.column,
                    "path": note.path,
                    "message": note.message,
                }
                for note in one.notes
            ],
        }
        for one in converted
    ]
    print_json({"objects": told, "problems": [problem_json(one) for one in problems], "skipped": skipped})
