"""Every kind of place over what it runs on, so that one suite can hold all of them to the port's contract.

Four stand on the lab: API server, kubelets, cloud-api-adaptor, ARM and the small cloud, over the real clients. The fifth is the
simulator's world.
"""

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from burster.adaptors.azure_machines import AzureMachines
from burster.adaptors.azure_peer_pods import AzurePeerPods
from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.confidential_nodes import ConfidentialNodes
from burster.adaptors.port import Place, TargetBook
from burster.adaptors.recorded_peer_pods import RecordedPeerPods
from burster.adaptors.records import record_burst
from burster.lab.cluster.kubelet import RUN_SECONDS
from burster.lab.cluster.node_vms import TeeNodes
from burster.lab.elsewhere.adaptor import ElsewhereOptions
from burster.lab.elsewhere.cloud import SmallCloudOptions
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import Connections, Site, SiteOptions, open_site
from burster.model.bursts import Burst, BurstSpec, MachineSource, PodRef
from burster.model.errors import RemoteError
from burster.model.instructions import RecordBurst
from burster.model.pods import Resources
from burster.model.stimuli import PodPlaced
from burster.model.targets import Target
from burster.policy.compile import compile_target
from tests.support.places import AZURE, NAMESPACE, NODES, SOVEREIGN, documents


GIB = 1024**3
SUBNET = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/burst-westeurope/providers/Microsoft.Network"
    "/virtualNetworks/burst-vnet/subnets/podvms"
)


class Wire:
    """A client whose answers can be lost after the work is done, and which can be cut."""

    def __init__(self, inner: Any, writes: frozenset[str]) -> None:
        self._inner = inner
        self._writes = writes
        self.lose = False
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*arguments: Any, **options: Any) -> Any:
            if self.dead:
                raise RemoteError("Unreachable", "there is no way to it")
            answer = await method(*arguments, **options)
            if self.lose and name in self._writes:
                self.lose = False
                raise RemoteError("Timeout", "no answer in time")
            return answer

        return call


class Ground(Protocol):
    """What the suite needs of a place's world."""

    place: Place
    target: Target

    async def burst(self, number: int) -> Burst: ...
    def another(self) -> Place: ...
    async def stranger(self, burst: Burst) -> Callable[[], bool]: ...
    def made(self) -> int: ...
    def there(self) -> int: ...
    def lose(self) -> None: ...
    def cut(self) -> None: ...
    async def sleep(self, seconds: float) -> None: ...


