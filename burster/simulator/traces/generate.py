"""Makes traces: tasks that arrive as a day goes, and one service with a peak. The shipped trace is made here.

Called by `burster trace generate`, by scenarios and by tests. The same plan gives the same trace on every machine: only
``random.Random.random``, which Python keeps stable, and arithmetic without rounding differences between C libraries are used.
"""

import random
from bisect import bisect_right
from itertools import accumulate
from typing import Final

import msgspec

from burster.model.errors import InputError
from burster.model.pods import Resources
from burster.simulator.traces.model import NAME, Trace, TraceEntry


#: How busy each hour of a day is, against the others: quiet nights, a peak before noon, a lower one after lunch.
HOUR_WEIGHTS: Final = (2, 2, 2, 2, 2, 3, 5, 8, 12, 16, 18, 17, 13, 12, 13, 12, 10, 8, 6, 5, 4, 3, 3, 2)
_CUMULATED: Final = tuple(accumulate(HOUR_WEIGHTS, initial=0))
_CPU_STEP: Final = 1000
_MINUTE_MS: Final = 60_000
_PODS_MAX: Final = 10_000_000
#: When the service's replicas change, in thousandths of the span, and to how many thousandths of its peak; the last one is its floor.
_RISE: Final = ((300, 334), (375, 667), (450, 1000))
_FALL: Final = ((800, 500), (875, 0))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to generate. The defaults are those of the shipped trace."""

    seed: int = 9
    pods: int = 60  #: tasks
    span_ms: int = 40 * _MINUTE_MS  #: in which they all arrive
    day_ms: int = 0  #: how long a day is; 0: the span is one day
    duration_min_ms: int = 2 * _MINUTE_MS
    duration_max_ms: int = 20 * _MINUTE_MS
    cpu_max_millicores: int = 4000  #: tasks ask for whole cores, 1 up to this
    memory_per_cpu_bytes: int = 2 << 30
    deployment: str = "on-prem-deployment"  #: empty: no service
    replicas_peak: int = 6
    replica: Resources = Resources(cpu_millicores=2000, memory_bytes=4 << 30)
    namespace: str = "default"


def generate(plan: Plan) -> Trace:
    """Return the trace of a plan. Raises InputError for a plan that makes no sense."""
    _check(plan)
    rng = random.Random(plan.seed)
    arrivals = sorted(_arrival_ms(plan, rng.random()) for _ in range(plan.pods))
    width = max(4, len(str(plan.pods)))
    tasks = [_task(plan, rng, arrival_ms, f"task-{n:0{width}}") for n, arrival_ms in enumerate(arrivals, start=1)]
    entries = sorted([*_service(plan), *tasks], key=lambda entry: entry.arrival_ms)
    return Trace(source=f"generated, seed {plan.seed}", format="csv", entries=tuple(entries), rows_read=len(entries))


def _arrival_ms(plan: Plan, chance: float) -> int:
    """Place one arrival: a Poisson process whose rate follows the day, of which the number of arrivals is known."""
    day_ms = plan.day_ms or plan.span_ms
    total = _weight(day_ms, plan.span_ms)
    wanted = chance * total
    days, rest = divmod(wanted, _CUMULATED[-1])
    hour = min(bisect_right(_CUMULATED, rest) - 1, len(HOUR_WEIGHTS) - 1)
    of_day = (hour + (rest - _CUMULATED[hour]) / HOUR_WEIGHTS[hour]) / len(HOUR_WEIGHTS)
    return min(int((days + of_day) * day_ms), plan.span_ms - 1)


def _weight(day_ms: int, span_ms: int) -> float:
    """Return how much of the days' weight lies in the span."""
    days, rest_ms = divmod(span_ms, day_ms)
    hour, part = divmod(rest_ms * len(HOUR_WEIGHTS), day_ms)
    partial = _CUMULATED[hour] + (HOUR_WEIGHTS[hour] * part / day_ms if part else 0)
    return days * _CUMULATED[-1] + partial


def _task(plan: Plan, rng: random.Random, arrival_ms: int, name: str) -> TraceEntry:
    cores = 1 + int(rng.random() * (plan.cpu_max_millicores // _CPU_STEP))
    # squared: many short tasks, few long ones
    stretch = rng.random() ** 2
    duration_ms = plan.duration_min_ms + int(stretch * (plan.duration_max_ms - plan.duration_min_ms)) // 1000 * 1000
    return TraceEntry(
        arrival_ms=arrival_ms,
        name=name,
        duration_ms=duration_ms,
        requests=Resources(cpu_millicores=cores * _CPU_STEP, memory_bytes=cores * plan.memory_per_cpu_bytes),
        namespace=plan.namespace,
    )


def _service(plan: Plan) -> list[TraceEntry]:
    """Return the service's life: up in three steps, and down again to one replica."""
    if not plan.deployment or not plan.replicas_peak:
        return []
    steps = [(at, max(1, plan.replicas_peak * part // 1000)) for at, part in (*_RISE, *_FALL)]
    entries: list[TraceEntry] = []
    before = 0
    for at, replicas in steps:
        if replicas == before:
            continue
        before = replicas
        entries.append(
            TraceEntry(
                arrival_ms=plan.span_ms * at // 1000,
                name=plan.deployment,
                kind="Deployment",
                replicas=replicas,
                requests=plan.replica,
                namespace=plan.namespace,
            )
        )
    return entries


def _check(plan: Plan) -> None:
    if not 0 <= plan.pods <= _PODS_MAX:
        raise InputError(f"{plan.pods} pods can't be generated; choose 0 to {_PODS_MAX}")
    if plan.span_ms < 1 or (plan.day_ms and plan.day_ms < 1):
        raise InputError("a trace needs a span (and a day) of at least 1 ms; write for example 40m")
    if not 0 <= plan.duration_min_ms <= plan.duration_max_ms:
        raise InputError("the longest duration is shorter than the shortest; exchange them")
    if plan.cpu_max_millicores < _CPU_STEP:
        raise InputError("tasks ask for whole cores; let them ask for 1 at least")
    if plan.deployment and not NAME.fullmatch(plan.deployment):
        raise InputError(f"{plan.deployment!r} is no name for a Deployment; use a-z, 0-9, - and .")
    if not plan.pods and not (plan.deployment and plan.replicas_peak):
        raise InputError("nothing is to be generated; ask for pods or for a Deployment")
