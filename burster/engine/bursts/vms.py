"""Whose a VM is, and whether it is what was asked for, as far as its place can prove that.

cloud-api-adaptor names a pod's VM ``podvm-<pod name, lower case, other characters as dashes, 48 at most>-<8 hex of the sandbox id>``
(its util/instance.go), a new one for every attempt of the kubelet.
"""

import hashlib
import re
from typing import Final

import msgspec

from burster.model.bursts import Burst, BurstSpec, MachineSource
from burster.model.decisions import Reason
from burster.model.offerings import Vm
from burster.model.policies import Policy
from burster.model.tags import MACHINE_PREFIX
from burster.model.targets import Target, proof_of


VM_PREFIX: Final = "podvm-"
_POD_NAME_MAX: Final = 48
_MACHINE_BASE_MAX: Final = 42
_NOT_ALLOWED = re.compile(r"[^a-z0-9-]")
_ENCRYPTED: Final = frozenset({"vmgueststateonly", "diskwithvmgueststate"})


def machine_name(burst_key: str) -> str:
    """Return the name of a burst's machine: the same whenever it is asked, of 63 characters at most, and nobody else's here."""
    namespace, _, name = burst_key.partition("/")
    base = _NOT_ALLOWED.sub("-", name.removeprefix("burst-").lower())[:_MACHINE_BASE_MAX].strip("-")
    unique = hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:10]
    return f"{MACHINE_PREFIX}{base}-{unique}"


def vm_stem(pod_name: str) -> str:
    """Return what the names of a pod's VMs have in common: everything but the sandbox id."""
    return f"{VM_PREFIX}{_NOT_ALLOWED.sub('-', pod_name.lower())[:_POD_NAME_MAX]}"


def stem_of(vm_name: str) -> str:
    """Return a VM name without its sandbox id, or "" where it is no pod VM's name."""
    stem, dash, sandbox = vm_name.rpartition("-")
    return stem if dash and len(sandbox) == 8 and vm_name.startswith(VM_PREFIX) else ""  # noqa: PLR2004 - the name rule above


#: What must hold, what was wanted, what was found
_Check = tuple[bool, str, str]


def find_mismatch(vm: Vm, burst: Burst, policy: Policy | None, target: Target | None) -> Reason | None:
    """Return the first way in which a VM is not what was demanded; a fact that nobody stated counts as a mismatch."""
    match proof_of(burst.spec.provider):
        case "Arm":
            checks = _as_arm_tells(vm, burst, policy, target)
        case "Record":
            checks = _as_recorded(vm, burst)
        case "Node":
            checks = _as_its_node_is(vm, burst)
    for good, wanted, found in checks:
        if not good:
            return Reason(code="VmMismatch", sentence=f"VM {vm.name} was to have {wanted} and has {found}.")
    return None


def as_proven(vm: Vm, machine: MachineSource | None) -> Vm:
    """Return a machine that was proven before with what its interface said then, where that can't be read now."""
    if machine is None or vm.public_ip is not None:
        return vm
    return msgspec.structs.replace(vm, public_ip=False, subnet=vm.subnet or machine.subnet)


def say_verified(vm: Vm, burst: Burst) -> str:
    """Return what is now known of a VM in which nothing was wrong: no more than its place can prove."""
    match proof_of(burst.spec.provider):
        case "Arm":
            return f"VM {vm.name} is a confidential {burst.spec.size}"
        case "Record":
            return f"VM {vm.name} is on record at {vm.provider}, its containers are ready, and the Trustee alone tells what it is"
        case "Node":
            return f"It runs on node {vm.node}, which is labelled as its target demands"


