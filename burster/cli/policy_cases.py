"""`burster policy test`: run policy cases (given this state and these stimuli, expect these decisions).

Registered by ``policy``. Results go to standard output. Exit codes: 0 all as expected, 1 something was not, 2 something could not be
read. The same files run under pytest wherever burster is installed.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from burster.cli.policy_files import errors_as_asked
from burster.policy.errors import PolicyErrors, Problem


if TYPE_CHECKING:
    from burster.simulator.cases.report import FileResult


@errors_as_asked
def run_cases(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with *.cases.yaml files.")],
    *,
    output: Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")] = "text",
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML too.")
    ] = None,
    match: Annotated[str, typer.Option("-k", help="Run only cases whose name contains this text.")] = "",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Name the cases that passed too.")] = False,
) -> None:
    """Run policy cases: what policies must decide, written beside them."""
    from burster.cli.output import line, print_json
    from burster.simulator.cases.load import case_files, load_cases
    from burster.simulator.cases.report import FileResult, as_json, lines
    from burster.simulator.cases.run import run_case

    results: list[FileResult] = []
    problems: list[Problem] = []
    for path in case_files(paths):
        try:
            file = load_cases(path)
        except PolicyErrors as error:
            problems += error.problems
            continue
        begun_s = time.perf_counter()
        cases = tuple(run_case(file, loaded) for loaded in file.cases if match in loaded.case.name)
        results.append(FileResult(path=path, cases=cases, seconds=time.perf_counter() - begun_s))
    if problems:
        raise PolicyErrors(problems)
    if not any(file.cases for file in results):
        message = f"no case has {match!r} in its name: look at the names with -v"
        raise PolicyErrors([Problem(source=", ".join(map(str, paths)), message=message)])
    if junit is not None:
        _write(junit, results)
    if output == "json":
        print_json(as_json(results))
    else:
        for text in lines(results, verbose=verbose):
            line(text)
    if any(file.failed for file in results):
        raise typer.Exit(1)


def _write(path: Path, results: "list[FileResult]") -> None:
    from burster.simulator.cases.report import junit

    try:
        path.write_bytes(junit(results))
    except OSError as error:
        message = f"can't be written ({error.strerror}): name a file that can be"
        raise PolicyErrors([Problem(source=str(path), message=message, unreadable=True)]) from None
