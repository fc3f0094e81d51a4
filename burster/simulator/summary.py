"""Sums a run up: the numbers of summary.json, each counted from the world and not from what the controller believes.

Called by `burster simulate`. A pod counts where it first did the work that counts (a task: the run that ended it; a replica: on-prem, or
by a clone that stood in for it). Waits are over pods that got to work; those that never did are ``unserved``.
"""

import hashlib
from typing import Any

import msgspec

from burster import __version__
from burster.model.quantities import MICRO_USD_PER_USD, MILLIS_PER_HOUR, MILLIS_PER_SECOND
from burster.simulator.run import Outcome, Setup
from burster.simulator.traces.inspect import nearest_rank


def summarise(setup: Setup, outcome: Outcome, wall_seconds: float) -> dict[str, Any]:
    """Return the summary as JSON values."""
    pods = outcome.world.pods
    waits = sorted(pod.served_at_ms - pod.arrived_ms for pod in pods if pod.served_at_ms >= 0)
    events = outcome.world.events + outcome.steps
    return {
        "seed": setup.seed,
        "engine_version": __version__,
        "policy_hash": policy_hash(setup),
        "trace": {
            "source": setup.trace.source,
            "pods": setup.trace.pods,
            "span_seconds": setup.trace.span_ms / MILLIS_PER_SECOND,
            "rows_read": setup.trace.rows_read,
            "dropped": setup.trace.dropped,
        },
        "pods": {
            "total": len(pods),
            "ran_on_prem": sum(pod.served_by == "on-prem" for pod in pods),
            "ran_in_cloud": sum(pod.served_by == "cloud" for pod in pods),
            "unserved": sum(pod.served_by == "" for pod in pods),
            "restarts": sum(pod.restarts for pod in pods),
        },
        "wait_seconds": _waits(waits),
        "cost_usd": _cost(outcome),
        "cloud": _cloud(outcome),
        "limits": {"denials": outcome.denials},
        "on_prem": _on_prem(outcome),
        "decisions": outcome.decisions,
        "verdicts": outcome.verdicts,
        "steps": outcome.steps,
        "events": events,
        "simulated_seconds": outcome.ended_ms / MILLIS_PER_SECOND,
        "wall_seconds": round(wall_seconds, 6),
        "events_per_second": round(events / wall_seconds) if wall_seconds > 0 else 0,
    }


def policy_hash(setup: Setup) -> str:
    """Return a hash of the rules and targets as the engine gets them: the same rules written differently have the same."""
    text = msgspec.json.encode([setup.policies, setup.targets], order="sorted")
    return hashlib.sha256(text).hexdigest()


def _waits(waits: list[int]) -> dict[str, float]:
    mean = sum(waits) / len(waits) if waits else 0.0
    return {
        "mean": round(mean / MILLIS_PER_SECOND, 3),
        "p50": nearest_rank(waits, 50) / MILLIS_PER_SECOND,
        "p95": nearest_rank(waits, 95) / MILLIS_PER_SECOND,
        "p99": nearest_rank(waits, 99) / MILLIS_PER_SECOND,
        "max": nearest_rank(waits, 100) / MILLIS_PER_SECOND,
    }


def _cost(outcome: Outcome) -> dict[str, float]:
    """Return USD. ``idle`` is the part of ``compute`` for time in which a VM did no pod's work: booting, spare, ending."""
    compute = egress = idle = 0
    for vm, bill in outcome.cloud.bills(outcome.ended_ms):
        compute += bill
        idle += bill - min(bill, vm.price_micro_usd_per_hour * vm.work_ms // MILLIS_PER_HOUR)
        egress += outcome.cloud.egress_micro_usd(vm)
    return {
        "total": (compute + egress) / MICRO_USD_PER_USD,
        "compute": compute / MICRO_USD_PER_USD,
        "egress": egress / MICRO_USD_PER_USD,
        "idle": idle / MICRO_USD_PER_USD,
        "settled_by_burster": outcome.hands.settled_micro_usd / MICRO_USD_PER_USD,
    }


def _cloud(outcome: Outcome) -> dict[str, Any]:
    cloud = outcome.cloud
    existed_ms = sum(
        (outcome.ended_ms if vm.gone_ms < 0 else vm.gone_ms) - vm.created_ms for vm, _ in cloud.bills(outcome.ended_ms)
    )
    return {
        "vm_hours": round(existed_ms / MILLIS_PER_HOUR, 6),
        "launches": cloud.launches,
        "launch_failures": dict(sorted(cloud.failures.items())),
        "peak_vms": cloud.peak_vms,
        "left_at_end": len(cloud.vms),
    }


def _on_prem(outcome: Outcome) -> dict[str, Any]:
    capacity = outcome.world.onprem.cpu_total * outcome.ended_ms
    return {
        "nodes": len(outcome.world.onprem.nodes),
        "cpu_utilisation": round(outcome.timeline.cpu_millicore_ms / capacity, 6) if capacity else 0.0,
        "pending_at_end": outcome.world.onprem.pending,
        "running_at_end": outcome.world.onprem.running,
    }
