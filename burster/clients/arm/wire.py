"""ARM's JSON about everything but VMs, sizes and usages: what else is in a resource group, subnets, images, roles, subscriptions.

As in burster.clients.arm_wire: what is used is checked, what does not fit raises msgspec.ValidationError, and nothing is assumed.
"""

from datetime import datetime
from typing import Literal

import msgspec

from burster.clients.arm_facts import ImageFacts, Permissions, SubscriptionFacts
from burster.clients.arm_wire import Answer, epoch_ms
from burster.model.offerings import CloudResource


class _Wire(msgspec.Struct, rename="camel"):
    """Base of what is read; unknown fields are passed over."""


class _Ref(_Wire):
    id: str | None = None


class _ResourceProperties(_Wire):
    provisioning_state: str | None = None
    time_created: datetime | None = None
    virtual_machine: _Ref | None = None
    private_endpoint: _Ref | None = None
    private_link_service: _Ref | None = None
    ip_configuration: _Ref | None = None
    nat_gateway: _Ref | None = None
    disk_state: str | None = None


class _ResourceWire(_Wire):
    id: str
    name: str
    location: str
    properties: _ResourceProperties
    tags: dict[str, str] | None = None
    managed_by: str | None = None


def read_resource(answer: Answer, kind: Literal["Nic", "Disk", "PublicIp"]) -> CloudResource:
    """Return a network interface, disk or public address, and what holds it."""
    wire = msgspec.json.decode(answer, type=_ResourceWire)
    properties = wire.properties
    holders = (
        properties.virtual_machine, properties.private_endpoint, properties.private_link_service,
        properties.ip_configuration, properties.nat_gateway,
    )  # fmt: skip
    attached = wire.managed_by or next((each.id for each in holders if each is not None and each.id), "")
    if not attached and (properties.disk_state or "").casefold() in {"attached", "reserved", "activesas"}:
        attached = f"({properties.disk_state})"
    return CloudResource(
        kind=kind,
        name=wire.name,
        resource_id=wire.id,
        region=wire.location,
        created_at_ms=epoch_ms(properties.time_created),
        tags=wire.tags or {},
        attached_to=attached,
        provisioning_state=properties.provisioning_state or "",
    )


class _SubnetProperties(_Wire):
    address_prefix: str | None = None
    address_prefixes: list[str] | None = None
    ip_configurations: list[_Ref] | None = None


class SubnetWire(_Wire):
    """A subnet."""

    id: str
    properties: _SubnetProperties


class SubnetUsage(_Wire):
    """A row of a virtual network's usages: how many addresses of a subnet are taken, of how many that machines may get."""

    id: str
    current_value: float
    limit: float


class _Feature(_Wire):
    name: str | None = None
    value: str | None = None


class _ImageProperties(_Wire):
    hyper_v_generation: str | None = None
    architecture: str | None = None
    features: list[_Feature] | None = None


class _ImageWire(_Wire):
    properties: _ImageProperties


def read_image(answer: Answer, image: str) -> ImageFacts:
    """Return what an image definition, or an image of the marketplace, says of itself."""
    properties = msgspec.json.decode(answer, type=_ImageWire).properties
    stated = [
        feature.value or ""
        for feature in properties.features or ()
        if (feature.name or "").casefold() == "securitytype"
    ]
    return ImageFacts(
        id=image,
        found=True,
        generation=(properties.hyper_v_generation or "").upper(),
        security_types=tuple(part.strip() for text in stated for part in text.split(",") if part.strip()),
        architecture=properties.architecture or "",
    )


class _NamedWire(_Wire):
    name: str


class _LocationMetadata(_Wire):
    region_type: str | None = None


class _LocationWire(_Wire):
    name: str
    metadata: _LocationMetadata | None = None


def read_names(answer: Answer) -> list[str]:
    """Return the names in a list without an envelope, as the marketplace has them."""
    return [each.name for each in msgspec.json.decode(answer, type=list[_NamedWire])]


def read_location(answer: Answer) -> str | None:
    """Return a region's name; None for what is a group of regions."""
    wire = msgspec.json.decode(answer, type=_LocationWire)
    kind = (wire.metadata.region_type if wire.metadata else None) or "Physical"
    return wire.name if kind == "Physical" else None


class _PlacedWire(_Wire):
    location: str


def read_place(answer: Answer) -> str:
    """Return where something is."""
    return msgspec.json.decode(answer, type=_PlacedWire).location


class _RoleWire(_Wire):
    actions: list[str]
    not_actions: list[str] | None = None


def read_role(answer: Answer) -> Permissions:
    """Return what one role allows."""
    wire = msgspec.json.decode(answer, type=_RoleWire)
    return Permissions(actions=tuple(wire.actions), not_actions=tuple(wire.not_actions or ()))


class _SubscriptionWire(_Wire):
    subscription_id: str
    state: str | None = None
    tenant_id: str | None = None


def read_subscription(answer: Answer) -> SubscriptionFacts:
    """Return a subscription."""
    wire = msgspec.json.decode(answer, type=_SubscriptionWire)
    return SubscriptionFacts(id=wire.subscription_id, state=wire.state or "", tenant=wire.tenant_id or "")
