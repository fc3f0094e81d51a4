"""The controller under exactly the rights that deploy/ gives it: every request is allowed, and nothing is allowed that nothing asks for."""

import asyncio
import random
from contextlib import suppress

import pytest

from burster.adaptors.cluster_api import HOME
from burster.adaptors.manifests import MACHINE_TYPE
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import service, task_pod
from burster.lab.site import open_site
from burster.ledger import Ledger
from burster.model.addresses import LOOPBACK
from burster.model.pods import Resources
from burster.runtime.elector import Elector, Leadership, LeaseTimes
from burster.runtime.wiring import Controller, ControllerOptions
from burster.simulator.traces.model import TraceEntry
from tests.docs.rights import Rights, documents
from tests.support.machine_site import SUBNET
from tests.support.small_site import beside_the_target, one_node


NAMESPACE = "batch"
TARGET = "azure-westeurope-tdx"
#: a provider without VMs, in full: the API server holds a target to the rules in its schema
ELSEWHERE = {
    "provider": "docker",
    "runtimeClassName": "kata-docker",
    "azure": None,
    "machines": None,
    "region": "cellar",
    "catalogue": [{"size": "Standard_DC2es_v6", "cpu": "2", "memory": "8Gi", "tee": "TDX", "pricePerHour": "0.10"}],
}
#: what a controller that acts has beyond rbac.yaml
LEAD = ("lease.yaml", "targets.yaml", "own.yaml")
#: granted although no request is ever made with it; deploy/rbac.yaml says why
WITHOUT_REQUEST = {
    ("burster-act", "bursts/finalizers.burster.dev", "update"),
    ("burster-act", "endpointslices.discovery.k8s.io", "create"),
}
RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: everything, namespace: batch}
spec:
  workload: {podNamePattern: "(web|set|task).*"}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  cooldownPeriod: 30
  placement: {targets: [azure-westeurope-tdx], drain: 10s}
---
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: measured, namespace: batch}
spec:
  workload: {podNamePattern: "own.*"}
  triggers: [{type: pending-pods, metadata: {pendingFor: 5s}}]
  cooldownPeriod: 30
  placement: {targets: [azure-westeurope-tdx], drain: 10s}
  confidential: {initdata: {configMap: own-initdata}}
"""
MACHINE = """
---
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: machines, namespace: batch}
spec:
  workload: {podNamePattern: "nobody-at-all"}
  triggers:
  - type: cron
    metadata: {timezone: UTC, start: "0 0 1 1 *", end: "59 23 31 12 *", desiredReplicas: "1"}
  maxReplicaCount: 1
  machine:
    requests: {cpu: "2", memory: 4Gi}
    image: "redhat:rhel-cvm:9_6_cvm:9.6.2026011512"
    userData: {configMap: scorer}
    service: {name: scorer, port: 8443}
  placement: {strategy: Machine, targets: [azure-westeurope-tdx], drain: 10s}
"""
SCALE = """
---
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: scale-KIND, namespace: batch}
spec:
  workload: {podNamePattern: "nobody-KIND"}
  scaleTargetRef: {kind: KIND_, name: cloud}
  triggers:
  - type: cron
    metadata: {timezone: UTC, start: "0 0 1 1 *", end: "59 23 31 12 *", desiredReplicas: "1"}
  maxReplicaCount: 2
  placement: {strategy: Scale, targets: [azure-westeurope-tdx]}
