"""From values to a number of replicas: KEDA's and the HPA's fields, with their defaults and bounds.

Part of the schema of BurstPolicy; ``compile_scaling`` fills in what the API server would and turns it into the engine's values.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from burster.model.quantities import parse_cpu_millicores
from burster.policy.fields import DnsName
from burster.policy.fields.amounts import Activation, Cpu, Threshold
from burster.policy.refusals import Findings
from burster.policy.schema.base import Strict


_TOLERANCE_MAX_MILLI = 10_000


class ScalingPolicySpec(Strict):
    """One of the HPA's scaling policies."""

    type: Literal["Pods", "Percent"] = Field(description="What value counts.")
    value: int = Field(ge=1, le=100_000, description="How many pods, or percent, at most.")
    period_seconds: int = Field(ge=1, le=1_800, description="Within how many seconds.")


def _tolerance(text: str) -> str:
    if parse_cpu_millicores(text) > _TOLERANCE_MAX_MILLI:
        raise ValueError(f'{text!r} is too much: write the part of the target that may be off, for example "0.1"')
    return text


class DirectionSpec(Strict):
    """The HPA's rules for one direction."""

    stabilization_window_seconds: int | None = Field(
        default=None,
        ge=0,
        le=3_600,
        description="For how long recommendations are kept: 0 for scaleUp, 300 for scaleDown.",
    )
    select_policy: Literal["Max", "Min", "Disabled"] = Field(
        default="Max", description="Max: the policy that allows the largest change. Disabled: no change."
    )
    policies: Annotated[tuple[ScalingPolicySpec, ...], Field(strict=False, min_length=1, max_length=16)] | None = Field(
        default=None,
        description="How fast the number may change. scaleUp: 4 pods or 100 percent in 15 seconds; scaleDown: 100 percent in 15 seconds.",
    )
    tolerance: Annotated[Cpu, AfterValidator(_tolerance)] | None = Field(
        default=None, description="The part of the target by which a value may be off without a change: 0.1."
    )


class BehaviorSpec(Strict):
    """The HPA's behavior. Without one at most twice the current number (or 4) is set at once, and 300 s of stabilization hold."""

    scale_up: DirectionSpec | None = Field(default=None, description="Rules for more.")
    scale_down: DirectionSpec | None = Field(default=None, description="Rules for fewer.")


class HpaConfigSpec(Strict):
    """KEDA's settings of the HPA. Burst makes none: it does the HPA's arithmetic itself."""

    name: DnsName | None = Field(default=None, max_length=63, description="Taken and not used: no HPA is made.")
    behavior: BehaviorSpec | None = Field(default=None, description="How fast the number may change.")


class ScalingModifiersSpec(Strict):
    """One composite value out of several triggers."""

    formula: Annotated[str, Field(min_length=1, max_length=2_048)] = Field(
        description="An expression over triggers' names, in expr-lang as in KEDA. cpu and memory triggers can't be used."
    )
    target: Threshold = Field(description="The composite value per replica.")
    activation_target: Activation = Field(default="0", description="Active where the composite value is above this.")
    metric_type: Literal["AverageValue", "Value"] = Field(
        default="AverageValue", description="AverageValue: the target is per replica. Value: it is for all together."
    )

    @property
    def words(self) -> frozenset[str]:
        """Every word of the formula."""
        return frozenset(re.findall(r"[A-Za-z_$][A-Za-z0-9_$]*", self.formula))


class AdvancedSpec(Strict):
    """KEDA's advanced settings."""

    restore_to_original_replica_count: bool = Field(
        default=False, description="Whether the workload's number is set back when the policy goes."
    )
    horizontal_pod_autoscaler_config: HpaConfigSpec | None = Field(default=None, description="The HPA's settings.")
    scaling_modifiers: ScalingModifiersSpec | None = Field(default=None, description="A composite value.")


class FallbackSpec(Strict):
    """What counts when a trigger can't be read."""

    failure_threshold: int = Field(
        ge=0, le=100_000, description="After more failures in a row than this the fallback counts."
    )
    replicas: int = Field(ge=0, le=100_000, description="The number of replicas.")
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"
    ] = Field(
        default="static",
        description="static: replicas. currentReplicas: what there is; …IfHigher and …IfLower: the larger and the smaller of the two."
        " scalingModifiers: the formula decides, with nil for what failed.",
    )


class ScalingSpec(Strict):
    """KEDA's fields of a ScaledObject; a part of the policy's spec."""

    min_replica_count: int = Field(default=0, ge=0, le=100_000, description="The least number of replicas.")
    max_replica_count: int = Field(default=100, ge=1, le=100_000, description="The largest number of replicas.")
    idle_replica_count: int | None = Field(
        default=None, ge=0, le=100_000, description="The number while no trigger is active; below minReplicaCount."
    )
    polling_interval: int = Field(default=30, ge=1, le=86_400, description="Seconds between two looks at a trigger.")
    cooldown_period: int = Field(
        default=300,
        ge=0,
        le=604_800,
        description="Seconds between the end of the demand and going to none; a cloned pod outlives its demand as long.",
    )
    initial_cooldown_period: int = Field(
        default=0, ge=0, le=604_800, description="Seconds after the policy's creation in which nothing goes to none."
    )
    fallback: FallbackSpec | None = Field(default=None, description="What counts when a trigger can't be read.")
    advanced: AdvancedSpec = Field(default=AdvancedSpec(), description="KEDA's advanced settings.")

    def check_numbers(self, wrong: Findings) -> None:
        """Note what contradicts itself among the numbers of replicas."""
        least, most, idle = self.min_replica_count, self.max_replica_count, self.idle_replica_count
        if least > most:
            wrong.at(
                "minReplicaCount",
                message=f"{least} is above maxReplicaCount {most}: lower it, or raise maxReplicaCount",
            )
        if idle is not None and idle >= least:
            wrong.at(
                "idleReplicaCount",
                message=f"{idle} is not below minReplicaCount {least}: lower it, raise minReplicaCount, or leave it out",
            )
        if self.fallback and self.fallback.replicas > most:
            wrong.at(
                "fallback", "replicas", message=f"{self.fallback.replicas} is above maxReplicaCount {most}: lower it"
            )


#: CEL of the same, for the policy's spec
SCALING_RULES = (
    ("self.minReplicaCount <= self.maxReplicaCount", "minReplicaCount must not be above maxReplicaCount"),
    (
        "!has(self.idleReplicaCount) || self.idleReplicaCount < self.minReplicaCount",
        "idleReplicaCount must be below minReplicaCount",
    ),
    (
        "!has(self.fallback) || self.fallback.replicas <= self.maxReplicaCount",
        "fallback.replicas must not be above maxReplicaCount",
    ),
    (
        "!has(self.fallback) || self.fallback.behavior != 'scalingModifiers' || has(self.advanced.scalingModifiers)",
        "fallback.behavior scalingModifiers needs advanced.scalingModifiers",
    ),
)
