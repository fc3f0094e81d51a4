"""One metric, one proposal: how many replicas the HPA would propose for it.

Called by ``proposing`` for values that are the same for every pod of a workload; the use of cpu and memory is in ``resources``. Ratios are
compared as products of integers, so that a value exactly on the edge of the tolerance is on the edge, not next to it.
"""

import math
from typing import Final, NamedTuple


#: No replica count is larger: the HPA's numbers are int32, and what is more saturates.
REPLICAS_MAX: Final = 2**31 - 1
#: No value is larger: Kubernetes quantities end there.
VALUE_MAX: Final = 2**63 - 1
MILLI: Final = 1_000


class Tolerance(NamedTuple):
    """How far a ratio may be from 1 before anything is done, in thousandths; both borders are still within."""

    down_milli: int = 100
    up_milli: int = 100

    def holds(self, used: int, wanted: int) -> bool:
        """Say whether used/wanted is within. Nothing wanted: the ratio is infinite, or no number, and never within."""
        if wanted <= 0:
            return False
        return wanted * (MILLI - self.down_milli) <= used * MILLI <= wanted * (MILLI + self.up_milli)


def milli_of(value: float | None) -> int | None:
    """Return a number in milli-units, cut off as KEDA does: not below 0, not above what Kubernetes can count.

    None, NaN and the infinities are no values: they are missing.
    """
    if value is None:
        return None
    scaled = value * MILLI
    if not math.isfinite(scaled):
        return None
    return min(max(0, int(scaled)), VALUE_MAX)


def ceil_div(dividend: int, divisor: int) -> int:
    """Return the quotient, rounded up."""
    return -(-dividend // divisor)


def saturated(replicas: int) -> int:
    """Return a replica count that fits into an int32 and is not negative."""
    return min(max(0, replicas), REPLICAS_MAX)


def propose_average(value_milli: int, target_milli: int, *, status_replicas: int, tolerance: Tolerance) -> int | None:
    """Return the proposal for an external AverageValue: the value is shared by all replicas, ready or not.

    None where the target is no target. Without any replica yet there is nothing to tolerate.
    """
    if target_milli <= 0:
        return None
    if tolerance.holds(value_milli, target_milli * status_replicas):
        return status_replicas
    return saturated(ceil_div(value_milli, target_milli))


def propose_value(
    value_milli: int,
    target_milli: int,
    *,
    spec_replicas: int,
    ready_replicas: int,
    status_replicas: int,
    tolerance: Tolerance,
) -> int | None:
    """Return the proposal for an external Value: the ratio to the target times the ready replicas.

    None where the target is no target, or where no pod is there to multiply.
    """
    if target_milli <= 0:
        return None
    if spec_replicas == 0:
        return saturated(ceil_div(value_milli, target_milli))
    if tolerance.holds(value_milli, target_milli):
        return spec_replicas
    if status_replicas <= 0:
        return None
    return saturated(ceil_div(value_milli * ready_replicas, target_milli))


class Combined(NamedTuple):
    """What several metrics propose together. ``replicas`` None: nothing may be done."""

    replicas: int | None
    metric: str  #: whose proposal it is
    failing: int


def combine(proposals: dict[str, int | None], *, spec_replicas: int) -> Combined:
    """Return the largest proposal. While any metric fails (None), nothing is scaled down; where all fail, nothing is done."""
    best, whose = -1, ""
    failing = 0
    for name, replicas in proposals.items():
        if replicas is None:
            failing += 1
        elif replicas > best:
            best, whose = replicas, name
    if best < 0 or (failing and best < spec_replicas):
        return Combined(None, whose, failing)
    return Combined(best, whose, failing)
