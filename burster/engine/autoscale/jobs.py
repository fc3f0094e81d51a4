"""How many Jobs KEDA's ScaledJob would create: its four strategies and its ways to join several triggers.

Called for convert and what-if; burster itself creates no Jobs by number. Values are in milli-units.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from burster.engine.autoscale.arithmetic import MILLI


JobStrategy = Literal["default", "custom", "accurate", "eager"]
Joining = Literal["max", "min", "avg", "sum"]
DEFAULT_MAX: Final = 100


class JobRules(NamedTuple):
    """A ScaledJob's numbers. ``maximum`` None: not set."""

    minimum: int = 0
    maximum: int | None = None
    strategy: JobStrategy = "default"
    joining: Joining = "max"
    deduction: int = 0
    running_percentage_milli: int | None = None  #: of 1; None: not set, or no number

    def effective(self) -> tuple[int, int]:
        """Return minimum and maximum as KEDA uses them: what must run is no part of what may be added."""
        if self.maximum is None:
            return self.minimum, DEFAULT_MAX
        if self.minimum > self.maximum:
            return self.maximum, self.maximum
        return self.minimum, self.maximum - self.minimum


class JobTrigger(NamedTuple):
    """A trigger's queue and how much of it one Job takes; ``active`` as the trigger says."""

    queue_milli: int
    target_milli: int
    active: bool


class JobPlan(NamedTuple):
    """``create`` new Jobs: the smaller of what the queue holds and what the strategy leaves, and none without activity."""

    create: int
    scale_to: int
    effective: int
    active: bool


def plan_jobs(rules: JobRules, triggers: Sequence[JobTrigger], *, running: int, pending: int) -> JobPlan:
    """Return what one poll would create."""
    minimum, maximum = rules.effective()
    queue, good_for, active = _join(rules.joining, triggers, maximum)
    scale_to, most = math.ceil(queue), min(math.ceil(good_for), maximum)
    active = active or minimum > 0
    if running < minimum:
        scale_to = effective = minimum - running
    else:
        effective, scale_to = _strategy(
            rules, most, scale_to, running=running - minimum, pending=pending, maximum=maximum
        )
    effective = max(0, effective)
    return JobPlan(max(0, min(scale_to, effective)) if active else 0, scale_to, effective, active)


def _join(joining: Joining, triggers: Sequence[JobTrigger], maximum: int) -> tuple[Fraction, Fraction, bool]:
    """Return the queue, the Jobs it is good for, and whether anything is active."""
    # what is no target is no trigger
    queues = [
        (Fraction(one.queue_milli, MILLI), min(Fraction(one.queue_milli, one.target_milli), Fraction(maximum)))
        for one in triggers
        if one.active and one.target_milli > 0
    ]
    if joining == "max":
        queues = [one for one in queues if one[0] > 0]
    if not queues:
        return Fraction(0), Fraction(0), False
    if joining == "min":
        return (*min(queues, key=_length), True)
    if joining == "max":
        return (*max(queues, key=_length), True)
    queue, most = sum((one[0] for one in queues), Fraction(0)), sum((one[1] for one in queues), Fraction(0))
    if joining == "avg":
        return queue / len(queues), most / len(queues), True
    return queue, most, True


def _length(queue: tuple[Fraction, Fraction]) -> Fraction:
    return queue[0]


def _strategy(
    rules: JobRules, most: int, scale_to: int, *, running: int, pending: int, maximum: int
) -> tuple[int, int]:
    """Return how many may be added, and up to how many the queue asks for."""
    if rules.strategy == "accurate":
        if most + running - pending > maximum:
            return maximum - running, scale_to
        return most - pending, scale_to
    if rules.strategy == "eager":
        return min(maximum - running - pending, most), maximum
    percentage = rules.running_percentage_milli
    if rules.strategy == "custom" and percentage is not None:
        return min(most - rules.deduction - running * percentage // MILLI, maximum), scale_to
    return most - running, scale_to
