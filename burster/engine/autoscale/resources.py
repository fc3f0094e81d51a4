"""The use of cpu and memory by the pods of a workload, and how many replicas the HPA would want of it.

Called by ``engine.metrics`` for the workload that a trigger measures. Pods without metrics and pods that are not ready yet are counted on
the careful side: as idle where more would be started for them, as busy where some would be stopped.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from burster.engine.autoscale.arithmetic import MILLI, Tolerance, ceil_div, saturated
from burster.model.stimuli import PodUse


Resource = Literal["cpu", "memory"]
#: How long after its start a pod that is not ready counts as starting (cpu only): the HPA's cpu-initialization-period
INITIALIZATION_MS: Final = 300_000
_WHOLE_REQUEST_MILLI: Final = 100_000  # 100 %


class Goal(NamedTuple):
    """What use is aimed at: percent of the request (80 % is 80,000), or per pod (millicores, milli-bytes)."""

    resource: Resource
    utilization: bool
    target_milli: int
    tolerance: Tolerance = Tolerance()


class Measured(NamedTuple):
    """How many replicas the workload needs, None where that can't be told, and its average use in the unit of the target."""

    replicas: int | None
    average_milli: int | None


class _Groups(NamedTuple):
    counted: list[PodUse]
    missing: list[PodUse]
    unready: list[PodUse]


class _Ratio(NamedTuple):
    """Use over target, kept as two integers."""

    used: int
    wanted: int

    def side(self) -> int:
        """Return -1 below the target, 0 on it, 1 above."""
        return (self.used > self.wanted) - (self.used < self.wanted)


_Use = tuple[int, int]  #: (usage, request) of one pod, in the unit of the target


def measure(pods: Sequence[PodUse], goal: Goal, *, replicas: int, now_ms: int) -> Measured:
    """Return how many replicas a workload that has ``replicas`` needs for the use of its pods to meet the goal."""
    groups = _group(pods, goal.resource, now_ms)
    unusable = goal.utilization and any(pod.request <= 0 for pod in pods)
    if goal.target_milli <= 0 or not groups.counted or unusable:
        return Measured(None, None)
    uses = [_use(pod, goal) for pod in groups.counted]
    ratio = _ratio(uses, goal)
    grow_with_unready = bool(groups.unready) and ratio.side() > 0
    if not groups.missing and not grow_with_unready:
        if goal.tolerance.holds(*ratio):
            return Measured(replicas, ratio.used)
        return Measured(_times(ratio, len(uses)), ratio.used)
    uses += _assumed(groups.missing, goal, ratio.side())
    if grow_with_unready:
        uses += [(0, request) for _, request in (_use(pod, goal) for pod in groups.unready)]
    corrected = _ratio(uses, goal)
    return Measured(_unless_turned(ratio, corrected, goal, replicas=replicas, pods=len(uses)), ratio.used)


def _group(pods: Sequence[PodUse], resource: Resource, now_ms: int) -> _Groups:
    groups = _Groups([], [], [])
    for pod in pods:
        starting = pod.started_at_ms is None or now_ms < pod.started_at_ms + INITIALIZATION_MS
        if pod.usage is None:
            # without a start time it is still Pending
            (groups.unready if pod.started_at_ms is None and not pod.ready else groups.missing).append(pod)
        elif resource == "cpu" and not pod.ready and starting:
            groups.unready.append(pod)
        else:
            groups.counted.append(pod)
    return groups


def _use(pod: PodUse, goal: Goal) -> _Use:
    unit = 1 if goal.resource == "cpu" else MILLI  # bytes become milli-bytes; cpu comes in millicores
    return (pod.usage or 0) * unit, pod.request * unit


def _ratio(uses: list[_Use], goal: Goal) -> _Ratio:
    """The HPA cuts off here: utilization is in whole percent, an average in whole milli-units."""
    used = sum(usage for usage, _ in uses)
    if not goal.utilization:
        return _Ratio(used // len(uses), goal.target_milli)
    return _Ratio(used * 100 // sum(request for _, request in uses) * MILLI, goal.target_milli)


def _assumed(missing: list[PodUse], goal: Goal, side: int) -> list[_Use]:
    """Return what pods without metrics are taken to use: nothing where it is too much already, their share where it is too little."""
    requests = [request for _, request in (_use(pod, goal) for pod in missing)]
    if side < 0 and goal.utilization:
        share_milli = max(_WHOLE_REQUEST_MILLI, goal.target_milli)
        return [(request * share_milli // _WHOLE_REQUEST_MILLI, request) for request in requests]
    if side < 0:
        return [(goal.target_milli, request) for request in requests]
    if side == 0 and goal.utilization:
        return []
    return [(0, request) for request in requests]


def _unless_turned(ratio: _Ratio, corrected: _Ratio, goal: Goal, *, replicas: int, pods: int) -> int:
    """Return the corrected number, unless what was assumed has turned the direction round: then nothing changes."""
    if goal.tolerance.holds(*corrected) or ratio.side() * corrected.side() < 0:
        return replicas
    proposed = _times(corrected, pods)
    side = corrected.side()
    if (side < 0 and proposed > replicas) or (side > 0 and proposed < replicas):
        return replicas
    return proposed


def _times(ratio: _Ratio, pods: int) -> int:
    return saturated(ceil_div(ratio.used * pods, ratio.wanted))
