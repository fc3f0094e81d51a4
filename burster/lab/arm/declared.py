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
    "ConfidentialVMSupported",
    "TrustedLaunchAndConfidentialVMSupported",
]


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image, by the id of its definition or of one version, its community name, or ``publisher:offer:sku[:version]``."""

    id: str
    generation: Literal["V1", "V2"] = "V2"
    security_type: SecurityFeature = "ConfidentialVMSupported"
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
