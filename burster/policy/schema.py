"""What platform teams write: BurstPolicy and BurstTarget, ``burster.dev/v1alpha1``.

These models are the one source of the rules' form: validation of files and of API objects, the CRDs, the JSON Schema for editors
and the reference page all come from here. They hold what was written; ``compile`` turns them into what the engine evaluates. They
never look at anything outside the document.
"""

from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from burster.model.quantities import parse_duration_ms
from burster.policy.fields import (
    INT32_MAX,
    DnsLabel,
    DnsName,
    DnsShortName,
    DurationBetween,
    Labels,
    Matching,
    NamePattern,
    Usd,
    WholeNumber,
    unique,
)


GROUP: Final = "burster.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
PAUSED_ANNOTATION: Final = f"{GROUP}/paused"
SUPPORTED_TRIGGERS: Final = ("pending-pods",)

TeeName = Literal["TDX", "SNP"]


class Strict(BaseModel):
    """A mapping of the rules: frozen, camelCase outside, no unknown field, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class Metadata(Strict):
    """The object's metadata: what a person writes, and what an API server adds (kept as it is and not judged)."""

    name: DnsShortName = Field(description="The object's name, at most 63 characters: cloud pods carry it as a label.")
    namespace: DnsLabel | None = Field(
        default=None, description="The namespace the policy is for; default where it is left out."
    )
    labels: dict[str, str] = Field(default={}, description="Labels of the object; they decide nothing.")
    annotations: dict[str, str] = Field(default={}, description=f"Annotations; {PAUSED_ANNOTATION} pauses a policy.")
    uid: str = Field(default="", description="Given by the API server.")
    generation: int = Field(default=0, description="Given by the API server.")
    generate_name: Any = None
    resource_version: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    finalizers: Any = None
    self_link: Any = None

    @property
    def paused(self) -> bool:
        """Whether the annotation pauses the policy. As in KEDA a value that is no boolean pauses too: that is the safe side."""
        value = self.annotations.get(PAUSED_ANNOTATION)
        return value is not None and value.lower() not in {"false", "f", "0"}


class MatchLabels(Strict):
    """A selector of pods by their labels."""

    match_labels: Labels = Field(default={}, description="Labels a pod must carry, each with exactly this value.")


class Workload(Strict):
    """Which pods of the policy's namespace it is about. Every part that is given must match; at least one must be given."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    kind: Annotated[
        str | None, Matching(r"[A-Z][A-Za-z0-9]{0,62}", 63, "a kind: Deployment, StatefulSet, Job, Pod, …")
    ] = Field(
        default=None,
        description="Kind of the workload that owns the pods (for a Deployment's pods Deployment), or Pod for bare pods.",
    )
    name_pattern: NamePattern | None = Field(
        default=None, description="A regular expression for the workload's whole name; for a bare pod the pod's name."
    )
    pod_name_pattern: NamePattern | None = Field(
        default=None, description="A regular expression for the pod's whole name."
    )
    selector: MatchLabels | None = Field(default=None, description="Labels of the pods.")

    @model_validator(mode="after")
    def _selects(self) -> "Workload":
        labels = self.selector.match_labels if self.selector else {}
        if not (self.kind or self.name_pattern or self.pod_name_pattern or labels):
            raise ValueError(
                "selects nothing: give kind, namePattern, podNamePattern or selector.matchLabels"
                ' (podNamePattern: ".*" is every pod of the namespace)'
            )
        return self


class PendingPodsMetadata(Strict):
    """The settings of a pending-pods trigger."""

    pending_for: Annotated[str, DurationBetween("0s", "24h")] = Field(
        default="30s", description="How long a pod must have been Unschedulable before it counts."
    )
    min_count: Annotated[int, WholeNumber(1, 10_000)] = Field(
        default=1, description="How many such pods there must be before any of them counts."
    )


class Trigger(Strict):
    """A source of demand, in KEDA's shape."""

    type: Literal["pending-pods"] = Field(description="The kind of trigger; pending-pods is the one there is.")
    name: DnsLabel = Field(default="pending-pods", description="What reasons and metrics call this trigger.")
    metadata: PendingPodsMetadata = Field(default=PendingPodsMetadata(), description="The trigger's settings.")

    @model_validator(mode="before")
    @classmethod
    def _supported(cls, value: Any) -> Any:
        # First of all, as the fields of a trigger that isn't supported would only add noise.
        kind = value.get("type") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] (JSON)
        if isinstance(kind, str) and kind not in SUPPORTED_TRIGGERS:
            raise ValueError(f"type {kind!r} is not supported: use {', '.join(SUPPORTED_TRIGGERS)}")
        return value  # pyright: ignore[reportUnknownVariableType] (JSON)


