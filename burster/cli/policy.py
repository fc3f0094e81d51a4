"""`burster policy`: check, explain, compare, convert, test and back-test policy files; print their schema.

Puts the commands together, each of which has a module of its own, and is called by the command line's app. Results go to standard output,
everything else to standard error. Exit codes: 0 done; 1 it ran and the answer is no; 2 something could not be read.
"""

from pathlib import Path
from typing import Annotated

import typer

from burster.cli.policy_backtest import backtest
from burster.cli.policy_cases import run_cases
from burster.cli.policy_convert import convert
from burster.cli.policy_diff import diff
from burster.cli.policy_explain import explain
from burster.cli.policy_validate import rules, validate
from burster.policy.crds import json_schema_text, write_crds
from burster.policy.errors import PolicyErrors, Problem


app = typer.Typer(
    no_args_is_help=True, help="Check policy files, say what they mean, compare, convert, test and back-test them."
)

app.command("validate")(validate)
app.command("rules")(rules)
app.command("explain")(explain)
app.command("diff")(diff)
app.command("convert")(convert)
app.command("backtest")(backtest)
app.command("test")(run_cases)


@app.command()
def schema(
    crds: Annotated[
        Path | None, typer.Option("--crds", metavar="DIR", help="Write the custom resource definitions to this folder.")
    ] = None,
) -> None:
    """Print the JSON Schema of policy files, for editors; or write the custom resource definitions."""
    if crds is None:
        typer.echo(json_schema_text(), nl=False)
        return
    try:
        written = write_crds(crds)
    except OSError as error:
        message = f"can't be written ({error.strerror}): name a folder that can be"
        raise PolicyErrors([Problem(source=str(crds), message=message, unreadable=True)]) from None
    for path in written:
        typer.echo(f"{path} written", err=True)
