"""What ARM tells, as values: made by burster.clients.arm, read by burster.sources and burster.adaptors.

Imports nothing of Azure, so reading stays cheap.
"""

import re
from typing import Literal

import msgspec

from burster.model.offerings import CloudFailure, Tee, Vm
from burster.model.pods import Resources


class VmSize(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a region's plain size list: what exists, without saying who may have it."""

    name: str
    resources: Resources


class Sku(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One VM size of a region as the SKU list tells it to this subscription.

    ``tee`` is the ConfidentialComputingType capability, never a guess from the name. ``restricted`` is the first reason why the
    subscription may not use it in the region at all; ``restricted_zones`` are zones it may not use.
    """

    name: str
    family: str
    resources: Resources
    tee: Tee = "None"
    zones: tuple[str, ...] = ()
    restricted: str = ""
    restricted_zones: tuple[str, ...] = ()
    generation: str = ""  #: of the virtual hardware, as stated: "V1", "V2" or "V1,V2"
    spot_capable: bool = False  #: may be had as spot


class VmOperation(msgspec.Struct, frozen=True, kw_only=True):
    """A VM that was asked for: as it is now, and the token by which any process can look after its making. Empty: it is done."""

    vm: Vm
    token: str


class OperationState(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a long operation. Forgotten: ARM knows nothing of it any more, and only the VM itself can tell how it ended."""

    state: Literal["InProgress", "Succeeded", "Failed", "Canceled", "Forgotten"]
    failure: CloudFailure | None = None  #: of Failed and Canceled
    retry_after_ms: int | None = None  #: when to look again, if ARM said so


class SubnetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet's IPv4 room. ``addresses``: what machines may get in all (Azure keeps five of each prefix), ``used``: those taken."""

    id: str
    addresses: int
    used: int

    @property
    def free(self) -> int:
        """Addresses left, never below 0."""
        return max(0, self.addresses - self.used)


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is made for. ``security_types`` as Azure lists them (ConfidentialVmSupported, …), empty: none."""

    id: str
    found: bool
    generation: str = ""  #: V1 or V2; empty: not told
    security_types: tuple[str, ...] = ()
    architecture: str = ""  #: x64 or Arm64; empty: not told


class Permissions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the controller's identity may do at a scope, by one role it has there, and by its ``others``."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()  #: taken out of this role's actions; another role may give them all the same
    others: tuple["Permissions", ...] = ()

    def allows(self, action: str) -> bool:
        """Say whether a role has the action: ``*`` stands for anything, case is nothing, and what one role leaves out another may give."""
        mine = _matches(self.actions, action) and not _matches(self.not_actions, action)
        return mine or any(other.allows(action) for other in self.others)


class SubscriptionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription. ``state`` as Azure tells it: Enabled, Warned, PastDue, Disabled, Deleted."""

    id: str
    state: str
    tenant: str


def _matches(patterns: tuple[str, ...], action: str) -> bool:
    return any(
        re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), action, re.IGNORECASE | re.DOTALL)
        for pattern in patterns
    )