class BudgetSpec(Strict):
    """Hard limits of money in USD, per UTC hour, day and month. Nothing starts unless its worst case fits into all of them."""

    per_hour: Usd | None = Field(default=None, description="USD per hour; no limit where it is left out.")
    per_day: Usd | None = Field(default=None, description="USD per day; no limit where it is left out.")
    per_month: Usd | None = Field(default=None, description="USD per month; no limit where it is left out.")


class LimitsSpec(Strict):
    """What may be used at most at one time, and spent."""

    max_bursts: int | None = Field(
        default=None, ge=0, le=10_000, description="Cloud pods at one time; no limit where it is left out."
    )
    max_vcpus: int | None = Field(
        default=None, ge=0, le=1_000_000, description="vCPUs of cloud VMs at one time; no limit where it is left out."
    )
    budget: BudgetSpec = Field(default=BudgetSpec(), description="Limits of money.")


VmSize = Annotated[
    str,
    Matching(r"Standard_[A-Za-z0-9_-]{2,70}", 80, "an Azure VM size: write it in full, for example Standard_DC4es_v6"),
]
Sizes = Annotated[tuple[VmSize, ...], Field(strict=False, max_length=64), AfterValidator(unique)]
Tees = Annotated[tuple[TeeName, ...], Field(strict=False, min_length=1, max_length=2), AfterValidator(unique)]


class PlacementSpec(Strict):
    """Where cloud pods go, and for how long."""

    strategy: Literal["Auto", "Clone", "Move"] = Field(
        default="Auto",
        description="Clone adds cloud replicas of a service; Move takes the pending pod itself (finite work);"
        " Auto clones pods of Deployments and moves everything else.",
    )
    targets: Annotated[
        tuple[DnsShortName, ...], Field(strict=False, min_length=1, max_length=16), AfterValidator(unique)
    ] = Field(description="Names of BurstTargets, tried in this order.")
    sizes: Sizes = Field(default=(), description="VM sizes to choose from; the target's own where it is left out.")
    lease: Annotated[str, DurationBetween("1m", "24h")] = Field(
        default="50m",
        description="How long a cloud pod may live before its lease must be renewed, and its money reserved again.",
    )
    cooldown_period: int = Field(
        default=300,
        ge=0,
        le=604_800,
        description="Seconds that a cloned pod outlives the demand for it (KEDA's cooldownPeriod).",
    )
    drain: Annotated[str, DurationBetween("0s", "1h")] = Field(
        default="10m", description="How long a cloud pod may take to finish what it does when it comes home."
    )


