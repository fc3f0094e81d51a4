"""A finished demo's or simulation's run directory, as the commands with ``--run DIR`` read it."""

import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from burster.ledger import Ledger
from burster.ledger.story import burst_stories, capacity_at_end, pending_at_end
from burster.model.errors import InputError
from burster.surfaces.view import DECISIONS_MAX, BurstView, OnPremView, PendingView, StatusView, bounded


RunOption = Annotated[
    Path | None, typer.Option("--run", metavar="DIR", help="The run directory of a finished demo or simulation.")
]
LEDGER: Final = "ledger.sqlite"
SUMMARY: Final = "summary.json"
#: the end of a burst's life, after which nobody looks for it in a list of what is there
_OVER: Final = frozenset({"Released"})


@contextmanager
def open_run(run: Path | None, command: str) -> Generator[Ledger]:
    """Open a run directory's ledger. Raises InputError where none is named or there is none."""
    if run is None:
        raise InputError(f"burster {command} reads a finished run: name its directory with --run DIR")
    if not run.is_dir():
        raise InputError(f"{run} is no directory: --run takes the run directory that a demo or simulation printed")
    with Ledger.read(run / LEDGER) as ledger:
        yield ledger


def read_summary(run: Path) -> dict[str, Any]:
    """Return the run's summary; empty where it has none (it was interrupted). Raises InputError where it is no JSON."""
    path = run / SUMMARY
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path} can't be read as a summary: {error}") from error


def status_of_run(ledger: Ledger, title: str) -> StatusView:
    """Return how things stood when the run ended."""
    at_ms = ledger.span_ms()[1]
    stories = burst_stories(ledger)
    nodes, used, allocatable = capacity_at_end(ledger)
    pending = pending_at_end(ledger)
    phases: dict[str, int] = {}
    for story in stories:
        phases[story.phase] = phases.get(story.phase, 0) + 1
    return StatusView(
        at_ms=at_ms,
        title=title,
        onprem=OnPremView(node_count=nodes, used=used, allocatable=allocatable),
        pending_total=len(pending),
        pending=tuple(
            PendingView(
                pod=pod.key, since_ms=pod.unschedulable_since_ms or 0, requests=pod.requests, why=_why(ledger, pod.key)
            )
            for pod in bounded(pending, 20)
        ),
        bursts_by_phase=phases,
        bursts=bounded(
            [
                BurstView(
                    burst=story.burst,
                    policy=story.policy,
                    pod=story.pod,
                    phase=story.phase,
                    vm=", ".join(story.vms),
                    size=story.offering.rpartition("/")[2],
                    decided_at_ms=story.decided_at_ms,
                    cost_micro_usd=story.settled_micro_usd or 0,
                    reserved_micro_usd=story.reserved_micro_usd,
                    settled=story.settled_micro_usd is not None,
                )
                for story in sorted(stories, key=lambda story: (story.phase in _OVER, story.decided_at_ms))
            ]
        ),
        spent_micro_usd=sum(spend.micro_usd for spend in ledger.spend()),
        decisions_total=ledger.counts()["decisions"],
        decisions=ledger.decisions(limit=DECISIONS_MAX),
    )


def _why(ledger: Ledger, pod: str) -> str:
    last = ledger.decisions(subject=pod, limit=1)
    return last[0].reasons[0].sentence if last and last[0].reasons else ""


def called_as() -> str:
    """Return what to type for burster here: its name where the shell finds it, else the path it was called by."""
    if shutil.which("burster"):
        return "burster"
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return f"{sys.executable} -m burster"
    try:
        return str(script.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(script.absolute())
