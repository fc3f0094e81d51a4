"""What the controller counts of itself while it works; shown every step, never in its way."""

from typing import Final

from burster.engine import StepResult
from burster.model.stimuli import BurstRecorded, LedgerHealth, Stimulus
from burster.runtime.clock import Clock
from burster.runtime.wiring import Controller
from burster.surfaces.metrics import Metrics


_REACTIONS_WAITING_MAX: Final = 10_000


class Meter:
    """Counts steps, decisions, instructions, reactions and what the sources went through, of one controller."""

    def __init__(self, metrics: Metrics, controller: Controller, clock: Clock) -> None:
        self._metrics = metrics
        self._controller = controller
        self._clock = clock
        #: of each burst whose record is not written yet: when its fact came, when it was decided
        self._waiting: dict[str, tuple[float, float]] = {}
        self._stats: dict[tuple[str, str], int] = {}
        controller.executor.ended = metrics.instruction_ended
        controller.metrics.reads.ended = metrics.metric_read

    def __call__(self, stimuli: list[Stimulus], result: StepResult, _now_ms: int) -> None:
        """Count one step, which is on record by now."""
        now_s = self._clock.monotonic()
        begun_s = now_s - self._controller.loop.step_seconds
        since_s = min(self._controller.take_oldest_fact_s() or begun_s, begun_s)
        self._metrics.decided(result.decisions)
        self._metrics.stepped([type(stimulus).__name__ for stimulus in stimuli], self._controller.loop.step_seconds)
        for decision in result.decisions:
            if decision.verdict == "Burst":
                self._metrics.burst_decided(now_s - since_s)
                self._waiting[decision.burst] = (since_s, now_s)
        for stimulus in stimuli:
            if isinstance(stimulus, BurstRecorded) and stimulus.key in self._waiting:
                came_s, decided_s = self._waiting.pop(stimulus.key)
                self._metrics.reacted(now_s - came_s, after_decision=now_s - decided_s)
            elif isinstance(stimulus, LedgerHealth) and not stimulus.writable:
                self._metrics.ledger_failed()
        if len(self._waiting) > _REACTIONS_WAITING_MAX:
            self._waiting.clear()
        for name, stats in self._controller.source_stats.items():
            self._grown(name, "failed", stats.failures)
            self._grown(name, "listed", stats.lists)

    def _grown(self, source: str, why: str, total: int) -> None:
        before = self._stats.get((source, why), 0)
        self._stats[source, why] = total
        for _ in range(total - before):
            self._metrics.watch_restarted(source, why)
