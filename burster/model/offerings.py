"""Where a burst can run and what that costs."""

from typing import Literal

import msgspec

from burster.model.errors import RemoteKind
from burster.model.pods import Resources


Tee = Literal["TDX", "SNP", "None"]

#: what a cloud's refusal is about; ``clients.arm_errors`` finds it, the engine has the consequence of each
Matter = Literal[
    "capacity",  # the region has no machine of that kind
    "zonal-capacity",  # the zone has none
    "sku-restricted",  # the size is closed to this subscription, or to everyone, for long
    "family-quota",
    "regional-quota",
    "spot-quota",
    "address-space",  # the subnet has no address left
    "throttled",
    "auth",
    "policy",  # an administrator's rule
    "conflict",
    "exists",
    "absent",
    "configuration",  # the same request will never work
    "guest",  # the machine came, its system did not
    "service",
    "network",
    "deadline",
    "unknown",
]


class Offering(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Target x region x VM size. ``price_micro_usd_per_hour`` None means unknown, and an unknown price is refused."""

    target: str
    provider: str
    region: str
    size: str
    family: str
    resources: Resources
    tee: Tee
    price_micro_usd_per_hour: int | None
    restricted: str = ""  #: why this subscription may not use it, as the SKU list says; empty where it may
    zones: tuple[str, ...] = ()  #: that this subscription may use
    blocked_zones: tuple[str, ...] = ()  #: that are there and closed to it
    spot: bool = False  #: may be taken away at any time
    generation: str = ""  #: of the virtual hardware: V1 or V2, "V1,V2" for both; empty where nobody says
    currency: str = "USD"  #: of the list that the price is from; nothing but USD is counted with
    price_as_of: str = ""  #: the date of the list that the price is from; empty: today's
    price_problem: str = ""  #: what the list says in place of a price, where it makes no sense

    @property
    def key(self) -> str:
        """``target/region/size``, with ``/spot`` after it for a spot one: unique among offerings."""
        return f"{self.target}/{self.region}/{self.size}{'/spot' if self.spot else ''}"


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a region's usages: vCPUs in use and allowed for a family, for ``cores`` in all, or for spot (``lowPriorityCores``)."""

    region: str
    family: str
    used_vcpus: int
    limit_vcpus: int


class Vm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cloud VM as the cloud tells it; facts that the cloud did not state are empty or None, never assumed."""

    name: str
    resource_id: str
    region: str
    size: str
    provisioning_state: str  #: Creating, Succeeded, Failed, Deleting, as ARM says
    created_at_ms: int | None = None
    security_type: str = ""  #: ConfidentialVM where it is one
    secure_boot: bool | None = None
    vtpm: bool | None = None
    encryption_type: str = ""  #: securityEncryptionType of the OS disk
    disk_encryption_set: str = ""  #: whose key encrypts the OS disk; empty: the platform's, or nobody told
    image: str = ""
    subnet: str = ""
    public_ip: bool | None = None
    tags: dict[str, str] = {}  #: of a VM on a node: those of the node's labels that its target asks for
    provider: str = ""  #: who made it, as its record says; empty: the cloud tells of it itself
    node: str = ""  #: the node of the cluster that it runs on; empty: it is in a cloud
    zone: str = ""
    private_address: str = ""  #: of its first network interface
    spot: bool = False  #: may be taken away at any time
    vm_id: str = ""  #: Azure's own id of this very machine: another one of the same name has another
    power_state: str = ""  #: running, deallocated, …; empty: not asked for
    failure_code: str = ""  #: why it is Failed, in the cloud's own words; empty: it is not, or nobody was told
    failure_message: str = ""

    @property
    def as_resource(self) -> "CloudResource":
        """The same as one resource among others."""
        return CloudResource(
            kind="Vm",
            name=self.name,
            resource_id=self.resource_id,
            region=self.region,
            created_at_ms=self.created_at_ms,
            tags=self.tags,
            provisioning_state=self.provisioning_state,
        )


class CloudFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a cloud did not do what it was asked for, understood. ``limit_vcpus`` is stated by quota refusals only; 0: never any."""

    kind: RemoteKind
    code: str  #: the cloud's own word
    matter: Matter
    message: str = ""
    limit_vcpus: int | None = None


class CloudResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something in a target's resource group that costs money or an address. ``attached_to`` is the id of what holds it, empty: nothing."""

    kind: Literal["Vm", "Nic", "Disk", "PublicIp"]
    name: str
    resource_id: str
    region: str
    created_at_ms: int | None = None  #: None: the cloud does not tell
    tags: dict[str, str] = {}
    attached_to: str = ""
    provisioning_state: str = ""
