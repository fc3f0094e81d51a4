"""What else a resource group holds that costs money or an address: network interfaces, disks, public addresses.

Called by burster.clients.arm.client. Microsoft.Network is asked through the compute client's own pipeline: its library alone would
cost a controller more memory than everything else of Azure together (see docs/design/0027-azure-network-without-its-library.md).
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Literal

from burster.clients.arm.answers import refused
from burster.clients.arm.link import Link
from burster.clients.arm.pacing import Call, CallClass
from burster.clients.arm.patience import CALL
from burster.clients.arm.wire import read_resource
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource
from burster.model.targets import Target


#: kind -> its place behind the resource group, and the version of its API
_PLACES: Final[dict[Literal["Nic", "Disk", "PublicIp"], tuple[str, str]]] = {
    "Nic": ("Microsoft.Network/networkInterfaces", "2024-05-01"),
    "Disk": ("Microsoft.Compute/disks", "2024-03-02"),
    "PublicIp": ("Microsoft.Network/publicIPAddresses", "2024-05-01"),
}
_ACCEPTED: Final = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})


async def list_attachments(link: Link, target: Target) -> list[CloudResource]:
    """Return the network interfaces, disks and public addresses of the target's resource group, all pages."""
    nics = await _list(link, target, "Nic")
    disks = await _list_disks(link, target)
    return [*nics, *disks, *await _list(link, target, "PublicIp")]


async def delete_attachment(link: Link, target: Target, resource: CloudResource, pause_s: float) -> None:
    """Delete it and come back once it is not there. Raises Conflict where something holds it; ends by cancellation only otherwise."""
    what = f"delete {resource.kind} {resource.name}"
    path = _path(target, resource)
    call = _call("Delete", target, what)
    status, body, headers = await link.ask(target, call, path, "DELETE")
    if status not in _ACCEPTED and not _is_gone(status, body, headers, what):
        raise refused(status, body, headers, what)
    confirm = _call("Read", target, f"confirm that {resource.kind} {resource.name} is gone")
    while not _is_gone(status, body, headers, confirm.what):
        status, body, headers = await link.ask(target, confirm, path)
        if status == HTTPStatus.OK:
            await asyncio.sleep(pause_s)
        elif not _is_gone(status, body, headers, confirm.what):
            raise refused(status, body, headers, confirm.what)


def _is_gone(status: int, body: bytes, headers: Any, what: str) -> bool:
    """Say whether ARM vouches that there is no such thing."""
    return status == HTTPStatus.NOT_FOUND and refused(status, body, headers, what).kind == "NotFound"


async def _list(link: Link, target: Target, kind: Literal["Nic", "PublicIp"]) -> list[CloudResource]:
    place, version = _PLACES[kind]
    path = f"/subscriptions/{target.subscription}/resourceGroups/{target.resource_group}/providers/{place}"
    call = _call("Read", target, f"list the {place.rpartition('/')[2]} of {target.resource_group}")
    return await link.get_all(target, call, f"{path}?api-version={version}", partial(read_resource, kind=kind))


async def _list_disks(link: Link, target: Target) -> list[CloudResource]:
    call = _call("Read", target, f"list the disks of {target.resource_group}")
    disks = link.client(target.subscription).disks
    return await link.listed(
        lambda hook: disks.list_by_resource_group(target.resource_group, raw_response_hook=hook, **{CALL: call}),
        partial(read_resource, kind="Disk"),
        call.what,
    )


def _path(target: Target, resource: CloudResource) -> str:
    """Return a resource's path. Raises Invalid where it is not one of the target's resource group: nothing else is ever deleted."""
    kind = resource.kind
    if kind == "Vm":
        raise AssertionError("a VM has its own way to be deleted")
    place, version = _PLACES[kind]
    wanted = (
        f"/subscriptions/{target.subscription}/resourceGroups/{target.resource_group}/providers/{place}/{resource.name}"
    )
    if resource.resource_id.casefold() != wanted.casefold() or not resource.name or "/" in resource.name:
        sentence = f"delete {kind} {resource.name}: {resource.resource_id} is none of {target.resource_group}"
        raise RemoteError("Invalid", sentence, matter="configuration")
    return f"{wanted}?api-version={version}"


def _call(kind: CallClass, target: Target, what: str) -> Call:
    return Call(kind=kind, subscription=target.subscription, region=target.region, what=what)
