"""Tells what is in a trace: how many pods, over which time, how long and how large, and what was left out.

Called by `burster trace inspect`; the same facts go into a report's account of its input. Never alters a trace.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from burster.model.quantities import MILLIS_PER_HOUR
from burster.simulator.traces.model import Trace


PERCENTILES: Final = (5, 25, 50, 75, 90, 95, 99, 100)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A Deployment in a trace."""

    changes: int
    replicas_peak: int
    replicas_last: int


class TraceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in numbers. Percentiles are over its tasks, by nearest rank, so each is a value that occurs."""

    source: str
    format: str
    rows_read: int
    dropped: dict[str, int]
    pods: int
    tasks: int
    services: dict[str, Service]
    span_ms: int
    rebased_from_ms: int
    arrivals_per_hour: float
    arrivals_per_hour_max: int
    duration_ms: dict[str, int]
    cpu_millicores: dict[str, int]
    memory_bytes: dict[str, int]
    gpu_tasks: int
    namespaces: int


def inspect_trace(trace: Trace) -> TraceFacts:
    """Return a trace's facts."""
    tasks = [entry for entry in trace.entries if entry.kind == "Pod"]
    by_hour: dict[int, int] = {}
    for entry in tasks:
        hour = entry.arrival_ms // MILLIS_PER_HOUR
        by_hour[hour] = by_hour.get(hour, 0) + 1
    span_ms = trace.span_ms
    return TraceFacts(
        source=trace.source,
        format=trace.format,
        rows_read=trace.rows_read,
        dropped=trace.dropped,
        pods=trace.pods,
        tasks=len(tasks),
        services=_services(trace),
        span_ms=span_ms,
        rebased_from_ms=trace.rebased_from_ms,
        arrivals_per_hour=round(len(tasks) * MILLIS_PER_HOUR / span_ms, 3) if span_ms else 0.0,
        arrivals_per_hour_max=max(by_hour.values(), default=0),
        duration_ms=percentiles([entry.duration_ms for entry in tasks]),
        cpu_millicores=percentiles([entry.requests.cpu_millicores for entry in tasks]),
        memory_bytes=percentiles([entry.requests.memory_bytes for entry in tasks]),
        gpu_tasks=sum(1 for entry in tasks if entry.requests.gpus),
        namespaces=len({entry.namespace for entry in trace.entries}),
    )


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest value that at least ``percent`` of an ascending sequence does not exceed; 0 of nothing."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def percentiles(values: Sequence[int]) -> dict[str, int]:
    """Return the usual percentiles (p5 to p100) of the values."""
    ordered = sorted(values)
    return {f"p{percent}": nearest_rank(ordered, percent) for percent in PERCENTILES} if ordered else {}


def _services(trace: Trace) -> dict[str, Service]:
    found: dict[str, Service] = {}
    for entry in trace.entries:
        if entry.kind != "Deployment":
            continue
        key = f"{entry.namespace}/{entry.name}"
        known = found.get(key)
        found[key] = Service(
            changes=(known.changes if known else 0) + 1,
            replicas_peak=max(known.replicas_peak if known else 0, entry.replicas),
            replicas_last=entry.replicas,
        )
    return found
