"""What a target rests on, read from ARM before anything is launched: subscription, regions, group, rights, subnet, image.

Called by burster.clients.arm.client; ``doctor`` and the preflight of targets are who asks in the end.
"""

import re
from http import HTTPStatus
from ipaddress import ip_network
from typing import Final
from urllib.parse import quote

import msgspec

from burster.clients.arm.link import Link
from burster.clients.arm.pacing import Call
from burster.clients.arm.wire import (
    SubnetUsage,
    SubnetWire,
    read_location,
    read_names,
    read_place,
    read_role,
)
from burster.clients.arm.wire import (
    read_image as read_image_wire,
)
from burster.clients.arm.wire import (
    read_subscription as read_subscription_wire,
)
from burster.clients.arm_facts import ImageFacts, Permissions, SubnetFacts, SubscriptionFacts
from burster.model.errors import RemoteError
from burster.model.targets import Target


_NETWORK: Final = "2024-05-01"
_COMPUTE: Final = "2024-07-01"
_GALLERIES: Final = "2024-03-03"
_RESOURCES: Final = "2022-09-01"
_SUBSCRIPTIONS: Final = "2022-12-01"
_AUTHORIZATION: Final = "2022-04-01"
#: of each of a subnet's prefixes: the network, the gateway, two for DNS, and the broadcast address
_AZURE_KEEPS: Final = 5

_NAME: Final = r"[^/?#\s]{1,260}"
_SUBNET: Final = re.compile(
    rf"(?P<vnet>/subscriptions/{_NAME}/resourceGroups/{_NAME}/providers/Microsoft\.Network/virtualNetworks/{_NAME})/subnets/{_NAME}",
    re.IGNORECASE,
)
_SCOPE: Final = re.compile(rf"/subscriptions/{_NAME}(?:/{_NAME})*", re.IGNORECASE)
_GALLERY: Final = re.compile(
    rf"(?P<definition>/subscriptions/{_NAME}/resourceGroups/{_NAME}/providers/Microsoft\.Compute/galleries/{_NAME}/images/{_NAME})"
    rf"(?:/versions/(?P<version>{_NAME}))?",
    re.IGNORECASE,
)
_SHARED: Final = re.compile(
    rf"/(?P<kind>Community|Shared)Galleries/(?P<gallery>{_NAME})/Images/(?P<image>{_NAME})(?:/Versions/(?P<version>{_NAME}))?",
    re.IGNORECASE,
)
_MANAGED: Final = re.compile(
    rf"/subscriptions/{_NAME}/resourceGroups/{_NAME}/providers/Microsoft\.Compute/images/{_NAME}", re.IGNORECASE
)
_MARKETPLACE: Final = re.compile(r"(?P<publisher>[\w.-]+):(?P<offer>[\w.-]+):(?P<sku>[\w.-]+):(?P<version>[\w.-]+)")


async def read_subnet(link: Link, target: Target, subnet_id: str) -> SubnetFacts:
    """Return a subnet's room: by the network's own count, and where that may not be read by the interfaces in it."""
    what = f"read subnet {subnet_id.rpartition('/')[2]}"
    match = _SUBNET.fullmatch(subnet_id)
    if match is None:
        raise RemoteError("Invalid", f"{what}: {subnet_id!r} is no subnet's id", matter="configuration")
    call = _call(target, what)
    body = await link.get(target, call, f"{subnet_id}?api-version={_NETWORK}")
    with link.reading(what):
        subnet = msgspec.json.decode(body, type=SubnetWire)
        properties = subnet.properties
        single = [properties.address_prefix] if properties.address_prefix else []
        networks = [ip_network(prefix, strict=False) for prefix in properties.address_prefixes or single]
    addresses = sum(max(0, each.num_addresses - _AZURE_KEEPS) for each in networks if each.version == 4)  # noqa: PLR2004
    counted = SubnetFacts(id=subnet.id, addresses=addresses, used=len(properties.ip_configurations or ()))
    try:
        rows = await link.get_all(
            target,
            call,
            f"{match['vnet']}/usages?api-version={_NETWORK}",
            lambda row: msgspec.json.decode(row, type=SubnetUsage),
        )
    except RemoteError as error:
        if error.kind in {"Unauthorized", "NotFound", "Invalid"}:
            return counted
        raise
    mine = next((row for row in rows if row.id.casefold() == subnet_id.casefold()), None)
    if mine is None:
        return counted
    return SubnetFacts(id=subnet.id, addresses=int(mine.limit), used=int(mine.current_value))


