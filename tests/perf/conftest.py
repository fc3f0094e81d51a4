"""One table of all figures at the end of `make perf`, and this process's garbage collector set as the program's is."""

import dataclasses
import gc
import os
import statistics
from collections.abc import Callable, Iterator, Sequence

import pytest

from burster.cli import GC_THRESHOLDS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured thing: its rounds' median and spread, what was promised, and what the same run's baseline took."""

    what: str
    unit: str
    rounds: tuple[float, ...]
    promised: str = ""
    baseline: float | None = None

    def row(self) -> tuple[str, ...]:
        """The line of the table."""
        spread = f"{min(self.rounds):.2f} .. {max(self.rounds):.2f}" if len(self.rounds) > 1 else ""
        median = statistics.median(self.rounds)
        ratio = f"{median / self.baseline:.2f}" if self.baseline else ""
        baseline = f"{self.baseline:.2f}" if self.baseline else ""
        return (self.what, f"{median:.2f}", self.unit, spread, self.promised, baseline, ratio)


_HEAD = ("figure", "median", "unit", "spread", "promised", "baseline", "ratio")
_figures: list[Figure] = []
Note = Callable[..., None]


@pytest.fixture
def note() -> Note:
    """Put a figure on the table: ``note(what, unit, rounds, promised=..., baseline=...)``."""

    def put(
        what: str, unit: str, rounds: Sequence[float] | float, *, promised: str = "", baseline: float | None = None
    ) -> None:
        found = (rounds,) if isinstance(rounds, float | int) else tuple(rounds)
        _figures.append(Figure(what=what, unit=unit, rounds=found, promised=promised, baseline=baseline))

    return put


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Collect garbage as seldom as the program does, and none of what other tests have left."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def _whose_machine() -> str:
    """Say what else the machine had to do: figures in CPU time, too, are up to twice as large where others take its caches."""
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"load {loads} (1, 5 and 15 minutes) on {os.cpu_count()} CPUs; above one a CPU, take the ratios"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _figures:
        return
    rows = [_HEAD, *(figure.row() for figure in _figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    terminalreporter.section("figures")
    terminalreporter.write_line(_whose_machine())
    for row in rows:
        terminalreporter.write_line(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
