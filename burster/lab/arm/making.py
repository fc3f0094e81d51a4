"""A VM's record from the body that asked for it."""

import uuid
from typing import Final

from burster.lab.arm.request import VmRequest
from burster.lab.arm.resources import VM_KIND, Operation, Scope, VmRecord


_NAMESPACE: Final = uuid.UUID("6f0b1d2e-8a35-4c53-9a5e-2f6d6f1a7c11")


def new_vm(request: VmRequest, scope: Scope, name: str, *, seed: int, incarnation: int, now_ms: int) -> VmRecord:
    """Return a VM that has just been asked for. Its unique id is another one for each that ever had the name."""
    vm_id = scope.resource_id(VM_KIND, name)
    body = request.body
    return VmRecord(
        id=vm_id,
        name=name,
        scope=scope,
        region=body.region,
        size=request.size,
        zones=tuple(body.zones),
        tags=dict(body.tags),
        properties=dict(request.raw["properties"]),
        user_data=body.properties.user_data,
        uid=str(uuid.uuid5(_NAMESPACE, f"{seed}/vm/{vm_id.casefold()}/{incarnation}")),
        created_at_ms=now_ms,
        incarnation=incarnation,
        operation=Operation(id="", region="", subscription="", started_at_ms=now_ms),
        spot=body.spot,
        eviction_policy=body.eviction_policy,
    )
