"""Which request means what: ARM paths, read in any case, and the right that Azure wants for each.

Called by the server for every request. ARM ids are case-insensitive as a whole, which no ordinary router does; so a
path is split and compared here.
"""

from collections import defaultdict
from typing import Final

import msgspec

from burster.lab.arm.faults import Operation
from burster.lab.arm.resources import DISK_KIND, NIC_KIND, PUBLIC_IP_KIND, VM_KIND, Scope


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request, understood. ``names`` is what stood at the stars behind group and region, ``name`` the first of them."""

    action: str
    operation: Operation
    scope: Scope
    right: str = ""  #: the action that Azure's roles must allow; empty: nobody is asked
    region: str = ""
    name: str = ""
    names: tuple[str, ...] = ()
    kind: str = ""
    path: str = ""  #: the resource that the right is wanted over, as the request spelled it


_GROUP: Final = "resourcegroups/*/providers"
_COMPUTE: Final = "providers/microsoft.compute"
_VM: Final = f"{_GROUP}/microsoft.compute/virtualmachines"
_DISK: Final = f"{_GROUP}/microsoft.compute/disks"
_NIC: Final = f"{_GROUP}/microsoft.network/networkinterfaces"
_PUBLIC_IP: Final = f"{_GROUP}/microsoft.network/publicipaddresses"
_VNET: Final = f"{_GROUP}/microsoft.network/virtualnetworks/*"
_GALLERY: Final = f"{_GROUP}/microsoft.compute/galleries/*/images/*"
_COMMUNITY: Final = f"{_COMPUTE}/locations/*/communitygalleries/*/images/*"
_SHARED: Final = f"{_COMPUTE}/locations/*/sharedgalleries/*/images/*"
_MARKET_RIGHT: Final = "Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read"
_MARKET: Final = f"{_COMPUTE}/locations/*/publishers/*/artifacttypes/vmimage/offers/*/skus/*/versions"

#: the method, then the path behind /subscriptions/{id} with ``*`` for a name; what is done, how faults call it, the right
_PATTERNS: Final[tuple[tuple[str, str, str, Operation, str], ...]] = (
    ("PUT", f"{_VM}/*", "put-vm", "PutVm", f"{VM_KIND}/write"),
    ("PATCH", f"{_VM}/*", "tag-vm", "PutVm", f"{VM_KIND}/write"),
    ("GET", f"{_VM}/*", "get-vm", "GetVm", f"{VM_KIND}/read"),
    ("GET", f"{_VM}/*/instanceview", "get-instance-view", "GetVm", f"{VM_KIND}/instanceView/read"),
    ("DELETE", f"{_VM}/*", "delete-vm", "DeleteVm", f"{VM_KIND}/delete"),
    ("GET", _VM, "list-vms", "ListVms", f"{VM_KIND}/read"),
    ("GET", f"{_COMPUTE}/virtualmachines", "list-vms", "ListVms", f"{VM_KIND}/read"),
    ("GET", f"{_COMPUTE}/locations/*/vmsizes", "list-sizes", "ListSizes", "Microsoft.Compute/locations/vmSizes/read"),
    ("GET", f"{_COMPUTE}/locations/*/usages", "list-usages", "ListUsages", "Microsoft.Compute/locations/usages/read"),
    (
        "GET",
        f"{_COMPUTE}/locations/*/operations/*",
        "get-operation",
        "GetOperation",
        "Microsoft.Compute/locations/operations/read",
    ),
    (
        "GET",
        "providers/microsoft.network/locations/*/operations/*",
        "get-operation",
        "GetOperation",
        "Microsoft.Network/locations/operations/read",
    ),
    ("GET", f"{_COMPUTE}/skus", "list-skus", "ListSkus", "Microsoft.Compute/skus/read"),
    ("GET", f"{_NIC}/*", "get-attachment", "GetNic", f"{NIC_KIND}/read"),
    ("GET", f"{_DISK}/*", "get-attachment", "GetDisk", f"{DISK_KIND}/read"),
    ("GET", f"{_PUBLIC_IP}/*", "get-attachment", "GetPublicIp", f"{PUBLIC_IP_KIND}/read"),
    ("GET", _NIC, "list-attachments", "ListNics", f"{NIC_KIND}/read"),
    ("GET", _DISK, "list-attachments", "ListDisks", f"{DISK_KIND}/read"),
    ("GET", _PUBLIC_IP, "list-attachments", "ListPublicIps", f"{PUBLIC_IP_KIND}/read"),
    ("DELETE", f"{_NIC}/*", "delete-attachment", "DeleteNic", f"{NIC_KIND}/delete"),
    ("DELETE", f"{_DISK}/*", "delete-attachment", "DeleteDisk", f"{DISK_KIND}/delete"),
    ("DELETE", f"{_PUBLIC_IP}/*", "delete-attachment", "DeletePublicIp", f"{PUBLIC_IP_KIND}/delete"),
    ("GET", f"{_VNET}/subnets/*", "get-subnet", "GetSubnet", "Microsoft.Network/virtualNetworks/subnets/read"),
    ("GET", f"{_VNET}/usages", "list-subnet-usages", "GetSubnet", "Microsoft.Network/virtualNetworks/usages/read"),
    ("GET", _GALLERY, "get-image", "GetImage", "Microsoft.Compute/galleries/images/read"),
    ("GET", f"{_GALLERY}/versions/*", "get-image", "GetImage", "Microsoft.Compute/galleries/images/versions/read"),
    ("GET", _COMMUNITY, "get-community-image", "GetImage", "Microsoft.Compute/locations/communityGalleries/images/read"),
    (
        "GET",
        f"{_COMMUNITY}/versions/*",
        "get-community-image",
        "GetImage",
        "Microsoft.Compute/locations/communityGalleries/images/versions/read",
    ),
    ("GET", _SHARED, "get-shared-image", "GetImage", "Microsoft.Compute/locations/sharedGalleries/images/read"),
    (
        "GET",
        f"{_SHARED}/versions/*",
        "get-shared-image",
        "GetImage",
        "Microsoft.Compute/locations/sharedGalleries/images/versions/read",
    ),
    ("GET", f"{_GROUP}/microsoft.compute/images/*", "get-managed-image", "GetImage", "Microsoft.Compute/images/read"),
    ("GET", _MARKET, "list-market-versions", "GetImage", _MARKET_RIGHT),
    ("GET", f"{_MARKET}/*", "get-market-image", "GetImage", _MARKET_RIGHT),
    ("GET", "", "get-subscription", "GetSubscription", "Microsoft.Resources/subscriptions/read"),
    ("GET", "locations", "list-locations", "ListLocations", "Microsoft.Resources/subscriptions/locations/read"),
    ("GET", "resourcegroups/*", "get-group", "GetGroup", "Microsoft.Resources/subscriptions/resourceGroups/read"),
)  # fmt: skip
_KINDS: Final = {"disks": DISK_KIND, "networkinterfaces": NIC_KIND, "publicipaddresses": PUBLIC_IP_KIND}
_PRICES: Final = "/api/retail/prices"
_PERMISSIONS: Final = ["providers", "microsoft.authorization", "permissions"]


class _Route(msgspec.Struct, frozen=True):
    pattern: tuple[str, ...]
    action: str
    operation: Operation
    right: str
    kind: str


def _routes() -> dict[tuple[str, int], list[_Route]]:
    """Return what could be meant, by method and number of parts."""
    routes: dict[tuple[str, int], list[_Route]] = defaultdict(list)
    for method, text, action, operation, right in _PATTERNS:
        pattern = tuple(text.split("/")) if text else ()
        kind = next((_KINDS[part] for part in pattern if part in _KINDS), "")
        routes[method, len(pattern)].append(_Route(pattern, action, operation, right, kind))
    return dict(routes)


_ROUTES: Final = _routes()


def read_call(method: str, path: str) -> Call | None:
    """Return what a request asks for; None where the stand-in has no such thing."""
    if path.casefold() == _PRICES and method == "GET":
        return Call(action="list-prices", operation="ListPrices", scope=Scope(subscription="", group=""))
    parts = path.strip("/").split("/")
    if parts[0].casefold() != "subscriptions" or len(parts) < 2 or not parts[1]:  # noqa: PLR2004 - /subscriptions/{id}
        return None
    subscription, rest = parts[1], parts[2:]
    if method == "GET" and [part.casefold() for part in rest[-3:]] == _PERMISSIONS:
        return _permissions(subscription, rest[:-3])
    for route in _ROUTES.get((method, len(rest)), ()):
        if (names := _match(route.pattern, rest)) is not None:
            return _call(route, subscription, names, path)
    return None


def _call(route: _Route, subscription: str, names: list[str], path: str) -> Call:
    group = names.pop(0) if route.pattern[:1] == ("resourcegroups",) else ""
    region = names.pop(0).casefold() if "locations" in route.pattern and names else ""
    return Call(
        action=route.action,
        operation=route.operation,
        right=route.right,
        scope=Scope(subscription=subscription, group=group),
        region=region,
        name=names[0] if names else "",
        names=tuple(names),
        kind=route.kind,
        path="/" + path.strip("/"),
    )


def _permissions(subscription: str, rest: list[str]) -> Call:
    group = rest[1] if len(rest) > 1 and rest[0].casefold() == "resourcegroups" else ""
    return Call(
        action="list-permissions",
        operation="GetPermissions",
        scope=Scope(subscription=subscription, group=group),
        path="/".join(["", "subscriptions", subscription, *rest]),
    )


def _match(pattern: tuple[str, ...], parts: list[str]) -> list[str] | None:
    """Return what stands at the stars, None where the path is another one; both are of one length."""
    names: list[str] = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted == "*":
            if not part:
                return None
            names.append(part)
        elif wanted != part.casefold():
            return None
    return names
