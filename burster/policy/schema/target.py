"""BurstTarget: one place to burst to, and what no policy may exceed there.

``target_of`` turns it into the engine's Target.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from burster.model.quantities import parse_duration_ms
from burster.policy.fields import LABEL_LENGTH_MAX, DnsLabel, DnsName, DurationBetween, Labels, Matching, Usd
from burster.policy.fields.amounts import Cpu, Memory, Percent
from burster.policy.fields.texts import Origins, Provider, ResourceName, Size, Sizes, Url, Word, Words
from burster.policy.refusals import Findings
from burster.policy.schema.base import Metadata, Strict, ruled
from burster.policy.schema.confidential import InitdataSpec, TeeName, Tees, refuse_no_tee
from burster.policy.schema.limits import CapsSpec, LimitsSpec
from burster.policy.schema.machine import MachinesSpec
from burster.policy.schema.target_elsewhere import RULES_ELSEWHERE, check_elsewhere


AZURE = "azure"
_AZURE_SIZE = "Standard_"


TagName = Annotated[
    str, Matching(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", 128, "a tag's name: letters, digits, '_', '.', ':' and '-'")
]
TagValue = Annotated[
    str,
    Matching(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}", 128, "a tag's value: letters, digits, '_', '.', ':', '@' and '-'"),
]


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


class SweepScopeSpec(Strict):
    """What in the resource group is this cluster's for certain, besides what its records prove."""

    tags: Annotated[dict[TagName, TagValue], Field(max_length=10)] = Field(
        default={},
        description="Tags that cloud-api-adaptor's setting TAGS gives the VMs of this cluster and of no other: {burster-cluster: prod-1}.",
    )
    exclusive: bool = Field(
        default=False,
        description="The resource group is this cluster's alone: whatever in it is named like a pod's VM, or like a part of one, is this"
        " cluster's.",
    )


class SweepSpec(Strict):
    """What happens to VMs, network interfaces, disks and public addresses in the resource group that no record claims."""

    mode: Literal["Report", "Delete"] = Field(
        default="Report",
        description="Report only tells; Delete removes what is this cluster's for certain: by its records, or by scope.",
    )
    grace: Annotated[str, DurationBetween("1m", "24h")] = Field(
        default="5m", description="How old such a VM must be before it counts."
    )
    scope: SweepScopeSpec = Field(
        default=SweepScopeSpec(),
        description="What is this cluster's without a record that proves it; nothing where it is left out.",
    )


class TrusteeSpec(Strict):
    """The Trustee that pods attest to, which then releases their keys."""

    url: Url = Field(description="Its address.")


class PricesSpec(Strict):
    """What is really paid. A price of the table wins over the list price less the discount."""

    discount_percent: Percent = Field(default="0", description="Off every list price, in percent.")
    per_hour: Annotated[dict[Size, Usd], Field(max_length=256)] = Field(
        default={}, description='USD per hour by size: {Standard_DC4es_v6: "0.19"}.'
    )


class CatalogueEntry(Strict):
    """A size that can be had here, where no cloud lists them."""

    size: Size = Field(description="Its name.")
    cpu: Cpu = Field(description="Its cpu.")
    memory: Memory = Field(description="Its memory.")
    gpus: int = Field(default=0, ge=0, le=64, description="Its NVIDIA GPUs (nvidia.com/gpu).")
    devices: Annotated[dict[ResourceName, Annotated[int, Field(ge=1, le=1_024)]], Field(max_length=16)] = Field(
        default={}, description="Its other devices by the name of the resource."
    )
    tee: TeeName = Field(description="Its trusted execution environment.")
    price_per_hour: Usd | None = Field(default=None, description="USD per hour; unknown where it is left out.")
    zones: Words = Field(default=(), description="Its zones.")
    spot: bool = Field(default=False, description="Whether it can be taken away at any time.")
    family: Word | None = Field(
        default=None, description="Sizes of one family share quota and fate; its own name where it is left out."
    )


class AllowedNamespace(CapsSpec):
    """A namespace that may burst here, with what it may use at most."""

    name: DnsLabel = Field(description="The namespace.")


def _form(value: Any) -> str:
    return "<limits>" if isinstance(value, dict | AllowedNamespace) else "<name>"


_NamespaceName = Annotated[
    str, Matching(r"\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?", LABEL_LENGTH_MAX, 'a namespace\'s name, or "*" for every one')
]
Namespace = Annotated[
    Annotated[_NamespaceName, Tag("<name>")] | Annotated[AllowedNamespace, Tag("<limits>")], Discriminator(_form)
]


