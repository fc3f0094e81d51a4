"""`burster demo`: the whole system on this machine against stand-ins, watched, and what it leaves.

Turns flags into DemoOptions, shows what `burster.lab.world.run_demo` tells, writes the run's artifacts and says what to try next.
"""

import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from burster.cli.live import LiveScreen, PlainLines, Screen
from burster.cli.output import Output, console, line, print_json
from burster.cli.run_dir import LEDGER, called_as
from burster.lab.demo_result import KUBECONFIG, DemoOptions, DemoResult
from burster.ledger import Ledger
from burster.model.errors import InputError
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.settings import state_dir
from burster.surfaces.timeline import Timeline
from burster.surfaces.view import StatusView


EXIT_NO: Final = 1
EXIT_INTERRUPTED: Final = 130
FIRST_LINE: Final = "Nothing leaves this machine: cluster, cloud and money are simulated."
_INTERRUPTED: Final = "burster: interrupted; everything was released"
_BEATS_MAX: Final = 200
_TRACES_LIMIT: Final = 1_000_000


def demo(  # noqa: PLR0913 -- one parameter per flag
    *,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A load trace instead of the story that is shipped.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=_TRACES_LIMIT, help="At most so many pods of the trace.")
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Policies and targets instead of the shipped ones; repeatable."),
    ] = None,
    scenario: Annotated[str, typer.Option(help="Another scenario that is shipped.")] = "",
    speed: Annotated[
        float | None,
        typer.Option(min=0.01, max=1_000_000, help="At most so many times as fast as the clock on the wall."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same decisions.")] = 7,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new directory for what the run leaves.")] = None,
    output: Output = "table",
) -> None:
    """Run the whole system on this machine, against stand-ins. It ends by itself."""
    for file in (*(policy or ()), *([trace] if trace else ())):
        if not file.exists():
            raise InputError(f"{file}: there is no such file")
    as_json = output == "json"
    # where the one JSON document goes to standard output, the story goes to standard error
    out_console = console(stderr=as_json)
    out_console.print(FIRST_LINE, style="bold")
    # a dumb terminal can't be painted on: it gets lines, as a file does
    watched = not as_json and sys.stdout.isatty() and not out_console.is_dumb_terminal
    found = out is not None and out.is_dir()
    run_dir = make_run_dir(out, seed)
    if watched or speed is not None:
        out_console.print(f"Watch along: kubectl --kubeconfig {run_dir / KUBECONFIG} get bursts -A -w", markup=False)
    options = DemoOptions(
        run_dir=str(run_dir),
        seed=seed,
        trace=str(trace or ""),
        limit=limit,
        policies=tuple(str(file) for file in policy or ()),
        scenario=scenario,
        speed=speed,
        watched=watched,
    )
    with _taken_back(run_dir, keep_folder=found):
        result, timeline, beats = _watch(options, LiveScreen(out_console) if watched else PlainLines(out_console))
        from burster.cli.report import leave_artifacts

        with _uninterrupted():
            document = leave_artifacts(result, timeline.samples, tuple(beats))
    if as_json:
        print_json(document)
    else:
        _print_result(result, document["report"])
    if result.interrupted:
        sys.stderr.write(f"{_INTERRUPTED}\n")
        raise typer.Exit(EXIT_INTERRUPTED)
    if not result.ok:
        raise typer.Exit(EXIT_NO)


def make_run_dir(out: Path | None, seed: int) -> Path:
    """Return a fresh directory for the run. Raises InputError where it can't be made or holds a run already."""
    run_dir = out or _fresh(state_dir() / "runs", f"{time.strftime('%Y%m%dT%H%M%S')}-{seed}")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = run_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{run_dir} can't hold the run ({error.strerror}): name a directory that can be written with --out DIR"
        ) from error
    if (run_dir / LEDGER).exists():
        raise InputError(f"{run_dir} holds a run already: name another directory with --out DIR, or remove it")
    return run_dir.resolve()


@contextmanager
def _taken_back(run_dir: Path, *, keep_folder: bool) -> Generator[None]:
    """Leave no half of a run behind where it ended before there was a result: bad input, or somebody who did not want to wait."""
    try:
        yield
    except (InputError, KeyboardInterrupt) as ended:
        with _uninterrupted():
            for path in run_dir.glob(f"{LEDGER}*"):
                path.unlink(missing_ok=True)
            if not keep_folder:
                with suppress(OSError):
                    run_dir.rmdir()
        if isinstance(ended, KeyboardInterrupt):
            sys.stderr.write(f"{_INTERRUPTED}\n")
        raise


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Let a signal wait until what is being written is written: a moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fresh(parent: Path, name: str) -> Path:
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(parent / one for one in names if not (parent / one).exists())


def _watch(options: DemoOptions, screen: Screen) -> tuple[DemoResult, Timeline, list[str]]:
    from burster.lab.world import run_demo

    timeline, beats = Timeline(), list[str]()
    with screen:

        def on_view(view: StatusView) -> None:
            timeline.add(view)
            screen.on_view(view)

        def on_beat(beat: str) -> None:
            if len(beats) < _BEATS_MAX:
                beats.append(beat)
            screen.on_beat(beat)

        return run_demo(options, on_view, on_beat), timeline, beats


def _print_result(result: DemoResult, report: str) -> None:
    pods, bursts, reaction = result.pods, result.bursts, result.reaction_ms
    line()
    line(
        f"{pods.total} pods: {pods.ran_on_prem} ran on-prem, {pods.ran_in_cloud} in the cloud, {pods.unserved} did not run"
    )
    line(f"{bursts.created} bursts: {bursts.released} released, {bursts.failed} failed, {result.leaks} leaks")
    line(
        f"from pending to the written Burst: p50 {reaction.p50:.1f} ms, p99 {reaction.p99:.1f} ms, max {reaction.max:.1f} ms"
    )
    line(f"{format_micro_usd(result.cost_micro_usd)} of simulated money")
    line(f"{format_duration_ms(result.virtual_ms)} of the lab's time in {result.wall_ms / 1000:.1f}s here")
    for invariant in result.invariants:
        mark = "holds" if invariant.ok else "DOES NOT HOLD"
        line(f"  {mark}: {invariant.name}: {invariant.detail}")
    line()
    line(f"Summary  {Path(result.run_dir) / 'summary.json'}")
    line(f"Report   {report}")
    line()
    line("Three things to try next:")
    command = called_as()
    pod = pod_to_ask_about(Path(result.run_dir) / LEDGER)
    if pod:
        line(f"  {command} why {pod} --run {result.run_dir}")
    line(f"  {command} history --verify --run {result.run_dir}")
    line(f"  {command} demo --seed {result.seed + 1}")


def pod_to_ask_about(ledger_path: Path) -> str:
    """Return a pod that burst, with as much to tell as there is: one that was refused first, if any was."""
    with Ledger.read(ledger_path) as ledger:
        burst = [decision.subject for decision in ledger.decisions(verdict="Burst") if decision.subject]
        refused = {
            decision.subject
            for verdict in ("Deny", "Wait")
            for decision in ledger.decisions(verdict=verdict)
            if decision.reasons and "Budget" in decision.reasons[0].code
        }
    return next((pod for pod in burst if pod in refused), burst[0] if burst else "")
