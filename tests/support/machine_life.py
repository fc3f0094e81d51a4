"""An engine with a policy of strategy Machine, and the cloud's answers about its machines."""

from typing import Any

import msgspec

from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.offerings import CloudFailure, Vm
from burster.model.pods import Owner, Resources
from burster.model.policies import Machine, Policy, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.targets import Machines, Target
from tests.support.builders import GIB, Engine, a_pod, a_policy, a_target, an_offering


IMAGE = "redhat:rhel-cvm:9_6_cvm:9.6.2026011512"
SUBNET = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/hub/subnets/machines"
ADDRESS = "10.20.0.7"


def a_machine_policy(name: str = "settlement", *, machine: dict[str, Any] | None = None, **changes: Any) -> Policy:
    """One machine for each pending pod of a VirtualMachineInstance; it serves as an endpoint of Service settlement."""
    needs = Resources(cpu_millicores=2_000, memory_bytes=8 * GIB)
    made = {"requests": needs, "image": IMAGE, "service": "settlement", "port": 8443, **(machine or {})}
    values = {
        "strategy": "Machine",
        "machine": Machine(**made),
        "workload": WorkloadSelector(kind="VirtualMachineInstance", name="settlement"),
        "scaling": Scaling(cooldown_ms=300_000, max_replicas=10, polling_ms=30_000),
    }
    return a_policy(name, **(values | changes))


def a_lending_target(**changes: Any) -> Target:
    """A target that takes machines."""
    lent = {"images": (IMAGE,), "subnet": SUBNET, **changes.pop("machines", {})}
    return a_target(machines=Machines(**lent), **changes)


def a_waiting_vm(name: str = "virt-launcher-settlement-1", **changes: Any) -> s.PodSeen:
    """A pod that on-prem has no room for, of a virtual machine."""
    owner = Owner(api_version="kubevirt.io/v1", kind="VirtualMachineInstance", name="settlement", uid="vmi")
    return s.PodSeen(pod=a_pod(name, owner=owner, workload=owner, restart_policy="Never", **changes))


def the_vm(burst: Burst, *, created_at: int, **changes: Any) -> Vm:
    """The machine as it was asked for, up and running."""
    source = burst.spec.machine
    assert source is not None
    values = {
        "name": burst.spec.pod_name,
        "resource_id": f"/vm/{burst.spec.pod_name}",
        "region": burst.spec.region,
        "size": burst.spec.size,
        "provisioning_state": "Succeeded",
        "created_at_ms": created_at,
        "security_type": "ConfidentialVM",
        "secure_boot": True,
        "vtpm": True,
        "encryption_type": source.encryption,
        "disk_encryption_set": source.disk_encryption_set,
        "image": source.image,
        "subnet": source.subnet,
        "public_ip": False,
        "zone": burst.spec.zone,
        "spot": burst.spec.spot,
        "vm_id": f"id-{burst.spec.pod_name}",
        "private_address": ADDRESS,
        "power_state": "running",
    }
    return Vm(**(values | changes))


def a_failure(kind: Any, code: str, matter: Any, **changes: Any) -> CloudFailure:
    return CloudFailure(kind=kind, code=code, matter=matter, message=f"{code} it said", **changes)


class MachineEngine(Engine):
    """An engine whose machines are answered for, step by step."""

    def begin(self, policy: Policy | None = None, target: Target | None = None, offerings: Any = None) -> Burst:
        """Sync, and have the first machine decided."""
        self.sync(
            s.PolicySeen(policy=policy or a_machine_policy()),
            s.TargetSeen(target=target or a_lending_target()),
            s.OfferingsSeen(target="azure", offerings=offerings or (an_offering(2), an_offering(4))),
            a_waiting_vm(),
        )
        return self.burst()

    def to_placing(self, key: str | None = None) -> Burst:
        burst = self.burst(key)
        self.send(s.BurstRecorded(key=burst.key, uid=f"b-{burst.name}"), after_ms=5)
        return self.burst(burst.key)

    def to_provisioning(self, key: str | None = None) -> Burst:
        burst = self.to_placing(key)
        answer = s.MachineLaunched(key=burst.key, vm_id=f"id-{burst.spec.pod_name}", operation="op-1")
        self.send(answer, after_ms=2_000)
        return self.burst(burst.key)

    def see(self, key: str | None = None, *, after_ms: int = 1_000, **changes: Any) -> Burst:
        """Answer a look at the machine with one that is as it should be, but for some facts."""
        burst = self.burst(key)
        created_at = changes.pop("created_at", burst.status.placed_at_ms or self.now)
        vm = the_vm(burst, created_at=created_at, **changes)
        self.send(s.VmsObserved(key=burst.key, vms=(vm,)), after_ms=after_ms)
        return self.burst(burst.key)

    def see_none(self, key: str | None = None, *, after_ms: int = 1_000) -> Burst:
        burst = self.burst(key)
        self.send(s.VmsObserved(key=burst.key, vms=()), after_ms=after_ms)
        return self.burst(burst.key)

    def fail(self, instruction: str, kind: Any, code: str = "", **changes: Any) -> Burst:
        burst = self.burst(changes.pop("burst", None))
        after_ms = changes.pop("after_ms", 100)
        told = s.InstructionFailed(
            instruction=instruction, key="k", subject=burst.key, kind=kind, code=code, message="so it said", **changes
        )
        self.send(told, after_ms=after_ms)
        return self.burst(burst.key)

    def to_attesting(self, key: str | None = None) -> Burst:
        burst = self.to_provisioning(key)
        self.wait(10_000)
        return self.see(burst.key, after_ms=60_000)

    def publish(self, *, ready: bool = True, key: str | None = None, after_ms: int = 50) -> Burst:
        burst = self.burst(key)
        self.send(s.EndpointPublished(key=burst.key, ready=ready), after_ms=after_ms)
        return self.burst(burst.key)

    def to_served(self, key: str | None = None) -> Burst:
        burst = self.to_attesting(key)
        served = self.publish(key=burst.key) if burst.status.phase == "Attesting" else burst
        assert served.status.phase == "Serving"
        return served

    def deleted(self, key: str | None = None, *, after_ms: int = 30_000) -> Burst:
        burst = self.burst(key)
        self.send(s.MachineDeleted(key=burst.key), after_ms=after_ms)
        return self.burst(burst.key)


def with_changes(burst: Burst, **status: Any) -> Burst:
    """Return a record with another status, as a successor finds it."""
    return msgspec.structs.replace(burst, status=msgspec.structs.replace(burst.status, **status))