class BurstTargetSpec(Strict):
    """A place, its allowed sizes, and what no policy may exceed there."""

    model_config = ruled(
        ("self.provider != 'azure' || has(self.azure)", "azure is required for provider azure"),
        ("self.provider == 'azure' || !has(self.azure)", "azure is for provider azure only"),
        ("self.provider == 'azure' || has(self.region)", "region is required for providers other than azure"),
        (
            "self.provider != 'azure' || !has(self.region)",
            "azure.region says the region: region can't be given for provider azure",
        ),
        (
            "self.provider == 'azure' || (has(self.catalogue) && size(self.catalogue) > 0)",
            "catalogue is required for providers other than azure: no cloud lists their sizes",
        ),
        (
            "self.provider != 'azure' || !has(self.catalogue) || size(self.catalogue) == 0",
            "azure lists its own sizes: catalogue can't be given",
        ),
        (
            "self.provider != 'azure' || (has(self.sizes) && size(self.sizes) > 0)",
            "sizes is required for provider azure",
        ),
        ("self.provider == 'azure' || !has(self.machines)", "machines are made on azure only"),
        *RULES_ELSEWHERE,
    )

    provider: Provider = Field(
        default=AZURE,
        description="azure; or onprem, which is nodes of one's own; or another one, as its cloud-api-adaptor calls it in PeerPod records.",
    )
    azure: AzureSpec | None = Field(default=None, description="Where on Azure; for provider azure.")
    region: Word | None = Field(default=None, description="The region; for providers other than azure.")
    runtime_class_name: DnsName = Field(
        default="kata-remote", description="The RuntimeClass of peer pods, or of pods in VMs of their nodes."
    )
    node_selector: Labels = Field(
        default={},
        description="Labels that a pod's node must carry, the one that tells its TEE among them: for provider onprem, which needs them.",
    )
    image: Annotated[str, Matching(r"/[!-~]{1,511}", 512, "an image id: it starts with /")] | None = Field(
        default=None,
        description="Id of the pod VM image every VM must have been made from; not checked where it is left out.",
    )
    subnet: Annotated[str, Matching(r"/[!-~]{1,511}", 512, "a subnet's resource id: it starts with /")] | None = Field(
        default=None, description="Resource id of the subnet every VM must be in; not checked where it is left out."
    )
    sizes: Sizes = Field(
        default=(), description="Allowed VM sizes; the whole catalogue where there is one and this is left out."
    )
    tees: Tees = Field(default=("TDX",), description="Trusted execution environments allowed here.")
    allowed_namespaces: Annotated[tuple[Namespace, ...], Field(strict=False, max_length=256)] = Field(
        default=(),
        description='Namespaces that may burst here, each by its name or as a mapping of name, maxBursts, maxVcpus and budget; "*" is every'
        " one, and an empty list none.",
    )
    required_namespace_labels: Labels = Field(
        default={}, description="Labels a namespace must carry before anything of it may burst here."
    )
    data_classes: Words = Field(default=(), description="Classes of data that may be worked on here.")
    jurisdiction: Word | None = Field(default=None, description="Whose law holds here, as in policies' jurisdictions.")
    trustee: TrusteeSpec | None = Field(
        default=None, description="The Trustee that pods attest to; without one only attestation VmOnly can burst here."
    )
    initdata: InitdataSpec | None = Field(default=None, description="The initdata of pods here.")
    allowed_metric_endpoints: Origins = Field(
        default=(),
        description="scheme://host:port of servers that policies' triggers may be read from; none where it is empty.",
    )
    prices: PricesSpec = Field(default=PricesSpec(), description="Negotiated prices.")
    catalogue: Annotated[tuple[CatalogueEntry, ...], Field(strict=False, max_length=256)] = Field(
        default=(), description="What can be had here, for providers other than azure."
    )
    limits: LimitsSpec = Field(
        default=LimitsSpec(), description="What all policies together may use and spend here at most."
    )
    assumed_price_per_hour: Usd | None = Field(
        default=None,
        description="USD per hour reserved for a size of unknown price; such a size is refused where it is left out.",
    )
    when_quota_unknown: Literal["Refuse", "Allow"] = Field(
        default="Refuse",
        description="Whether anything starts here before the subscription's vCPU quota could be read once; later the last one counts.",
    )
    launch_deadline: Annotated[str, DurationBetween("10s", "1h")] = Field(
        default="5m", description="How long a VM may take to be there, from the placing of its pod."
    )
    ready_deadline: Annotated[str, DurationBetween("10s", "2h")] = Field(
        default="15m", description="How long a pod may take to run on a verified VM, from its placing."
    )
    sweep: SweepSpec = Field(default=SweepSpec(), description="What happens to VMs that no Burst claims.")
    machines: MachinesSpec | None = Field(
        default=None,
        description="What machines of policies with strategy Machine are made with; none may be made without it.",
    )

    _no_tee = field_validator("tees", mode="before")(refuse_no_tee)

    @model_validator(mode="after")
    def _together(self) -> "BurstTargetSpec":
        wrong = Findings()
        if parse_duration_ms(self.ready_deadline) < parse_duration_ms(self.launch_deadline):
            wrong.at(
                "readyDeadline",
                message=f"{self.ready_deadline} is shorter than launchDeadline {self.launch_deadline}, but a pod is"
                " ready only after its VM is there: raise readyDeadline or lower launchDeadline",
            )
        if self.provider == AZURE:
            self._check_azure(wrong)
        else:
            check_elsewhere(self, wrong)
        self._check_names(wrong)
        wrong.raise_any()
        return self

    def _check_azure(self, wrong: Findings) -> None:
        if self.azure is None:
            wrong.at("azure", message="is required for provider azure: write subscriptionId, resourceGroup and region")
        if self.region is not None:
            wrong.at("region", message="is for other providers: Azure's region is azure.region; remove it")
        if self.node_selector:
            wrong.at("nodeSelector", message="is for provider onprem: on azure no node of the cluster is the machine")
        if not self.sizes:
            wrong.at("sizes", message="is required for provider azure: Allowed VM sizes; at least one.")
        if self.catalogue:
            wrong.at(
                "catalogue",
                message="is for other providers: Azure lists its own sizes; prices.perHour sets their prices",
            )
        for index, size in enumerate(self.sizes):
            if not size.startswith(_AZURE_SIZE):
                wrong.at(
                    "sizes",
                    index,
                    message=f"{size!r} is not an Azure VM size: write it in full, for example Standard_DC4es_v6",
                )

    def _check_names(self, wrong: Findings) -> None:
        seen: list[str] = []
        for index, entry in enumerate(self.allowed_namespaces):
            name = entry if isinstance(entry, str) else entry.name
            if name in seen:
                wrong.at("allowedNamespaces", index, message=f"names {name!r} twice: remove one")
            seen.append(name)


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
