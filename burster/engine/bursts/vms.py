"""Whose a VM is, and whether it is what was asked for.

cloud-api-adaptor names a pod's VM ``podvm-<pod name, lower case, other characters as dashes, 48 at most>-<8 hex of the sandbox id>``
(its util/instance.go), a new one for every attempt of the kubelet.
"""

import re
from typing import Final

from burster.model.bursts import Burst
from burster.model.decisions import Reason
from burster.model.offerings import Vm
from burster.model.policies import Policy
from burster.model.targets import Target


VM_PREFIX: Final = "podvm-"
_POD_NAME_MAX: Final = 48
_NOT_ALLOWED = re.compile(r"[^a-z0-9-]")
_ENCRYPTED: Final = frozenset({"vmgueststateonly", "diskwithvmgueststate"})


def vm_stem(pod_name: str) -> str:
    """Return what the names of a pod's VMs have in common: everything but the sandbox id."""
    return f"{VM_PREFIX}{_NOT_ALLOWED.sub('-', pod_name.lower())[:_POD_NAME_MAX]}"


def stem_of(vm_name: str) -> str:
    """Return a VM name without its sandbox id, or "" where it is no pod VM's name."""
    stem, dash, sandbox = vm_name.rpartition("-")
    return stem if dash and len(sandbox) == 8 and vm_name.startswith(VM_PREFIX) else ""  # noqa: PLR2004 - the name rule above


def find_mismatch(vm: Vm, burst: Burst, policy: Policy | None, target: Target | None) -> Reason | None:
    """Return the first way in which a VM is not what was demanded; a fact the cloud did not state counts as a mismatch."""
    spec = burst.spec
    want_secure_boot = policy is None or policy.confidential.secure_boot
    checks: list[tuple[bool, str, str]] = [
        (vm.security_type == "ConfidentialVM", "security type", vm.security_type or "none (a plain VM)"),
        (vm.size.lower() == spec.size.lower(), f"size {spec.size}", vm.size),
        (vm.region.lower() == spec.region.lower(), f"region {spec.region}", vm.region),
        (vm.vtpm is True, "vTPM", "off"),
        (vm.secure_boot is True or not want_secure_boot, "secure boot", "off"),
        (vm.encryption_type.lower() in _ENCRYPTED, "encrypted guest state", vm.encryption_type or "none"),
        (vm.public_ip is False, "no public IP address", "one" if vm.public_ip else "nobody knows whether one"),
    ]
    if target is not None and target.image:
        checks.append((vm.image.lower() == target.image.lower(), f"image {target.image}", vm.image or "another"))
    if target is not None and target.subnet:
        checks.append((vm.subnet.lower() == target.subnet.lower(), f"subnet {target.subnet}", vm.subnet or "another"))
    for good, wanted, found in checks:
        if not good:
            return Reason(code="VmMismatch", sentence=f"VM {vm.name} was to have {wanted} and has {found}.")
    return None
