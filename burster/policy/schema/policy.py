"""BurstPolicy: which workload bursts, when, how much, where to, and what that place must prove.

The parts are in the other ``schema_`` modules; here are placement, waiting and confidentiality, and what holds between all of them.
``compile_policy`` turns a BurstPolicy into the engine's Policy.
"""

from typing import Annotated, Any, ClassVar, Final, Literal, cast

from pydantic import AfterValidator, Field, field_validator, model_validator

from burster.policy.expressions import check_condition
from burster.policy.fields import INT32_MAX, DnsName, DnsShortName, DurationBetween, Matching, Usd, unique
from burster.policy.fields.texts import DnsNames, ImagePrefix, Sizes, Word, Words
from burster.policy.refusals import Findings
from burster.policy.schema.base import Metadata, Strict, ruled
from burster.policy.schema.limits import LimitsSpec
from burster.policy.schema.policy_rules import SPEC_RULES, check_spec
from burster.policy.schema.scaling import ScalingSpec
from burster.policy.schema.triggers import PendingPodsSpec, Trigger
from burster.policy.schema.windows import Windows
from burster.policy.schema.workload import Workload, WorkloadRefSpec


TeeName = Literal["TDX", "SNP"]
Tees = Annotated[tuple[TeeName, ...], Field(strict=False, min_length=1, max_length=2), AfterValidator(unique)]
StrategyName = Literal["Auto", "Clone", "Move", "Scale", "Signal", "Machine"]


def refuse_no_tee(value: Any) -> Any:
    """Say to somebody who writes None that bursting is for confidential VMs."""
    wrong = Findings()
    for index, item in enumerate(cast("list[Any]", value) if isinstance(value, list) else []):
        if item == "None":
            wrong.at(index, message="bursting is for confidential VMs only: there is no None; use TDX or SNP")
    wrong.raise_any()
    return cast("Any", value)


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
        " scaleTargetRef; Signal publishes the number to KEDA; Machine starts a VM without a pod. Auto clones pods of Deployments and moves"
        " everything else.",
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


class InitdataSpec(Strict):
    """A ConfigMap key that holds the initdata of peer pods."""

    config_map: DnsName = Field(description="The ConfigMap's name.")
    key: Annotated[str, Matching(r"[-._a-zA-Z0-9]+", 253, "a ConfigMap's key")] = Field(
        default="initdata.toml", description="The key."
    )


class ImagesSpec(Strict):
    """Which images a pod may be made of."""

    allowed: Annotated[tuple[ImagePrefix, ...], Field(strict=False, max_length=64), AfterValidator(unique)] = Field(
        default=(), description="Beginnings of images' names, registry first; any where it is empty."
    )
    digest_only: bool = Field(default=False, description="Whether every image must be named by its digest.")


class SecretsSpec(Strict):
    """Which Secrets a pod may refer to."""

    model_config = ruled(
        (
            "self.mode == 'Sealed' || !has(self.sealed) || size(self.sealed) == 0",
            "sealed lists Secrets for mode Sealed only",
        ),
    )

    mode: Literal["Any", "Sealed"] = Field(
        default="Any", description="Any: every Secret. Sealed: only those listed, which only the Trustee opens."
    )
    sealed: DnsNames = Field(default=(), description="Names of Secrets that hold sealed secrets.")

    @model_validator(mode="after")
    def _mode(self) -> "SecretsSpec":
        if self.mode == "Any" and self.sealed:
            raise ValueError(
                "lists sealed Secrets, but mode Any allows every Secret: write mode: Sealed, or remove the list"
            )
        return self


class ConfidentialSpec(Strict):
    """What a VM must prove, and what a pod must be, before it works there. There is no way to ask for a VM that isn't confidential."""

    tees: Tees = Field(default=("TDX",), description="Trusted execution environments, any of which will do.")
    secure_boot: bool = Field(default=True, description="Whether the VM must have booted by UEFI secure boot.")
    attestation: Literal["Required", "VmOnly"] = Field(
        default="Required",
        description="Required: only where the target names a Trustee, which attests the guest. VmOnly: the VM's own properties will do.",
    )
    initdata: InitdataSpec | None = Field(default=None, description="Initdata instead of the target's.")
    exec: Literal["Forbidden", "Allowed"] = Field(
        default="Forbidden", description="Forbidden: the agent's policy in the initdata must forbid exec."
    )
    images: ImagesSpec = Field(default=ImagesSpec(), description="Which images a pod may be made of.")
    secrets: SecretsSpec = Field(default=SecretsSpec(), description="Which Secrets a pod may refer to.")
    data_class: Word | None = Field(default=None, description="The class of the data; the target must list it.")
    jurisdictions: Words = Field(default=(), description="Of which the target must be in one; any where it is empty.")

    _no_tee = field_validator("tees", mode="before")(refuse_no_tee)


def _condition(text: str) -> str:
    check_condition(text)
    return text


_DEFAULT_TRIGGERS: Final = (PendingPodsSpec(type="pending-pods"),)


class DemandSpec(Strict):
    """Whose demand there is, and where it comes from; a part of the policy's spec."""

    priority: int = Field(
        default=0,
        ge=-INT32_MAX,
        le=INT32_MAX,
        description="Where several policies match a pod, the highest priority takes it.",
    )
    workload: Workload = Field(description="Which pods the policy is about.")
    triggers: Annotated[tuple[Trigger, ...], Field(strict=False, min_length=1, max_length=16)] = Field(
        default=_DEFAULT_TRIGGERS,
        description="Sources of demand; pending-pods where it is left out.",
        json_schema_extra={"default": [{"type": "pending-pods"}]},
    )
    scale_target_ref: WorkloadRefSpec | None = Field(
        default=None,
        description="The cloud workload: what Scale sets, what KEDA scales for Signal, and whose template a Clone by metrics takes.",
    )


class BurstPolicySpec(ScalingSpec, DemandSpec):
    """Which workload bursts, when, how much, where to, and what that place must prove."""

    model_config = ruled(*SPEC_RULES)

    when: Annotated[str, Field(min_length=1, max_length=4_096), AfterValidator(_condition)] | None = Field(
        default=None, description="A condition in CEL; nothing new starts unless it holds. Always where it is left out."
    )
    windows: Windows = Field(
        default=(), description="The policy is in force while any of them is open; always without one."
    )
    blackouts: Windows = Field(default=(), description="The policy is not in force while any of them is open.")
    wait: WaitSpec = Field(default=WaitSpec(), description="Whether a pod waits for room on-prem.")
    limits: LimitsSpec = Field(default=LimitsSpec(), description="What the policy may use and spend at most.")
    placement: PlacementSpec = Field(description="Where cloud pods go, and for how long.")
    confidential: ConfidentialSpec = Field(default=ConfidentialSpec(), description="What a VM must prove.")

    @model_validator(mode="after")
    def _together(self) -> "BurstPolicySpec":
        check_spec(self)
        return self


class BurstPolicy(Strict):
    """Which workload of a namespace may burst into confidential cloud VMs, when, where to, and how much."""

    api_version: Literal["burster.dev/v1alpha1"] = Field(description="burster.dev/v1alpha1")
    kind: Literal["BurstPolicy"] = Field(description="BurstPolicy")
    metadata: Metadata = Field(description="Name, namespace and annotations.")
    spec: BurstPolicySpec = Field(description="The rules.")
