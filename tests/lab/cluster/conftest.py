"""Builders and a stage for the tests of the on-prem cluster: a store, nodes, and virtual time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from burster.lab.apiserver.store import Store
from burster.lab.cluster.kubelet import KubeletConfig
from burster.lab.cluster.nodes import add_node, make_node
from burster.lab.cluster.scheduler import SchedulerConfig
from burster.lab.labcluster import LabCluster
from burster.lab.lockstep import LabClock, run_lockstep


Json = dict[str, Any]


class Stage:
    """What a story acts on."""

    def __init__(self, lab: LabCluster, clock: LabClock) -> None:
        self.lab = lab
        self.store: Store = lab.store
        self.clock = clock
        self.log: list[Any] = []

    async def passes(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def node(self, name: str, cpu: str = "4", memory: str = "16Gi", **more: Any) -> None:
        add_node(self.store, make_node(name, cpu, memory, **more))

    def pod(self, name: str, cpu: str = "1", *, seconds: float | None = None, **more: Any) -> Json:
        spec = dict(more.pop("spec", {}))
        annotations = dict(more.pop("annotations", {}))
        if seconds is not None:
            annotations["lab.burster.dev/run-seconds"] = str(seconds)
            spec.setdefault("restartPolicy", "Never")
        requests = {"cpu": cpu, "memory": "1Gi", **more.pop("requests", {})}
        spec["containers"] = [{"name": "main", "image": "registry.local/task:1", "resources": {"requests": requests}}]
        meta = {"name": name, "namespace": "default", "annotations": annotations, **more}
        return self.store.create("pods", "default", {"metadata": meta, "spec": spec})

    def get(self, name: str, resource: str = "pods") -> Json:
        return self.store.get(resource, "default", name)

    def pods(self) -> list[Json]:
        return self.store.list("pods", "default")

    def condition(self, name: str, kind: str = "PodScheduled", resource: str = "pods") -> Json:
        conditions = self.get(name, resource).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def node_of(self, name: str) -> str:
        return self.get(name)["spec"].get("nodeName", "")

    def events(self, reason: str) -> list[Json]:
        return [event for event in self.store.list("events") if event["reason"] == reason]


Story = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., Stage]:
    """Run a story on a fresh cluster in virtual time."""

    def run(
        story: Story,
        *,
        modern_tail: bool = False,
        kubelet: KubeletConfig | None = None,
        seed: int = 1,
    ) -> Stage:
        async def main(clock: LabClock) -> Stage:
            store = Store(clock.now_ms, seed)
            scheduler = SchedulerConfig(modern_tail=modern_tail)
            lab = LabCluster(store, clock, seed=seed, scheduler=scheduler, kubelet=kubelet)
            stage = Stage(lab, clock)
            async with lab:
                await story(stage)
            return stage

        return run_lockstep(main)

    return run
