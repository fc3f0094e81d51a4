"""A cluster with CAA and the real ARM stand-in, in virtual time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from burster.lab.apiserver.store import Store
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.server import ArmServer
from burster.lab.caa.config import LAB_CONFIG, CaaFaults, CaaTimings
from burster.lab.cluster.nodes import add_node, make_node
from burster.lab.cluster.scheduler import SchedulerConfig
from burster.lab.labcluster import CaaSettings, LabCluster
from burster.lab.lockstep import LabClock, run_lockstep


Json = dict[str, Any]
PEER_PODS = "peerpods.confidentialcontainers.org"
SLOTS = "kata.peerpods.io/vm"
HYPERVISOR = "io.katacontainers.config.hypervisor."
#: every VM takes a minute and goes in half of one
STEADY = ArmConfig(create_median_ms=60_000, create_p95_ms=60_000, delete_min_ms=30_000, delete_max_ms=30_000)


class Stage:
    """What a story acts on."""

    def __init__(self, lab: LabCluster, arm: ArmServer, clock: LabClock) -> None:
        self.lab = lab
        self.arm = arm
        self.store: Store = lab.store
        self.clock = clock
        self.log: list[Any] = []

    async def passes(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def pod(
        self, name: str, *, seconds: float | None = None, annotations: dict[str, str] | None = None, **spec: Any
    ) -> Json:
        notes = {f"{HYPERVISOR}machine_type": "Standard_DC2es_v6", **(annotations or {})}
        if seconds is not None:
            notes["lab.burster.dev/run-seconds"] = str(seconds)
            spec.setdefault("restartPolicy", "Never")
        resources = spec.pop("resources", {"requests": {"cpu": "2", "memory": "4Gi"}})
        container = {"name": "main", "image": "registry.local/task:1", "resources": resources}
        body = {"runtimeClassName": "kata-remote", **spec, "containers": [container]}
        return self.store.create("pods", "default", {"metadata": {"name": name, "annotations": notes}, "spec": body})

    def get(self, name: str) -> Json:
        return self.store.get("pods", "default", name)

    def phase(self, name: str) -> str:
        return self.get(name)["status"]["phase"]

    def condition(self, name: str, kind: str = "PodScheduled") -> Json:
        conditions = self.get(name)["status"].get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def records(self) -> list[Json]:
        return self.store.list(PEER_PODS)

    def failures(self) -> list[Json]:
        return [event for event in self.store.list("events") if event["reason"] == "FailedCreatePodSandBox"]

    def delete(self, name: str) -> None:
        self.store.delete("pods", "default", name)

    def slots(self, node: str = "worker") -> str | None:
        return self.store.get("nodes", "", node)["status"]["allocatable"].get(SLOTS)


@pytest.fixture
def play() -> Callable[..., Stage]:
    """Run a story on a fresh cluster with one worker node."""

    def run(
        story: Callable[[Stage], Awaitable[None]],
        *,
        arm: ArmConfig = STEADY,
        faults: CaaFaults | None = None,
        timings: CaaTimings | None = None,
        config: dict[str, str] | None = None,
        seed: int = 1,
    ) -> Stage:
        async def main(clock: LabClock) -> Stage:
            store = Store(clock.now_ms, seed)
            add_node(store, make_node("plain", "16", "64Gi"))
            add_node(store, make_node("worker", "16", "64Gi", worker=True))
            async with ArmServer(clock, config=arm, seed=seed) as server:
                caa = CaaSettings(
                    arm_url=server.url,
                    config={**LAB_CONFIG, **(config or {})},
                    faults=faults or CaaFaults(),
                    timings=timings or CaaTimings(),
                )
                lab = LabCluster(store, clock, caa=caa, seed=seed, scheduler=SchedulerConfig(modern_tail=False))
                stage = Stage(lab, server, clock)
                async with lab:
                    await story(stage)
            return stage

        return run_lockstep(main)

    return run
