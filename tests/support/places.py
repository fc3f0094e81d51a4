"""A lab with more than one place to burst to, and the whole controller in virtual time over it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from burster.lab.cluster.kubelet import RUN_SECONDS
from burster.lab.cluster.runs import Run
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import Connections, Site, SiteOptions, open_site
from burster.ledger import Ledger
from burster.model.decisions import Decision
from burster.policy.load import Document, load_text
from burster.runtime.wiring import Controller, ControllerOptions
from burster.sources.preflight import StandingChecks, World


NAMESPACE = "bank"
AZURE = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: azure}
spec:
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: burst-westeurope, region: westeurope}
  sizes: [Standard_DC2es_v6, Standard_DC4es_v6]
  allowedNamespaces: [bank]
  trustee: {url: "https://trustee.bank.example:8080"}
  sweep: {mode: Delete, grace: 1m}
  limits: {maxBursts: 20}
"""
SOVEREIGN = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: sovereign}
spec:
  provider: sovereign
  region: eu-de-1
  runtimeClassName: kata-remote-sovereign
  catalogue:
  - {size: tdx.large, cpu: "2", memory: 8Gi, tee: TDX, pricePerHour: "0.19"}
  - {size: tdx.xlarge, cpu: "4", memory: 16Gi, tee: TDX, pricePerHour: "0.38"}
  allowedNamespaces: [bank]
  trustee: {url: "https://trustee.bank.example:8080"}
  limits: {maxBursts: 20}
"""
NODES = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: nodes}
spec:
  provider: onprem
  region: frankfurt-1
  runtimeClassName: kata-qemu-tdx
  nodeSelector: {feature.node.kubernetes.io/cpu-security.tdx.enabled: "true"}
  catalogue:
  - {size: tdx-node-2, cpu: "2", memory: 4Gi, tee: TDX, pricePerHour: "0"}
  - {size: tdx-node-4, cpu: "4", memory: 8Gi, tee: TDX, pricePerHour: "0"}
  allowedNamespaces: [bank]
  trustee: {url: "https://trustee.bank.example:8080"}
  limits: {maxBursts: 20}
"""


def a_policy(*targets: str, strategy: str = "Move", **parts: Any) -> str:
    placement = {"strategy": strategy, "targets": list(targets), **parts.pop("placement", {})}
    spec = {
        "workload": {"namePattern": "task-.*|app", **({"kind": "Deployment"} if strategy == "Clone" else {})},
        "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "5s"}}],
        "limits": {"maxBursts": 20},
        "placement": placement,
        **parts,
    }
    policy = {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"namespace": NAMESPACE, "name": "tasks"},
        "spec": spec,
    }
    return msgspec.json.encode(policy).decode() + "\n"


def documents(*texts: str) -> tuple[Document, ...]:
    return load_text("\n---\n".join(texts), "rules.yaml")


class Stage:
    """The site, the controller, and what it has decided."""

    def __init__(self, clock: LabClock, site: Site, controller: Controller) -> None:
        self.clock = clock
        self.site = site
        self.controller = controller
        self.decisions: list[Decision] = []

    def submit(self, name: str, *, seconds: float = 600, cpu: str = "2", memory: str = "2Gi") -> None:
        """A task that no node without a TEE holds."""
        container = {"name": "main", "image": "bank/task:1", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": NAMESPACE, "name": name, "annotations": {RUN_SECONDS: str(seconds)}},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }
        self.site.store.create("pods", NAMESPACE, pod)

    def bursts(self) -> dict[str, Any]:
        """Records by the name of the pod that each is for; the latest of several."""
        found = sorted(self.site.store.list("bursts.burster.dev"), key=lambda one: one["spec"]["decidedAt"])
        return {one["spec"]["forPod"]["name"]: one for one in found}

    def at(self, name: str) -> str:
        """Where a task's latest burst is, and how far."""
        burst = self.bursts()[name]
        return f"{burst['spec']['target']} {burst.get('status', {}).get('phase', '')}"

    def runs(self, name: str) -> list[Run]:
        return [run for run in self.site.cluster.runs if run.name == name]

    def codes(self, verdict: str = "") -> list[str]:
        return [one.reasons[0].code for one in self.decisions if not verdict or one.verdict == verdict]

    def told(self) -> str:
        """What was decided, for whoever reads a failed test."""
        said = [
            f"{one.verdict} {one.subject} {one.reasons[0].code}: {one.reasons[0].sentence}" for one in self.decisions
        ]
        return "\n".join([*said, *(f"{name}: {self.at(name)}" for name in self.bursts())])

    async def until(
        self, holds: Callable[[], bool], *, within_s: float = 1_800, what: str = "", every_s: float = 1
    ) -> None:
        until_s = self.clock.monotonic() + within_s
        while not holds():
            assert self.clock.monotonic() < until_s, f"{what or 'never came true'}: {self.told()}"
            await self.clock.sleep(every_s)

    def no_doubles(self) -> None:
        """No task ran twice at the same time, and none to its end twice."""
        by_task: dict[str, list[Run]] = {}
        for run in self.site.cluster.runs:
            by_task.setdefault(run.task, []).append(run)
        for task, runs in by_task.items():
            assert sum(run.outcome == "Succeeded" for run in runs) <= 1, task
            for before, after in pairwise(runs):
                assert before.ended_at_ms is not None, task
                assert before.ended_at_ms <= after.started_at_ms, task


class _WellTrustee:
    """A Trustee that is well."""

    async def health(self, url: str) -> str:
        del url
        return ""


def _checks(clock: LabClock, connections: Connections) -> StandingChecks:
    """The checks before any launch, as the service makes them."""
    cloud = connections.arm
    return StandingChecks(World(api=connections.kube, cloud=cloud, trustee=_WellTrustee(), now_ms=clock.now_ms))


@asynccontextmanager
async def staged(clock: LabClock, folder: Path, options: SiteOptions) -> AsyncGenerator[Stage]:
    """A site with the controller running over it."""
    async with open_site(clock, options) as site, site.connections() as connections:
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            controller = Controller(
                kube=connections.kube,
                cloud=connections.arm,
                facts=connections,
                ledger=ledger,
                clock=clock,
                options=ControllerOptions(),
                preflight=_checks(clock, connections),
            )
            stage = Stage(clock, site, controller)
            controller.listen(lambda _stimuli, result, _now_ms: stage.decisions.extend(result.decisions))
            running = asyncio.create_task(controller.run(), name="controller")
            try:
                yield stage
                assert not running.done(), running.exception()
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running


def play(folder: Path, options: SiteOptions, scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene in virtual time."""

    async def main(clock: LabClock) -> None:
        async with staged(clock, folder, options) as stage:
            await scene(stage)

    run_lockstep(main)
