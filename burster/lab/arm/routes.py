"""Which request means what: ARM paths, read in any case.

Called by the server for every request. ARM ids are case-insensitive as a whole, which no ordinary router does; so a
path is split and compared here.
"""

from typing import Final

import msgspec

from burster.lab.arm.faults import Operation
from burster.lab.arm.resources import DISK_KIND, NIC_KIND, PUBLIC_IP_KIND, Scope


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request, understood."""

    action: str
    operation: Operation
    scope: Scope
    region: str = ""
    name: str = ""
    kind: str = ""


#: the method, then the path behind /subscriptions/{id}; ``*`` is a name
_PATTERNS: Final[tuple[tuple[str, str, str, Operation], ...]] = (
    ("PUT", "resourcegroups/*/providers/microsoft.compute/virtualmachines/*", "put-vm", "PutVm"),
    ("GET", "resourcegroups/*/providers/microsoft.compute/virtualmachines/*", "get-vm", "GetVm"),
    ("DELETE", "resourcegroups/*/providers/microsoft.compute/virtualmachines/*", "delete-vm", "DeleteVm"),
    ("GET", "resourcegroups/*/providers/microsoft.compute/virtualmachines", "list-vms", "ListVms"),
    ("GET", "providers/microsoft.compute/virtualmachines", "list-vms", "ListVms"),
    ("GET", "providers/microsoft.compute/locations/*/vmsizes", "list-sizes", "ListSizes"),
    ("GET", "providers/microsoft.compute/locations/*/usages", "list-usages", "ListUsages"),
    ("GET", "providers/microsoft.compute/locations/*/operations/*", "get-operation", "GetOperation"),
    ("GET", "providers/microsoft.compute/skus", "list-skus", "ListSkus"),
    ("GET", "resourcegroups/*/providers/microsoft.network/networkinterfaces/*", "get-attachment", "GetNic"),
    ("GET", "resourcegroups/*/providers/microsoft.compute/disks/*", "get-attachment", "GetDisk"),
    ("GET", "resourcegroups/*/providers/microsoft.network/publicipaddresses/*", "get-attachment", "Other"),
    ("GET", "resourcegroups/*/providers/microsoft.network/networkinterfaces", "list-attachments", "Other"),
    ("GET", "resourcegroups/*/providers/microsoft.compute/disks", "list-attachments", "Other"),
    ("DELETE", "resourcegroups/*/providers/microsoft.network/networkinterfaces/*", "delete-attachment", "Other"),
    ("DELETE", "resourcegroups/*/providers/microsoft.compute/disks/*", "delete-attachment", "Other"),
    ("DELETE", "resourcegroups/*/providers/microsoft.network/publicipaddresses/*", "delete-attachment", "Other"),
)
_ROUTES: Final[tuple[tuple[str, tuple[str, ...], str, Operation], ...]] = tuple(
    (method, tuple(pattern.split("/")), action, operation) for method, pattern, action, operation in _PATTERNS
)
_KINDS: Final = {"disks": DISK_KIND, "networkinterfaces": NIC_KIND, "publicipaddresses": PUBLIC_IP_KIND}
_PRICES: Final = "/api/retail/prices"


def read_call(method: str, path: str) -> Call | None:
    """Return what a request asks for; None where the stand-in has no such thing."""
    if path.casefold() == _PRICES and method == "GET":
        return Call(action="list-prices", operation="ListPrices", scope=Scope(subscription="", group=""))
    parts = path.strip("/").split("/")
    if parts[0].casefold() != "subscriptions" or len(parts) < 3 or not parts[1]:  # noqa: PLR2004 - /subscriptions/{id}/...
        return None
    subscription, rest = parts[1], parts[2:]
    for known, pattern, action, operation in _ROUTES:
        if known == method and (names := _match(pattern, rest)) is not None:
            group = names.pop(0) if pattern[0] == "resourcegroups" else ""
            region = names.pop(0).casefold() if "locations" in pattern else ""
            kind = next((_KINDS[part] for part in pattern if part in _KINDS), "")
            return Call(
                action=action,
                operation=operation,
                scope=Scope(subscription=subscription, group=group),
                region=region,
                name=names.pop(0) if names else "",
                kind=kind,
            )
    return None


def _match(pattern: tuple[str, ...], parts: list[str]) -> list[str] | None:
    """Return what stands at the stars, None where the path is another one."""
    if len(pattern) != len(parts):
        return None
    names: list[str] = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted == "*":
            if not part:
                return None
            names.append(part)
        elif wanted != part.casefold():
            return None
    return names