async def read_image(link: Link, target: Target, image: str) -> ImageFacts:
    """Return what an image is made for; ``found`` is False where it is not there, or its version isn't, or not for us in this region."""
    what = f"read image {image}"
    try:
        definition, version = await _image_paths(link, target, image, what)
        call = _call(target, what)
        body = await link.get(target, call, definition)
        if version:
            await link.get(target, call, version)
    except RemoteError as error:
        if error.kind == "NotFound" or (error.status == HTTPStatus.NOT_FOUND and error.kind != "Protocol"):
            return ImageFacts(id=image, found=False)
        raise
    with link.reading(what):
        return read_image_wire(body, image)


async def permissions(link: Link, target: Target, scope: str) -> Permissions:
    """Return what we may do at a scope, by all the roles we have there."""
    what = f"read the rights at {scope}"
    if _SCOPE.fullmatch(scope) is None:
        raise RemoteError("Invalid", f"{what}: this is no scope", matter="configuration")
    path = f"{scope}/providers/Microsoft.Authorization/permissions?api-version={_AUTHORIZATION}"
    roles = await link.get_all(target, _call(target, what), path, read_role)
    if not roles:
        return Permissions(actions=())
    return msgspec.structs.replace(roles[0], others=tuple(roles[1:]))


async def read_subscription(link: Link, target: Target) -> SubscriptionFacts:
    """Return the target's subscription."""
    what = f"read subscription {target.subscription}"
    path = f"/subscriptions/{quote(target.subscription, safe='')}?api-version={_SUBSCRIPTIONS}"
    body = await link.get(target, _call(target, what), path)
    with link.reading(what):
        return read_subscription_wire(body)


async def locations(link: Link, target: Target) -> tuple[str, ...]:
    """Return the names of the physical regions that the target's subscription may use."""
    path = f"/subscriptions/{quote(target.subscription, safe='')}/locations?api-version={_SUBSCRIPTIONS}"
    rows = await link.get_all(target, _call(target, "list the regions"), path, read_location)
    return tuple(name for name in rows if name)


async def read_resource_group(link: Link, target: Target) -> str | None:
    """Return where the target's resource group is, None where there is none."""
    what = f"read resource group {target.resource_group}"
    subscription, group = quote(target.subscription, safe=""), quote(target.resource_group, safe="")
    path = f"/subscriptions/{subscription}/resourcegroups/{group}?api-version={_RESOURCES}"
    try:
        body = await link.get(target, _call(target, what), path)
    except RemoteError as error:
        if error.code.casefold() == "resourcegroupnotfound" or error.kind == "NotFound":
            return None
        raise
    with link.reading(what):
        return read_place(body)


async def _image_paths(link: Link, target: Target, image: str, what: str) -> tuple[str, str]:
    """Return where an image's features are told, and where its version is if that is somewhere else. Raises Invalid for what names none."""
    if match := _GALLERY.fullmatch(image):
        version = match["version"]
        told = f"{match['definition']}?api-version={_GALLERIES}"
        return told, "" if _is_latest(version) else f"{match['definition']}/versions/{version}?api-version={_GALLERIES}"
    region = f"/subscriptions/{target.subscription}/providers/Microsoft.Compute/locations/{target.region}"
    if match := _SHARED.fullmatch(image):
        kind, version = match["kind"].casefold(), match["version"]
        definition = f"{region}/{kind}Galleries/{match['gallery']}/images/{match['image']}"
        told = f"{definition}?api-version={_GALLERIES}"
        return told, "" if _is_latest(version) else f"{definition}/versions/{version}?api-version={_GALLERIES}"
    if _MANAGED.fullmatch(image):
        return f"{image}?api-version={_COMPUTE}", ""
    if match := _MARKETPLACE.fullmatch(image):
        publisher, offer, sku, version = match["publisher"], match["offer"], match["sku"], match["version"]
        place = f"{region}/publishers/{publisher}/artifacttypes/vmimage/offers/{offer}/skus/{sku}/versions"
        if _is_latest(version):
            query = f"$top=1&$orderby=name desc&api-version={_COMPUTE}"
            body = await link.get(target, _call(target, what), f"{place}?{query}")
            with link.reading(what):
                names = read_names(body)
            if not names:
                raise RemoteError("NotFound", f"{what}: it has no version in {target.region}", matter="absent")
            version = names[0]
        return f"{place}/{version}?api-version={_COMPUTE}", ""
    sentence = (
        f"{what}: this names no image: write a gallery version's id, /CommunityGalleries/<gallery>/Images/<image>/Versions/<version>, "
        "or publisher:offer:sku:version"
    )
    raise RemoteError("Invalid", sentence, code="InvalidImage", matter="configuration")


def _is_latest(version: str | None) -> bool:
    return not version or version.casefold() == "latest"


def _call(target: Target, what: str) -> Call:
    return Call(kind="Read", subscription=target.subscription, region=target.region, what=what)
