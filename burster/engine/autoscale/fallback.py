"""What stands for a value that can't be read: KEDA's fallback, with its quirks.

Called by ``engine.replicas`` for triggers that failed. A trigger without a fallback stays missing, and a missing value decides nothing.
"""

from typing import Literal

from burster.engine.autoscale.arithmetic import MILLI, VALUE_MAX
from burster.model.scaling import Fallback


def in_force(fallback: Fallback | None, *, failures: int) -> bool:
    """Say whether the fallback stands for a trigger: after *more* failures in a row than the threshold."""
    return fallback is not None and failures > fallback.failure_threshold


def fallback_replicas(fallback: Fallback, *, current: int) -> int:
    """Return the number of replicas that the fallback stands for."""
    match fallback.behavior:
        case "currentReplicas":
            return current
        case "currentReplicasIfHigher":
            return max(current, fallback.replicas)
        case "currentReplicasIfLower":
            return min(current, fallback.replicas)
        case "static" | "scalingModifiers":
            return fallback.replicas


def fallback_value_milli(
    fallback: Fallback,
    *,
    target_milli: int,
    metric_type: Literal["AverageValue", "Value"],
    current: int,
    ready_replicas: int,
) -> int | None:
    """Return the value that makes the HPA want the fallback's number, or None where no value can."""
    whole = target_milli * fallback_replicas(fallback, current=current)
    if metric_type == "AverageValue":
        return min(whole, VALUE_MAX)
    if ready_replicas <= 0:
        return None
    return min(whole // ready_replicas, VALUE_MAX)


def possible_with_formula(target_milli: int) -> bool:
    """Say whether a composite value can have a fallback: KEDA reads its target as a whole number and silently has none for 1.5."""
    return target_milli % MILLI == 0