class LabGround(ABC):
    """A place of pods over the lab."""

    provider = ""
    text = AZURE
    size = "Standard_DC2es_v6"
    strategy: Any = "Move"

    def __init__(self, clock: LabClock, site: Site, connections: Connections) -> None:
        self.clock = clock
        self.site = site
        self.connections = connections
        self.target = compile_target(documents(self.text)[0].object)
        self.book = TargetBook()
        self.book.put(self.target)
        self.api: Any = Wire(connections.kube, frozenset({"create"}))
        self.cloud: Any = Wire(connections.arm, frozenset({"begin_vm"}))
        self.place: Place = self.another()

    @abstractmethod
    def another(self) -> Place:
        """The same place as another process has it."""

    def spec(self, number: int) -> BurstSpec:
        return BurstSpec(
            policy="tasks",
            target=self.target.name,
            strategy=self.strategy,
            pod_name=f"task-{number}",
            provider=self.target.provider,
            region=self.target.region,
            size=self.size,
            runtime_class=self.target.runtime_class,
            node_selector=self.target.node_selector,
            price_micro_usd_per_hour=1,
            reserved_micro_usd=1,
            decided_at_ms=self.clock.now_ms(),
            lease_ms=3_600_000,
            drain_ms=30_000,
            launch_deadline_ms=300_000,
            ready_deadline_ms=900_000,
        )

    async def burst(self, number: int) -> Burst:
        """A pending pod, and the record that it is to burst."""
        container = {"name": "main", "image": "bank/task:1", "resources": {"requests": {"cpu": "2", "memory": "2Gi"}}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": NAMESPACE, "name": f"task-{number}", "annotations": {RUN_SECONDS: "36000"}},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }
        self.site.store.create("pods", NAMESPACE, pod)
        await self.sleep(2)
        metadata = self.site.store.get("pods", NAMESPACE, f"task-{number}")["metadata"]
        ref = PodRef(name=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"])
        return await self._recorded(msgspec.structs.replace(self.spec(number), for_pod=ref), number)

    async def _recorded(self, spec: BurstSpec, number: int) -> Burst:
        burst = Burst(namespace=NAMESPACE, name=f"burst-task-{number}-0123abcd", spec=spec)
        recorded = await record_burst(self.connections.kube, RecordBurst(key="record", burst=burst))
        return msgspec.structs.replace(burst, uid=recorded.uid)

    async def stranger(self, burst: Burst) -> Callable[[], bool]:
        """Somebody else's pod under the name; return whether it is still there, as it was."""
        name = burst.spec.pod_name
        self.site.store.delete("pods", NAMESPACE, name, grace_seconds=0)
        await self.sleep(2)
        container = {"name": "main", "image": "bank/other:1"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": NAMESPACE, "name": name}}
        made = self.site.store.create("pods", NAMESPACE, {**pod, "spec": {"containers": [container]}})

        def untouched() -> bool:
            found = self.site.store.get("pods", NAMESPACE, name)["metadata"]
            return found["uid"] == made["metadata"]["uid"] and not found.get("deletionTimestamp")

        return untouched

    def made(self) -> int:
        return len(self.site.arm.billing.vms)

    def there(self) -> int:
        return len(self.site.arm.vms)

    def lose(self) -> None:
        self.api.lose = self.cloud.lose = True

    def cut(self) -> None:
        self.api.dead = self.cloud.dead = True

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


class PeerPodsGround(LabGround):
    """Peer pods on Azure."""

    def another(self) -> Place:
        vms = AzureVms(self.cloud, self.api, self.book, self.clock.now_ms)
        return AzurePeerPods(self.api, vms, self.connections)


class MachinesGround(LabGround):
    """Machines on Azure."""

    strategy = "Machine"

    def another(self) -> Place:
        return AzureMachines(self.cloud, self.api, self.book, self.connections, self.clock.now_ms, cluster="lab")

    async def burst(self, number: int) -> Burst:
        """The record of a machine that is to be made."""
        machine = MachineSource(image=self.image, encryption="VMGuestStateOnly", subnet=SUBNET)
        changes: dict[str, Any] = {"pod_name": f"burstvm-task-{number}", "runtime_class": "", "machine": machine}
        return await self._recorded(msgspec.structs.replace(self.spec(number), **changes), number)

    image = "/CommunityGalleries/bank-lab/Images/rhel-cvm/Versions/9.6.1"

    async def stranger(self, burst: Burst) -> Callable[[], bool]:
        """Somebody else's VM under the name."""
        theirs = msgspec.structs.replace(burst, uid="somebody-elses")
        await self.another().launch(theirs)
        await self.sleep(300)
        (before,) = self.site.arm.vms.values()

        def untouched() -> bool:
            return list(self.site.arm.vms.values()) == [before]

        return untouched


class SecondGround(LabGround):
    """Peer pods at a second provider."""

    text = SOVEREIGN
    size = "tdx.large"

    def another(self) -> Place:
        return RecordedPeerPods(self.api, self.clock.now_ms)

    def made(self) -> int:
        assert self.site.cluster.elsewhere is not None
        return len(self.site.cluster.elsewhere.cloud.machines)

    def there(self) -> int:
        assert self.site.cluster.elsewhere is not None
        return len(self.site.cluster.elsewhere.cloud.there)


class NodesGround(LabGround):
    """Confidential nodes of one's own."""

    text = NODES
    size = "tdx-node-2"

    def another(self) -> Place:
        return ConfidentialNodes(self.api, self.clock.now_ms)

    def made(self) -> int:
        return sum(run.node.startswith("tee-") for run in self.site.cluster.runs)

    def there(self) -> int:
        return sum(run.node.startswith("tee-") and run.ended_at_ms is None for run in self.site.cluster.runs)


ON_THE_LAB: dict[str, type[LabGround]] = {
    "peer pods on azure": PeerPodsGround,
    "machines on azure": MachinesGround,
    "peer pods elsewhere": SecondGround,
    "nodes of one's own": NodesGround,
}


def on_the_lab(kind: type[LabGround], scene: Callable[[Ground], Awaitable[None]]) -> None:
    """Play a scene with a place over the lab, in virtual time."""
    options = SiteOptions(
        nodes=(Resources(cpu_millicores=100, memory_bytes=GIB // 8),),
        documents=documents(kind.text),
        namespaces=(NAMESPACE,),
        elsewhere=ElsewhereOptions(cloud=SmallCloudOptions(prices={"tdx.large": 190_000, "tdx.xlarge": 380_000})),
        tee_nodes=TeeNodes(nodes=(Resources(cpu_millicores=8_000, memory_bytes=32 * GIB),)),
    )

    async def main(clock: LabClock) -> None:
        async with open_site(clock, options) as site, site.connections() as connections:
            await scene(kind(clock, site, connections))

    run_lockstep(main)


def placed(burst: Burst, outcome: Any) -> Burst:
    """Return a burst as the engine would have it after its launch."""
    if isinstance(outcome, PodPlaced):
        changes: dict[str, Any] = {"pod_uid": outcome.pod_uid}
    else:
        changes = {"pod_uid": outcome.vm_id, "operation": outcome.operation}
    return msgspec.structs.replace(burst, status=msgspec.structs.replace(burst.status, **changes))


async def cancelled_after(call: Awaitable[Any], seconds: float) -> None:
    """Begin something and cancel it."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
