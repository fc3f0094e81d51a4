"""`burster simulate`: a scenario through the engine on a clock that jumps.

Called by the command line's app. Prints the summary on standard output; a progress bar, where there is a terminal, on standard error.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from burster.cli.output import Output, console, print_json
from burster.model.quantities import format_duration_ms
from burster.simulator.traces.load import FormatChoice


def simulate(  # noqa: PLR0913 -- a command's options
    scenario: Annotated[Path, typer.Argument(help="A scenario file, for example simulations/demo.yaml.")],
    *,
    policy: Annotated[
        list[Path] | None,
        typer.Option("--policy", help="Policy files in place of the scenario's own; may be given more than once."),
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="A trace in place of the scenario's own.")] = None,
    fmt: Annotated[FormatChoice, typer.Option("--format", help="The format of --trace.")] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Only a slice of so many entries of the trace.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the scenario's; same seed, same outcome.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for summary.json, decisions.jsonl, timeseries.parquet, report.html, ledger.sqlite."
        ),
    ] = None,
    output: Output = "table",
) -> None:
    """Try policies on a recorded load, offline. Nothing is contacted and nothing is bought."""
    from burster.simulator.run import simulate as run
    from burster.simulator.scenario import Overrides, load_scenario
    from burster.simulator.summary import policy_hash, summarise

    overrides = Overrides(policies=tuple(policy or ()), trace=trace, trace_format=fmt, limit=limit, seed=seed)
    loaded = load_scenario(scenario, overrides)
    setup = loaded.setup
    with _progress(len(setup.trace.entries)) as on_progress:
        started = time.perf_counter()
        if out is None:
            outcome = run(setup, on_progress=on_progress)
            summary = summarise(setup, outcome, time.perf_counter() - started)
        else:
            from burster.simulator.outputs import run_directory
            from burster.simulator.report import render

            with run_directory(out, seed=setup.seed, policy_hash=policy_hash(setup)) as directory:
                outcome = run(setup, directory.step, on_progress)
                summary = summarise(setup, outcome, time.perf_counter() - started)
                directory.finish(summary, outcome.timeline, render(loaded, outcome, summary))
    if output == "json":
        print_json(summary)
    else:
        _print_table(summary, out)


@contextmanager
def _progress(total: int) -> Generator[Callable[[int, int], None]]:
    """Show how many of the trace's entries have arrived, on standard error, where somebody is looking."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda _arrived, _now_ms: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("simulating"), BarColumn(), TextColumn("{task.fields[at]}"))
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("simulating", total=total, at="")
        yield lambda arrived, now_ms: bar.update(task, completed=arrived, at=format_duration_ms(now_ms))


def _print_table(summary: dict[str, Any], out: Path | None) -> None:
    pods, cost, waits, cloud = summary["pods"], summary["cost_usd"], summary["wait_seconds"], summary["cloud"]
    trace = summary["trace"]
    denials = ", ".join(f"{code} {count}" for code, count in summary["limits"]["denials"].items()) or "none"
    failures = ", ".join(f"{code} {count}" for code, count in cloud["launch_failures"].items()) or "none"
    dropped = "".join(f"; {count} dropped: {reason}" for reason, count in trace["dropped"].items())
    rows = (
        ("trace", f"{trace['pods']} pods over {format_duration_ms(round(trace['span_seconds'] * 1000))}{dropped}"),
        ("pods", f"{pods['ran_on_prem']} on-prem, {pods['ran_in_cloud']} in the cloud, {pods['unserved']} unserved"),
        (
            "wait",
            f"mean {waits['mean']:g} s, p50 {waits['p50']:g}, p95 {waits['p95']:g}, p99 {waits['p99']:g}, max {waits['max']:g}",
        ),
        ("cost", f"${cost['total']:.4f}, of it ${cost['idle']:.4f} idle and ${cost['egress']:.4f} egress"),
        ("cloud", f"{cloud['launches']} launches, at most {cloud['peak_vms']} VMs, {cloud['vm_hours']:.2f} VM hours"),
        ("failures", failures),
        ("refused", denials),
        ("on-prem", f"{summary['on_prem']['cpu_utilisation']:.1%} of the cpu asked for, on average"),
        (
            "run",
            f"{summary['decisions']} decisions, {summary['events']} events in {summary['wall_seconds']:.2f} s, seed {summary['seed']}",
        ),
    )
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in rows:
        table.add_row(name, text)
    screen = console()
    screen.print(table, markup=False)
    if out is not None:
        screen.print(f"report: {out / 'report.html'}", markup=False)
        screen.print(f"ask it: burster why POD --run {out}", markup=False)
