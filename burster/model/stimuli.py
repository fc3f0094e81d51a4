"""Everything that can enter the engine. A stimulus is a fact about the world; it is serialisable, so a log of them can be replayed.

Ordering within a batch is the caller's; the engine's answer depends on it only where the facts contradict each other.
"""

from typing import Final, Literal

import msgspec

from burster.model.bursts import Burst
from burster.model.errors import RemoteKind
from burster.model.limits import Limits
from burster.model.offerings import CloudFailure, CloudResource, Matter, Offering, Quota, Vm
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy
from burster.model.targets import Target


#: condition -> (status, since when): what an object's status said when it was read, which may be a predecessor's word, or anybody's
Told = dict[str, tuple[str, int]]
TargetFact = Literal["offerings", "prices", "quota"]
#: code of the problem that a target has until it was looked at for the first time, and after each edit
NOT_CHECKED_YET: Final = "NotCheckedYet"
SourceName = Literal["pods", "policies", "targets", "bursts", "cloud-pods", "offerings"]


class _Stimulus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, gc=False):
    """Base of all stimuli; the tag is the class name."""


class SourceSynced(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A source has delivered everything that existed when it started. Nothing is decided before every required source says so."""

    source: SourceName


class PolicySeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A valid policy exists, new or changed."""

    policy: Policy
    deleting: bool = False  #: somebody deleted it: its bursts come home, then its finalizer goes
    guarded: bool = False  #: burster's finalizer is on it
    told: Told = {}


class PolicyGone(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A policy was deleted, or no longer compiles."""

    key: str


class PolicyRefused(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A policy exists and is not valid: nothing new starts by it; what runs is kept under the last version that was valid."""

    key: str
    uid: str = ""
    generation: int = 0
    code: str = "Invalid"  #: why, in one word
    message: str
    deleting: bool = False
    guarded: bool = False
    told: Told = {}


class TargetSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A valid target exists, new or changed."""

    target: Target
    told: Told = {}


class TargetRefused(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A target exists and can't be used, as ``message`` says: for everything else it counts as gone."""

    name: str
    uid: str = ""
    generation: int = 0
    code: str = "Invalid"  #: why, in one word
    message: str
    told: Told = {}


class TargetGone(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A target was deleted."""

    name: str


class TargetUnread(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """What a target offers, or may use, could not be read: what was read before counts on."""

    target: str
    fact: TargetFact
    message: str
    kind: RemoteKind | None = None  #: of the failure; None in older ledgers


class TargetProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a check of a target has found wrong: ``code`` never changes, the cure says what a person can do."""

    code: str
    sentence: str
    cure: str = ""
    blocks: bool = False  #: nothing new may start at the target while it is so
    peer_pods: bool = False  #: it concerns peer pods only: a VM of burster's own needs none of that


class TargetChecked(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """All that is wrong at a target, by the checks before any launch; replaces the former result."""

    target: str
    problems: tuple[TargetProblem, ...] = ()  #: those that block come first


class OfferingsSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """The whole list of what a target offers now; replaces the former one."""

    target: str
    offerings: tuple[Offering, ...]
    prices_as_of: str = ""  #: the date of the price list where it is not today's
    prices_usable_ms: int | None = None  #: for how long from now its prices may be launched by; None: no limit is known
    prices_problem: str = ""  #: why today's list could not be had, or made no sense


class QuotaSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """The whole list of a target's quota rows; replaces the former one."""

    target: str
    rows: tuple[Quota, ...]


class PodSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """An unscheduled on-prem pod, new or changed. The lab's and the simulator's event clock and the API server's agree on ``at_ms``."""

    pod: Pod


class PodLeft(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A pod is no longer unscheduled: it was bound, finished, or deleted."""

    namespace: str
    name: str
    uid: str
    why: Literal["Bound", "Gone"]


class CapacitySeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """What the on-prem nodes have and what is asked of them: for rules and for people."""

    nodes: int
    allocatable: Resources
    requested: Resources
    requested_known: bool = True  #: False: nobody adds up what so many pods ask for, and ``requested`` says nothing


class NamespaceSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace and its labels, which belong to the platform team."""

    name: str
    labels: dict[str, str] = {}


class NamespaceGone(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace was deleted."""

    name: str


class WorkloadSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A workload that a policy names: one that it scales, or whose template it clones."""

    namespace: str
    kind: str
    name: str
    replicas: int  #: spec.replicas
    status_replicas: int = 0
    ready_replicas: int = 0
    requests: Resources = Resources()  #: of one pod of its template, effective
    runtime_class: str = ""  #: of its template
    size: str = ""  #: machine_type of its template; empty: CAA chooses
    owner: str = ""  #: who else sets its number (an HPA or ScaledObject by kind/name); empty: nobody
    images: tuple[str, ...] = ()  #: of its template, init containers included; empty: not known
    secrets: tuple[str, ...] = ()  #: names of the Secrets that its template refers to
    version: int = 0  #: resourceVersion, which rises with each change; 0: not known


class WorkloadGone(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A workload that a policy names does not exist, or no longer."""

    namespace: str
    kind: str
    name: str


class MetricRead(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A trigger's value, read at ``at_ms``; a sum where there were several. Never negative, never NaN: the source refuses those."""

    policy: str
    trigger: str
    at_ms: int
    value_milli: int


class PodUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one pod of a measured workload uses, as metrics.k8s.io tells it; None: it has no metrics yet."""

    usage: int | None = None  #: millicores, or bytes
    request: int = 0  #: millicores, or bytes
    ready: bool = True
    started_at_ms: int | None = None


class ResourceRead(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """The use of cpu or memory by the pods of a trigger's source workload, each of them."""

    policy: str
    trigger: str
    at_ms: int
    replicas: int  #: spec.replicas of the source workload
    pods: tuple[PodUse, ...]


class MetricFailed(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A trigger's value could not be read: it is missing, never zero."""

    policy: str
    trigger: str
    at_ms: int
    message: str


class TrusteeHealth(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a target's Trustee answers: where it does not, no pod there could get its keys."""

    target: str
    healthy: bool
    message: str = ""


class ClusterLimitsSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """What all policies at all targets together may use at most."""

    limits: Limits


class ClusterStop(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """Whether somebody has stopped new bursts for the whole cluster, or it can't be told: then they are stopped as well."""

    stopped: bool
    by: str = ""  #: who
    why: str = ""  #: a sentence


class BurstSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A Burst record as it stands in the API: at start (adoption), or changed by somebody else."""

    burst: Burst
    created_at_ms: int = 0  #: by the API server's clock; nobody who writes a record can choose it


class BurstGone(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A Burst record is no longer in the API."""

    key: str
    uid: str


class CloudPodSeen(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A pod that burster created, found by its burst label."""

    burst_uid: str
    burst_key: str
    pod_uid: str
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
    ready: bool = False
    terminating: bool = False
    size: str = ""  #: machine_type as it came out of the admission chain
    runtime_class: str = ""
    node_name: str = ""
    created_at_ms: int = 0
    name: str = ""  #: the pod's own; label and annotation can be anybody's, a name is one pod's at a time
    containers_ready: bool = False  #: every container says so itself; what readiness gates wait for is not asked
    unschedulable_since_ms: int | None = None  #: no node takes it; None: it is bound, or nobody has said so
    unschedulable: str = ""  #: why no node takes it, in the scheduler's words


class CloudPodGone(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A pod that burster created no longer exists. ``phase`` is its last known one where the watch told it, empty where not."""

    burst_uid: str
    burst_key: str
    pod_uid: str
    phase: str = ""
    name: str = ""


class SandboxFailed(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """The kubelet could not start the pod's sandbox (event FailedCreatePodSandBox): each one may have left a VM behind."""

    burst_key: str
    pod_uid: str
    count: int
    kind: RemoteKind
    code: str
    message: str
    limit_vcpus: int | None = None  #: the quota, where the refusal states it
    matter: Matter | Literal[""] = ""  #: what it is about; empty in older ledgers


class BurstRecorded(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """RecordBurst succeeded (or found its own earlier record)."""

    key: str
    uid: str


class PodPlaced(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """PlacePod succeeded (or found its own earlier pod)."""

    key: str
    pod_uid: str


class PodDeleted(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """DeletePod was accepted, or the pod was gone already (``gone``); CloudPodGone follows when it is really gone."""

    key: str
    gone: bool = False


class PodReturned(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """ReturnPod succeeded: a moved pod that did not get to work is pending on-prem again under its own name."""

    key: str


class VmsObserved(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """ObserveVms succeeded: every VM there is for this burst now. Empty: a confirmed 404 for each known one and none listed.

    ``gone``: VMs of the burst's pod name that a lagging listing still shows, each with a confirmed 404: they were there.
    """

    key: str
    vms: tuple[Vm, ...]
    gone: tuple[Vm, ...] = ()
    failure: CloudFailure | None = None  #: why the operation that was to make a machine has come to nothing


class MachineLaunched(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """LaunchMachine was accepted (or found its own earlier machine); whether it comes up is what ObserveVms tells."""

    key: str
    vm_id: str = ""  #: the cloud's own, unique id; empty: not told yet
    operation: str = ""  #: by which the operation is followed, also by another process; empty: it has ended


class MachineDeleted(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """DeleteMachine succeeded: a confirmed 404 for the machine, its network interface and its disk."""

    key: str


class EndpointPublished(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """PublishEndpoint succeeded."""

    key: str
    ready: bool  #: False: it was taken out of its Service


class CloudListed(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """ListCloud succeeded: every pod VM and every machine of burster's own at a target, and what is left of such.

    Listed before the records were read, so a fresh record is never missed: ``claimed`` was read after ``listed_at_ms``.
    """

    target: str
    listed_at_ms: int
    vms: tuple[Vm, ...]
    strays: tuple[
        CloudResource, ...
    ] = ()  #: network interfaces, disks and public addresses by a VM's name that nothing holds
    #: VMs that cloud-api-adaptor's records claim, in lower case, whoever's pods they are; None: there are no such records to read
    claimed: tuple[str, ...] | None = None
    cluster: str = ""  #: what the cluster's tag says on own machines; empty: nobody knows


class VmDeleted(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """DeleteVm was carried out and confirmed."""

    target: str
    vm: str


class ResourceDeleted(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """DeleteResource was carried out and confirmed, or what was to be deleted is there no more."""

    target: str
    resource_id: str


class StatusWritten(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """WriteStatus succeeded for exactly this phase."""

    key: str
    phase: str


class RecordDeleted(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """ForgetBurst succeeded."""

    key: str


class ScaleSet(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """SetScale succeeded."""

    policy: str
    replicas: int
    version: int = 0  #: resourceVersion of the workload with that number; 0: not known


class SignalPublished(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """PublishSignal succeeded."""

    policy: str
    replicas: int


class PolicyReleased(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """ReleasePolicy succeeded: nothing of burster's keeps the policy any more."""

    policy: str


class TargetStatusWritten(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """WriteTargetStatus succeeded."""

    target: str


class PolicyStatusWritten(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """WritePolicyStatus succeeded."""

    policy: str


class InstructionFailed(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """An instruction did not succeed. ``kind`` Timeout means unknown: the world must be read again first."""

    instruction: str  #: the instruction's tag
    key: str  #: the instruction's key
    subject: str  #: the burst's key, or the target's name
    kind: RemoteKind
    code: str = ""
    message: str = ""
    retry_after_ms: int | None = None
    matter: Matter | Literal[""] = ""  #: what a cloud's refusal is about; empty: no cloud said it
    limit_vcpus: int | None = None  #: the quota, where the refusal states it


class LedgerRestored(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """What the ledger knows at start: settled amounts by burst key and settling time, and which bursts were decided.

    ``decided`` are the keys of the bursts decided since ``since_ms``, the time from which on the ledger knows each of them; None: it can't
    tell, and every record is taken for burster's own.
    """

    entries: tuple["Spend", ...]
    decided: tuple[str, ...] = ()
    since_ms: int | None = None
    originals: tuple["Original", ...] = ()


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """How many replicas a workload had before a policy first set its number."""

    policy: str  #: the policy's key
    namespace: str
    kind: str
    name: str
    replicas: int


#: what the burst and the uid of a Spend begin with that no burst has caused, but a VM that no record claims
LEAK: Final = "leak/"


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """One settled burst, or what a VM that no record claims has cost since it was last booked: its policy is empty."""

    burst: str
    uid: str
    policy: str
    target: str
    at_ms: int
    micro_usd: int


class LedgerHealth(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the ledger can be written. Where it can't, nothing new is started."""

    writable: bool
    message: str = ""


class DrainRequested(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """A person or a graceful stop wants everything home (or what is at one target), and nothing new started."""

    target: str = ""  #: empty: all


class DrainCancelled(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """Bursting may go on."""


class Tick(_Stimulus, frozen=True, kw_only=True, omit_defaults=True):
    """Time has passed; a recurring job says so. ``evaluate`` looks at deadlines and cool-downs."""

    kind: Literal["evaluate", "gc", "offerings", "preflight", "quota"]


Stimulus = (
    SourceSynced
    | PolicySeen
    | PolicyGone
    | PolicyRefused
    | NamespaceSeen
    | NamespaceGone
    | WorkloadSeen
    | WorkloadGone
    | MetricRead
    | ResourceRead
    | MetricFailed
    | TrusteeHealth
    | ClusterLimitsSeen
    | ClusterStop
    | ScaleSet
    | SignalPublished
    | PolicyStatusWritten
    | TargetStatusWritten
    | PolicyReleased
    | TargetSeen
    | TargetRefused
    | TargetGone
    | TargetUnread
    | TargetChecked
    | OfferingsSeen
    | QuotaSeen
    | PodSeen
    | PodLeft
    | CapacitySeen
    | BurstSeen
    | BurstGone
    | CloudPodSeen
    | CloudPodGone
    | SandboxFailed
    | BurstRecorded
    | PodPlaced
    | PodDeleted
    | PodReturned
    | VmsObserved
    | MachineLaunched
    | MachineDeleted
    | EndpointPublished
    | CloudListed
    | VmDeleted
    | ResourceDeleted
    | StatusWritten
    | RecordDeleted
    | InstructionFailed
    | LedgerRestored
    | LedgerHealth
    | DrainRequested
    | DrainCancelled
    | Tick
)
