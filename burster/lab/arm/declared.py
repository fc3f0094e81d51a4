"""What a lab declares about its cloud besides numbers: images, roles, what others use, outages.

Values for ArmConfig; the cloud and the server read them. Moments are milliseconds since the stand-in began to serve.
"""

from typing import Literal

import msgspec


RestrictionReason = Literal["NotAvailableForSubscription", "QuotaId"]
#: what an image definition says of itself; empty: a plain one
SecurityFeature = Literal[
    "",
    "TrustedLaunch",
    "TrustedLaunchSupported",
    "ConfidentialVM",
    "ConfidentialVmSupported",
    "TrustedLaunchAndConfidentialVmSupported",
]


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image, by the id of its definition or of one version, its community name, or ``publisher:offer:sku[:version]``."""

    id: str
    generation: Literal["V1", "V2"] = "V2"
    security_type: SecurityFeature = "ConfidentialVmSupported"
    architecture: Literal["x64", "Arm64"] = "x64"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller may do over a scope and everything in it. Actions are Azure's, ``*`` stands for anything."""

    actions: tuple[str, ...] = ("*",)
    not_actions: tuple[str, ...] = ()
    scope: str = "/"


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Which bearer tokens are taken. Who it is that calls, is told in refusals."""

    valid: tuple[str, ...] = ()  #: empty: any that is not expired
    expired: tuple[str, ...] = ()
    tenant: str = "72f988bf-0000-0000-0000-000000000000"
    client: str = "00000000-0000-0000-0000-0000000000c1"


class During(msgspec.Struct, frozen=True, kw_only=True):
    """Something that holds for a while; ``until_ms`` None: for ever."""

    from_ms: int = 0
    until_ms: int | None = None

    def is_at(self, at_ms: int) -> bool:
        """Say whether it holds at that moment."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


class OthersUse(During, frozen=True, kw_only=True):
    """vCPUs that somebody else in the subscription uses. ``family`` may be ``cores`` or ``lowPriorityCores``."""

    region: str
    family: str
    vcpus: int


#: what an outage is told with: refused at once, or only at the end of the creation
OutageCode = Literal[
    "SkuNotAvailable",
    "AllocationFailed",
    "ZonalAllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
]


class Outage(During, frozen=True, kw_only=True):
    """No capacity in a region, in one of its zones, or for one size. An empty ``zone`` or ``size`` is all of them.

    An outage of one zone spares VMs that name another zone, or none.
    """

    region: str
    zone: str = ""
    size: str = ""
    code: OutageCode = "AllocationFailed"

    def strikes(self, at_ms: int, *, region: str, size: str, zones: tuple[str, ...]) -> bool:
        """Say whether a VM that is wanted now has no place."""
        return (
            self.is_at(at_ms)
            and self.region.casefold() == region
            and self.size.casefold() in {"", size.casefold()}
            and (not self.zone or self.zone in zones)
        )


#: how the public price list is wrong
PriceFault = Literal["", "Html", "OtherCurrency", "Negative", "Zero", "Text", "Huge", "Loop", "Empty"]


class FailureMix(msgspec.Struct, frozen=True, kw_only=True):
    """Creations that fail by seed: how many of all, and with what. Drawn for each VM name and try, or for a size as a whole.

    The shares are those that a large provider's users met; what is missing to 100 % are internal errors.
    """

    rate_permille: int
    #: per mille of the failed ones
    shares: tuple[tuple[str, int], ...] = (
        ("OperationNotAllowed", 945),
        ("ZonalAllocationFailed", 27),
        ("AllocationFailed", 12),
        ("SkuNotAvailable", 8),
        ("OverconstrainedAllocationRequest", 4),
        ("InternalExecutionError", 4),
    )
    #: so long a size in a region (and zone) fails for everybody alike; 0: every try has its own luck
    window_ms: int = 0
