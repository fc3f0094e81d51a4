"""`burster trace`: look into load traces, convert them, make them, record them.

Called by the command line's app. Results go to standard output, everything else to standard error.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from burster.model.errors import InputError
from burster.model.quantities import (
    MILLIS_PER_SECOND,
    format_duration_ms,
    format_memory_bytes,
    parse_cpu_millicores,
    parse_duration_ms,
    parse_memory_bytes,
)
from burster.simulator.traces.generate import Plan, generate
from burster.simulator.traces.inspect import TraceFacts, inspect_trace
from burster.simulator.traces.load import FormatChoice, read_trace
from burster.simulator.traces.model import Trace
from burster.simulator.traces.native import to_csv, to_jsonl, write


app = typer.Typer(no_args_is_help=True, help="Look into load traces, convert them, make them, record them.")

WritableFormat = Literal["csv", "jsonl"]
_Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Only a slice of so many entries; of openb the first dense stretch of that length."),
]


@app.command("inspect")
def inspect_(
    file: Annotated[Path, typer.Argument(help="A trace file: openb CSV, burster's CSV or JSON lines, plain or gzip.")],
    fmt: Annotated[FormatChoice, typer.Option("--format", help="The file's format.")] = "auto",
    limit: _Limit = None,
    output: Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="How to print it.")] = "table",
) -> None:
    """Say what is in a trace: pods, span, arrival rate, percentiles, and which rows were dropped and why."""
    facts = inspect_trace(read_trace(file, fmt, limit=limit))
    if output == "json":
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())
        return
    _print_facts(facts)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The trace to read.")],
    target: Annotated[Path, typer.Argument(help="The file to write; gzipped if its name ends in .gz.")],
    fmt: Annotated[WritableFormat | None, typer.Option("--format", help="The format to write.")] = None,
    source_format: Annotated[FormatChoice, typer.Option("--from", help="The format to read.")] = "auto",
    limit: _Limit = None,
) -> None:
    """Write a trace in burster's own format."""
    trace = read_trace(source, source_format, limit=limit)
    write(trace, target, fmt or _format_of(target))
    typer.echo(f"{target}: {len(trace.entries)} entries{_dropped(trace)}", err=True)


@app.command("generate")
def generate_(  # noqa: PLR0913 - a command's options
    *,
    seed: Annotated[int, typer.Option(help="Same seed, same trace.")] = Plan().seed,
    pods: Annotated[int, typer.Option(min=0, help="How many tasks arrive.")] = Plan().pods,
    span: Annotated[str, typer.Option(help="The time in which they arrive.")] = "40m",
    day: Annotated[str, typer.Option(help="How long a day is; 0: the span is one day.")] = "0",
    duration_min: Annotated[str, typer.Option(help="The shortest task.")] = "2m",
    duration_max: Annotated[str, typer.Option(help="The longest task.")] = "20m",
    cpu_max: Annotated[str, typer.Option(help="The largest task's cpu; tasks ask for whole cores.")] = "4",
    memory_per_cpu: Annotated[str, typer.Option(help="Memory for each core asked for.")] = "2Gi",
    deployment: Annotated[str, typer.Option(help="A Deployment with one peak; empty: none.")] = Plan().deployment,
    replicas: Annotated[int, typer.Option(min=0, help="The Deployment's replicas at its peak.")] = Plan().replicas_peak,
    namespace: Annotated[str, typer.Option(help="Where all of it runs.")] = Plan().namespace,
    fmt: Annotated[WritableFormat | None, typer.Option("--format", help="The format to write.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file to write; default: standard output.")
    ] = None,
) -> None:
    """Make a trace: tasks that arrive as a day goes, and a Deployment with one peak. Nothing but the options decides what comes out."""
    plan = Plan(
        seed=seed,
        pods=pods,
        span_ms=parse_duration_ms(span),
        day_ms=parse_duration_ms(day),
        duration_min_ms=parse_duration_ms(duration_min),
        duration_max_ms=parse_duration_ms(duration_max),
        cpu_max_millicores=parse_cpu_millicores(cpu_max),
        memory_per_cpu_bytes=parse_memory_bytes(memory_per_cpu),
        deployment=deployment,
        replicas_peak=replicas,
        namespace=namespace,
    )
    trace = generate(plan)
    if out is None:
        sys.stdout.write(to_jsonl(trace.entries) if fmt == "jsonl" else to_csv(trace.entries))
        return
    write(trace, out, fmt or _format_of(out))
    typer.echo(f"{out}: {len(trace.entries)} entries, {trace.pods} pods", err=True)


