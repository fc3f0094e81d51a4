"""What a machine is, in sentences: of a policy that starts them, and of a target that lends what they are made with."""

from collections.abc import Iterator

from burster.model.policies import Machine
from burster.model.quantities import format_memory_bytes
from burster.model.targets import Machines
from burster.policy.explain.words import any_of


def machine_sentences(machine: Machine | None) -> Iterator[str]:
    """Yield what each machine of a policy is."""
    if machine is None:
        return
    needs = machine.requests
    yield (
        f"Each machine has at least {needs.cpu_millicores}m cpu and {format_memory_bytes(needs.memory_bytes)} memory, image"
        f" {machine.image}, and no public address."
    )
    disk = " and its whole disk" if machine.encryption == "DiskWithVMGuestState" else ""
    yield f"The state of its vTPM{disk} is encrypted for it alone."
    if machine.config_map:
        yield f"It starts with key {machine.key} of ConfigMap {machine.config_map} as its user data."
    if machine.service:
        yield f"Once it is verified, and its port {machine.port} answers, it is an endpoint of Service {machine.service}."
    else:
        yield "It is the endpoint of no Service."


def lent_sentences(machines: Machines | None) -> Iterator[str]:
    """Yield what a target lends to machines."""
    if machines is None:
        return
    zones = f", spread over zones {', '.join(machines.zones)}" if machines.zones else ""
    yield f"Machines without a pod may be made here from image {any_of(machines.images)}, in subnet {machines.subnet}{zones}."
    if machines.network_security_group:
        yield f"Their network is guarded by {machines.network_security_group}."
    if machines.disk_encryption_set:
        yield f"Their disks are encrypted by the key of {machines.disk_encryption_set}."
