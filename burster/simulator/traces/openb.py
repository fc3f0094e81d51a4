"""Reads the openb pod lists of Alibaba's cluster-trace-gpu-v2023.

Called by load. One row is one pod; times are seconds of the trace's own epoch. A pod that was never scheduled has no run time (the
time to its deletion is how patient its owner was), so it is dropped and counted, never guessed at. Facts that the trace holds and
burster has no use for (share of a GPU, GPU model, phase at the end) are not carried along; a share of a GPU counts as a whole one,
because a Kubernetes GPU request is a whole number.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from burster.model.pods import Resources
from burster.simulator.traces.lines import Lines, trouble
from burster.simulator.traces.model import NAME, TraceEntry
from burster.simulator.traces.numbers import CellError, seconds_as_ms, whole
from burster.simulator.traces.table import read_table


COLUMNS: Final = ("name", "cpu_milli", "memory_mib", "num_gpu", "creation_time", "deletion_time", "scheduled_time")
NEVER_SCHEDULED: Final = "never scheduled: deleted while pending, so its run time is unknown"
STILL_RUNNING: Final = "still running when the trace ends, so its run time is unknown"
_BYTES_PER_MIB: Final = 1 << 20
_MIB_MAX: Final = 1 << 40


def read_openb(path: Path, lines: Lines, namespace: str) -> Iterator[tuple[int, TraceEntry | str]]:
    """Yield (line, entry), or (line, reason) for a row that can't be used. Raises InputError."""
    before_ms = 0
    names: dict[str, int] = {}
    labels: dict[str, dict[str, str]] = {}
    for line, row in read_table(path, lines, COLUMNS):

        def cell(column: str, parse: Callable[[str], int], row: dict[str, str] = row, line: int = line) -> int:
            try:
                return parse(row[column])
            except CellError as error:
                raise trouble(path, str(error), line=line, column=column) from None

        created_ms = cell("creation_time", seconds_as_ms)
        if created_ms < before_ms:
            problem = f"time runs backwards ({created_ms} ms after {before_ms} ms); sort the file by creation_time"
            raise trouble(path, problem, line=line, column="creation_time")
        before_ms = created_ms
        if not row["scheduled_time"]:
            yield line, NEVER_SCHEDULED
            continue
        if not row["deletion_time"]:
            yield line, STILL_RUNNING
            continue
        scheduled_ms = cell("scheduled_time", seconds_as_ms)
        duration_ms = cell("deletion_time", seconds_as_ms) - scheduled_ms
        _check(path, line, scheduled_ms - created_ms, duration_ms)
        name = row["name"].strip()
        if not NAME.fullmatch(name):
            raise trouble(path, f"{name[:40]!r} is no Kubernetes name; use a-z, 0-9, - and .", line=line, column="name")
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:  # the resampled lists draw some pods more than once
            name = f"{name}-again-{names[name]}"
        memory_mib = cell("memory_mib", whole)
        if memory_mib > _MIB_MAX:
            raise trouble(path, f"{memory_mib} MiB is more than any machine has", line=line, column="memory_mib")
        qos = row.get("qos", "")
        yield (
            line,
            TraceEntry(
                arrival_ms=created_ms,
                name=name,
                duration_ms=duration_ms,
                requests=Resources(
                    cpu_millicores=cell("cpu_milli", whole),
                    memory_bytes=memory_mib * _BYTES_PER_MIB,
                    gpus=cell("num_gpu", whole),
                ),
                namespace=namespace,
                labels=labels.setdefault(qos, {"qos": qos} if qos else {}),
            ),
        )


def _check(path: Path, line: int, waited_ms: int, duration_ms: int) -> None:
    if waited_ms < 0:
        problem = f"the pod was scheduled {-waited_ms} ms before it was created; correct one of the times"
        raise trouble(path, problem, line=line, column="scheduled_time")
    if duration_ms < 0:
        problem = f"the pod ends {-duration_ms} ms before it starts, a negative duration; correct one of the times"
        raise trouble(path, problem, line=line, column="deletion_time")