@app.command("record")
def record_(  # noqa: PLR0913 - a command's options
    *,
    prometheus: Annotated[str, typer.Option(help="The address of a Prometheus that scrapes kube-state-metrics.")],
    start: Annotated[str, typer.Option(help="From when, for example 2026-10-01T00:00:00Z.")],
    end: Annotated[str, typer.Option(help="To when.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write; gzipped if its name ends in .gz.")],
    step: Annotated[str, typer.Option(help="Between samples; a pod that lives for less can be missed.")] = "60s",
    selector: Annotated[str, typer.Option(help='Labels that narrow the metrics, for example namespace="batch".')] = "",
    token_file: Annotated[Path | None, typer.Option(help="A file that holds a bearer token.")] = None,
    fmt: Annotated[WritableFormat | None, typer.Option("--format", help="The format to write.")] = None,
) -> None:
    """Record the pods that were created and completed in a span of time, as kube-state-metrics tells of them."""
    from burster.simulator.traces.lines import read_lines
    from burster.simulator.traces.record import Range, record

    span = Range(
        start_ms=_moment_ms("--start", start), end_ms=_moment_ms("--end", end), step_ms=parse_duration_ms(step)
    )
    token = next((line.strip() for _, line in read_lines(token_file)), "") if token_file else ""
    trace = record(prometheus, span, token=token, selector=selector)
    write(trace, out, fmt or _format_of(out))
    typer.echo(f"{out}: {len(trace.entries)} entries{_dropped(trace)}", err=True)


def _format_of(path: Path) -> WritableFormat:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    last = suffixes[-1] if suffixes else ""
    if last == ".csv":
        return "csv"
    if last in {".jsonl", ".ndjson"}:
        return "jsonl"
    raise InputError(f"{path}: the name does not tell the format; end it in .csv or .jsonl, or add --format")


def _moment_ms(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is no time; write for example 2026-10-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise InputError(f"{option} {text!r} has no time zone; add Z for UTC, or +02:00")
    return round((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * MILLIS_PER_SECOND)


def _dropped(trace: Trace) -> str:
    return "".join(f"; {count} dropped: {reason}" for reason, count in trace.dropped.items())


def _print_facts(facts: TraceFacts) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{facts.source} ({facts.format}), {facts.rows_read} records read", markup=False)
    for reason, count in facts.dropped.items():
        console.print(f"  dropped {count}: {reason}", markup=False)
    rate = f"{facts.arrivals_per_hour:g} tasks/h on average, {facts.arrivals_per_hour_max} in the busiest hour"
    console.print(
        f"  {facts.pods} pods: {facts.tasks} tasks, {len(facts.services)} services; {facts.gpu_tasks} tasks ask for GPUs"
    )
    console.print(f"  arrivals over {format_duration_ms(facts.span_ms)}: {rate}")
    for name, service in facts.services.items():
        ends = f"ends with {service.replicas_last}"
        console.print(f"  service {name}: {service.changes} changes, at most {service.replicas_peak} replicas, {ends}")
    if not facts.tasks:
        return
    table = Table("tasks", "run time", "cpu, cores", "memory", box=None)
    for percentile, duration_ms in facts.duration_ms.items():
        cores = f"{facts.cpu_millicores[percentile] / 1000:g}"
        memory = format_memory_bytes(facts.memory_bytes[percentile])
        table.add_row(percentile, format_duration_ms(duration_ms), cores, memory)
    console.print(table)
