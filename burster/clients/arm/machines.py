"""VMs: read, listed, asked for, followed, tagged and deleted. Called by burster.clients.arm.client; contracts are told there.

Neither Azure's model of a VM nor its pollers: bodies go as they are, answers are read as bytes, an operation is followed by its token.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineResponse

from burster.clients.arm.answers import refused, short, translate
from burster.clients.arm.link import Link
from burster.clients.arm.operations import place_of, read_operation, token_of
from burster.clients.arm.pacing import Call, CallClass
from burster.clients.arm.patience import CALL, retry_after_s
from burster.clients.arm_facts import OperationState, VmOperation
from burster.clients.arm_wire import read_nic, read_vm, with_network
from burster.model.errors import RemoteError
from burster.model.offerings import Vm
from burster.model.targets import Target


NETWORK_API_VERSION: Final = "2024-05-01"


async def get_vm(link: Link, target: Target, name: str, *, instance_view: bool | None = None) -> Vm | None:
    """Return a VM, None where ARM says there is none.

    ``instance_view``: also whether it runs and why it failed. None: where that matters, which is for one that failed and for one that
    may be taken away.
    """
    what = f"read VM {name}"
    found = await _read_vm(link, target, name, what, expand="instanceView" if instance_view else None)
    if found is None:
        return None
    vm, nic = found
    if instance_view is None and (vm.provisioning_state == "Failed" or (vm.spot and _is_done(vm))):
        found = await _read_vm(link, target, name, what, expand="instanceView")
        if found is None:
            return None
        vm, nic = found
    if nic and link.settings.read_network and _is_done(vm):
        return await _with_network(link, target, vm, nic)
    return vm


async def list_vms(link: Link, target: Target) -> list[Vm]:
    """Return every VM of the target's resource group, all pages. Subnet and public address are not in this list."""
    operations = link.client(target.subscription).virtual_machines
    options = _options("ListVms", target, f"list the VMs of {target.resource_group}")
    return await link.listed(
        lambda hook: operations.list(target.resource_group, raw_response_hook=hook, **options),
        lambda row: read_vm(row)[0],
        options[CALL].what,
    )


async def begin_vm(
    link: Link, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True
) -> VmOperation:
    """Ask for a VM and come back as soon as ARM has taken it, with the token by which any process can look after its making.

    Raises AlreadyExists where ``only_new`` and there is one of that name, Timeout where nobody knows whether ARM has taken it (it is
    never asked twice then: read the VM), and whatever it was refused for.
    """
    what = f"create VM {name}"
    kept: list[Any] = []

    def keep(response: PipelineResponse[Any, Any]) -> None:
        kept.append(response.http_response)

    options = _options("PutVm", target, what, name)
    async with link.translated(what):
        # neither Azure's model of a VM nor its poller: the body goes as it is, and the operation is followed by its token
        await link.client(target.subscription).virtual_machines.begin_create_or_update(
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
    return VmOperation(vm=vm, token="" if done else token_of(answer.headers, link.path_of))


async def follow_operation(link: Link, target: Target, token: str) -> OperationState:
    """Look once at a long operation, in whatever process. How it failed is told in its state, not raised."""
    what = "look after an operation"
    in_words, path, name = place_of(token, what)
    call = call_of("GetOperation", target, what, name)
    status, body, headers = await link.ask(target, call, path)
    retry_s = retry_after_s(headers)
    with link.reading(what):
        state = read_operation(
            in_words=in_words,
            status=status,
            body=body,
            retry_after_ms=None if retry_s is None else int(retry_s * 1000),
        )
    if state is None:
        raise refused(status, body, headers, what)
    return state


async def delete_vm(link: Link, target: Target, name: str, *, force: bool, deadline_ms: int) -> None:
    """Delete a VM and come back once ARM says that it is not there. What is not there already counts as deleted.

    ``force``: without shutting its system down first.
    """
    what = f"delete VM {name}"
    try:
        async with asyncio.timeout(deadline_ms / 1000):
            await _delete_vm(link, target, name, what, force=force)
            confirm = f"confirm that VM {name} is gone"
            while await _read_vm(link, target, name, confirm) is not None:  # noqa: ASYNC110 - the cloud has to be asked
                await asyncio.sleep(link.settings.poll_interval_ms / 1000)
    except TimeoutError:
        message = f"{what}: it was still there after {deadline_ms} ms"
        raise RemoteError("Timeout", message, matter="deadline") from None


async def tag_vm(link: Link, target: Target, vm: Vm, tags: dict[str, str]) -> None:
    """Give a VM these tags in place of its own, and come back as soon as ARM has taken them. Raises NotFound where it is gone."""
    what = f"tag VM {vm.name}"
    options = _options("PutVm", target, what, vm.name)
    async with link.translated(what):
        update: Any = link.client(target.subscription).virtual_machines.begin_update
        body = msgspec.json.encode({"tags": tags})
        await update(target.resource_group, vm.name, body, polling=False, **options)


async def _read_vm(
    link: Link, target: Target, name: str, what: str, *, expand: str | None = None
) -> tuple[Vm, str] | None:
    """Return a VM and its first network interface's id."""
    options = _options("GetVm", target, what, name)
    operations = link.client(target.subscription).virtual_machines
    async with link.translated(what):
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


async def _delete_vm(link: Link, target: Target, name: str, what: str, *, force: bool) -> None:
    kept: list[Any] = []

    def keep(response: PipelineResponse[Any, Any]) -> None:
        kept.append(response.http_response)

    options = _options("DeleteVm", target, what, name)
    async with link.translated(what):
        try:
            await link.client(target.subscription).virtual_machines.begin_delete(
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
    token = token_of(kept[-1].headers, link.path_of)
    while token:
        state = await follow_operation(link, target, token)
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
        await asyncio.sleep((state.retry_after_ms or link.settings.poll_interval_ms) / 1000)


async def _with_network(link: Link, target: Target, vm: Vm, nic_id: str) -> Vm:
    """Add what the interface tells; it stays unknown where we may not read it, and who demands it will refuse the VM."""
    what = f"read the network interface of VM {vm.name}"
    try:
        call = call_of("Read", target, what)
        body = await link.get(target, call, f"{nic_id}?api-version={NETWORK_API_VERSION}")
    except RemoteError as error:
        if error.kind in {"NotFound", "Unauthorized"}:
            return vm
        raise
    with link.reading(what):
        return with_network(vm, read_nic(body))


def call_of(kind: CallClass, target: Target, what: str, name: str = "") -> Call:
    """Return what the pace of a request depends on; ``name``: the VM or operation that it is about."""
    resource = f"{target.subscription}/{target.resource_group}/{name}".casefold() if name else ""
    return Call(kind=kind, subscription=target.subscription, region=target.region, what=what, resource=resource)


def _options(kind: CallClass, target: Target, what: str, name: str = "") -> dict[str, Any]:
    return {CALL: call_of(kind, target, what, name)}


def _response(response: PipelineResponse[Any, Any], *_: object) -> Any:
    """Return an answer as it came, in place of Azure's model of it."""
    return response.http_response


def _is_done(vm: Vm) -> bool:
    return vm.provisioning_state == "Succeeded"
