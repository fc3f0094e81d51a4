"""Small worlds, each with a story that takes minutes of virtual time and well under a second of anybody's.

A story is told by its users alone: what they create, change and delete, and when. Controllers live and die beside it.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
import structlog
import yaml
from structlog.testing import capture_logs

from burster.adaptors.cluster_api import HOME
from burster.clients.arm import Arm
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.arm import ArmConfig
from burster.lab.caa.config import CaaFaults, CaaTimings
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import Player, service, task_pod
from burster.lab.site import Site, SiteOptions, open_site
from burster.ledger import Ledger
from burster.model.pods import Resources
from burster.policy.compile import compile_documents
from burster.policy.crds import crds
from burster.policy.load import load_text
from burster.runtime.wiring import Controller, ControllerOptions
from burster.simulator.traces.model import Trace, TraceEntry
from tests.faults.evidence import BURSTS, POLICIES, Evidence, phase_of
from tests.faults.mortal import Death, Life, live
from tests.support.machine_site import IMAGE, PORT, SUBNET, USER_DATA


NAMESPACE: Final = "default"
_ONE: Final = Resources(cpu_millicores=1_000, memory_bytes=1024**3)
#: VMs come and go quickly: what takes long in the real cloud is only waited for
_ARM: Final = ArmConfig(
    create_median_ms=20_000, create_p95_ms=25_000, delete_min_ms=5_000, delete_max_ms=8_000, retry_after_s=10
)
_TIMINGS: Final = CaaTimings(agent_ready_ms=2_000, poll_ms=10_000)
TARGET: Final[dict[str, Any]] = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstTarget",
    "metadata": {"name": "azure"},
    "spec": {
        "provider": "azure",
        "azure": {
            "subscriptionId": "00000000-0000-0000-0000-000000000000",
            "resourceGroup": "burst-westeurope",
            "region": "westeurope",
        },
        "runtimeClassName": "kata-remote",
        "sizes": ["Standard_DC2es_v6"],
        "tees": ["TDX"],
        "trustee": {"url": "https://trustee.example.com:8080"},
        "allowedNamespaces": [NAMESPACE],
        "limits": {"maxBursts": 4},
        "machines": {"images": [IMAGE], "subnet": SUBNET},
        "launchDeadline": "5m",
        "readyDeadline": "5m",
        "sweep": {"mode": "Delete", "grace": "1m"},
    },
}


def a_policy(name: str, workload: dict[str, Any], strategy: str, **spec: Any) -> dict[str, Any]:
    """Return a policy that is quick to begin and to end."""
    placement = {"strategy": strategy, "targets": ["azure"], "lease": "30m", "drain": "10s", "maxDisruptedPercent": 100}
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "workload": workload,
            "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "5s"}}],
            "limits": {"maxBursts": 2, "budget": {"perHour": "2.00"}},
            "cooldownPeriod": 20,
            "placement": placement,
            **spec,
        },
    }


SERVICES: Final = a_policy("services", {"kind": "Deployment", "namePattern": "web"}, "Clone")
TASKS: Final = a_policy("tasks", {"kind": "Pod", "namePattern": "task.*"}, "Move")


class Stage:
    """What a story's people work with."""

    def __init__(self, clock: LabClock, site: Site, player: Player, cloud: Arm) -> None:
        self.clock = clock
        self.site = site
        self.store = site.store
        self.player = player
        self.over = False
        self.cloud = cloud  #: a person's way to ARM
        self.refused = ""  #: what the API server said to somebody
        self.life: Life | None = None  #: the controller's process that lives now

    async def at(self, second: float) -> None:
        """Wait for a second of the story."""
        await self.clock.sleep(max(0.0, 1_000.0 + second - self.clock.monotonic()))

    def serve(self, name: str, replicas: int) -> None:
        entry = TraceEntry(arrival_ms=0, name=name, kind="Deployment", replicas=replicas, requests=_ONE)
        self.store.create("deployments.apps", NAMESPACE, service(entry))

    def offer(self, name: str) -> None:
        """Have a Service for machines, and what they boot from."""
        ports = [{"name": "https", "port": 443, "targetPort": PORT}]
        self.store.create("services", NAMESPACE, {"metadata": {"name": name}, "spec": {"ports": ports}})
        self.store.create("configmaps", NAMESPACE, {"metadata": {"name": name}, "data": {"user-data": USER_DATA}})

    def serve_in_the_cloud(self, name: str, replicas: int) -> None:
        """Have a Deployment whose pods are peer pods."""
        entry = TraceEntry(arrival_ms=0, name=name, kind="Deployment", replicas=replicas, requests=_ONE)
        workload = service(entry)
        workload["spec"]["template"]["spec"]["runtimeClassName"] = "kata-remote"
        self.store.create("deployments.apps", NAMESPACE, workload)

    def scale(self, name: str, replicas: int) -> None:
        self.store.patch("deployments.apps", NAMESPACE, name, {"spec": {"replicas": replicas}})

    def task(self, name: str, seconds: int) -> None:
        entry = TraceEntry(arrival_ms=0, name=name, duration_ms=seconds * 1000, requests=_ONE)
        self.store.create("pods", NAMESPACE, task_pod(entry))
        self.player.tasks.append(f"{NAMESPACE}/{name}")

    def annotate_policy(self, name: str, **annotations: str | None) -> None:
        marks = {f"burster.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.store.patch(POLICIES, NAMESPACE, name, {"metadata": {"annotations": marks}})

    def delete(self, resource: str, name: str) -> None:
        self.store.delete(resource, NAMESPACE, name)

    def edit(self, resource: str, name: str, subresource: str = "", **body: Any) -> None:
        self.store.patch(resource, NAMESPACE, name, body, subresource=subresource, user="somebody")

    async def burst_in(self, phase: str) -> dict[str, Any]:
        """Return the first Burst that is in a phase, at the instant at which it is."""
        found: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def look(event: StoreEvent) -> None:
            if event.type != "DELETED" and not found.done() and (phase_of(event.object) or "Reserved") == phase:
                found.set_result(event.object)

        stop = self.store.subscribe(BURSTS, look)
        try:
            return await found
        finally:
            stop()

    def there(self, resource: str, name: str) -> dict[str, Any] | None:
        found = self.store.list(resource, NAMESPACE, fields=f"metadata.name={name}")
        return found[0] if found else None

    def ran(self, task: str) -> list[tuple[str, str]]:
        """Return where a task was started, each time, and how that ended."""
        return [(run.where, run.outcome) for run in self.site.cluster.runs if run.task == f"{NAMESPACE}/{task}"]


Story = Callable[[Stage], Awaitable[None]]
Ending = Callable[[Stage], list[str]]


def as_it_should_be(_: Stage) -> list[str]:
    """Leave it to what holds after every story."""
    return []


class Scene(NamedTuple):
    """A world, its story, and what must be true after it beside what must always be.

    ``forgets``: it ends when no record is kept any more, else when all are released.
    """

    name: str
    rules: tuple[dict[str, Any], ...]
    story: Story
    ending: Ending = as_it_should_be
    caa_faults: CaaFaults = CaaFaults()
    forgets: bool = False


class SkewedClock:
    """The clock of a machine that is so much ahead of everybody else's; its seconds are as long."""

    def __init__(self, clock: LabClock, ahead_ms: int) -> None:
        self._clock = clock
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._ahead_ms

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def settled(self) -> None:
        await self._clock.settled()


class Outcome(NamedTuple):
    """What came of a run. ``lives``: the operations of each process."""

    problems: list[str]
    lives: list[list[str]]
    vms: int
    evidence: Evidence
    events: set[tuple[str, str]]  #: (what kind of object, reason)
    codes: set[str]  #: of every decision in the ledger
    virtual_ms: int
    refused: str  #: what the API server said to somebody it would not let do something


#: How long nobody is there between a death and the next process; the longest is longer than a lease lasts.
DOWN_S: Final = (0.0, 0.5, 17.0, 90.0)
_LOOK_S: Final = 5.0
_PATIENCE: Final = 720  # looks: an hour


def play(
    scene: Scene, folder: Path, deaths: tuple[Death, ...] = (), *, down_s: float = 0.0, ahead_ms: int = 0
) -> Outcome:
    """Play a scene with processes that die at these boundaries, one each, or where the story dooms them; the last one lives.

    ``ahead_ms``: how far the controllers' clock is ahead of everybody else's.
    """
    documents = load_text(yaml.safe_dump_all([TARGET, *scene.rules]).encode())
    policies = tuple(compile_documents(documents).policies)
    options = ControllerOptions(
        intervals_ms={"evaluate": 15_000, "gc": 60_000, "offerings": 43_200_000, "quota": 3_600_000}
    )

    async def main(clock: LabClock) -> Outcome:
        site_options = SiteOptions(
            nodes=(Resources(cpu_millicores=2_000, memory_bytes=8 * 1024**3),),
            documents=tuple(documents),
            namespaces=(NAMESPACE, HOME),
            gateways=1,
            arm=_ARM,
            timings=_TIMINGS,
            caa_faults=scene.caa_faults,
        )
        async with open_site(clock, site_options) as site, site.connections() as after_life:
            player = Player(site.store, clock, Trace(source="a scene", format="csv", entries=(), rows_read=0))
            evidence = Evidence(site, player, policies, clock.now_ms)
            stage = Stage(clock, site, player, after_life.arm)
            telling = asyncio.create_task(_tell(scene.story, stage), name="story")
            lives: list[Life] = []
            began_ms, blind_ms = clock.now_ms(), 0

            async def until_at_rest(_: Controller) -> None:
                for _ in range(_PATIENCE):
                    await clock.sleep(_LOOK_S)
                    if stage.over and _at_rest(site, player, forgotten=scene.forgets):
                        return

            to_die = [*deaths]
            while not lives or lives[-1].died.is_set():
                lives.append(Life(len(lives) + 1, to_die.pop(0) if to_die else None))
                stage.life = lives[-1]
                await live(
                    SkewedClock(clock, ahead_ms),
                    site,
                    folder / "ledger.sqlite",
                    lives[-1],
                    after_life,
                    until_at_rest,
                    options,
                )
                if lives[-1].died.is_set():
                    await clock.sleep(down_s)
                    blind_ms += int(down_s * 1000)
            await telling
            await asyncio.gather(*(task for life in lives for task in life.last_words), return_exceptions=True)
            with Ledger.read(folder / "ledger.sqlite") as ledger:
                problems = evidence.problems(ledger, blind_ms=blind_ms, forgotten=scene.forgets) + scene.ending(stage)
                codes = {reason.code for one in ledger.decisions(limit=1_000_000) for reason in one.reasons}
            return Outcome(
                problems=problems,
                lives=[life.operations for life in lives],
                vms=len(site.arm.billing.vms),
                evidence=evidence,
                events={(one["involvedObject"]["kind"], one["reason"]) for one in site.store.list("events")},
                codes=codes,
                virtual_ms=clock.now_ms() - began_ms,
                refused=stage.refused,
            )

    with _only_errors() as said, _made_once():
        outcome = run_lockstep(main)
    return outcome._replace(problems=[*outcome.problems, *(f"it was logged: {line}" for line in said)])


_CRDS: Final = orjson.dumps(crds())
_TLS: Final = ssl.create_default_context()


@contextmanager
def _made_once() -> Iterator[None]:
    """Leave out what takes most of a small run's time and is the same in each: making the CRDs, and reading the machine's CAs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("burster.lab.site.crds", lambda: orjson.loads(_CRDS))
        patch.setattr(ssl, "create_default_context", lambda *_, **__: _TLS)
        yield


@contextmanager
def _only_errors() -> Iterator[list[Any]]:
    """Collect what is logged as an error: a bug, as far as these worlds go."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with capture_logs() as said:
            yield said
    finally:
        structlog.configure(**before)


async def _tell(story: Story, stage: Stage) -> None:
    await story(stage)
    stage.over = True


def _at_rest(site: Site, player: Player, *, forgotten: bool) -> bool:
    """Say whether nothing more will happen: nothing is in the cloud, no task waits or works, no record is open."""
    records = site.store.list(BURSTS)
    if site.arm.leaks() or (records if forgotten else [one for one in records if phase_of(one) != "Released"]):
        return False
    pods = {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": phase_of(pod) for pod in site.store.list("pods")
    }
    going = any(one["metadata"].get("deletionTimestamp") for one in site.store.list(POLICIES))
    return not going and not any(pods.get(task, "gone") in {"Pending", "Running"} for task in player.tasks)
