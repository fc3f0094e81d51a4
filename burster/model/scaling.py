"""From values to a number of replicas: KEDA's and the HPA's rules, compiled. Defaults are theirs."""

from typing import Literal

import msgspec

from burster.model.triggers import WorkloadRef


FallbackBehavior = Literal[
    "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"
]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One of the HPA's scaling policies: at most ``value`` pods, or percent, within ``period_ms``."""

    type: Literal["Pods", "Percent"]
    value: int
    period_ms: int


class Direction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The HPA's rules for one direction, complete (as the API server fills them in)."""

    stabilization_ms: int
    select: Literal["Max", "Min", "Disabled"] = "Max"
    steps: tuple[Step, ...]
    tolerance_milli: int = 100  #: 0.1


class Behavior(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The HPA's ``behavior``. Without one the older limits hold: at most twice the current number or 4, 300 s of stabilization."""

    scale_up: Direction
    scale_down: Direction


class Fallback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What counts when a trigger has failed more than ``failure_threshold`` times in a row."""

    failure_threshold: int
    replicas: int
    behavior: FallbackBehavior = "static"


class ScalingModifiers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One composite value out of several triggers, by name."""

    formula: str
    target_milli: int
    activation_milli: int = 0
    metric_type: Literal["AverageValue", "Value"] = "AverageValue"


class Scaling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many replicas, and how the number may move."""

    target: WorkloadRef | None = (
        None  #: scaleTargetRef: what Scale sets; for a Clone by metrics, whose template is taken
    )
    min_replicas: int = 0
    max_replicas: int = 100
    idle_replicas: int | None = None
    polling_ms: int = 30_000
    cooldown_ms: int = 300_000
    initial_cooldown_ms: int = 0
    sync_ms: int = 15_000  #: the HPA's period
    stale_after_ms: int = 120_000  #: a value older than this is missing; never less than two polls
    behavior: Behavior | None = None
    fallback: Fallback | None = None
    modifiers: ScalingModifiers | None = None
    restore_to_original: bool = False
