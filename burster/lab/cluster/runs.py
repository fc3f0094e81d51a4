"""The log of every start of a pod's containers, on-prem or in the cloud: the proof that no task ran twice.

Written by the lab's kubelets, read by tests, demos and reports. It only grows while a lab runs, by one entry a start, up to a limit
after which the oldest ended entries are dropped and counted.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, Literal

import msgspec


RUNS_KEPT: Final = 200_000
Where = Literal["on-prem", "cloud"]
#: Succeeded, Failed: the containers ended. Deleted: somebody deleted the pod. Lost: its sandbox vanished.
Outcome = Literal["", "Succeeded", "Failed", "Deleted", "Lost"]


class Run(msgspec.Struct, kw_only=True):
    """One incarnation's time from start to end of its containers; ``ended_at_ms`` None while it runs."""

    namespace: str
    name: str
    uid: str
    node: str
    where: Where
    sandbox: str
    started_at_ms: int
    ended_at_ms: int | None = None
    outcome: Outcome = ""

    @property
    def task(self) -> str:
        """``namespace/name``: a moved pod keeps it, so two runs of one task show under one name."""
        return f"{self.namespace}/{self.name}"


class RunLog:
    """All runs in the order they started."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self.dropped = 0

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run) -> None:
        """Note a start."""
        if len(self._runs) >= RUNS_KEPT:
            kept = [other for index, other in enumerate(self._runs) if index >= RUNS_KEPT // 10 or other.outcome == ""]
            self.dropped += len(self._runs) - len(kept)
            self._runs = kept
        self._runs.append(run)

    def running(self, where: Where | None = None) -> list[Run]:
        """Return what runs now, there or everywhere."""
        return [run for run in self._runs if run.ended_at_ms is None and where in {None, run.where}]

    def by_task(self) -> dict[str, list[Run]]:
        """Return the runs of each ``namespace/name``."""
        tasks: defaultdict[str, list[Run]] = defaultdict(list)
        for run in self._runs:
            tasks[run.task].append(run)
        return dict(tasks)

    def started_more_than_once(self) -> dict[str, list[Run]]:
        """Return the tasks that were started more than once: for finite work there must be none."""
        return {task: runs for task, runs in self.by_task().items() if len(runs) > 1}

    def overlapping(self) -> dict[str, list[Run]]:
        """Return the tasks of which two runs were under way at the same time: there must never be any."""
        found: dict[str, list[Run]] = {}
        for task, runs in self.started_more_than_once().items():
            ends = [run.ended_at_ms for run in runs]
            if any(end is None or end > later.started_at_ms for end, later in zip(ends, runs[1:], strict=False)):
                found[task] = runs
        return found
