"""The record of one cloud pod, or of one machine without a pod, from intention to confirmed release."""

from typing import Literal

import msgspec

from burster.model.triggers import WorkloadRef


Phase = Literal[
    "Reserved",  # decided, money set aside; the record is being written
    "Placing",  # the record is written; the pod is being created (Clone) or deleted and re-created (Move), the machine asked for (Machine)
    "Provisioning",  # the pod exists; its VM is being made
    "Attesting",  # the pod runs; its VM is being verified
    "Serving",  # verified: the pod may do its work
    "Draining",  # it is asked to stop
    "Releasing",  # the pod is gone, or was never there; the VM's absence is being confirmed
    "Released",  # the pod is gone, the VM is a confirmed 404, the money is settled
    "Failed",  # something went wrong (reason says what); goes on to Releasing
    "Lost",  # cloud and cluster disagree; goes on to Releasing
]

BurstStrategy = Literal["Clone", "Move", "Machine"]
Encryption = Literal["VMGuestStateOnly", "DiskWithVMGuestState"]


class PodRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The pending on-prem pod a burst was decided for; empty where a metric asked for a replica and no pod in particular."""

    name: str = ""
    uid: str = ""
    resource_version: str = ""


class InitdataSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The ConfigMap key whose value the cloud pod's VM is measured with."""

    config_map: str
    key: str
    #: Policy: in the burst's own namespace; Target: in burster's, where only the platform team writes
    by: Literal["Policy", "Target"]


class MachineSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a machine is made of, as its policy and its target said when it was decided."""

    image: str  #: a gallery version's id, ``/CommunityGalleries/…``, or a marketplace image as ``publisher:offer:sku:version``
    encryption: Encryption
    disk_encryption_set: str = ""  #: whose key encrypts the disk; empty: the platform's
    subnet: str
    network_security_group: str = ""  #: of its network interface; empty: the subnet's alone
    secure_boot: bool = True
    config_map: str = ""  #: holds the cloud-init user data, in the burst's namespace; empty: none but burster's own
    key: str = ""
    service: str = ""  #: in the burst's namespace; its endpoint, once it is verified; empty: none
    port: int = 0
    os_disk_gib: int = 0  #: 0: as large as the image says


class BurstSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was decided, once: nothing here changes after the record is written.

    ``pod_name`` is the cloud pod's: the burst's own name for a Clone, the moved pod's name for a Move. For a Machine it is the VM's name,
    and ``runtime_class`` is empty.
    """

    policy: str  #: the policy's name; its namespace is the burst's
    target: str
    strategy: BurstStrategy
    pod_name: str
    for_pod: PodRef = PodRef()
    workload: WorkloadRef | None = None
    initdata: InitdataSource | None = None  #: None: the pod's own annotation, or CAA's global one
    provider: str = "azure"
    region: str
    size: str
    zone: str = ""  #: of the region; empty: the cloud chooses, or has none
    spot: bool = False  #: it may be taken away at any time
    runtime_class: str
    node_selector: dict[str, str] = {}  #: labels that its node must carry; empty: it has a VM of its own in a cloud
    machine: MachineSource | None = None  #: what a Machine is made of; None for a pod
    cpu_millicores: int = 0
    memory_bytes: int = 0
    vcpus: int = 0
    price_micro_usd_per_hour: int
    reserved_micro_usd: int
    decided_at_ms: int
    lease_ms: int
    drain_ms: int
    launch_deadline_ms: int
    ready_deadline_ms: int

    @property
    def first_lease_until_ms(self) -> int:
        """Until when the money of the decision itself lasts: its lease, and before that the time in which a VM may come up."""
        return self.decided_at_ms + self.launch_deadline_ms + self.lease_ms


class BurstStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How far it is. Times are epoch ms; money is micro-USD."""

    phase: Phase = "Reserved"
    reason: str = ""
    message: str = ""
    reserved_micro_usd: int = 0  #: now set aside: the first reservation plus each lease's renewal
    settled_micro_usd: int | None = None  #: the real cost, once known
    lease_until_ms: int = 0
    placed_at_ms: int | None = None
    serving_at_ms: int | None = None
    draining_at_ms: int | None = None
    released_at_ms: int | None = None
    pod_uid: str = ""  #: the cloud pod's; for a Machine the cloud's own id of its VM
    operation: str = ""  #: what the cloud calls the long operation that is making the machine; empty: none is under way
    address: str = ""  #: the machine's private address
    vms: tuple[str, ...] = ()  #: every VM name ever seen for this burst
    vm_started_at_ms: int | None = None
    outcome: str = ""  #: Succeeded or Failed for finite work that ended; empty otherwise


class Burst(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A Burst object. ``uid`` is empty until the API server has given one."""

    namespace: str
    name: str
    uid: str = ""
    spec: BurstSpec
    status: BurstStatus = BurstStatus()
    deleting: bool = False  #: somebody deleted the record: it is drained, then its finalizer is removed

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def subject(self) -> str:
        """``namespace/name`` of whom it is for: a pod, or the workload that a number of replicas was asked for."""
        workload = self.spec.workload
        return f"{self.namespace}/{self.spec.for_pod.name or (workload.name if workload is not None else self.name)}"

    @property
    def policy_key(self) -> str:
        """``namespace/name`` of its policy."""
        return f"{self.namespace}/{self.spec.policy}"
