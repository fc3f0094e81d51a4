"""`burster policy validate`: everything that is wrong with policies and targets, and what is legal but likely to be regretted.

Errors end the command with 1 (2 where something could not be read). Warnings are the lint's: on standard error, or in the JSON
document; they end it with 1 only under `--lint error`.
"""

from typing import Annotated, Any, Literal

import typer

from burster.cli.policy_files import Files, Paths, known_around, moment_ms, problem_json, read_files
from burster.policy.errors import PolicyErrors
from burster.policy.lint import Finding, lint
from burster.policy.load import Document


LintLevel = Literal["off", "warn", "error"]


def validate(
    paths: Paths,
    *,
    output: Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print it.")] = "text",
    level: Annotated[
        LintLevel,
        typer.Option("--lint", help="What to do about risky but legal choices; error makes them exit code 1."),
    ] = "warn",
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="Judge windows as of this time; now where left out.")
    ] = "",
) -> None:
    """Check BurstPolicies and BurstTargets; tell everything that is wrong at once, each with file, line, column and field."""
    at_ms = moment_ms(at)
    try:
        files = read_files(paths)
    except PolicyErrors as errors:
        if output == "text":
            raise
        _print(
            valid=False, documents=[], problems=[problem_json(one) for one in errors.problems], warnings=[], skipped=0
        )
        raise typer.Exit(errors.exit_code) from None
    findings = () if level == "off" else _lint(files, at_ms)
    failed = level == "error" and bool(findings)
    if output == "json":
        _print(
            valid=not failed,
            documents=[_document(one) for one in files.documents],
            problems=[],
            warnings=[_finding(one) for one in findings],
            skipped=files.skipped,
        )
    else:
        _tell(files, findings)
    if failed:
        raise typer.Exit(1)


def rules() -> None:
    """List the rules of the lint, each with what it is about."""
    from burster.policy.lint import rules as every_rule

    for code, about in every_rule().items():
        typer.echo(f"{code}: {about}")


def _lint(files: Files, at_ms: int) -> tuple[Finding, ...]:
    known = known_around(files.compiled.targets, at_ms)
    return lint(files.documents, files.compiled, known, files.texts)


def _tell(files: Files, findings: tuple[Finding, ...]) -> None:
    for document in files.documents:
        typer.echo(f"{document.source}:{document.line}: {document.kind} {document.key} is valid")
    for finding in findings:
        typer.echo(f"warning: {finding}", err=True)
    if files.skipped:
        typer.echo(f"{_count(files.skipped, 'document')} of other kinds skipped", err=True)
    if findings:
        typer.echo(
            f"{_count(len(findings), 'finding')}; the comment `# burster: allow RULE` on the line silences one",
            err=True,
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _document(document: Document) -> dict[str, Any]:
    return {"file": document.source, "line": document.line, "kind": document.kind, "name": document.key}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "object": finding.object,
        "file": finding.source,
        "line": finding.line,
        "column": finding.column,
        "path": finding.path,
        "message": finding.message,
        "advice": finding.advice,
    }


def _print(**fields: Any) -> None:
    from burster.cli.output import print_json

    print_json(fields)
