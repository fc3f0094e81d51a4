"""A small world with nobody in it but a cloud, what is left of a cluster, and a clock that is moved by hand: for tests of the reaper."""

from typing import Any

import msgspec
import orjson

from burster.adaptors.cluster_api import PatchKind
from burster.model.bursts import Burst, BurstSpec, BurstStatus
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource, Vm
from burster.model.tags import CLUSTER_TAG, LEASE_END_TAG
from burster.model.targets import Target
from burster.policy.records import burst_to_object, format_time
from tests.support.builders import T0, a_target


CLUSTER = "prod-1"
MINUTE = 60_000
HOUR = 3_600_000


def a_burst(name: str, **changes: Any) -> Burst:
    """A burst that serves until its lease of an hour is over, on a VM that was seen."""
    status = {
        "phase": "Serving",
        "lease_until_ms": changes.pop("lease_until_ms", T0 + HOUR),
        "pod_uid": f"pod-{name}",
        "vms": changes.pop("vms", (vm_name(name),)),
        "reserved_micro_usd": 1,
    }
    spec = {
        "policy": "tasks",
        "target": "azure",
        "strategy": "Clone",
        "pod_name": name,
        "region": "westeurope",
        "size": "Standard_DC2es_v6",
        "runtime_class": "kata-remote",
        "price_micro_usd_per_hour": 120_000,
        "reserved_micro_usd": 1,
        "decided_at_ms": T0,
        "lease_ms": HOUR - 300_000,
        "drain_ms": 10 * MINUTE,
        "launch_deadline_ms": 300_000,
        "ready_deadline_ms": 900_000,
    }
    for key, value in changes.items():
        (status if key in BurstStatus.__struct_fields__ else spec)[key] = value
    return Burst(namespace="bank", name=name, uid=f"uid-{name}", spec=BurstSpec(**spec), status=BurstStatus(**status))  # type: ignore[arg-type]


def vm_name(pod: str) -> str:
    return f"podvm-{pod}-0123abcd"


def a_pod_vm(pod: str, **changes: Any) -> Vm:
    return a_vm(vm_name(pod), **changes)


def a_machine(name: str, lease_end_ms: int | None, *, cluster: str = CLUSTER, **changes: Any) -> Vm:
    tags = {CLUSTER_TAG: cluster} | ({LEASE_END_TAG: str(lease_end_ms)} if lease_end_ms is not None else {})
    return a_vm(f"burstvm-{name}", tags=tags, **changes)


def a_vm(name: str, **changes: Any) -> Vm:
    values = {
        "name": name,
        "resource_id": f"/vms/{name}",
        "region": "westeurope",
        "size": "Standard_DC2es_v6",
        "provisioning_state": "Succeeded",
        "created_at_ms": T0,
    }
    return Vm(**(values | changes))


def our_target(**changes: Any) -> Target:
    return a_target(**({"sweep_exclusive": True} | changes))


class Wound:
    """A clock that stands still until it is wound on."""

    def __init__(self) -> None:
        self.at_ms = T0

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)

    async def settled(self) -> None:
        return


class LeftCloud:
    """One resource group. A deleted VM takes its parts with it; ``stale`` is what listings still show."""

    def __init__(self, *things: Vm | CloudResource) -> None:
        self.vms = {one.name: one for one in things if isinstance(one, Vm)}
        self.parts = {one.name: one for one in things if isinstance(one, CloudResource)}
        self.stale: dict[str, Vm] = {}
        self.deleted: list[str] = []
        self.refuses: set[str] = set()

    async def get_vm(self, _target: Target, name: str) -> Vm | None:
        return self.vms.get(name)

    async def list_vms(self, _target: Target) -> list[Vm]:
        return list((self.vms | self.stale).values())

    async def list_attachments(self, _target: Target) -> list[CloudResource]:
        return list(self.parts.values())

    async def delete_resource(self, _target: Target, resource: CloudResource) -> None:
        if resource.name in self.refuses:
            raise RemoteError("Conflict", "a lock is on it")
        self.deleted.append(resource.name)
        self.vms.pop(resource.name, None)
        self.parts.pop(resource.name, None)


class LeftCluster:
    """An API server that only answers reads, or nothing at all."""

    def __init__(self, *bursts: Burst, leads: bool = False, clock: Wound) -> None:
        self.bursts = {burst.key: burst for burst in bursts}
        self.peer_pods: dict[str, str] | None = {
            burst.status.vms[0]: burst.status.pod_uid for burst in bursts if burst.status.vms
        }
        self.leads = leads
        self.gone = False
        self._clock = clock

    async def get(self, path: str, _params: dict[str, str] | None = None) -> bytes:
        if self.gone:
            raise RemoteError("Unreachable", "nobody is there")
        if path.endswith("/bursts"):
            items = [burst_to_object(burst) for burst in self.bursts.values()]
            for item, burst in zip(items, self.bursts.values(), strict=True):
                item["metadata"]["uid"] = burst.uid
                item.setdefault("status", {})
            return orjson.dumps({"items": items})
        if path.endswith("/peerpods"):
            if self.peer_pods is None:
                raise RemoteError("NotFound", "no such kind")
            return orjson.dumps({"items": [_peer_pod(name, uid) for name, uid in self.peer_pods.items()]})
        if path.endswith("/leases/burster"):
            renewed = self._clock.now_ms() if self.leads else T0
            spec = {"holderIdentity": "c", "leaseDurationSeconds": 15, "renewTime": format_time(renewed)}
            return orjson.dumps({"spec": spec})
        raise RemoteError("NotFound", path)

    async def create(self, path: str, body: Any, params: dict[str, str] | None = None) -> bytes:
        raise AssertionError(f"the reaper writes {path}")

    async def patch(
        self, path: str, body: Any, *, kind: PatchKind = "merge", params: dict[str, str] | None = None
    ) -> bytes:
        raise AssertionError(f"the reaper writes {path}")

    async def delete(self, path: str, body: Any = None, params: dict[str, str] | None = None) -> bytes:
        raise AssertionError(f"the reaper deletes {path}")

    def renew(self, key: str, until_ms: int) -> None:
        burst = self.bursts[key]
        status = msgspec.structs.replace(burst.status, lease_until_ms=until_ms)
        self.bursts[key] = msgspec.structs.replace(burst, status=status)


def _peer_pod(name: str, uid: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "bank", "name": name, "ownerReferences": [{"kind": "Pod", "name": "x", "uid": uid}]},
        "spec": {"cloudProvider": "azure", "instanceID": f"/subscriptions/s/vms/{name}"},
    }
