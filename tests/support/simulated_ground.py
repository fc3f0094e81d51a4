"""The simulator's place for the suite that every place passes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from burster.adaptors.port import Place
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstSpec, PodRef
from burster.model.errors import RemoteError
from burster.model.pods import Resources
from burster.simulator.cloud import Cloud
from burster.simulator.cloud_model import CloudModel
from burster.simulator.hands import Hands, Latency
from burster.simulator.onprem import OnPrem
from burster.simulator.place import SimulatedPlace
from burster.simulator.pods import SimPod
from burster.simulator.traces.model import Trace
from burster.simulator.world import World
from tests.support.builders import GIB, T0, a_target, an_offering
from tests.support.grounds import Ground


class _Place(SimulatedPlace):
    """The simulator's place, whose answers can be lost, and which can be cut."""

    lose = dead = False

    async def carry_out(self, instruction: i.Instruction, answer: type[Any]) -> Any:
        if self.dead:
            raise RemoteError("Unreachable", "there is no way to it")
        outcome = await super().carry_out(instruction, answer)
        if self.lose and answer is s.PodPlaced:
            self.lose = False
            raise RemoteError("Timeout", "no answer in time")
        return outcome


class SimulatedGround:
    """One simulated cloud and one pending pod for each burst."""

    def __init__(self) -> None:
        empty = Trace(source="none", format="jsonl", entries=(), rows_read=0)
        self.world = World(empty, OnPrem((Resources(cpu_millicores=100, memory_bytes=GIB),)), T0)
        self.cloud = Cloud(model=CloudModel(), seed=7)
        self.target = a_target()
        self.offering = an_offering(2)
        offerings = {self.offering.key: self.offering}
        self.hands = Hands(self.world, self.cloud, {self.target.name: self.target}, offerings, Latency())
        self._place = self._another()
        self.place: Place = self._place

    def _another(self) -> _Place:
        return _Place(self.hands, (self.offering,))

    def another(self) -> Place:
        return self._another()

    def _pending(self, number: int, uid: str) -> SimPod:
        pod = SimPod(
            number=number,
            namespace="bank",
            name=f"task-{number}",
            uid=uid,
            requests=Resources(cpu_millicores=2_000, memory_bytes=GIB),
            priority=0,
            labels={},
            arrived_ms=self.world.now_ms,
            duration_ms=36_000_000,
        )
        self.world.submit(pod)
        return pod

    async def burst(self, number: int) -> Burst:
        pod = self._pending(number, f"uid-{number}")
        spec = BurstSpec(
            policy="tasks",
            target=self.target.name,
            strategy="Move",
            pod_name=pod.name,
            for_pod=PodRef(name=pod.name, uid=pod.uid),
            region=self.offering.region,
            size=self.offering.size,
            runtime_class=self.target.runtime_class,
            price_micro_usd_per_hour=120_000,
            reserved_micro_usd=1,
            decided_at_ms=T0 + self.world.now_ms,
            lease_ms=3_600_000,
            drain_ms=30_000,
            launch_deadline_ms=300_000,
            ready_deadline_ms=900_000,
        )
        burst = Burst(namespace="bank", name=f"burst-task-{number}-0123abcd", spec=spec)
        recorded = await self._place.carry_out(i.RecordBurst(key="record", burst=burst), s.BurstRecorded)
        return msgspec.structs.replace(burst, uid=recorded.uid)

    async def stranger(self, burst: Burst) -> Callable[[], bool]:
        self.world.take_pending(self.world.waiting[burst.spec.for_pod.uid])
        other = self._pending(99, "uid-of-somebody-else")
        other.name = burst.spec.pod_name
        return lambda: other.uid in self.world.waiting

    def made(self) -> int:
        return len(self.cloud.gone) + len(self.cloud.vms)

    def there(self) -> int:
        return len(self.cloud.vms)

    def lose(self) -> None:
        self._place.lose = True

    def cut(self) -> None:
        self._place.dead = True

    async def sleep(self, seconds: float) -> None:
        self._place.pass_time(round(seconds * 1_000))


def in_the_simulator(scene: Callable[[Ground], Awaitable[None]]) -> None:
    """Play a scene in the simulator's world."""

    async def main() -> None:
        await scene(SimulatedGround())

    asyncio.run(main())
