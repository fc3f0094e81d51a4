"""What a scenario file may say: a cluster, a trace, a cloud, rules, a seed.

Read by ``scenario``, which turns it into a run's setup. It holds what was written and checks each field by itself; unknown fields are
refused. Names of fields are camelCase outside, as in policies.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from burster.policy.fields import DnsLabel, DurationBetween, Usd
from burster.policy.schema.base import Strict
from burster.policy.schema.limits import CapsSpec
from burster.simulator.amounts import Count, Cpu, Memory, as_text
from burster.simulator.cloud_model import FAILURE_MIX, FAULTS
from burster.simulator.onprem import Scoring
from burster.simulator.traces.load import FormatChoice


Duration = Annotated[str, DurationBetween("0s", "24h")]
LongDuration = Annotated[str, DurationBetween("1ms", "366d")]
LongDurationOrNow = Annotated[str, DurationBetween("0s", "366d")]
_VALUE_MAX: Final = 10**12


class NodeSpec(Strict):
    """A number of equal nodes."""

    count: int = Field(default=1, ge=1, le=10_000, description="How many such nodes there are.")
    cpu: Cpu = Field(description="Cores that pods may ask for, on each.")
    memory: Memory = Field(description="Memory that pods may ask for, on each.")
    gpus: Count = Field(default="0", description="GPUs on each.")


class ClusterSpec(Strict):
    """The on-prem cluster."""

    limits: CapsSpec = Field(
        default=CapsSpec(), description="What all policies at all targets together may use at most."
    )
    namespaces: dict[DnsLabel, dict[str, str]] = Field(
        default={}, description="Labels of namespaces; one that is not named here has none."
    )

    nodes: Annotated[tuple[NodeSpec, ...], Field(strict=False, min_length=1, max_length=1000)] = Field(
        description="Its nodes."
    )
    scoring: Scoring = Field(default="LeastAllocated", description="How the scheduler chooses among nodes that fit.")


class GenerateSpec(Strict):
    """A trace to be made, as `burster trace generate` makes it."""

    seed: int = Field(default=9, description="Same seed, same trace.")
    pods: int = Field(default=60, ge=0, le=10_000_000, description="How many tasks arrive.")
    span: LongDuration = Field(default="40m", description="The time in which they arrive.")
    day: LongDuration | None = Field(default=None, description="How long a day is; the span where it is left out.")
    duration_min: LongDuration = Field(default="2m", description="The shortest task.")
    duration_max: LongDuration = Field(default="20m", description="The longest task.")
    cpu_max: Cpu = Field(default="4", description="The largest task's cores.")
    memory_per_cpu: Memory = Field(default="2Gi", description="Memory for each core asked for.")
    deployment: str = Field(default="on-prem-deployment", description="A Deployment with one peak; empty: none.")
    replicas: int = Field(default=6, ge=0, le=100_000, description="Its replicas at the peak.")
    namespace: DnsLabel = Field(default="default", description="Where all of it runs.")


class TraceSpec(Strict):
    """The load: a file, or one to be generated."""

    file: str | None = Field(default=None, description="A trace file, relative to the scenario.")
    format: FormatChoice = Field(default="auto", description="The file's format.")
    limit: int | None = Field(default=None, ge=1, description="Only a slice of so many entries.")
    namespace: DnsLabel = Field(default="default", description="Where the pods of a trace without namespaces run.")
    gpus: Literal["keep", "ignore"] = Field(
        default="keep", description="Whether requests for GPUs count; ignore: only cpu and memory do."
    )
    generate: GenerateSpec | None = Field(default=None, description="A trace to be made instead of a file.")

    @model_validator(mode="after")
    def _one_of(self) -> "TraceSpec":
        if (self.file is None) == (self.generate is None):
            raise ValueError("give either file or generate")
        return self


class SpreadSpec(Strict):
    """A duration that varies: lognormal by these two; constant where they are the same, or where p95 is left out."""

    median: Duration = Field(description="Half of them are shorter.")
    p95: Duration | None = Field(default=None, description="One in twenty is longer.")


def _known_faults(mix: dict[str, int]) -> dict[str, int]:
    unknown = sorted(set(mix) - set(FAULTS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no failure of Azure that is simulated: use {', '.join(FAULTS)}")
    if any(weight < 0 for weight in mix.values()) or not sum(mix.values()):
        raise ValueError("a mix is made of weights of 0 or more, of which one is more than 0")
    return mix


class FailureSpec(Strict):
    """How often a VM can't be had, and why."""

    probability: Annotated[float, Field(strict=False, ge=0, le=1)] = Field(
        default=0.0, description="The share of launches that fail."
    )
    mix: Annotated[dict[str, int], AfterValidator(_known_faults)] = Field(
        default=FAILURE_MIX,
        description="Azure's codes and how often each occurs against the others.",
    )


