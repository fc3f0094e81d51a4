"""What checks are asked of: the cluster, the cloud, the price list, a Trustee, and what is known already.

Made by whoever asks: the controller with its own connections, `burster doctor` with a person's. Every method raises RemoteError.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from burster.clients.arm_facts import ImageFacts, Permissions, Sku, SubnetFacts, SubscriptionFacts
from burster.model.errors import RemoteError
from burster.model.offerings import Vm
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target


class Api(Protocol):
    """The API server: ``burster.clients.kube.Kube``."""

    async def get(
        self, path: str, params: dict[str, str | int] | None = None, *, deadline_ms: int | None = None
    ) -> bytes:
        """Return an object, or a whole list."""
        ...

    async def create(
        self, path: str, body: object, params: dict[str, str | int] | None = None, *, deadline_ms: int | None = None
    ) -> bytes:
        """Create what is only an answer: an access review."""
        ...


class Cloud(Protocol):
    """Azure Resource Manager: ``burster.clients.arm.Arm``."""

    @property
    def clock_skew_ms(self) -> int | None:
        """How far our clock was ahead of the cloud's at its last answer (behind: below 0); None before the first."""
        ...

    async def read_subscription(self, target: Target) -> SubscriptionFacts:
        """Return the target's subscription."""
        ...

    async def locations(self, target: Target) -> tuple[str, ...]:
        """Return the regions that the subscription may use."""
        ...

    async def read_resource_group(self, target: Target) -> str | None:
        """Return the region of the target's resource group, None where there is no such group."""
        ...

    async def permissions(self, target: Target, scope: str) -> Permissions:
        """Return what our identity may do at a scope."""
        ...

    async def read_subnet(self, target: Target, subnet_id: str) -> SubnetFacts:
        """Return a subnet's room."""
        ...

    async def read_image(self, target: Target, image: str) -> ImageFacts:
        """Return what an image is made for."""
        ...

    async def skus(self, target: Target) -> list[Sku]:
        """Return the sizes of the target's region."""
        ...

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return the VMs of the resource group."""
        ...


class TrusteeDoor(Protocol):
    """Who asks a Trustee whether it is well: ``burster.clients.trustee.TrusteeClient``."""

    async def health(self, url: str) -> str:
        """Return what it said of itself. Raises RemoteError, with code Certificate for one that does not hold."""
        ...


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where cloud-api-adaptor is looked for, in this order, and where burster itself is."""

    namespaces: tuple[str, ...] = ("confidential-containers-system", "openshift-sandboxed-containers-operator")
    config_map: str = "peer-pods-cm"
    daemon_sets: tuple[str, ...] = ("cloud-api-adaptor-daemonset", "osc-caa-ds")
    home: str = "burster-system"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has read of a target already; where it could not be read, why."""

    offerings: OfferingsSeen | RemoteError | None = None
    quota: QuotaSeen | RemoteError | None = None
    secure_boot_by: tuple[str, ...] = ()  #: policies that name the target and ask for secure boot
    attested_by: tuple[str, ...] = ()  #: policies that name the target and require attestation
    machines_by: tuple[str, ...] = ()  #: policies that name the target and make machines there
    peer_pods_by: tuple[str, ...] = ()  #: policies that name the target and start pods there


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that checks may ask. Without ``cloud`` the cloud's are skipped; ``offline`` says why."""

    api: Api
    places: Places = Places()
    cloud: Cloud | None = None
    trustee: TrusteeDoor | None = None
    now_ms: Callable[[], int]
    account: str = ""  #: whose rights are reviewed; empty: whoever asks
    dry_run: bool = False  #: the controller writes nothing, so that it needs no right to
    local_only: bool = False  #: the cloud is a stand-in on this machine: nothing elsewhere is asked either
    offline: str = "It was not asked for."  #: why the cloud, or the Trustee, is not asked