def _as_arm_tells(vm: Vm, burst: Burst, policy: Policy | None, target: Target | None) -> list[_Check]:
    spec = burst.spec
    machine = spec.machine
    want_secure_boot = policy is None or policy.confidential.secure_boot
    encryptions = _ENCRYPTED
    image, subnet = (target.image, target.subnet) if target is not None else ("", "")
    if machine is not None:
        want_secure_boot, image, subnet = machine.secure_boot, machine.image, machine.subnet
        encryptions = frozenset({machine.encryption.lower()})
    named = vm.name == spec.pod_name if machine is not None else stem_of(vm.name) == vm_stem(spec.pod_name)
    checks: list[_Check] = [
        (named, f"a name for {spec.pod_name}", "another one"),
        (vm.security_type == "ConfidentialVM", "security type ConfidentialVM", vm.security_type or "none (a plain VM)"),
        (vm.size.lower() == spec.size.lower(), f"size {spec.size}", vm.size or "nobody knows which"),
        (vm.region.lower() == spec.region.lower(), f"region {spec.region}", vm.region or "nobody knows which"),
        (vm.vtpm is True, "vTPM", _off(vm.vtpm)),
        (vm.secure_boot is True or not want_secure_boot, "secure boot", _off(vm.secure_boot)),
        (vm.encryption_type.lower() in encryptions, _wanted_encryption(encryptions), vm.encryption_type or "none"),
        (vm.public_ip is False, "no public IP address", "one" if vm.public_ip else "nobody knows whether one"),
    ]
    if image:
        checks.append((is_image(vm.image, image), f"image {image}", vm.image or "nobody knows which"))
    if subnet:
        checks.append((vm.subnet.lower() == subnet.lower(), f"subnet {subnet}", vm.subnet or "nobody knows which"))
    if spec.zone:
        checks.append((vm.zone == spec.zone, f"zone {spec.zone}", vm.zone or "none"))
    if machine is not None:
        checks += _as_a_machine(vm, spec, machine)
    return checks


def _as_a_machine(vm: Vm, spec: BurstSpec, machine: MachineSource) -> list[_Check]:
    """What burster itself has asked for, besides what every confidential VM must be."""
    keys = machine.disk_encryption_set
    checks: list[_Check] = [
        (vm.spot == spec.spot, "a price by the hour" if vm.spot else "spot", "spot" if vm.spot else "none")
    ]
    if keys:
        found = vm.disk_encryption_set
        checks.append((found.casefold() == keys.casefold(), f"disk encryption set {keys}", found or "none"))
    return checks


def _off(fact: bool | None) -> str:  # noqa: FBT001 - the fact itself
    return "nobody knows whether" if fact is None else "it off"


def _wanted_encryption(encryptions: frozenset[str]) -> str:
    return "encrypted guest state" if len(encryptions) > 1 else f"encryption {next(iter(encryptions))}"


def is_image(found: str, wanted: str) -> bool:
    """Say whether a VM was made from an image. Azure spells ids as it likes, and leaves a leading slash out; "" is no image."""
    return bool(found) and found.strip("/").casefold() == wanted.strip("/").casefold()


def _as_recorded(vm: Vm, burst: Burst) -> list[_Check]:
    """What a PeerPod record tells: who made a VM, and that there is one. Its TEE, size and network only attestation can prove."""
    provider = burst.spec.provider
    return [
        (vm.provider.casefold() == provider.casefold(), f"a record at provider {provider}", vm.provider or "none"),
        (bool(vm.resource_id), "an id at its provider", "none"),
    ]


def _as_its_node_is(vm: Vm, burst: Burst) -> list[_Check]:
    """What a node's labels tell; they are the platform team's, who say what its machines are."""
    wanted = burst.spec.node_selector
    checks: list[_Check] = [
        (bool(vm.node), "a node of the cluster", "none"),
        (bool(wanted), "labels that its node must carry", "none: its record names none"),
    ]
    for name, value in sorted(wanted.items()):
        found = f"{name}={vm.tags[name]}" if name in vm.tags else f"node {vm.node} without it"
        checks.append((vm.tags.get(name) == value, f"node label {name}={value}", found))
    return checks