class SizeSpec(Strict):
    """A VM size and its price; sizes that are not named here come from the built-in list."""

    size: str = Field(description="Its name, for example Standard_DC4es_v6.")
    family: str = Field(default="", description="Its quota family.")
    cpu: Cpu = Field(description="Its vCPUs.")
    memory: Memory = Field(description="Its memory.")
    gpus: Count = Field(default="0", description="Its GPUs.")
    tee: Literal["TDX", "SNP", "None"] = Field(default="TDX", description="Its trusted execution environment.")
    region: str | None = Field(default=None, description="Where this holds; everywhere where it is left out.")
    price_per_hour: Usd | None = Field(default=None, description="USD; unknown where it is left out.")
    spot_price_per_hour: Usd | None = Field(
        default=None, description="USD as a spot machine; there is none where it is left out."
    )
    zones: Annotated[tuple[str, ...], Field(strict=False, max_length=9)] = Field(
        default=(), description="The zones that have it, for machines; 1, 2 and 3 where it is left out."
    )


class EgressSpec(Strict):
    """What a working VM sends out, and what that costs."""

    per_vm_hour: Memory = Field(default="0", description="Bytes that each working VM sends in an hour.")
    price_per_gib: Usd = Field(default="0", description="USD.")


class CloudSpec(Strict):
    """How the cloud behaves."""

    boot: SpreadSpec = Field(
        default=SpreadSpec(median="55s", p95="120s"), description="From the request to the VM being there."
    )
    guest: SpreadSpec = Field(
        default=SpreadSpec(median="10s", p95="20s"), description="From the VM being there to the pod running."
    )
    delete: SpreadSpec = Field(default=SpreadSpec(median="45s", p95="90s"), description="How long a VM takes to go.")
    refuse: Duration = Field(default="3s", description="How long an immediate refusal takes.")
    retry: Duration = Field(default="15s", description="How long the kubelet waits before it tries the next VM.")
    failures: FailureSpec = Field(default=FailureSpec(), description="What goes wrong.")
    evictions_per_hour: Annotated[float, Field(strict=False, ge=0, le=60)] = Field(
        default=0.0, description="How often the cloud takes a running spot machine back, on average."
    )
    quota: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="vCPUs allowed by family, or by cores for all of them."
    )
    sizes: Annotated[tuple[SizeSpec, ...], Field(strict=False, max_length=1000)] = Field(
        default=(), description="Sizes and prices that differ from the built-in list."
    )
    egress: EgressSpec = Field(default=EgressSpec(), description="Traffic.")


class LatencySpec(Strict):
    """How long answers take, and how often recurring jobs look."""

    api: Duration = Field(default="10ms", description="A write to the API server.")
    arm: Duration = Field(default="150ms", description="A read from ARM.")
    stop: Duration = Field(default="2s", description="From a running pod's deletion to its end.")
    gc: LongDuration = Field(default="2m", description="Between two looks for leaks.")
    quota: LongDuration = Field(default="10m", description="Between two looks at the quota.")


def _number(text: str) -> str:
    number = Decimal(text)
    if not number.is_finite() or not 0 <= number <= _VALUE_MAX:
        raise ValueError(f"a value is a number from 0 to {_VALUE_MAX}")
    return text


Number = Annotated[
    str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(e\+?[0-9]{1,2})?$"), BeforeValidator(as_text), AfterValidator(_number)
]


