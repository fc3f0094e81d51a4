"""A BurstTarget, compiled: one place to burst to. It belongs to the platform team; a policy can only narrow it."""

from typing import Final, Literal

import msgspec

from burster.model.limits import Limits
from burster.model.offerings import Offering, Tee
from burster.model.policies import InitdataRef


#: What a place can prove of a VM, and who has the last word on whether it is gone
Proof = Literal[
    "Arm",  # the cloud itself tells every property of the VM, and confirms its 404
    "Record",  # cloud-api-adaptor's PeerPod record tells of the VM and goes after it; that it is confidential, attestation alone proves
    "Node",  # no VM in a cloud: the pod's node must carry the target's labels, and it is gone when the API server says so
]
AZURE: Final = "azure"
ONPREM: Final = "onprem"


def proof_of(provider: str) -> Proof:
    """Return what can be proven of a provider's VMs."""
    if provider == AZURE:
        return "Arm"
    return "Node" if provider == ONPREM else "Record"


class Machines(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What machines of their own at a target are made with: the platform team's, so that a policy only chooses among it."""

    images: tuple[str, ...]
    subnet: str
    network_security_group: str = ""  #: empty: the subnet's alone
    disk_encryption_set: str = ""  #: empty: the platform's keys
    zones: tuple[str, ...] = ()  #: empty: the cloud chooses


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A BurstTarget, compiled: one place to burst to, and what no policy may exceed there."""

    name: str
    uid: str = ""
    generation: int = 0
    provider: str = "azure"
    subscription: str
    resource_group: str
    region: str
    runtime_class: str = "kata-remote"
    #: labels that a pod's node must carry, the one that tells its TEE among them; for provider onprem only
    node_selector: dict[str, str] = {}
    image: str = ""  #: the pod VM image every VM there must have; empty: not checked
    subnet: str = ""  #: the subnet every VM there must be in; empty: not checked
    sizes: tuple[str, ...] = ()  #: allowed VM sizes; never empty after compilation
    tees: tuple[Tee, ...] = ("TDX",)
    allowed_namespaces: tuple[str, ...] = ()  #: empty: none; "*": every one
    limits: Limits = Limits()
    namespace_limits: dict[
        str, Limits
    ] = {}  #: what one namespace may use here at most, besides the target's own limits
    #: labels a namespace must carry before anything of it may burst here: the platform team's opt-in
    required_namespace_labels: dict[str, str] = {}
    data_classes: tuple[str, ...] = ()  #: that may be worked on here; a policy without a class needs none
    jurisdiction: str = ""  #: whose law holds here, as in policies' ``jurisdictions``
    trustee_url: str = ""  #: the Trustee that pods there attest to; empty: none
    initdata: InitdataRef | None = None
    #: scheme://host[:port] that policies' metric triggers may be read from; empty: none
    allowed_metric_endpoints: tuple[str, ...] = ()
    discount_milli_percent: int = 0  #: off every list price: 12.5 % is 12,500
    negotiated_micro_usd_per_hour: dict[str, int] = {}  #: size -> price; wins over list price and discount
    catalogue: tuple[Offering, ...] = ()  #: declared offerings, where no cloud lists them
    #: reserved per hour for a size whose price is unknown; None: such a size is refused
    assumed_price_micro_usd_per_hour: int | None = None
    when_quota_unknown: Literal["Refuse", "Allow"] = (
        "Refuse"  #: whether anything launches before the quota was read once
    )
    launch_deadline_ms: int = 300_000  #: from the pod's placing to its VM being there
    ready_deadline_ms: int = 900_000  #: from the pod's placing to the pod running and its VM verified
    sweep: Literal["Report", "Delete"] = "Report"  #: what to do with VMs that no record claims
    sweep_grace_ms: int = 300_000
    machines: Machines | None = None  #: None: no machine of its own may be made here
    #: tags by which this cluster's VMs are told from others': what bears all of them is this cluster's; empty: tags tell nothing
    sweep_tags: dict[str, str] = {}
    sweep_exclusive: bool = False  #: the resource group is this cluster's alone, as whoever wrote the target says

    @property
    def proof(self) -> Proof:
        """What can be proven of what runs here."""
        return proof_of(self.provider)