class ConfidentialSpec(Strict):
    """What a VM must prove before a pod works on it. There is no way to ask for a VM that isn't confidential."""

    tees: Tees = Field(default=("TDX",), description="Trusted execution environments, any of which will do.")
    secure_boot: bool = Field(default=True, description="Whether the VM must have booted by UEFI secure boot.")

    @field_validator("tees", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        if isinstance(value, list) and any(item == "None" for item in cast("list[Any]", value)):
            raise ValueError("bursting is for confidential VMs only: there is no None; use TDX or SNP")
        return cast("Any", value)


class BurstPolicySpec(Strict):
    """Which workload bursts, when, how much, where to, and what that place must prove."""

    workload: Workload = Field(description="Which pods the policy is about.")
    triggers: Annotated[tuple[Trigger, ...], Field(strict=False, min_length=1, max_length=1)] = Field(
        default=(Trigger(type="pending-pods"),), description="Sources of demand; exactly one."
    )
    limits: LimitsSpec = Field(default=LimitsSpec(), description="What the policy may use and spend at most.")
    placement: PlacementSpec = Field(description="Where cloud pods go, and for how long.")
    confidential: ConfidentialSpec = Field(default=ConfidentialSpec(), description="What a VM must prove.")
    priority: int = Field(
        default=0,
        ge=-INT32_MAX,
        le=INT32_MAX,
        description="Where several policies match a pod, the highest priority takes it.",
    )


class BurstPolicy(Strict):
    """Which workload of a namespace may burst into confidential cloud VMs, when, where to, and how much."""

    api_version: Literal["burster.dev/v1alpha1"] = Field(description="burster.dev/v1alpha1")
    kind: Literal["BurstPolicy"] = Field(description="BurstPolicy")
    metadata: Metadata = Field(description="Name, namespace and annotations.")
    spec: BurstPolicySpec = Field(description="The rules.")


class AzureSpec(Strict):
    """Where on Azure."""

    subscription_id: Annotated[
        str, Matching(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", 36, "a subscription id (a UUID)")
    ] = Field(description="The subscription that pays.")
    resource_group: Annotated[
        str,
        Matching(
            r"[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]",
            90,
            "a resource group: letters, digits, '_', '-', '.', '(' and ')'",
        ),
    ] = Field(description="The resource group in which cloud-api-adaptor creates the VMs.")
    region: Annotated[str, Matching(r"[a-z][a-z0-9]{1,40}", 41, "a region's short name, for example westeurope")] = (
        Field(description="The region's short name, as in westeurope.")
    )


class SweepSpec(Strict):
    """What happens to VMs in the resource group that no Burst claims."""

    mode: Literal["Report", "Delete"] = Field(default="Report", description="Report only tells; Delete removes them.")
    grace: Annotated[str, DurationBetween("1m", "24h")] = Field(
        default="5m", description="How old such a VM must be before it counts."
    )


class BurstTargetSpec(Strict):
    """A place, its allowed sizes, and what no policy may exceed there."""

    provider: Literal["azure"] = Field(default="azure", description="The cloud; azure is the one there is.")
    azure: AzureSpec = Field(description="Where on Azure.")
    runtime_class_name: DnsName = Field(default="kata-remote", description="The RuntimeClass of peer pods.")
    image: Annotated[str, Matching(r"/[!-~]{1,511}", 512, "an image id: it starts with /")] | None = Field(
        default=None,
        description="Id of the pod VM image every VM must have been made from; not checked where it is left out.",
    )
    subnet: Annotated[str, Matching(r"/[!-~]{1,511}", 512, "a subnet's resource id: it starts with /")] | None = Field(
        default=None, description="Resource id of the subnet every VM must be in; not checked where it is left out."
    )
    sizes: Annotated[Sizes, Field(min_length=1)] = Field(description="Allowed VM sizes; at least one.")
    tees: Tees = Field(default=("TDX",), description="Trusted execution environments allowed here.")
    allowed_namespaces: Annotated[
        tuple[
            Annotated[
                str, Matching(r"\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63, 'a namespace\'s name, or "*" for every one')
            ],
            ...,
        ],
        Field(strict=False, max_length=256),
        AfterValidator(unique),
    ] = Field(default=(), description='Namespaces that may burst here; "*" is every one, and an empty list none.')
    limits: LimitsSpec = Field(
        default=LimitsSpec(), description="What all policies together may use and spend here at most."
    )
    assumed_price_per_hour: Usd | None = Field(
        default=None,
        description="USD per hour reserved for a size of unknown price; such a size is refused where it is left out.",
    )
    launch_deadline: Annotated[str, DurationBetween("10s", "1h")] = Field(
        default="5m", description="How long a VM may take to be there, from the placing of its pod."
    )
    ready_deadline: Annotated[str, DurationBetween("10s", "2h")] = Field(
        default="15m", description="How long a pod may take to run on a verified VM, from its placing."
    )
    sweep: SweepSpec = Field(default=SweepSpec(), description="What happens to VMs that no Burst claims.")

    @model_validator(mode="after")
    def _ordered(self) -> "BurstTargetSpec":
        if parse_duration_ms(self.ready_deadline) < parse_duration_ms(self.launch_deadline):
            raise ValueError(
                f"readyDeadline {self.ready_deadline} is shorter than launchDeadline {self.launch_deadline}, but a pod is"
                " ready only after its VM is there: raise readyDeadline or lower launchDeadline"
            )
        return self


class BurstTarget(Strict):
    """One place to burst to. It belongs to the platform team; a policy can only narrow it."""

    api_version: Literal["burster.dev/v1alpha1"] = Field(description="burster.dev/v1alpha1")
    kind: Literal["BurstTarget"] = Field(description="BurstTarget")
    metadata: Metadata = Field(description="The name; a BurstTarget has no namespace.")
    spec: BurstTargetSpec = Field(description="The place.")

    @model_validator(mode="after")
    def _cluster_scoped(self) -> "BurstTarget":
        if self.metadata.namespace is not None:
            raise ValueError("metadata.namespace: a BurstTarget is for the whole cluster; remove the namespace")
        return self


MODELS: Final[dict[str, type[BurstPolicy | BurstTarget]]] = {"BurstPolicy": BurstPolicy, "BurstTarget": BurstTarget}
