"""What a place of the simulated world tells of a VM: everything at Azure, a record's few words elsewhere, a node's labels on one's own."""

import msgspec

from burster.model.offerings import Vm
from burster.model.targets import proof_of


def as_told(vm: Vm, provider: str, node_selector: dict[str, str]) -> Vm:
    """Return a VM that Azure would tell all about as its own provider tells of it."""
    proof = proof_of(provider)
    if proof == "Arm":
        return vm
    bare = Vm(
        name=vm.name,
        resource_id=vm.name,
        region="",
        size="",
        provisioning_state=vm.provisioning_state,
        created_at_ms=vm.created_at_ms,
    )
    if proof == "Record":
        return msgspec.structs.replace(bare, provider=provider)
    return msgspec.structs.replace(bare, node="confidential-1", tags=dict(node_selector))
