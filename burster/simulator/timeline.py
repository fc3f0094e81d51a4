"""What a run looked like over time, in a bounded number of points.

Called by the run loop after every instant. When there are too many points every second one is dropped and the spacing doubled: the
last value of each interval is kept, so a curve's steps stay where they were to within the spacing. Peaks are counted elsewhere, exactly.
"""

from pathlib import Path
from typing import Final

from burster.simulator.cloud import Cloud
from burster.simulator.world import World


POINTS_MAX: Final = 4096
COLUMNS: Final = (
    "at_ms",
    "on_prem_cpu_used_millicores",
    "on_prem_running",
    "pending",
    "vms_creating",
    "vms_running",
    "vms_deleting",
    "vms_working",
    "cost_micro_usd",
)


class Timeline:
    """Columns of equal length; ``at_ms`` counts from the start of the run."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.spacing_ms = 1
        self._integral_until_ms = 0
        self._cpu_used = 0
        self.cpu_millicore_ms = 0  #: on-prem cpu in use, integrated exactly

    def note(self, world: World, cloud: Cloud) -> None:
        """Take the state after an instant."""
        now_ms, onprem = world.now_ms, world.onprem
        self.cpu_millicore_ms += self._cpu_used * (now_ms - self._integral_until_ms)
        self._integral_until_ms, self._cpu_used = now_ms, onprem.cpu_used
        counts = cloud.counts
        row = (
            now_ms,
            onprem.cpu_used,
            onprem.running,
            onprem.pending,
            counts.get("Creating", 0),
            counts.get("Succeeded", 0),
            counts.get("Deleting", 0) + counts.get("Failed", 0),
            cloud.working,
            cloud.running_cost_micro_usd(now_ms),
        )
        rows = self.rows
        if rows and rows[-1][0] // self.spacing_ms == now_ms // self.spacing_ms:
            rows[-1] = row
            return
        rows.append(row)
        if len(rows) > POINTS_MAX:
            self._thin_out()

    def columns(self) -> dict[str, list[int]]:
        """Return the points by column."""
        return {name: [row[index] for row in self.rows] for index, name in enumerate(COLUMNS)}

    def write_parquet(self, path: Path) -> None:
        """Write the points as Parquet."""
        import polars as pl

        pl.DataFrame(self.columns(), schema=dict.fromkeys(COLUMNS, pl.Int64)).write_parquet(path)

    def _thin_out(self) -> None:
        while len(self.rows) > POINTS_MAX // 2:
            self.spacing_ms *= 2
            kept: dict[int, tuple[int, ...]] = {}
            for row in self.rows:
                kept[row[0] // self.spacing_ms] = row
            self.rows = list(kept.values())
