"""burster beside Kubernetes' own controllers on a real plane: Deployments, HPAs, Jobs and garbage collection do what they do.

The lab supplies kubelets, CAA and the cloud only. What burster wants of these controllers must come about by them, and what they own stays
theirs.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from burster.lab.monitoring.server import MonitoringServer
from burster.runtime.clock import SystemClock
from tests.e2e.real_lab import RULES, SERVICE
from tests.e2e.real_plane import Place, a_place
from tests.e2e.test_real_control_plane import ends_well, is_home, no_peer_pods
from tests.support.classic import CLOUD_DEPLOYMENT, Page, a_rule, a_target


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True), pytest.mark.timeout(300)]
#: As OpenShift has it: who sets an owner reference that blocks a deletion needs a right for that owner's finalizers.
ENFORCED = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"
LOOPBACK = {"BURSTER_METRICS__NETWORKS": "127.0.0.0/8"}
#: As real ones do, it goes by its own bounds where it can measure nothing.
AUTOSCALER = """
apiVersion: autoscaling/VERSION
kind: HorizontalPodAutoscaler
metadata: {name: theirs, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: owned-deployment}
  minReplicas: 2
  maxReplicas: 5
"""
#: What people write today: without metrics the API server adds cpu.
V2_SINCE = (1, 23)
GATED = f"""
apiVersion: v1
kind: Pod
metadata: {{name: task-1, namespace: default, annotations: {{lab.burster.dev/run-seconds: "8"}}}}
spec:
  restartPolicy: Never
  schedulingGates: [{{name: example.com/approval}}]
  containers:
  - name: work
    image: registry.bank.example/work@sha256:{"1" * 64}
    resources: {{requests: {{cpu: "3", memory: 2Gi}}}}
"""
JOB = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: task, namespace: default}}
spec:
  completions: 3
  parallelism: 3
  template:
    metadata: {{annotations: {{lab.burster.dev/run-seconds: "12"}}}}
    spec:
      restartPolicy: Never
      containers:
      - name: work
        image: registry.bank.example/work@sha256:{"1" * 64}
        resources: {{requests: {{cpu: "3", memory: 2Gi}}}}
"""
OF_JOBS = """
---
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: jobs, namespace: default}
spec:
  workload: {kind: Job, namePattern: task}
  triggers: [{type: pending-pods, metadata: {pendingFor: 1s}}]
  placement: {strategy: Move, targets: [azure-westeurope-tdx], lease: 30m, drain: 2s}
"""


def a_deployment(name: str, replicas: int) -> str:
    """A Deployment of peer pods."""
    spec = CLOUD_DEPLOYMENT["spec"] | {"replicas": replicas}
    text = json.dumps(CLOUD_DEPLOYMENT | {"spec": spec}).replace("cloud-deployment", name)
    return yaml.safe_dump(json.loads(text.replace('"app": "cloud"', f'"app": "{name}"')))


def scaling(url: str, policy: str, deployment: str) -> str:
    rule = yaml.safe_load(a_rule(url, pollingInterval=1, cooldownPeriod=3, minReplicaCount=0))
    rule["metadata"]["name"] = policy
    rule["spec"] |= {
        "scaleTargetRef": {"name": deployment},
        "advanced": {
            "restoreToOriginalReplicaCount": True,
            "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}},
        },
    }
    return yaml.safe_dump(rule)


async def replicas(place: Place) -> dict[str, str]:
    return await place.each("deployments", ".spec.replicas")


async def condition(place: Place, policy: str, kind: str) -> dict[str, Any]:
    told = json.loads(await place.kubectl("get", "burstpolicy", policy, "-o", "json"))
    found = [each for each in told.get("status", {}).get("conditions", ()) if each["type"] == kind]
    return found[0] if found else {}


