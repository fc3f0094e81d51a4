"""Recurring ticks by APScheduler: each job posts one stimulus and does nothing else.

APScheduler 3 reads the system's time itself; ``ClockScheduler`` gives it the runtime's clock instead, so that under the lab's virtual time
the ticks come when the virtual time says so, and a wall clock that is set holds none of them up. Rules with a time of their own (windows,
leases, deadlines) are the engine's, never jobs.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from burster.model.stimuli import Stimulus, Tick
from burster.runtime.clock import Clock


TickKind = Literal["evaluate", "gc", "offerings", "preflight", "quota"]
_STORE: Final = "default"


class ClockScheduler(AsyncIOScheduler):
    """An AsyncIOScheduler whose "now" is a Clock's: the wall time of its start and what has passed since, however that clock is set.

    Jobs must be added with ``next_run_time`` and run with no misfire limit: those two are the other places where APScheduler 3.11 reads
    the system's time.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - APScheduler ships no types
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._clock = clock
        self._started = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        self._started_s = clock.monotonic()

    def now(self) -> datetime:
        """Return the scheduler's own idea of the time."""
        return self._started + timedelta(seconds=self._clock.monotonic() - self._started_s)

    def _process_jobs(self) -> float | None:
        """Submit what is due and return the seconds to the next job; None where there is none."""
        now = self.now()
        inner: Any = self
        # ruff: noqa: SLF001 - APScheduler 3 has no public way to give it a clock; the version is pinned below 4
        with inner._jobstores_lock:
            store = inner._jobstores[_STORE]
            for job in store.get_due_jobs(now):
                inner._lookup_executor(job.executor).submit_job(job, [job.next_run_time])
                following = job.trigger.get_next_fire_time(job.next_run_time, now)
                if following is not None and following <= now:
                    # After a long pause one tick makes up for all that were missed.
                    following = job.trigger.get_next_fire_time(None, now + timedelta(microseconds=1))
                job._modify(next_run_time=following)
                store.update_job(job)
            upcoming: datetime | None = store.get_next_run_time()
        return None if upcoming is None else max(0.0, (upcoming - now).total_seconds())


def start_ticks(
    clock: Clock, post: Callable[[Stimulus], None], intervals_ms: dict[TickKind, int], *, paused: bool = False
) -> ClockScheduler:
    """Start posting ``Tick(kind)`` every interval; the caller shuts the scheduler down."""
    scheduler = ClockScheduler(clock)
    jobs: Any = scheduler
    for kind, interval_ms in sorted(intervals_ms.items()):
        interval = timedelta(milliseconds=interval_ms)

        async def post_tick(kind: TickKind = kind) -> None:
            post(Tick(kind=kind))

        jobs.add_job(
            post_tick,
            IntervalTrigger(seconds=int(interval.total_seconds()), start_date=scheduler.now() + interval, timezone=UTC),
            id=f"tick-{kind}",
            next_run_time=scheduler.now() + interval,
        )
    jobs.start(paused=paused)
    return scheduler
