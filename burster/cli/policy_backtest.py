"""`burster policy backtest`: when a policy's metric triggers would have fired over the last days of a real Prometheus.

Asks range queries, one trigger after the other, and replays the policy's own arithmetic over the answers. Reads only. Exit code 2: a
file or the Prometheus can't be used, or the policy has nothing to ask.
"""

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from burster.cli.policy_files import errors_as_asked, moment_ms, read_files
from burster.model.errors import InputError, QuantityError
from burster.model.policies import Policy
from burster.model.quantities import MILLIS_PER_HOUR, format_duration_ms, parse_duration_ms
from burster.policy.errors import PolicyErrors, Problem


if TYPE_CHECKING:
    from burster.simulator.backtest import Backtest

_DAY_MS = 24 * MILLIS_PER_HOUR


@errors_as_asked
def backtest(  # noqa: PLR0913 - a command's options
    path: Annotated[str, typer.Argument(metavar="POLICY", help="A file with the policy, or - for standard input.")],
    *,
    prometheus: Annotated[str, typer.Option(metavar="URL", help="The address of a Prometheus, or a Thanos querier.")],
    days: Annotated[float, typer.Option(min=0.001, max=3660, help="How many days to look back.")] = 7.0,
    step: Annotated[str, typer.Option(help="Between samples; the policy's pollingInterval is 30s unless set.")] = "30s",
    until: Annotated[str, typer.Option(metavar="TIME", help="The end of the range; now where left out.")] = "",
    policy: Annotated[str, typer.Option("--policy", help="Which policy, where the file has several.")] = "",
    token_file: Annotated[Path | None, typer.Option(help="A file that holds a bearer token.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write backtest.html and backtest.csv to this folder.")
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="How to print it.")] = "table",
) -> None:
    """Tell when a policy's prometheus triggers would have fired over the last days of a real Prometheus."""
    from burster.simulator.backtest import backtest as run
    from burster.simulator.backtest_report import as_json
    from burster.simulator.traces.lines import read_lines
    from burster.simulator.traces.record import Range

    chosen = _choose(read_files([path]).compiled.policies, policy, path)
    try:
        step_ms = parse_duration_ms(step)
    except QuantityError as error:
        raise PolicyErrors([Problem(source="--step", message=str(error), unreadable=True)]) from None
    if step_ms < 1000:  # noqa: PLR2004 (a second)
        raise InputError("--step is less than a second; write for example 30s")
    end_ms = moment_ms(until) // step_ms * step_ms
    span = Range(
        start_ms=end_ms - max(step_ms, round(days * _DAY_MS) // step_ms * step_ms), end_ms=end_ms, step_ms=step_ms
    )
    token = next((line.strip() for _, line in read_lines(token_file)), "") if token_file else ""
    with _progress() as told:
        result = run(chosen, prometheus, span, token=token, progress=told)
    if out is not None:
        _write(out, result)
    if output == "json":
        from burster.cli.output import print_json

        print_json(as_json(result))
    else:
        _print(result)


def _choose(policies: tuple[Policy, ...], wanted: str, path: str) -> Policy:
    found = [one for one in policies if wanted in {"", one.key, one.name}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.key for one in policies) or "none"
    message = (
        f"holds no policy {wanted!r}; there is {names}"
        if not found and wanted
        else f"holds {len(found)} policies: {names}"
    )
    advice = "name one by --policy" if policies else "name a file with a BurstPolicy"
    raise PolicyErrors([Problem(source=path, message=f"{message}: {advice}", unreadable=True)])


@contextlib.contextmanager
def _progress() -> Generator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn

    from burster.cli.output import console

    screen = console(stderr=True)
    with Progress(
        TextColumn("asking Prometheus"), BarColumn(), console=screen, transient=True, disable=not screen.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield told


def _write(folder: Path, result: "Backtest") -> None:
    from burster.simulator.backtest_report import as_csv, as_html

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "backtest.html").write_text(as_html(result), encoding="utf-8")
        (folder / "backtest.csv").write_text(as_csv(result), encoding="utf-8")
    except OSError as error:
        message = f"can't be written ({error.strerror}): name a folder that can be"
        raise PolicyErrors([Problem(source=str(folder), message=message, unreadable=True)]) from None
    for name in ("backtest.html", "backtest.csv"):
        typer.echo(f"{folder / name} written", err=True)


def _print(result: "Backtest") -> None:
    from burster.cli.output import line, print_table
    from burster.simulator.backtest_report import moment_text

    rows = [
        (
            moment_text(span.start_ms),
            moment_text(span.end_ms),
            format_duration_ms(span.end_ms - span.start_ms),
            span.trigger,
            ", ".join("missing" if peak is None else f"{peak / 1000:g}" for peak in span.peaks_milli),
            span.replicas,
        )
        for span in result.spans
    ]
    days = format_duration_ms(result.span.end_ms - result.span.start_ms)
    print_table(("from", "to", "for", "trigger", "peak#", "replicas#"), rows, empty="It would never have fired.")
    line()
    line(
        f"{result.policy} over {days}: {len(rows)} span{'' if len(rows) == 1 else 's'},"
        f" {format_duration_ms(result.active_ms)} in all, at most {result.peak} replicas,"
        f" {result.replica_ms / MILLIS_PER_HOUR:.2f} replica hours."
    )
    if result.missing_ms:
        line(
            f"Values were missing for {format_duration_ms(result.missing_ms)}: nothing begins or ends by a missing value."
        )
    for one in result.left_out:
        line(f"Left out: {one}.")
