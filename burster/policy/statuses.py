"""The form of what burster itself writes: the Burst record, and the status of policies and targets.

These models exist for the CRDs and the reference page. Records are read and written by ``records`` straight from the engine's own
values, which is faster; a test holds the two equal, field by field.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, WithJsonSchema
from pydantic.config import JsonDict

from burster.model.bursts import BurstStrategy, Encryption, Phase
from burster.policy.schema import RULES, Strict


Int64 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]
Manifest = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]


#: Whoever may write Bursts may not say that something else was decided: a successor goes by it.
_ONCE: Final[JsonDict] = {RULES: [{"rule": "self == oldSelf", "message": "what was decided does not change"}]}


class Condition(Strict):
    """One of Kubernetes' usual conditions."""

    type: str = Field(max_length=316, description="Which condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: Int64 | None = Field(default=None, description="The generation it was judged by.")
    last_transition_time: datetime = Field(description="Since when.")
    reason: str = Field(max_length=1024, description="Why, in one word.")
    message: str = Field(max_length=32768, description="Why, in a sentence.")


Conditions = Annotated[
    tuple[Condition, ...],
    Field(strict=False, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


class PodReference(Strict):
    """The pending on-prem pod a burst was decided for; empty for a clone that a number of replicas asked for."""

    name: str = Field(default="", description="The pod's name.")
    uid: str = Field(default="", description="The pod's uid.")
    resource_version: str = Field(default="", description="The version of the pod that was decided on.")


class WorkloadReference(Strict):
    """The workload whose template a clone is made from."""

    api_version: str = Field(description="The workload's apiVersion.")
    kind: str = Field(description="The workload's kind.")
    name: str = Field(description="The workload's name.")


class InitdataReference(Strict):
    """The ConfigMap key whose value the cloud pod's VM is measured with."""

    config_map: str = Field(description="The ConfigMap's name.")
    key: str = Field(description="The key in it.")
    by: Literal["Policy", "Target"] = Field(
        description="Policy: in the Burst's own namespace. Target: in burster's, where only the platform team writes."
    )


class MachineReference(Strict):
    """What a machine is made of."""

    image: str = Field(description="The image: a gallery version, a community gallery's, or a marketplace image.")
    encryption: Encryption = Field(description="What is encrypted with the machine's own keys.")
    disk_encryption_set: str = Field(default="", description="Whose key encrypts the disk.")
    subnet: str = Field(description="The subnet it is in.")
    network_security_group: str = Field(default="", description="The security group of its network interface.")
    secure_boot: bool = Field(default=True, description="Whether it boots only what is signed.")
    config_map: str = Field(default="", description="The ConfigMap that holds its user data.")
    key: str = Field(default="", description="The key in it.")
    service: str = Field(default="", description="The Service whose endpoint it is once it is verified.")
    port: Int64 = Field(default=0, description="The port that it serves.")
    os_disk_gib: Int64 = Field(default=0, description="Size of its disk in GiB; 0: as the image says.")


class BurstRecordSpec(Strict):
    """What was decided, once. Nothing here changes after the record is written."""

    policy: str = Field(description="The policy, in the Burst's own namespace.", json_schema_extra=_ONCE)
    target: str = Field(description="The BurstTarget.", json_schema_extra=_ONCE)
    strategy: BurstStrategy = Field(
        description="Whether the pod is a clone or the moved pod itself, or a machine without a pod.",
        json_schema_extra=_ONCE,
    )
    pod_name: str = Field(description="The cloud pod's name; the VM's of a machine.", json_schema_extra=_ONCE)
    for_pod: PodReference = Field(default=PodReference(), description="The pending pod it was decided for, if any.")
    workload: WorkloadReference | None = Field(default=None, description="The workload a clone is made from.")
    initdata: InitdataReference | None = Field(default=None, description="The initdata that the cloud pod gets.")
    provider: str = Field(description="The cloud.", json_schema_extra=_ONCE)
    region: str = Field(description="The region.", json_schema_extra=_ONCE)
    size: str = Field(description="The VM size.", json_schema_extra=_ONCE)
    zone: str = Field(default="", description="The zone of the region, if any was chosen.", json_schema_extra=_ONCE)
    spot: bool = Field(default=False, description="Whether it may be taken away at any time.", json_schema_extra=_ONCE)
    machine: MachineReference | None = Field(default=None, description="What a machine is made of.")
    runtime_class: str = Field(description="The cloud pod's RuntimeClass.", json_schema_extra=_ONCE)
    node_selector: dict[str, str] = Field(
        default={}, description="Labels that the pod's node must carry, where there is no VM in a cloud."
    )
    cpu_millicores: Int64 = Field(
        default=0, description="cpu the pod asks for, in millicores.", json_schema_extra=_ONCE
    )
    memory_bytes: Int64 = Field(default=0, description="Memory the pod asks for, in bytes.", json_schema_extra=_ONCE)
    vcpus: Int64 = Field(default=0, description="vCPUs of the VM.", json_schema_extra=_ONCE)
    price_micro_usd_per_hour: Int64 = Field(
        description="The VM's price per hour in micro-USD.", json_schema_extra=_ONCE
    )
    reserved_micro_usd: Int64 = Field(description="Money set aside first, in micro-USD.", json_schema_extra=_ONCE)
    decided_at: datetime = Field(description="When it was decided.", json_schema_extra=_ONCE)
    lease_ms: Int64 = Field(description="Length of a lease, in milliseconds.", json_schema_extra=_ONCE)
    drain_ms: Int64 = Field(description="Longest time to drain, in milliseconds.", json_schema_extra=_ONCE)
    launch_deadline_ms: Int64 = Field(
        description="Longest time until the VM is there, in milliseconds.", json_schema_extra=_ONCE
    )
    ready_deadline_ms: Int64 = Field(
        description="Longest time until the pod serves, in milliseconds.", json_schema_extra=_ONCE
    )
    replicas: int = Field(default=1, ge=0, le=1, description="Always 1: there for clients of the scale subresource.")
    pod_manifest: Manifest | None = Field(default=None, description="The moved pod as it was, to bring it back.")


class BurstRecordStatus(Strict):
    """How far it is."""

    phase: Phase = Field(default="Reserved", description=f"One of {', '.join(get_args(Phase))}.")
    reason: str = Field(default="", description="Why, in one word.")
    message: str = Field(default="", description="Why, in a sentence.")
    reserved_micro_usd: Int64 = Field(default=0, description="Money now set aside, in micro-USD.")
    settled_micro_usd: Int64 | None = Field(default=None, description="The real cost in micro-USD, once known.")
    cost_usd: str = Field(default="", description="Settled cost, or the reserved money until it is known, as text.")
    lease_until: datetime | None = Field(default=None, description="When the lease ends.")
    placed_at: datetime | None = Field(default=None, description="When the pod was placed.")
    serving_at: datetime | None = Field(default=None, description="When the pod began to serve on a verified VM.")
    draining_at: datetime | None = Field(default=None, description="When the pod was asked to stop.")
    released_at: datetime | None = Field(default=None, description="When pod and VM were confirmed gone.")
    pod_uid: str = Field(default="", description="The cloud pod's uid; the cloud's own id of a machine.")
    operation: str = Field(default="", description="The cloud's operation that is making the machine.")
    address: str = Field(default="", description="The machine's private address.")
    vms: tuple[str, ...] = Field(default=(), description="Every VM ever seen for this Burst.")
    vm: str = Field(default="", description="The VM now: the last of them.")
    vm_started_at: datetime | None = Field(default=None, description="When the VM was created.")
    outcome: str = Field(default="", description="Succeeded or Failed for finite work that ended.")
    observed_generation: Int64 | None = Field(default=None, description="The generation this status is about.")
    conditions: Conditions = Field(default=(), description="Ready, Placed, Verified, Serving and Released.")
    replicas: int = Field(default=0, description="1 while the cloud pod exists.")
    selector: str = Field(default="", description="Selects the cloud pod.")


class PolicyStatus(Strict):
    """What burster makes of a policy."""

    observed_generation: Int64 | None = Field(default=None, description="The generation this status is about.")
    conditions: Conditions = Field(
        default=(),
        description="Accepted: the latest version is valid and counts. Ready: its rules and its target let it act. "
        "Active: there is demand by it now. "
        "Fallback: a trigger has failed too often. Paused: nothing new starts by it.",
    )
    pending: int = Field(default=0, ge=0, description="Pending pods that count as demand now.")
    bursts: int = Field(default=0, ge=0, description="Bursts that are not released.")
    replicas: int | None = Field(default=None, ge=0, description="Replicas wanted, where demand is a number.")
    reserved_usd: str = Field(default="", description="Money now set aside.")
    spent_usd: str = Field(default="", description="Money settled this month.")


class TargetStatus(Strict):
    """What burster makes of a target."""

    observed_generation: Int64 | None = Field(default=None, description="The generation this status is about.")
    conditions: Conditions = Field(
        default=(),
        description="Accepted: the latest version is valid and can be used. Ready: bursts may go there. "
        "Reachable: its cloud answers, and its sizes, prices and quota could be read.",
    )
    offerings: int = Field(default=0, ge=0, description="Sizes that may be used there and have a price.")
    bursts: int = Field(default=0, ge=0, description="Bursts that are not released.")
    vcpus: int = Field(default=0, ge=0, description="vCPUs of those bursts.")
    reserved_usd: str = Field(default="", description="Money now set aside.")
    spent_usd: str = Field(default="", description="Money settled this month.")
