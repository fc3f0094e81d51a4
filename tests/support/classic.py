"""The classic in a lab: pods of on-prem-deployment wait, a query counts them, cloud-deployment is scaled from 0 to 4."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from burster.lab.lockstep import LabClock
from burster.lab.monitoring.exporter import sample
from burster.lab.monitoring.server import MonitoringServer
from burster.lab.site import Site, open_site
from burster.ledger import Ledger
from burster.model.addresses import LOOPBACK
from burster.policy.load import load_text
from burster.runtime.wiring import Controller, ControllerOptions
from tests.support.metrics import CLASSIC
from tests.support.small_site import one_node


ROOT = Path(__file__).parents[2]
KEDA_KINDS = {"TriggerAuthentication": True, "ClusterTriggerAuthentication": False}


def a_definition(kind: str, *, namespaced: bool) -> dict[str, Any]:
    """KEDA's CRD of a kind, as far as an API server needs it."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": schema}],
        },
    }


def a_target(*endpoints: str, **spec: Any) -> str:
    """The shipped target, from which metrics may be read at these endpoints."""
    shipped = yaml.safe_load((ROOT / "policies/targets/azure-westeurope-tdx.yaml").read_text())
    shipped["spec"] |= {"allowedMetricEndpoints": list(endpoints), **spec}
    return yaml.safe_dump(shipped)


def a_rule(
    url: str, *, metadata: dict[str, str] | None = None, trigger: dict[str, Any] | None = None, **spec: Any
) -> str:
    """The classic's policy."""
    asked = {"serverAddress": url, "query": CLASSIC, "threshold": "1", **(metadata or {})}
    policy = {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"name": "classic", "namespace": "default"},
        "spec": {
            "workload": {"kind": "Deployment", "namePattern": "on-prem-deployment"},
            "scaleTargetRef": {"name": "cloud-deployment"},
            "triggers": [{"type": "prometheus", "name": "pending", "metadata": asked, **(trigger or {})}],
            "minReplicaCount": 0,
            "maxReplicaCount": 4,
            "cooldownPeriod": 60,
            "placement": {"strategy": "Scale", "targets": ["azure-westeurope-tdx"]},
            **spec,
        },
    }
    return yaml.safe_dump(policy)


CLOUD_DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "cloud-deployment", "namespace": "default"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "cloud"}},
        "template": {
            "metadata": {
                "labels": {"app": "cloud"},
                "annotations": {"io.katacontainers.config.hypervisor.machine_type": "Standard_DC2es_v6"},
            },
            "spec": {
                "runtimeClassName": "kata-remote",
                "terminationGracePeriodSeconds": 2,
                "containers": [
                    {
                        "name": "work",
                        "image": f"registry.bank.example/work@sha256:{'1' * 64}",
                        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
                    }
                ],
            },
        },
    },
}


class Classic:
    """A running controller in a lab; ``pending`` is what the query counts."""

    def __init__(self, clock: LabClock, site: Site, controller: Controller, ledger: Ledger) -> None:
        self.clock = clock
        self.site = site
        self.controller = controller
        self.ledger = ledger

    @property
    def replicas(self) -> int:
        return self.site.store.get("deployments.apps", "default", "cloud-deployment")["spec"]["replicas"]


class Page:
    """A page of metrics with so many pending pods."""

    def __init__(self) -> None:
        self.pending = 0

    def __call__(self) -> str:
        labels = {"namespace": "default", "phase": "Pending"}
        pods = {f"on-prem-deployment-{number}": int(number < self.pending) for number in range(self.pending + 1)}
        lines = (sample("kube_pod_status_phase", {**labels, "pod": name}, waits) for name, waits in pods.items())
        return "".join(f"{line}\n" for line in lines)


@asynccontextmanager
async def a_classic(
    clock: LabClock, folder: Path, rules: str, *, before: Callable[[Site], None] = lambda site: None
) -> AsyncIterator[Classic]:
    """Have a site with these rules, and a controller that works there."""
    options = one_node(folder, load_text(rules.encode()), ("default", "burster-system"))
    async with open_site(clock, options) as site, site.connections() as connections:
        for kind, namespaced in KEDA_KINDS.items():
            site.store.create(
                "customresourcedefinitions.apiextensions.k8s.io", "", a_definition(kind, namespaced=namespaced)
            )
        site.store.create("deployments.apps", "default", CLOUD_DEPLOYMENT)
        before(site)
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            controller = Controller(
                kube=connections.kube,
                cloud=connections.arm,
                facts=connections,
                ledger=ledger,
                clock=clock,
                options=ControllerOptions(metric_networks=LOOPBACK),
            )
            running = asyncio.create_task(controller.run(), name="controller")
            try:
                yield Classic(clock, site, controller, ledger)
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running


def a_prometheus(clock: LabClock, page: Page, **changes: Any) -> MonitoringServer:
    return MonitoringServer(page, clock.now_ms, **changes)
