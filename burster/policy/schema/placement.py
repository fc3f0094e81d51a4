"""Where cloud pods go, how and for how long, and whether a pod waits for room on-prem first; a part of the schema of policies.

``compile`` turns it into the engine's Placement and Wait.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from burster.policy.fields import DnsShortName, DurationBetween, Usd, unique
from burster.policy.fields.texts import Sizes
from burster.policy.schema.base import Strict


StrategyName = Literal["Auto", "Clone", "Move", "Scale", "Signal", "Machine"]


class WaitSpec(Strict):
    """Whether a pod waits for room on-prem before money is spent on it."""

    mode: Literal["AtOnce", "PendingFor", "BuyOrWait"] = Field(
        default="PendingFor",
        description="AtOnce: not at all. PendingFor: as long as the trigger says. BuyOrWait: as long as waiting costs less than renting.",
    )
    max_wait: Annotated[str, DurationBetween("1s", "7d")] = Field(
        default="1h", description="For BuyOrWait: the longest wait."
    )
    expected_run: Annotated[str, DurationBetween("1s", "30d")] | None = Field(
        default=None, description="For BuyOrWait: how long such a pod runs; learned where it is left out."
    )
    value_per_hour: Usd = Field(
        default="0", description="For BuyOrWait: what an hour of a pod's waiting costs its owner, in USD."
    )


class SpreadSpec(Strict):
    """How evenly bursts lie over places."""

    by: Literal["target", "region", "zone", "family"] = Field(default="region", description="Over what.")
    max_skew: int = Field(
        default=1, ge=1, le=1_000, description="How many more one place may have than the place with the fewest."
    )
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = Field(
        default="ScheduleAnyway", description="ScheduleAnyway: only preferred. DoNotSchedule: refused."
    )


class PlacementSpec(Strict):
    """Where cloud pods go, how, and for how long."""

    hints: ClassVar[dict[str, str]] = {
        "cooldownPeriod": "is now spec.cooldownPeriod, beside placement, as KEDA has it: move it there",
        "cooldown": "is now spec.cooldownPeriod, beside placement, as KEDA has it: move it there",
    }

    strategy: StrategyName = Field(
        default="Auto",
        description="Clone adds cloud replicas of a service; Move takes the pending pod itself (finite work); Scale sets the number of"
        " scaleTargetRef; Signal publishes the number to KEDA; Machine starts confidential VMs without a pod, as spec.machine says. Auto"
        " clones pods of Deployments and moves everything else.",
    )
    targets: Annotated[
        tuple[DnsShortName, ...], Field(strict=False, min_length=1, max_length=16), AfterValidator(unique)
    ] = Field(description="Names of BurstTargets, tried in this order.")
    sizes: Sizes = Field(default=(), description="VM sizes to choose from; the target's own where it is left out.")
    spot: Literal["Never", "Prefer", "Only"] = Field(
        default="Never", description="Whether VMs may be such that the cloud can take away at any time."
    )
    spread: SpreadSpec | None = Field(
        default=None, description="How evenly bursts lie over places; not at all where it is left out."
    )
    lease: Annotated[str, DurationBetween("1m", "24h")] = Field(
        default="50m",
        description="How long a cloud pod may live before its lease must be renewed, and its money reserved again.",
    )
    drain: Annotated[str, DurationBetween("0s", "1h")] = Field(
        default="10m", description="How long a cloud pod may take to finish what it does when it comes home."
    )
    min_life: Annotated[str, DurationBetween("0s", "7d")] = Field(
        default="0s",
        description="How long a serving cloud pod is kept at least, unless a limit or a person says otherwise.",
    )
    idle: Annotated[str, DurationBetween("0s", "24h")] = Field(
        default="0s", description="How long a spare cloud pod is kept after its demand, and after the latest launch."
    )
    release_order: Literal["DearestFirst", "YoungestFirst", "OldestFirst"] = Field(
        default="DearestFirst", description="Which cloud pod comes home first."
    )
    return_home: Literal["WhenStarted", "WhenRoom"] = Field(
        default="WhenStarted",
        description="WhenStarted: a clone goes when its pod runs on-prem. WhenRoom: also when on-prem has had room for it as long as idle.",
    )
    max_disrupted_percent: int = Field(
        default=10,
        ge=1,
        le=100,
        description="How many of the serving cloud pods may come home at once for want of demand.",
    )
