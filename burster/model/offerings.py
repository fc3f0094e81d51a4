"""Where a burst can run and what that costs."""

from typing import Literal

import msgspec

from burster.model.pods import Resources


Tee = Literal["TDX", "SNP", "None"]


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
    zones: tuple[str, ...] = ()
    spot: bool = False  #: may be taken away at any time

    @property
    def key(self) -> str:
        """``target/region/size``, unique among offerings."""
        return f"{self.target}/{self.region}/{self.size}"


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a region's usages: vCPUs in use and allowed for a family, or for ``cores`` in all."""

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
    image: str = ""
    subnet: str = ""
    public_ip: bool | None = None
    tags: dict[str, str] = {}