async def test_a_number_is_set_and_deployments_make_the_pods_but_what_an_hpa_owns_is_left_alone(tmp_path: Path) -> None:
    page = Page()
    async with MonitoringServer(page, SystemClock().now_ms) as metrics:
        rules = "---\n".join(
            [
                scaling(metrics.url, "classic", "cloud-deployment"),
                scaling(metrics.url, "owned", "owned-deployment"),
                a_deployment("cloud-deployment", 1),
                a_deployment("owned-deployment", 1),
            ]
        )
        async with a_place(tmp_path, rules=rules, target=a_target(metrics.url)) as place:
            version = "v2" if place.plane.version() >= V2_SINCE else "v1"
            await place.apply(AUTOSCALER.replace("VERSION", version))
            await _scales(place, page)


async def _scales(place: Place, page: Page) -> None:
    async def numbers_are(**wanted: int) -> bool:
        return await replicas(place) == {f"{name}-deployment": str(number) for name, number in wanted.items()}

    async def is_owned() -> bool:
        return (await condition(place, "owned", "Ready")).get("reason") == "ScaleTargetOwned"

    async def is_free() -> bool:
        return (await condition(place, "owned", "Ready")).get("status") == "True"

    await place.until("the HPA has set its number", lambda: numbers_are(cloud=1, owned=2))
    page.pending = 3
    controller = place.controller(**LOOPBACK)
    await place.until("three are wanted", lambda: numbers_are(cloud=3, owned=2))
    await place.until("a condition says whose number it is", is_owned)
    told = await condition(place, "owned", "Ready")
    assert (told["status"], "HorizontalPodAutoscaler theirs" in told["message"]) == ("False", True)

    async def run(deployment: str, count: int) -> bool:
        phases = {name: phase for name, phase in (await place.each("pods")).items() if name.startswith(deployment)}
        return list(phases.values()) == ["Running"] * count

    # the ReplicaSet's own pods, bound by the scheduler, each in a VM
    await place.until("the pods run", lambda: run("cloud-deployment", 3), timeout_s=90)
    await place.until("the HPA's run", lambda: run("owned-deployment", 2))
    assert len(place.arm.vms) == 5
    assert await place.each("bursts", ".metadata.uid") == {}, "a number has no records"

    await place.kubectl("delete", "hpa", "theirs")
    await place.until("the number is free, and set", lambda: numbers_are(cloud=3, owned=3))
    await place.until("the condition says so", is_free)

    page.pending = 0
    await place.until("nothing is wanted", lambda: numbers_are(cloud=0, owned=0), timeout_s=90)
    page.pending = 2
    await place.until("two are wanted", lambda: numbers_are(cloud=2, owned=2))
    await place.kubectl("delete", "burstpolicies", "--all", "--wait=false")
    # "owned" was first seen with the HPA's number
    await place.until("the numbers are as they were found", lambda: numbers_are(cloud=1, owned=2))

    async def is_gone() -> bool:
        return await place.each("burstpolicies", ".metadata.uid") == {}

    await place.until("the policies are gone", is_gone)
    await place.until("the VMs that are left are those of the pods", lambda: vms(place, 3), timeout_s=90)
    await ends_well(place, controller)


async def vms(place: Place, count: int) -> bool:
    return len(place.arm.vms) == count


async def test_jobs_keep_their_pods_and_garbage_goes_both_ways(tmp_path: Path) -> None:
    async with a_place(tmp_path, rules=RULES + OF_JOBS, api_flags=(ENFORCED,)) as place:
        controller = place.controller()
        await _jobs(place)
        await _garbage(place, controller)


