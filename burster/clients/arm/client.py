"""What burster asks of Azure Resource Manager, as methods: targets in, model values out, RemoteError and nothing else.

Called by sources (what can be had) and adaptors (what is there, making it, deleting it). It asks at the pace that Azure allows and repeats
what can do no harm (see ``patience``); everything else is for who asked to decide. It must never know a policy, and it sends a token over
TLS only: plain http is for a stand-in on this machine's loopback, without any token.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Self, cast

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineResponse

from burster.clients.arm import checks, resources
from burster.clients.arm.answers import refused, short, translate
from burster.clients.arm.link import Link
from burster.clients.arm.operations import place_of, read_operation, token_of
from burster.clients.arm.pacing import Call, CallClass
from burster.clients.arm.patience import CALL, retry_after_s
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
from burster.clients.arm_wire import read_nic, read_size, read_sku, read_usage, read_vm, with_network
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource, Quota, Vm
from burster.model.targets import Target


NETWORK_API_VERSION: Final = "2024-05-01"
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

    @property
    def paced_ms(self) -> int:
        """How long requests have waited for their turn in all."""
        return int(self._link.pacer.waited_s * 1000)

    async def get_vm(self, target: Target, name: str, *, instance_view: bool | None = None) -> Vm | None:
        """Return a VM, None where ARM says there is none.

        ``instance_view``: also whether it runs and why it failed. None: where that matters, which is for one that failed and for one that
        may be taken away.
        """
        what = f"read VM {name}"
        found = await self._read_vm(target, name, what, expand="instanceView" if instance_view else None)
        if found is None:
            return None
        vm, nic = found
        if instance_view is None and (vm.provisioning_state == "Failed" or (vm.spot and _is_done(vm))):
            found = await self._read_vm(target, name, what, expand="instanceView")
            if found is None:
                return None
            vm, nic = found
        if nic and self._settings.read_network and _is_done(vm):
            return await self._with_network(target, vm, nic)
        return vm

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group, all pages. Subnet and public address are not in this list."""
        operations = self._link.client(target.subscription).virtual_machines
        options = self._options("ListVms", target, f"list the VMs of {target.resource_group}")
        return await self._link.listed(
            lambda hook: operations.list(target.resource_group, raw_response_hook=hook, **options),
            lambda row: read_vm(row)[0],
            options[CALL].what,
        )

    async def begin_vm(self, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True) -> VmOperation:
        """Ask for a VM and come back as soon as ARM has taken it, with the token by which any process can look after its making.

        Raises AlreadyExists where ``only_new`` and there is one of that name, Timeout where nobody knows whether ARM has taken it (it is
        never asked twice then: read the VM), and whatever it was refused for.
        """
        what = f"create VM {name}"
        kept: list[Any] = []

        def keep(response: PipelineResponse[Any, Any]) -> None:
            kept.append(response.http_response)

        options = self._options("PutVm", target, what, name)
        async with self._link.translated(what):
            # neither Azure's model of a VM nor its poller: the body goes as it is, and the operation is followed by its token
            await self._link.client(target.subscription).virtual_machines.begin_create_or_update(
                target.resource_group,
                name,
                cast("Any", msgspec.json.encode(body)),
                match_condition=MatchConditions.IfMissing if only_new else None,
                polling=False,
                raw_response_hook=keep,
                **options,
            )
            answer = kept[-1]
            vm, _ = read_vm(answer.content)
        # an operation whose end is in its first answer needs no following
        done = answer.status_code == HTTPStatus.OK and _is_done(vm)
        return VmOperation(vm=vm, token="" if done else token_of(answer.headers, self._link.path_of))

    async def follow_operation(self, target: Target, token: str) -> OperationState:
        """Look once at a long operation, in whatever process. How it failed is told in its state, not raised."""
        what = "look after an operation"
        in_words, path, name = place_of(token, what)
        call = self._call("GetOperation", target, what, name)
        status, body, headers = await self._link.ask(target, call, path)
        retry_s = retry_after_s(headers)
        with self._link.reading(what):
            state = read_operation(
                in_words=in_words,
                status=status,
                body=body,
                retry_after_ms=None if retry_s is None else int(retry_s * 1000),
            )
        if state is None:
            raise refused(status, body, headers, what)
        return state

    async def delete_vm(
        self, target: Target, name: str, *, force: bool = False, deadline_ms: int = _DELETE_DEADLINE_MS
    ) -> None:
        """Delete a VM and come back once ARM says that it is not there. What is not there already counts as deleted.

        ``force``: without shutting its system down first.
        """
        what = f"delete VM {name}"
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                await self._delete_vm(target, name, what, force=force)
                confirm = f"confirm that VM {name} is gone"
                while await self._read_vm(target, name, confirm) is not None:  # noqa: ASYNC110 - the cloud has to be asked
                    await asyncio.sleep(self._settings.poll_interval_ms / 1000)
        except TimeoutError:
            message = f"{what}: it was still there after {deadline_ms} ms"
            raise RemoteError("Timeout", message, matter="deadline") from None

    async def tag_vm(self, target: Target, vm: Vm, tags: dict[str, str]) -> None:
        """Give a VM these tags in place of its own, and come back as soon as ARM has taken them. Raises NotFound where it is gone."""
        what = f"tag VM {vm.name}"
        options = self._options("PutVm", target, what, vm.name)
        async with self._link.translated(what):
            update: Any = self._link.client(target.subscription).virtual_machines.begin_update
            body = msgspec.json.encode({"tags": tags})
            await update(target.resource_group, vm.name, body, polling=False, **options)

    async def list_resources(self, target: Target) -> list[CloudResource]:
        """Return the VMs, network interfaces, disks and public addresses of the target's resource group, all pages."""
        vms = [resources.of_vm(vm) for vm in await self.list_vms(target)]
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
        options = self._options("Read", target, f"list the VM sizes of {region}")
        return await self._link.listed(
            lambda hook: operations.list(region, raw_response_hook=hook, **options), read_size, options[CALL].what
        )

    async def skus(self, target: Target) -> list[Sku]:
        """Return the VM sizes of the target's region with what this subscription may do with them. Raises Protocol where there is none."""
        operations, region = self._link.client(target.subscription).resource_skus, target.region
        options, wanted = self._options("Read", target, f"list the SKUs of {region}"), f"location eq '{region}'"
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
        options = self._options("Read", target, f"list the usages of {region}")
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

    async def _read_vm(
        self, target: Target, name: str, what: str, *, expand: str | None = None
    ) -> tuple[Vm, str] | None:
        """Return a VM and its first network interface's id."""
        options = self._options("GetVm", target, what, name)
        operations = self._link.client(target.subscription).virtual_machines
        async with self._link.translated(what):
            try:
                # as a stream, so that the SDK makes no model of it
                get: Any = operations.get
                response = await get(target.resource_group, name, expand=expand, cls=_response, stream=True, **options)
            except HttpResponseError as error:
                if translate(error, what).kind == "NotFound":
                    return None
                raise
            vm, nic = read_vm(await response.read())
        if vm.failure_message:
            vm = msgspec.structs.replace(vm, failure_message=short(vm.failure_message))
        return vm, nic

    async def _delete_vm(self, target: Target, name: str, what: str, *, force: bool) -> None:
        kept: list[Any] = []

        def keep(response: PipelineResponse[Any, Any]) -> None:
            kept.append(response.http_response)

        options = self._options("DeleteVm", target, what, name)
        async with self._link.translated(what):
            try:
                await self._link.client(target.subscription).virtual_machines.begin_delete(
                    target.resource_group,
                    name,
                    force_deletion=True if force else None,
                    polling=False,
                    raw_response_hook=keep,
                    **options,
                )
            except HttpResponseError as error:
                if translate(error, what).kind == "NotFound":
                    return
                raise
        token = token_of(kept[-1].headers, self._link.path_of)
        while token:
            state = await self.follow_operation(target, token)
            if state.failure is not None:
                failure = state.failure
                raise RemoteError(
                    failure.kind,
                    f"{what}: {failure.message}",
                    code=failure.code,
                    status=HTTPStatus.OK,
                    matter=failure.matter,
                )
            if state.state != "InProgress":  # a finished operation may be forgotten sooner than it is asked for
                return
            await asyncio.sleep((state.retry_after_ms or self._settings.poll_interval_ms) / 1000)

    async def _with_network(self, target: Target, vm: Vm, nic_id: str) -> Vm:
        """Add what the interface tells; it stays unknown where we may not read it, and who demands it will refuse the VM."""
        what = f"read the network interface of VM {vm.name}"
        try:
            call = self._call("Read", target, what)
            body = await self._link.get(target, call, f"{nic_id}?api-version={NETWORK_API_VERSION}")
        except RemoteError as error:
            if error.kind in {"NotFound", "Unauthorized"}:
                return vm
            raise
        with self._link.reading(what):
            return with_network(vm, read_nic(body))

    def _options(self, kind: CallClass, target: Target, what: str, name: str = "") -> dict[str, Any]:
        return {CALL: self._call(kind, target, what, name)}

    @staticmethod
    def _call(kind: CallClass, target: Target, what: str, name: str = "") -> Call:
        resource = f"{target.subscription}/{target.resource_group}/{name}".casefold() if name else ""
        return Call(kind=kind, subscription=target.subscription, region=target.region, what=what, resource=resource)


def _response(response: PipelineResponse[Any, Any], *_: object) -> Any:
    """Return an answer as it came, in place of Azure's model of it."""
    return response.http_response


def _is_done(vm: Vm) -> bool:
    return vm.provisioning_state == "Succeeded"
