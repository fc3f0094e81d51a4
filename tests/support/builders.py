"""Builders for tests that talk to the engine: short sentences that say only what matters to the test."""

from collections.abc import Sequence
from typing import Any

from burster.engine import State, StepResult, initial_state, step
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.decisions import Decision
from burster.model.instructions import Instruction
from burster.model.limits import Budget, Limits
from burster.model.offerings import Offering, Vm
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.targets import Target
from burster.model.triggers import PendingPodsTrigger


GIB = 1024**3
T0 = 1_767_600_000_000  # 2026-01-05T08:00:00Z, a whole hour


def a_pod(name: str = "task-1", *, cpu: int = 1000, memory: int = GIB, since: int | None = T0, **changes: Any) -> Pod:
    values = {
        "namespace": "bank",
        "name": name,
        "uid": f"uid-{name}",
        "created_at_ms": T0,
        "unschedulable_since_ms": since,
        "requests": Resources(cpu_millicores=cpu, memory_bytes=memory),
        "restart_policy": "Never",
    }
    return Pod(**(values | changes))


def a_service_pod(name: str, deployment: str = "on-prem-deployment", **changes: Any) -> Pod:
    owner = Owner(api_version="apps/v1", kind="ReplicaSet", name=f"{deployment}-abc", uid=f"rs-{deployment}")
    workload = Owner(api_version="apps/v1", kind="Deployment", name=deployment, uid="")
    return a_pod(name, owner=owner, workload=workload, restart_policy="Always", **changes)


def a_policy(name: str = "tasks", **changes: Any) -> Policy:
    budget = changes.pop("budget", Budget())
    values = {
        "namespace": "bank",
        "name": name,
        "workload": changes.pop("workload", WorkloadSelector()),
        "triggers": (PendingPodsTrigger(pending_for_ms=changes.pop("pending_for_ms", 0)),),
        "scaling": Scaling(cooldown_ms=changes.pop("cooldown_ms", 300_000)),
        "limits": Limits(
            max_bursts=changes.pop("max_bursts", None), max_vcpus=changes.pop("max_vcpus", None), budget=budget
        ),
        "placement": Placement(
            targets=("azure",),
            strategy=changes.pop("strategy", "Auto"),
            lease_ms=changes.pop("lease_ms", 3_000_000),
            drain_ms=changes.pop("drain_ms", 600_000),
        ),
    }
    return Policy(**(values | changes))


def a_target(**changes: Any) -> Target:
    values = {
        "name": "azure",
        "subscription": "sub",
        "resource_group": "rg",
        "region": "westeurope",
        "sizes": ("Standard_DC2es_v6", "Standard_DC4es_v6"),
        "allowed_namespaces": ("bank",),
        "trustee_url": "https://trustee.example",
        "allowed_metric_endpoints": ("https://thanos:9092", "https://prom.example", "http://p"),
        "sweep": "Delete",
    }
    return Target(**(values | changes))


def an_offering(vcpus: int = 2, **changes: Any) -> Offering:
    values = {
        "target": "azure",
        "provider": "azure",
        "region": "westeurope",
        "size": f"Standard_DC{vcpus}es_v6",
        "family": "standardDCEV6Family",
        "resources": Resources(cpu_millicores=vcpus * 1000, memory_bytes=vcpus * 4 * GIB),
        "tee": "TDX",
        "price_micro_usd_per_hour": 60_000 * vcpus,
    }
    return Offering(**(values | changes))


def a_vm(burst: Burst, *, created_at: int, **changes: Any) -> Vm:
    values = {
        "name": f"podvm-{burst.spec.pod_name}-0123abcd",
        "resource_id": "/subscriptions/sub/x",
        "region": burst.spec.region,
        "size": burst.spec.size,
        "provisioning_state": "Succeeded",
        "created_at_ms": created_at,
        "security_type": "ConfidentialVM",
        "secure_boot": True,
        "vtpm": True,
        "encryption_type": "VMGuestStateOnly",
        "public_ip": False,
    }
    return Vm(**(values | changes))


def a_workload(replicas: int, *, running: int | None = None, **changes: Any) -> s.WorkloadSeen:
    """A Deployment that is scaled into the cloud; ``running`` of its replicas are there and ready, all of them if left out."""
    ready = replicas if running is None else running
    values = {
        "namespace": "bank",
        "kind": "Deployment",
        "name": "cloud",
        "replicas": replicas,
        "status_replicas": ready,
        "ready_replicas": ready,
        "requests": Resources(cpu_millicores=1000, memory_bytes=GIB),
        "runtime_class": "kata-remote",
        "size": "Standard_DC2es_v6",
    }
    return s.WorkloadSeen(**(values | changes))


class Engine:
    """An engine with a clock, and what its last step said."""

    def __init__(self) -> None:
        self.state: State = initial_state()
        self.now = T0
        self.instructions: tuple[Instruction, ...] = ()
        self.decisions: list[Decision] = []
        self.spends: list[s.Spend] = []

    def send(self, *stimuli: s.Stimulus, after_ms: int = 0) -> tuple[Instruction, ...]:
        self.now += after_ms
        result: StepResult = step(self.state, stimuli, self.now)
        self.state = result.state
        self.instructions = result.instructions
        self.decisions.extend(result.decisions)
        self.spends.extend(result.spends)
        return result.instructions

    def wait(self, after_ms: int) -> tuple[Instruction, ...]:
        return self.send(after_ms=after_ms)

    def asked(self, kind: str) -> list[Any]:
        return [instruction for instruction in self.instructions if type(instruction).__name__ == kind]

    def burst(self, key: str | None = None) -> Burst:
        key = key or next(iter(self.state.bursts))
        return self.state.bursts[key].burst

    def phase(self, key: str | None = None) -> str:
        return self.burst(key).status.phase

    def codes(self, subject: str = "") -> list[str]:
        return [d.reasons[0].code for d in self.decisions if not subject or d.subject == subject]

    def sync(self, *extra: s.Stimulus) -> None:
        names: Sequence[s.SourceName] = ("pods", "policies", "targets", "bursts", "cloud-pods")
        self.send(*extra, *(s.SourceSynced(source=name) for name in names))

    def pod_event(self, phase: str, key: str | None = None, **changes: Any) -> s.CloudPodSeen:
        burst = self.burst(key)
        values = {
            "burst_uid": burst.uid,
            "burst_key": burst.key,
            "pod_uid": burst.status.pod_uid or "pod-uid",
            "phase": phase,
            "size": burst.spec.size,
            "runtime_class": burst.spec.runtime_class,
        }
        return s.CloudPodSeen(**(values | changes))

    def to_serving(self, key: str | None = None) -> Burst:
        """Take a reserved burst to Serving; its VM is there 40 s after the decision."""
        burst = self.burst(key)
        self.send(s.BurstRecorded(key=burst.key, uid=f"b-{burst.name}"), after_ms=5)
        self.send(s.PodPlaced(key=burst.key, pod_uid=f"p-{burst.name}"), after_ms=5)
        self.send(self.pod_event("Running", burst.key), after_ms=60_000)
        vm = a_vm(burst, created_at=self.now - 20_000)
        self.send(s.VmsObserved(key=burst.key, vms=(vm,)), after_ms=10)
        assert self.phase(burst.key) == "Serving"
        return self.burst(burst.key)


def with_one_task() -> Engine:
    """An engine that has just decided on a burst for one task."""
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod()),
    )
    return engine
