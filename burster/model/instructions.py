"""Everything the engine may ask for.

Each instruction is idempotent by ``key``, has a deadline, and ends in a stimulus, success or failure.
"""

from typing import Literal

import msgspec

from burster.model.bursts import Burst
from burster.model.offerings import CloudResource
from burster.model.triggers import WorkloadRef


ConditionType = Literal["Accepted", "Ready", "Reachable", "Active", "Fallback", "Paused"]
ConditionStatus = Literal["True", "False", "Unknown"]


class _Instruction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, gc=False):
    """Base of all instructions; the tag is the class name. ``key`` is unique among those under way; ``deadline_ms`` is a duration."""

    key: str
    deadline_ms: int = 30_000


class RecordBurst(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Write the Burst record, before anything is created.

    For a Move this first tries the final pod by a server-side dry run and keeps the pending pod's manifest in the record.
    Ends in BurstRecorded. AlreadyExists with this burst's own spec counts as success.
    """

    burst: Burst


class PlacePod(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Create the cloud pod.

    Clone: from the workload's template. Move: delete the pending pod (uid and resourceVersion) and re-create it under its own
    name as a peer pod.
    Ends in PodPlaced; in InstructionFailed Conflict where the pending pod has meanwhile been bound or changed.
    """

    burst: Burst


class DeletePod(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Delete the cloud pod by uid. Ends in PodDeleted.

    A moved pod is held by a finalizer; ``let_go`` takes it off, because how the pod ended is on record or tells nothing of its work.
    """

    burst: Burst
    grace_ms: int
    let_go: bool = False


class ReturnPod(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Re-create a moved pod on-prem from the record's manifest, under its own name. Ends in PodReturned; AlreadyExists is success."""

    burst: Burst


class ObserveVms(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Read every VM of this burst's pod from the cloud: known names by GET, others by the name rule. Ends in VmsObserved.

    Of a Machine: its one VM by name, and how the operation goes that is making it.
    """

    burst: Burst


class LaunchMachine(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Ask the cloud for the burst's machine, by its own name, if there is none of that name. Ends in MachineLaunched.

    One of its name with this burst's own tags counts as success; one with others' is InstructionFailed AlreadyExists, code ``NameTaken``.
    An outcome that nobody knows is Timeout: done again, it reads the name first.
    """

    burst: Burst


class DeleteMachine(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Delete the burst's machine, its network interface and its disk, and wait for the 404 of each. Ends in MachineDeleted."""

    burst: Burst


class PublishEndpoint(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Make the machine an endpoint of its Service (``ready``), or take it out. Ends in EndpointPublished.

    InstructionFailed Unavailable while its port does not answer.
    """

    burst: Burst
    address: str
    ready: bool


class MarkVerified(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Set the pod's readiness gate: its VM is proven. Ends in StatusWritten with phase ``Verified``."""

    burst: Burst


class WriteStatus(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Write the Burst's status by server-side apply. Ends in StatusWritten. A newer one for the same burst replaces a waiting one."""

    burst: Burst


class ForgetBurst(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Remove a Released record: finalizer, then the object. Ends in RecordDeleted."""

    burst: Burst


class ListCloud(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """List every pod VM and own machine of a target, and what is left of such. Ends in CloudListed."""

    target: str


class DeleteVm(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Delete a VM that no record claims and wait for its 404. Ends in VmDeleted."""

    target: str
    vm: str


class DeleteResource(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Delete something that no record claims, if it still is what was listed and still nobody's. Ends in ResourceDeleted.

    It is read once more right before: what holds something by now, is claimed by now, or was made anew under its name, is left alone.
    """

    target: str
    resource: CloudResource


class SetScale(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Set a workload's ``/scale``. Ends in ScaleSet; in InstructionFailed Conflict where somebody else owns its number."""

    policy: str  #: the policy's key, whose namespace is the workload's
    workload: WorkloadRef
    replicas: int
    restores: bool = False  #: the policy is going or gone: the workload is left as it is to be without it


class PublishSignal(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Publish the number of replicas that a policy wants, for KEDA to act on. Ends in SignalPublished."""

    policy: str
    replicas: int
    active: bool
    withdrawn: bool = False  #: nobody keeps it up to date any more: it is taken down


class ReleasePolicy(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Take burster's finalizer off a policy that is being deleted: nothing of it is left. Ends in PolicyReleased."""

    policy: str
    uid: str = ""


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of a policy's or target's conditions, as Kubernetes has them."""

    type: ConditionType
    status: ConditionStatus
    since_ms: int
    reason: str
    message: str


class WritePolicyStatus(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Write a BurstPolicy's status by server-side apply. Ends in PolicyStatusWritten. A newer one replaces a waiting one."""

    policy: str
    generation: int
    conditions: tuple[Condition, ...]
    pending: int = 0
    bursts: int = 0
    replicas: int | None = None  #: the number wanted, where demand is a number
    reserved_micro_usd: int = 0
    spent_micro_usd: int = 0


class WriteTargetStatus(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Write a BurstTarget's status by server-side apply. Ends in TargetStatusWritten. A newer one replaces a waiting one."""

    target: str
    generation: int
    conditions: tuple[Condition, ...]
    offerings: int = 0  #: sizes that may be used there and have a price
    bursts: int = 0
    vcpus: int = 0
    reserved_micro_usd: int = 0
    spent_micro_usd: int = 0


class EmitEvent(_Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Write a Kubernetes event on a policy, target, pod or burst. Never retried: an event is a courtesy, the ledger is the record."""

    namespace: str  #: empty for a target, which is in none
    kind: Literal["BurstPolicy", "BurstTarget", "Pod", "Burst"]
    name: str
    uid: str = ""
    severity: Literal["Normal", "Warning"] = "Normal"
    reason: str
    message: str


Instruction = (
    RecordBurst
    | PlacePod
    | DeletePod
    | ReturnPod
    | ObserveVms
    | LaunchMachine
    | DeleteMachine
    | PublishEndpoint
    | MarkVerified
    | WriteStatus
    | ForgetBurst
    | ListCloud
    | DeleteVm
    | DeleteResource
    | SetScale
    | PublishSignal
    | ReleasePolicy
    | WritePolicyStatus
    | WriteTargetStatus
    | EmitEvent
)
