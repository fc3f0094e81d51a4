"""`burster policy diff`: what two sets of policies and targets do differently, not how they are written.

Exit codes: 0 they behave the same, 1 they do not (with `--fail-on looser`: something is looser, or may be), 2 something could not be read.
"""

from typing import Annotated, Literal

import typer

from burster.cli.policy_files import errors_as_asked, read_files
from burster.policy.diff import Change, compare


FailOn = Literal["any", "looser", "never"]


@errors_as_asked
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A file or folder, or - for standard input.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A file or folder, or - for standard input.")],
    *,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            "--fail-on", help="Which changes make exit code 1: any, only those that are or may be looser, or none."
        ),
    ] = "any",
    output: Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")] = "text",
) -> None:
    """Tell what changes in behaviour between two sets of rules, each with its direction: looser, tighter, neutral or unclear."""
    changes = compare(read_files([old]).compiled, read_files([new]).compiled)
    if output == "json":
        from burster.cli.output import print_json

        print_json({"same": not changes, "changes": changes})
    else:
        _print(changes)
    counted = [
        one for one in changes if fail_on == "any" or (fail_on == "looser" and one.direction in {"looser", "unclear"})
    ]
    if counted:
        raise typer.Exit(1)


def _print(changes: tuple[Change, ...]) -> None:
    for change in changes:
        typer.echo(str(change))
    if not changes:
        typer.echo("no change in behaviour")
