"""What a file of policy cases may say: rules, what is given, what happens, what is to be decided.

Read by ``load``. It holds what was written and checks each field by itself; unknown fields are refused. Names of fields are camelCase
outside, as in policies.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from burster.model.decisions import Verdict
from burster.policy.fields import DnsLabel, DnsName, DurationBetween, Labels, Usd
from burster.policy.schema import Strict
from burster.simulator.amounts import Count, Cpu, Memory


Duration = Annotated[str, DurationBetween("0s", "366d")]
Names = Annotated[tuple[str, ...], Field(strict=False, max_length=1000)]
Number = Annotated[float, Field(strict=False, ge=0, le=1e15)]


class PodFacts(Strict):
    """A pending on-prem pod, or several alike."""

    name: DnsName = Field(description="Its name; of several the stem: name-1, name-2, …")
    count: int | None = Field(default=None, ge=1, le=10_000, description="How many such pods; one, named as it is.")
    namespace: DnsLabel | None = Field(default=None, description="Its namespace; the first policy's if left out.")
    owner: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*/[a-z0-9.-]+$")] | None = Field(
        default=None, description="What it belongs to, as kind/name: Deployment/web, Job/report; nothing: a bare pod."
    )
    labels: Labels = Field(default={}, description="Its labels.")
    cpu: Cpu = Field(default="1", description="Cores it asks for.")
    memory: Memory = Field(default="1Gi", description="Memory it asks for.")
    gpus: Count = Field(default="0", description="nvidia.com/gpu it asks for.")
    devices: dict[str, int] = Field(default={}, description="Other extended resources it asks for, by name.")
    priority: int = Field(default=0, description="Its priority.")
    pending: Duration = Field(default="1h", description="How long it has been Unschedulable.")
    message: str = Field(default="0/3 nodes are available: 3 Insufficient cpu.", description="What the scheduler says.")
    images: Names = Field(default=(), description="Its containers' images.")
    secrets: Names = Field(default=(), description="Secrets that it refers to.")
    runtime_class: str = Field(default="", description="Its RuntimeClass.")


class Amount(Strict):
    """What pods may ask for."""

    cpu: Cpu = Field(default="0", description="Cores.")
    memory: Memory = Field(default="0", description="Memory.")


class OnPremFacts(Strict):
    """How full the on-prem cluster is."""

    nodes: int = Field(default=3, ge=0, le=1_000_000, description="Its nodes.")
    allocatable: Amount = Field(description="What they have.")
    requested: Amount = Field(description="What is asked of them.")


class WorkloadFacts(Strict):
    """A workload that a policy scales, clones or measures."""

    kind: str = Field(default="Deployment", description="Its kind.")
    name: DnsName = Field(description="Its name.")
    namespace: DnsLabel | None = Field(default=None, description="Its namespace; the first policy's if left out.")
    replicas: int = Field(default=0, ge=0, le=1_000_000, description="How many are asked for.")
    running: int | None = Field(
        default=None, ge=0, le=1_000_000, description="How many there are; as many if left out."
    )
    cpu: Cpu = Field(default="1", description="Cores that one of its pods asks for.")
    memory: Memory = Field(default="1Gi", description="Memory that one of its pods asks for.")
    runtime_class: str = Field(default="kata-remote", description="Its template's RuntimeClass.")
    size: str = Field(default="", description="Its template's machine_type.")
    images: Names = Field(default=(), description="Its template's images.")
    secrets: Names = Field(default=(), description="Secrets that its template refers to.")
    owner: str = Field(default="", description="Who else sets its number, as kind/name.")


class UseFacts(Strict):
    """What the pods of a measured workload use; each of them alike."""

    pods: int = Field(ge=0, le=10_000, description="How many pods there are.")
    usage: str = Field(description="What each uses, as a quantity of cores or bytes.")
    request: str = Field(description="What each asks for, as a quantity of cores or bytes.")
    ready: int | None = Field(default=None, ge=0, description="How many of them are ready; all if left out.")


class SpentFacts(Strict):
    """Money that was spent before."""

    policy: str | None = Field(default=None, description="The policy, by name; the first one if left out.")
    target: str | None = Field(default=None, description="The target; the policy's first one if left out.")
    amount: Usd = Field(description="USD.")
    ago: Duration = Field(default="0s", description="How long ago.")


class QuotaFacts(Strict):
    """A row of the region's usages."""

    used: int = Field(default=0, ge=0, description="vCPUs in use.")
    limit: int = Field(ge=0, description="vCPUs allowed.")


class Facts(Strict):
    """What is so; in a step, what has changed."""

    namespaces: dict[str, Labels] = Field(default={}, description="Namespaces and their labels.")
    pods: Annotated[tuple[PodFacts, ...], Field(strict=False, max_length=1000)] = Field(
        default=(), description="Pending on-prem pods."
    )
    on_prem: OnPremFacts | None = Field(default=None, description="The on-prem fill.")
    workloads: Annotated[tuple[WorkloadFacts, ...], Field(strict=False, max_length=100)] = Field(
        default=(), description="Workloads that policies name."
    )
    metrics: dict[str, Number | Literal["missing"]] = Field(
        default={},
        description="Values by trigger name (or policy/trigger), which then stay so; missing: can't be read.",
    )
    use: dict[str, UseFacts] = Field(default={}, description="Use of cpu or memory by trigger name.")
    spent: Annotated[tuple[SpentFacts, ...], Field(strict=False, max_length=100)] = Field(
        default=(), description="Money that was spent before."
    )
    quota: dict[str, QuotaFacts] = Field(default={}, description="By family, or cores for the region's total.")
    prices: dict[str, Usd | Literal["unknown"]] = Field(
        default={}, description="Prices per hour by size, instead of the built-in list's."
    )
    restricted: Names = Field(default=(), description="Sizes that the subscription may not use.")
    trustee: Literal["healthy", "down"] | None = Field(default=None, description="Whether the Trustees answer.")
    refuse: dict[
        str, Literal["SkuNotAvailable", "AllocationFailed", "ZonalAllocationFailed", "OperationNotAllowed"]
    ] = Field(default={}, description="Sizes that can't be had from now on, and what the cloud says.")
    launch: Annotated[str, DurationBetween("1s", "1h")] | None = Field(
        default=None, description="How long a VM takes until its pod runs; 90s if left out."
    )