"""
SCALED = {"Deployment": "deployments.apps", "StatefulSet": "statefulsets.apps", "ReplicaSet": "replicasets.apps"}


KEDA = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "scope": "Namespaced",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def an_entry(name: str, kind: str, **values: int) -> TraceEntry:
    requests = Resources(cpu_millicores=1_000, memory_bytes=1024**3)
    return TraceEntry(arrival_ms=0, name=name, namespace=NAMESPACE, kind=kind, requests=requests, **values)


def a_replica_set(name: str) -> dict:
    made = service(an_entry(name, "Deployment", replicas=1))
    return made | {"kind": "ReplicaSet"}


def a_scaled(kind: str) -> dict:
    """A workload whose number is the policy's to set: its template is a peer pod's, and it has none yet."""
    made = service(an_entry("cloud", "Deployment", replicas=0)) | {"kind": kind}
    made["spec"]["template"]["spec"]["runtimeClassName"] = "kata-remote"
    made["spec"]["template"]["metadata"]["annotations"] = {MACHINE_TYPE: "Standard_DC2es_v6"}
    return made


async def _a_day(clock: LabClock, site, controller: Controller, scaled_to: int) -> None:
    """A service, a bare ReplicaSet and two tasks find no room; later nobody wants them, one task is still at work, and records grow old."""
    site.store.create("customresourcedefinitions.apiextensions.k8s.io", "", KEDA)
    for kind, resource in SCALED.items():
        site.store.create(resource, NAMESPACE, a_scaled(kind))
    machines = {"images": ["redhat:rhel-cvm:9_6_cvm:9.6.2026011512"], "subnet": SUBNET}
    site.store.patch("bursttargets.burster.dev", "", TARGET, {"spec": {"machines": machines}})
    site.store.create(
        "configmaps", NAMESPACE, {"metadata": {"name": "scorer"}, "data": {"user-data": "#cloud-config\n"}}
    )
    ports = [{"name": "https", "port": 443, "targetPort": 8443}]
    site.store.create("services", NAMESPACE, {"metadata": {"name": "scorer"}, "spec": {"ports": ports}})
    running = asyncio.create_task(controller.run(), name="controller")
    await clock.sleep(1)
    site.store.create("deployments.apps", NAMESPACE, service(an_entry("web", "Deployment", replicas=3)))
    await clock.sleep(5)
    site.store.create("replicasets.apps", NAMESPACE, a_replica_set("set"))
    await clock.sleep(30)
    site.store.create("pods", NAMESPACE, task_pod(an_entry("task-1", "Pod", duration_ms=600_000)))
    site.store.create("pods", NAMESPACE, task_pod(an_entry("own-1", "Pod", duration_ms=600_000)))
    await clock.sleep(30)  # so that its policy is told the same once more: one event, counted
    site.store.create("pods", NAMESPACE, task_pod(an_entry("task-2", "Pod", duration_ms=36_000_000)))
    await clock.sleep(1_200)
    site.store.patch("deployments.apps", NAMESPACE, "web", {"spec": {"replicas": 0}})
    site.store.patch("replicasets.apps", NAMESPACE, "set", {"spec": {"replicas": 0}})
    await clock.sleep(600)
    for resource in SCALED.values():
        assert site.store.get(resource, NAMESPACE, "cloud")["spec"]["replicas"] == scaled_to, resource
    status = site.store.get("burstpolicies.burster.dev", NAMESPACE, "scale-deployment").get("status", {})
    assert status.get("replicas") == (1 if scaled_to else None)
    before = site.store.get("bursttargets.burster.dev", "", TARGET)["spec"]["azure"]
    for _ in range(2):  # a target that can't be used says so, and that is one event, counted
        for spec in (
            ELSEWHERE,
            {
                "provider": "azure",
                "azure": before,
                "region": None,
                "catalogue": None,
                "runtimeClassName": "kata-remote",
            },
        ):
            site.store.patch("bursttargets.burster.dev", "", TARGET, {"spec": spec})
            await clock.sleep(30)
    await controller.drain(deadline_s=1_200)
    await clock.sleep(2 * 3_600)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def run_under(rights: Rights, tmp_path, *, dry_run: bool, scaled_to: int = 0) -> tuple[Controller, dict[str, list]]:
    scale = "".join(SCALE.replace("KIND_", kind).replace("KIND", kind.lower()) for kind in SCALED)
    rules = beside_the_target(tmp_path, RULES + MACHINE + scale)

    async def main(clock: LabClock):
        options = one_node(tmp_path, rules, (NAMESPACE,))
        async with open_site(clock, options) as site, site.connections() as connections:
            site.api.faults = rights
            with Ledger.open(tmp_path / "ledger.sqlite") as ledger:

                async def lead(leadership: Leadership | None) -> Controller:
                    controller = Controller(
                        kube=connections.kube,
                        cloud=connections.arm,
                        facts=connections,
                        ledger=ledger,
                        clock=clock,
                        options=ControllerOptions(dry_run=dry_run, metric_networks=LOOPBACK),
                        authority=leadership,
                        preflight=connections.checks,
                        reach=site.guests.reach,
                    )
                    await _a_day(clock, site, controller, scaled_to)
                    return controller

                # renewed less often than in earnest: it is a long day
                times = LeaseTimes(duration_ms=900_000, renew_deadline_ms=600_000, retry_ms=120_000)
                elector = Elector(
                    connections.kube, clock, namespace=HOME, identity="one", times=times, chance=random.Random(7)
                )
                controller = await lead(None) if dry_run else await elector.lead(lead)
                decided = {}
                for decision in ledger.decisions():
                    decided.setdefault(decision.verdict, []).append(decision)
                return controller, decided

    return run_lockstep(main)


def test_a_day_under_the_shipped_rights(tmp_path):
    rights = Rights(NAMESPACE, LEAD)
    controller, decided = run_under(rights, tmp_path, dry_run=False, scaled_to=1)
    assert rights.refused == set()
    assert rights.granted - rights.used == WITHOUT_REQUEST
    strategies = {reason.code for decision in decided["Burst"] for reason in decision.reasons}
    assert {"StrategyClone", "StrategyMove", "StrategyMachine"} <= strategies
    assert controller.loop.state.bursts == {}


def test_a_dry_run_needs_no_right_to_write(tmp_path):
    rights = Rights("")
    _, decided = run_under(rights, tmp_path, dry_run=True)
    assert rights.refused == set()
    assert {verb for _, _, verb in rights.granted} <= {"get", "list", "watch"}
    assert len(decided["Burst"]) == 6


def test_without_the_opt_in_nothing_is_created(tmp_path):
    rights = Rights("", LEAD)
    controller, _ = run_under(rights, tmp_path, dry_run=False)
    assert "create bursts.burster.dev in batch" in rights.refused  # what comes before anything else is created
    assert "delete pods in batch" not in rights.refused  # without a record nothing is even tried
    assert controller.active_bursts() == []


def test_what_holds_for_the_whole_cluster_only_reads():
    found = documents("rbac.yaml")
    bound = {each["roleRef"]["name"] for each in found if each["kind"] == "ClusterRoleBinding"}
    roles = {each["metadata"]["name"]: each for each in found if each["kind"] == "ClusterRole"}
    for name in bound:
        assert {verb for rule in roles[name]["rules"] for verb in rule["verbs"]} <= {"get", "list", "watch"}
    (written,) = [rule for each in documents("targets.yaml") if each["kind"] == "ClusterRole" for rule in each["rules"]]
    assert written == {"apiGroups": ["burster.dev"], "resources": ["bursttargets/status"], "verbs": ["patch"]}


def test_what_is_bursters_own_can_be_let_go_everywhere_and_nothing_begun_with_it():
    """A namespace that is deleted loses its RoleBinding first, and waits for burster's finalizers."""
    (own,) = [each for each in documents("own.yaml") if each["kind"] == "ClusterRole"]
    assert {group for rule in own["rules"] for group in rule["apiGroups"]} == {"burster.dev"}
    verbs = {resource: set(rule["verbs"]) for rule in own["rules"] for resource in rule["resources"]}
    assert verbs == {
        "burstpolicies": {"get", "patch"},
        "bursts": {"get", "patch", "delete"},
        "bursts/status": {"patch"},
    }


@pytest.mark.parametrize("kind", ["secrets", "configmaps", "nodes", "roles", "serviceaccounts", "*"])
def test_nothing_of_others_may_be_written(kind):
    rules = [rule for each in documents("rbac.yaml") if each["kind"] == "ClusterRole" for rule in each["rules"]]
    writing = {
        resource for rule in rules for resource in rule["resources"] if set(rule["verbs"]) - {"get", "list", "watch"}
    }
    assert kind not in {resource.partition("/")[0] for resource in writing}
    assert "*" not in {verb for rule in rules for verb in rule["verbs"]}
