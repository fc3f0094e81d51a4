"""`burster history`: the decisions in order of time; with ``--verify`` also whether the engine, asked again, decides the same."""

from typing import Annotated

import typer

from burster.cli.output import Output, line, print_json, print_table
from burster.cli.run_dir import NotFoundError, RunOption, open_run, parse_since, resolve
from burster.ledger import Ledger
from burster.surfaces import words


VerifyFlag = Annotated[bool, typer.Option("--verify", help="Replay the ledger and compare every decision.")]


def history(
    *,
    run: RunOption = None,
    policy: Annotated[str | None, typer.Option(help="Only decisions of this policy: NAME or NAMESPACE/NAME.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only the last so much time, for example 10m.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the latest ones.")] = 200,
    verify: VerifyFlag = False,
    output: Output = "table",
) -> None:
    """List the decisions in order of time."""
    with open_run(run, "history") as ledger:
        if verify:
            _verify(ledger, output)
            return
        key = resolve(policy, ledger.policies())[0] if policy else None
        decisions = ledger.decisions(policy=key, since=parse_since(since, ledger), limit=limit)
        total = ledger.counts()["decisions"]
    if output == "json":
        print_json(decisions)
        return
    print_table(
        ("UTC", "verdict", "policy", "about", "because"),
        [
            (words.clock_time(one.at_ms), one.verdict, one.policy, one.subject or one.burst, words.sentence(one))
            for one in decisions
        ],
        empty="Nothing was decided.",
    )
    if len(decisions) < total:
        line(f"{len(decisions)} of {total} decisions; --limit and --since choose others")


def _verify(ledger: Ledger, output: str) -> None:
    from burster.engine import initial_state, snapshot, step
    from burster.ledger.replay import replay

    problems = ledger.integrity()
    if problems:
        raise NotFoundError(f"{ledger.where} is damaged: {'; '.join(problems)}")
    report = replay(ledger, initial_state, step, snapshot.restore)
    if output == "json":
        print_json({"same": report.difference is None, "decisions_sha256": ledger.decisions_sha256(), "replay": report})
        if report.difference is not None:
            raise typer.Exit(1)
        return
    if report.difference is not None:
        raise NotFoundError(f"{ledger.where}: {report.difference.sentence}")
    if report.skipped:
        line(f"{report.skipped} steps could not be compared: something before them is not in the ledger")
    line(
        f"The same: {report.decisions} decisions in {report.steps} steps of {report.runs} "
        f"{'run' if report.runs == 1 else 'runs'}, sha256 {ledger.decisions_sha256()}"
    )
