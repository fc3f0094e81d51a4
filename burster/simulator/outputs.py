"""The run directory of a simulation: every file appears whole, all of them together, or none.

Called by `burster simulate`. Files are written under temporary names while the run goes on and take their real ones at the end; a run
that fails or is interrupted leaves nothing behind, and what an earlier run left stays as it was.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from burster.engine import StepResult
from burster.ledger import Ledger
from burster.ledger.store import canonical_json
from burster.model.errors import InputError
from burster.model.stimuli import Stimulus
from burster.simulator.timeline import Timeline


SUMMARY: Final = "summary.json"
DECISIONS: Final = "decisions.jsonl"
TIMESERIES: Final = "timeseries.parquet"
REPORT: Final = "report.html"
LEDGER: Final = "ledger.sqlite"
_BUFFER_BYTES: Final = 1 << 18


class RunDirectory:
    """An open run directory: ``step`` while it goes on, then ``finish``."""

    def __init__(self, folder: Path, temporary: Path, stack: ExitStack, *, seed: int, policy_hash: str) -> None:
        self.folder = folder
        self._temporary = temporary
        self._decisions = stack.enter_context((temporary / DECISIONS).open("wb", buffering=_BUFFER_BYTES))
        self._ledger = stack.enter_context(Ledger.open(temporary / LEDGER, seed=seed, policy_hash=policy_hash))

    def step(self, at_ms: int, stimuli: Sequence[Stimulus], result: StepResult) -> None:
        """Record one engine step."""
        for decision in result.decisions:
            self._decisions.write(canonical_json(decision) + b"\n")
        self._ledger.append_step(at_ms, stimuli, result.decisions, result.spends)

    def finish(self, summary: dict[str, Any], timeline: Timeline, report: str) -> None:
        """Write what is known only at the end."""
        text = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
        (self._temporary / SUMMARY).write_bytes(text)
        timeline.write_parquet(self._temporary / TIMESERIES)
        (self._temporary / REPORT).write_text(report, encoding="utf-8")


@contextmanager
def run_directory(folder: Path, *, seed: int, policy_hash: str) -> Generator[RunDirectory]:
    """Open ``folder`` for a run's results, making it where needed. Raises InputError where that can't be done."""
    temporary = folder / f".run-{os.getpid()}.part"
    made: list[Path] = []
    try:
        made = _make(temporary)
        with ExitStack() as stack:
            yield RunDirectory(folder, temporary, stack, seed=seed, policy_hash=policy_hash)
        for name in (DECISIONS, LEDGER, TIMESERIES, REPORT, SUMMARY):
            (temporary / name).replace(folder / name)
    except OSError as error:
        problem = f"{folder}: the results can't be written ({error.strerror or error})"
        raise InputError(f"{problem}; choose another --out with room that may be written to") from None
    finally:
        _clear(temporary, made)


def _make(folder: Path) -> list[Path]:
    """Make a folder with all above it, empty; return those that were not there, deepest first."""
    if folder.is_dir():
        _clear(folder, [folder])  # a run that was killed, under the same process number
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True)
    return missing


def _clear(temporary: Path, made: list[Path]) -> None:
    """Remove what is temporary, and folders that were made for nothing."""
    if temporary in made:
        for leftover in temporary.iterdir():
            leftover.unlink()
    for folder in made:
        try:
            folder.rmdir()
        except OSError:
            return