async def _jobs(place: Place) -> None:
    async def is_ready() -> bool:
        return (await condition(place, "jobs", "Ready")).get("status") == "True"

    await place.until("the policy is ready", is_ready)
    await place.apply(JOB)

    async def one_waits() -> bool:
        reasons = await place.each("pods", ".status.conditions[?(@.type=='PodScheduled')].reason")
        return list(reasons.values()).count("Unschedulable") == 1

    async def is_told() -> bool:
        events = await place.kubectl("get", "events", "--field-selector=reason=BurstRefused", "-o", "json")
        about = [each for each in json.loads(events)["items"] if each["involvedObject"]["name"] == "jobs"]
        return any("admission webhook" in each["message"] for each in about)

    await place.until("there is no room for one of them", one_waits)
    uids = await place.each("pods", ".metadata.uid")
    await place.until("the policy's events say what is missing", is_told)

    async def is_done() -> bool:
        return (await place.each("jobs", ".status.succeeded")) == {"task": "3"}

    await place.until("the Job is done, at home", is_done)
    assert await place.each("pods", ".metadata.uid") == uids, "nobody has replaced a pod"
    assert (await place.each("jobs", ".status.failed")) == {"task": "<none>"}
    assert await place.each("bursts", ".metadata.uid") == {}
    assert place.arm.vms == {}
    await place.kubectl("delete", "job", "task")


async def _garbage(place: Place, controller: Any) -> None:
    await place.apply(SERVICE)

    async def serve() -> dict[str, str]:
        phases = await place.each("bursts")
        return {name: phase for name, phase in phases.items() if phase == "Serving"}

    async def two_serve() -> bool:
        return len(await serve()) >= 2

    await place.until("clones serve", two_serve, timeout_s=90)
    # from the owner: nobody but the collector deletes the pod of a Burst whose finalizer was taken off while the controller is away
    await ends_well(place, controller)
    first = min(await serve())
    (clone,) = [name for name, owner in (await owners(place)).items() if owner == first]
    await place.kubectl("patch", "burst", first, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    await place.kubectl("delete", "burst", first)

    async def is_collected() -> bool:
        return clone not in await place.each("pods")

    await place.until("the collector has taken the clone", is_collected)
    assert first not in await place.each("bursts")

    # from the dependant: a record that is deleted in the foreground waits for its pod, and both go by burster's own order
    controller = place.controller()
    second = min(await serve())
    await place.kubectl("delete", "burst", second, "--cascade=foreground", "--wait=false")

    async def second_is_gone() -> bool:
        return second not in await place.each("bursts") and second not in (await owners(place)).values()

    await place.until("it is gone with its pod", second_is_gone, timeout_s=90)
    # the owner of the demand: the Deployment goes, its pods are collected, and what was bought for them comes home
    await place.kubectl("delete", "deployment", "web")
    await place.until("everything is home", lambda: is_home(place), timeout_s=90)
    await place.until("CAA's records went with their pods", lambda: no_peer_pods(place))
    assert await place.each("pods") == {}
    await ends_well(place, controller)


async def owners(place: Place) -> dict[str, str]:
    return await place.each("pods", ".metadata.ownerReferences[?(@.kind=='Burst')].name")


@pytest.mark.plane(whole=True, since=(1, 27))
async def test_a_gated_pod_is_not_for_the_cloud_until_its_last_gate_goes(tmp_path: Path) -> None:
    """It fits nowhere either, but nobody has tried: whoever holds the gate has not let it go yet."""
    async with a_place(tmp_path, node_cpu="1", rules=RULES) as place:
        controller = place.controller()
        await place.apply(GATED)

        async def is_ready() -> bool:
            return (await condition(place, "tasks", "Ready")).get("status") == "True"

        await place.until("the policy is ready", is_ready)
        await asyncio.sleep(8)  # eight evaluations
        reasons = await place.each("pods", ".status.conditions[?(@.type=='PodScheduled')].reason")
        assert reasons == {"task-1": "SchedulingGated"}
        assert await place.each("bursts", ".metadata.uid") == {}
        gates = '[{"op": "remove", "path": "/spec/schedulingGates/0"}]'
        await place.kubectl("patch", "pod", "task-1", "--type=json", "-p", gates)

        async def is_done() -> bool:
            return await place.each("pods") == {"task-1": "Succeeded"}

        await place.until("it has run in the cloud", is_done, timeout_s=90)
        assert [run.where for run in place.hollow.runs] == ["cloud"]
        await place.until("everything is home", lambda: is_home(place), timeout_s=90)
        await ends_well(place, controller)
