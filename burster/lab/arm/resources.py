"""The things that exist in the stand-in's cloud: VMs, network interfaces, disks, public addresses, operations.

State only; cloud.py has the rules.
"""

from asyncio import TimerHandle
from dataclasses import dataclass, field
from typing import Any

import msgspec

from burster.lab.arm.catalogue import Size


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription and resource group, as a request spelled them; compared in any case."""

    subscription: str
    group: str

    def resource_id(self, kind: str, name: str) -> str:
        """Return a full id; ``kind`` is ``Microsoft.Compute/virtualMachines`` and the like."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{kind}/{name}"


VM_KIND = "Microsoft.Compute/virtualMachines"
DISK_KIND = "Microsoft.Compute/disks"
NIC_KIND = "Microsoft.Network/networkInterfaces"
PUBLIC_IP_KIND = "Microsoft.Network/publicIPAddresses"


@dataclass(slots=True, kw_only=True, eq=False)
class Attachment:
    """A disk, network interface or public address. ``vm_id`` is empty once nothing uses it any more."""

    kind: str
    id: str
    name: str
    region: str
    vm_id: str
    delete_with_vm: bool
    subnet: str = ""
    address: str = ""  #: private or public, once allocated
    slot: int = -1  #: which of the subnet's addresses is kept for it
    public_ip_id: str = ""
    security_group: str = ""  #: the id of an interface's network security group
    nic_id: str = ""  #: of a public address: the interface that has it
    size_gib: int = 0
    sku: str = ""
    encryption: str = ""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    created_at_ms: int = 0
    reserved_until_ms: int = 0  #: so long it is kept for the VM that it had
    reserved_for: str = ""
    state: str = "Succeeded"
    deletion: "Operation | None" = None
    timer: TimerHandle | None = None
    key: str = field(init=False)  #: ids are compared in any case

    def __post_init__(self) -> None:
        self.key = self.id.casefold()


@dataclass(slots=True, kw_only=True, eq=False)
class Operation:
    """A long-running operation. ``status`` is InProgress, Succeeded, Failed or Canceled."""

    id: str
    region: str
    subscription: str
    started_at_ms: int
    provider: str = "Microsoft.Compute"
    status: str = "InProgress"
    ended_at_ms: int | None = None
    code: str = ""
    message: str = ""

    def finish(self, at_ms: int, *, code: str = "", message: str = "") -> None:
        """End it, well where there is no code; what has ended stays as it ended."""
        if self.ended_at_ms is not None:
            return
        self.ended_at_ms = at_ms
        self.code, self.message = code, message
        self.status = "Failed" if code else "Succeeded"


@dataclass(slots=True, kw_only=True, eq=False)
class VmRecord:
    """A VM. ``state`` is ARM's provisioningState."""

    id: str
    name: str
    scope: Scope
    region: str
    size: Size
    zones: tuple[str, ...]
    tags: dict[str, str]
    properties: dict[str, Any]  #: as it was asked for
    user_data: str
    uid: str
    created_at_ms: int
    incarnation: int  #: how many VMs of this name there were before
    operation: Operation
    state: str = "Creating"
    allocated: bool = False
    failure: str = ""
    doom: tuple[str, str] = ("", "")  #: code and sentence with which its creation is going to fail
    spot: bool = False
    eviction_policy: str = ""
    power: str = ""  #: running, deallocating or deallocated once it was allocated
    notice: dict[str, Any] | None = None  #: what its guest is told of a coming eviction
    nics: list[Attachment] = field(default_factory=list[Attachment])
    disk: Attachment | None = None
    addresses: list[Attachment] = field(default_factory=list[Attachment])  #: public ones of its interfaces
    timers: list[TimerHandle] = field(default_factory=list[TimerHandle])
    key: str = field(init=False)  #: ids are compared in any case

    def __post_init__(self) -> None:
        self.key = self.id.casefold()

    def cancel_timers(self) -> None:
        """Forget what was going to happen to it."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
