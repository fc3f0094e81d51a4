"""`burster policy`: check policy files, say what they mean, print their schema.

Called by the command line's app. Results go to standard output, everything else to standard error. Exit codes: 0 valid, 1 invalid,
2 something could not be read.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from burster.cli.policy_backtest import backtest
from burster.cli.policy_cases import run_cases
from burster.cli.policy_convert import convert
from burster.cli.policy_diff import diff
from burster.cli.policy_files import Paths, read_files
from burster.cli.policy_validate import rules, validate
from burster.policy.crds import json_schema_text, write_crds
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.explain import explain_policy, explain_target


app = typer.Typer(no_args_is_help=True, help="Check policy files, say what they mean, print their schema.")

_Output = Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")]

app.command("validate")(validate)
app.command("rules")(rules)
app.command("convert")(convert)
app.command("diff")(diff)
app.command("backtest")(backtest)
app.command("test")(run_cases)


@app.command()
def explain(paths: Paths, output: _Output = "text") -> None:
    """Say in plain sentences what policies and targets do, with the numbers they resolve to."""
    compiled = read_files(paths).compiled
    targets = {target.name: target for target in compiled.targets}
    told = [("BurstPolicy", policy.key, explain_policy(policy, targets)) for policy in compiled.policies]
    told += [("BurstTarget", target.name, explain_target(target)) for target in compiled.targets]
    if output == "json":
        _print_json([{"kind": kind, "name": name, "sentences": sentences} for kind, name, sentences in told])
        return
    typer.echo("\n\n".join("\n  ".join([f"{kind} {name}", *sentences]) for kind, name, sentences in told))


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


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