class Expectation(Strict):
    """One thing that must be so at the end of its step. Exactly one of pod, policy, bursts and the amounts is its subject."""

    pod: str | None = Field(default=None, description="The latest decision about this pod …")
    policy: str | None = Field(
        default=None, description="The latest decision about this policy as a whole, or whose numbers."
    )
    verdict: Verdict | None = Field(default=None, description="… has this verdict.")
    reason: str | None = Field(default=None, description="… names this code among its reasons.")
    says: str | None = Field(default=None, description="… and this text in one of its sentences.")
    strategy: Literal["Clone", "Move", "Machine"] | None = Field(default=None, description="… bursts it this way.")
    target: str | None = Field(default=None, description="… to this target.")
    size: str | None = Field(default=None, description="… on this size.")
    silent: bool = Field(default=False, description="Nothing was decided about it.")
    bursts: int | None = Field(
        default=None, ge=0, description="So many bursts are not released (of the policy, if named)."
    )
    serving: int | None = Field(default=None, ge=0, description="So many bursts serve.")
    coming_home: int | None = Field(default=None, ge=0, description="So many bursts are on their way home.")
    replicas: int | None = Field(default=None, ge=0, description="The number that the policy sets, publishes or keeps.")
    reserved_at_most: Usd | None = Field(default=None, description="USD reserved now.")
    spent_at_most: Usd | None = Field(default=None, description="USD settled so far.")

    @model_validator(mode="after")
    def _has_a_subject(self) -> "Expectation":
        about = (self.verdict, self.reason, self.says, self.strategy, self.target, self.size)
        told = any(part is not None for part in about) or self.silent
        counts = (self.bursts, self.serving, self.coming_home, self.replicas, self.reserved_at_most, self.spent_at_most)
        counted = any(part is not None for part in counts)
        if told and counted:
            raise ValueError("a decision and a number are two expectations: write them as two items")
        if not told and not counted:
            raise ValueError("expects nothing: give verdict, reason, says, bursts, replicas or another of its fields")
        if told and (self.pod is None) == (self.policy is None):
            raise ValueError("whose decision? Name either a pod or a policy")
        if counted and self.pod is not None:
            raise ValueError("a number is a policy's or everybody's: take the pod out")
        if self.replicas is not None and self.policy is None:
            raise ValueError("whose replicas? Name the policy")
        return self


Expectations = Annotated[tuple[Expectation, ...], Field(strict=False, max_length=1000)]


class Step(Facts):
    """Time passes, then something happens, then something is expected."""

    after: Duration = Field(default="0s", description="How much time passes first.")
    bound: Names = Field(default=(), description="Pending pods that on-prem nodes took.")
    gone: Names = Field(default=(), description="Pending pods that were deleted.")
    finished: Names = Field(default=(), description="Moved pods that ended well.")
    policy_deleted: str | None = Field(default=None, description="A policy that was deleted.")
    drain: bool = Field(default=False, description="Somebody wants everything home.")
    expect: Expectations = Field(default=(), description="What must be so then.")


class Case(Strict):
    """One case."""

    name: str = Field(min_length=1, max_length=200, description="What it shows, in a sentence.")
    at: str | None = Field(default=None, description="When it begins (RFC 3339); the file's time if left out.")
    given: Facts = Field(default=Facts(), description="What is so at first, besides what the file gives.")
    steps: Annotated[tuple[Step, ...], Field(strict=False, max_length=200)] = Field(
        default=(), description="What happens then."
    )
    expect: Expectations = Field(default=(), description="What must be so before the first step.")

    @model_validator(mode="after")
    def _expects(self) -> "Case":
        if not self.expect and not any(step.expect for step in self.steps):
            raise ValueError("expects nothing at all, so it can't fail: give it an expect")
        return self


class PolicyCases(Strict):
    """Policies and what they must decide."""

    api_version: Literal["burster.dev/v1alpha1"] = Field(description="burster.dev/v1alpha1")
    kind: Literal["PolicyCases"] = Field(description="PolicyCases")
    policies: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=100)] = Field(
        description="Files or folders with BurstPolicies, relative to this file."
    )
    targets: Annotated[tuple[str, ...], Field(strict=False, max_length=100)] = Field(
        default=(), description="Files or folders with BurstTargets, relative to this file."
    )
    at: str = Field(default="2026-01-05T09:00:00Z", description="When cases begin (RFC 3339); a Monday morning.")
    given: Facts = Field(default=Facts(), description="What is so in every case.")
    cases: Annotated[tuple[Case, ...], Field(strict=False, min_length=1, max_length=500)] = Field(
        description="The cases, each by itself."
    )
