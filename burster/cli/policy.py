"""`burster policy`: check policy files, say what they mean, print their schema.

Called by the command line's app. Results go to standard output, everything else to standard error. Exit codes: 0 valid, 1 invalid,
2 something could not be read.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from burster.policy.compile import Compiled, compile_documents
from burster.policy.crds import json_schema_text, write_crds
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.explain import explain_policy, explain_target
from burster.policy.load import FILE_BYTES_MAX, STDIN, Document, load_files


app = typer.Typer(no_args_is_help=True, help="Check policy files, say what they mean, print their schema.")

_Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.")]
_Output = Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")]


@app.command()
def validate(paths: _Paths, output: _Output = "text") -> None:
    """Check BurstPolicies and BurstTargets; tell everything that is wrong at once, each with file, line, column and field."""
    try:
        documents, _ = _read(paths)
    except PolicyErrors as errors:
        if output == "text":
            raise
        _print_json({"valid": False, "documents": [], "problems": [_problem(problem) for problem in errors.problems]})
        raise typer.Exit(errors.exit_code) from None
    if output == "json":
        _print_json({"valid": True, "documents": [_document(document) for document in documents], "problems": []})
        return
    for document in documents:
        typer.echo(f"{document.source}:{document.line}: {document.kind} {document.key} is valid")


@app.command()
def explain(paths: _Paths, output: _Output = "text") -> None:
    """Say in plain sentences what policies and targets do, with the numbers they resolve to."""
    _, compiled = _read(paths)
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


def _read(paths: Sequence[str]) -> tuple[tuple[Document, ...], Compiled]:
    stdin = sys.stdin.buffer.read(FILE_BYTES_MAX + 1) if STDIN in paths else None
    documents = load_files(paths, stdin=stdin)
    return documents, compile_documents(documents)


def _document(document: Document) -> dict[str, Any]:
    return {"file": document.source, "line": document.line, "kind": document.kind, "name": document.key}


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.source,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
    }


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
