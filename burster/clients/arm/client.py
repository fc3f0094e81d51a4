"""What burster asks of Azure Resource Manager, as methods: targets in, model values out, RemoteError and nothing else.

Called by sources (what can be had) and adaptors (what is there, making it, deleting it). It asks at the pace that Azure allows and repeats
what can do no harm (see ``patience``); everything else is for who asked to decide. It must never know a policy, and it sends a token over
TLS only: plain http is for a stand-in on this machine's loopback, without any token.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self

from burster.clients.arm import checks, machines, resources
from burster.clients.arm.link import Link
from burster.clients.arm.pacing import CallClass
from burster.clients.arm.patience import CALL
from burster.clients.arm_facts import (
    ImageFacts,
    OperationState,
    Permissions,
    Sku,
    SubnetFacts,
    SubscriptionFacts,
    VmOperation,
    VmSize,
)
from burster.clients.arm_settings import ArmSettings
from burster.clients.arm_wire_sizes import read_size, read_sku, read_usage
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource, Quota, Vm
from burster.model.targets import Target


_DELETE_DEADLINE_MS: Final = 900_000


class Arm:
    """One session for all subscriptions. Close it with ``aclose`` or use it as an async context manager.

    ``now_ms`` is this machine's clock, which is compared with ARM's; without it ``clock_skew_ms`` stays None.
    """

    def __init__(self, settings: ArmSettings, *, now_ms: Callable[[], int] | None = None) -> None:
        """Raise InputError where the settings would send a token in the clear, or none where one is needed."""
        self._settings = settings
        self._link = Link(settings, now_ms)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. The object can't be used any more in a useful way, but it does no harm."""
        await self._link.aclose()

    @property
    def clock_skew_ms(self) -> int | None:
        """How far this machine's clock is ahead of ARM's (behind: below 0), from the last answer; None before the first."""
        return self._link.clock_skew_ms

    @property
    def throttled_ms(self) -> int:
        """For how long yet ARM wants no more of some kind of request; 0: it takes everything."""
        return int(self._link.pacer.throttled_for(asyncio.get_running_loop().time()) * 1000)

    @property
    def throttle_refusals(self) -> int:
        """How often ARM has refused for haste (429)."""
        return self._link.pacer.refused

    def pace(self) -> tuple[int, float, float]:
        """Return refusals for haste, for how many seconds requests have waited for their turn, and for how many ARM wants no more yet."""
        return self._link.pacer.refused, self._link.pacer.waited_s, self.throttled_ms / 1000

    async def get_vm(self, target: Target, name: str, *, instance_view: bool | None = None) -> Vm | None:
        """Return a VM, None where ARM says there is none.

        ``instance_view``: also whether it runs and why it failed. None: where that matters, which is for one that failed and for one that
        may be taken away.
        """
        return await machines.get_vm(self._link, target, name, instance_view=instance_view)

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group, all pages. Subnet and public address are not in this list."""
        return await machines.list_vms(self._link, target)

    async def begin_vm(self, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True) -> VmOperation:
        """Ask for a VM and come back as soon as ARM has taken it, with the token by which any process can look after its making.

        Raises AlreadyExists where ``only_new`` and there is one of that name, Timeout where nobody knows whether ARM has taken it (it is
        never asked twice then: read the VM), and whatever it was refused for.
        """
        return await machines.begin_vm(self._link, target, name, body, only_new=only_new)

    async def follow_operation(self, target: Target, token: str) -> OperationState:
        """Look once at a long operation, in whatever process. How it failed is told in its state, not raised."""
        return await machines.follow_operation(self._link, target, token)

    async def delete_vm(
        self, target: Target, name: str, *, force: bool = False, deadline_ms: int = _DELETE_DEADLINE_MS
    ) -> None:
        """Delete a VM and come back once ARM says that it is not there. What is not there already counts as deleted.

        ``force``: without shutting its system down first.
        """
        await machines.delete_vm(self._link, target, name, force=force, deadline_ms=deadline_ms)

    async def tag_vm(self, target: Target, vm: Vm, tags: dict[str, str]) -> None:
        """Give a VM these tags in place of its own, and come back as soon as ARM has taken them. Raises NotFound where it is gone."""
        await machines.tag_vm(self._link, target, vm, tags)

    async def list_resources(self, target: Target) -> list[CloudResource]:
        """Return the VMs, network interfaces, disks and public addresses of the target's resource group, all pages."""
        vms = [vm.as_resource for vm in await self.list_vms(target)]
        return vms + await resources.list_attachments(self._link, target)

    async def list_attachments(self, target: Target) -> list[CloudResource]:
        """Return the same without the VMs: for who has listed those."""
        return await resources.list_attachments(self._link, target)

    async def delete_resource(
        self, target: Target, resource: CloudResource, *, deadline_ms: int = _DELETE_DEADLINE_MS
    ) -> None:
        """Delete it and come back once ARM says that it is not there. What is not there already counts as deleted."""
        if resource.kind == "Vm":
            return await self.delete_vm(target, resource.name, deadline_ms=deadline_ms)
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                pause_s = self._settings.poll_interval_ms / 1000
                return await resources.delete_attachment(self._link, target, resource, pause_s)
        except TimeoutError:
            message = f"delete {resource.kind} {resource.name}: it was still there after {deadline_ms} ms"
            raise RemoteError("Timeout", message, matter="deadline") from None

    async def read_subnet(self, target: Target, subnet_id: str) -> SubnetFacts:
        """Return how many addresses a subnet has, and how many are taken. Raises NotFound where there is no such subnet."""
        return await checks.read_subnet(self._link, target, subnet_id)

    async def read_image(self, target: Target, image: str) -> ImageFacts:
        """Return what an image is made for: a gallery's version or definition, ``/CommunityGalleries/…`` or publisher:offer:sku:version."""
        return await checks.read_image(self._link, target, image)

    async def permissions(self, target: Target, scope: str) -> Permissions:
        """Return what we may do at a scope such as ``/subscriptions/…/resourceGroups/…``."""
        return await checks.permissions(self._link, target, scope)

    async def read_subscription(self, target: Target) -> SubscriptionFacts:
        """Return the target's subscription. Raises Invalid where it does not exist, or not for us."""
        return await checks.read_subscription(self._link, target)

    async def locations(self, target: Target) -> tuple[str, ...]:
        """Return the names of the regions that the target's subscription may use."""
        return await checks.locations(self._link, target)

    async def read_resource_group(self, target: Target) -> str | None:
        """Return where the target's resource group is, None where there is none."""
        return await checks.read_resource_group(self._link, target)

    async def list_sizes(self, target: Target) -> list[VmSize]:
        """Return the VM sizes that exist in the target's region."""
        operations, region = self._link.client(target.subscription).virtual_machine_sizes, target.region
        options = _options("Read", target, f"list the VM sizes of {region}")
        return await self._link.listed(
            lambda hook: operations.list(region, raw_response_hook=hook, **options), read_size, options[CALL].what
        )

    async def skus(self, target: Target) -> list[Sku]:
        """Return the VM sizes of the target's region with what this subscription may do with them. Raises Protocol where there is none."""
        operations, region = self._link.client(target.subscription).resource_skus, target.region
        options, wanted = _options("Read", target, f"list the SKUs of {region}"), f"location eq '{region}'"
        what = options[CALL].what
        rows = await self._link.listed(
            lambda hook: operations.list(filter=wanted, raw_response_hook=hook, **options),
            lambda row: read_sku(row, region),
            what,
        )
        found = [sku for sku in rows if sku is not None]
        if not found:
            sentence = (
                f"{what}: ARM lists no VM size there at all (is there such a region, and may the subscription use it?)"
            )
            raise RemoteError("Protocol", sentence, code="NothingListed", matter="configuration")
        return found

    async def usages(self, target: Target) -> list[Quota]:
        """Return how many vCPUs of each family, and of ``cores`` in all, are used and allowed in the target's region.

        Raises Protocol where there is not one row: a quota that nobody has told is not a quota of nothing.
        """
        operations, region = self._link.client(target.subscription).usage, target.region
        options = _options("Read", target, f"list the usages of {region}")
        what = options[CALL].what
        rows = await self._link.listed(
            lambda hook: operations.list(region, raw_response_hook=hook, **options),
            lambda row: read_usage(row, region),
            what,
        )
        found = [row for row in rows if row is not None]
        if not found:
            raise RemoteError(
                "Protocol", f"{what}: ARM lists no quota of vCPUs", code="NothingListed", matter="configuration"
            )
        return found


def _options(kind: CallClass, target: Target, what: str) -> dict[str, Any]:
    return {CALL: machines.call_of(kind, target, what)}