class PointSpec(Strict):
    """What a trigger reads from a moment on."""

    at: LongDurationOrNow = Field(description="Since the start of the run.")
    value: Number | None = Field(default=None, description="The value.")
    fails: str | None = Field(default=None, min_length=1, max_length=300, description="Why nothing can be read.")

    @model_validator(mode="after")
    def _one_of(self) -> "PointSpec":
        if (self.value is None) == (self.fails is None):
            raise ValueError("give either value or fails")
        return self


class MetricSpec(Strict):
    """What one trigger of a policy reads, at the policy's polling interval."""

    policy: str = Field(description="The policy, by its name or namespace/name.")
    trigger: str = Field(description="The trigger's name.")
    values: Annotated[tuple[PointSpec, ...], Field(strict=False, min_length=1, max_length=10_000)] | None = Field(
        default=None,
        description="Values over time. For cpu and memory triggers: percent of its request that each pod of the source uses.",
    )
    formula: str | None = Field(
        default=None,
        max_length=4_096,
        description="A formula over seconds (since the start), pending (pods of the policy that wait), cpu and memory "
        "(percent of what the on-prem nodes have that is asked for), instead of values.",
    )
    until: LongDuration | None = Field(
        default=None,
        description="How long it is read at least; the last value's time, or the trace's end, if left out.",
    )

    @model_validator(mode="after")
    def _one_of(self) -> "MetricSpec":
        if (self.values is None) == (self.formula is None):
            raise ValueError("give either values or formula")
        return self


class WorkloadSpec(Strict):
    """A workload that a policy scales, or that follows its signal."""

    namespace: DnsLabel = Field(default="default", description="Where it is.")
    name: DnsLabel = Field(description="Its name.")
    kind: Literal["Deployment", "StatefulSet", "ReplicaSet"] = Field(default="Deployment", description="Its kind.")
    replicas: int = Field(default=0, ge=0, le=100_000, description="Its replicas at the start.")
    cpu: Cpu = Field(default="1", description="Cores that a pod of it asks for.")
    memory: Memory = Field(default="1Gi", description="Memory that a pod of it asks for.")
    target: str | None = Field(
        default=None, description="The BurstTarget where its VMs are; without one its replicas are ready at once."
    )
    size: str | None = Field(default=None, description="The VM size that its template names.")
    runtime_class: str = Field(default="kata-remote", description="Its template's RuntimeClass.")
    owner: str = Field(default="", description="Who else sets its number, such as: HorizontalPodAutoscaler web.")
    stands_in_for: str = Field(
        default="", description="The on-prem Deployment of which it does the waiting replicas' work."
    )

    @model_validator(mode="after")
    def _both(self) -> "WorkloadSpec":
        if (self.target is None) != (self.size is None):
            raise ValueError("give target and size together, or neither")
        return self


Paths = Annotated[tuple[str, ...], Field(strict=False, max_length=1000)]


class Scenario(Strict):
    """One what-if question."""

    description: str = Field(default="", description="What it is to show.")
    cluster: ClusterSpec = Field(description="The on-prem cluster.")
    trace: TraceSpec = Field(description="The load.")
    policies: Paths = Field(default=(), description="Files or folders with BurstPolicies; none: nothing ever bursts.")
    targets: Paths = Field(default=(), description="Files or folders with BurstTargets.")
    metrics: Annotated[tuple[MetricSpec, ...], Field(strict=False, max_length=1000)] = Field(
        default=(), description="What triggers read; one that is not named here can't be read."
    )
    workloads: Annotated[tuple[WorkloadSpec, ...], Field(strict=False, max_length=1000)] = Field(
        default=(), description="Workloads that policies scale."
    )
    cloud: CloudSpec = Field(default=CloudSpec(), description="How the cloud behaves.")
    latency: LatencySpec = Field(default=LatencySpec(), description="How long answers take.")
    seed: int = Field(default=0, description="Same seed, same outcome.")
    epoch: str = Field(default="2026-01-05T08:00:00Z", description="What time it is when the trace starts.")
    patience: LongDuration = Field(
        default="24h", description="How long pods that still wait are waited for at the end."
    )
