"""The stories in which a controller dies at every boundary: between them they have every kind of thing that burster does."""

from typing import Any, Final

from burster.lab.caa.config import CaaFaults
from tests.faults.evidence import POLICIES
from tests.faults.scenes import NAMESPACE, SERVICES, TASKS, Scene, Stage, a_policy
from tests.support.machine_site import IMAGE, PORT


async def _a_service_has_a_peak(stage: Stage) -> None:
    stage.serve("web", 5)
    await stage.at(100)
    stage.scale("web", 2)


async def _tasks_move_and_their_policy_goes(stage: Stage) -> None:
    stage.serve("blocker", 2)
    await stage.at(1)
    stage.task("task-1", 30)
    stage.task("task-2", 300)
    await stage.at(100)
    stage.delete(POLICIES, "tasks")
    await stage.at(200)
    stage.scale("blocker", 0)


def _both_have_worked(stage: Stage) -> list[str]:
    first, second = stage.ran("task-1"), stage.ran("task-2")
    problems = []
    if [outcome for _, outcome in first] != ["Succeeded"]:
        problems.append(f"task-1 ran {first}")
    if second[-1:] != [("on-prem", "Succeeded")] or len(second) > 2:
        problems.append(f"task-2 ran {second}")
    if stage.there(POLICIES, "tasks"):
        problems.append("the policy is still there")
    return problems


async def _a_policy_is_paused_and_a_vm_is_left_behind(stage: Stage) -> None:
    stage.serve("web", 3)
    await stage.at(70)
    stage.annotate_policy("services", paused="true")
    stage.scale("web", 4)
    await stage.at(90)
    stage.scale("web", 2)
    stage.annotate_policy("services", paused=None)


async def _a_service_loses_its_policy(stage: Stage) -> None:
    stage.serve("web", 4)
    await stage.at(80)
    stage.delete(POLICIES, "services")


def _the_policy_is_gone(stage: Stage) -> list[str]:
    return ["the policy is still there"] if stage.there(POLICIES, "services") else []


_NUMBER: Final[dict[str, Any]] = a_policy(
    "number",
    {"kind": "Deployment", "namePattern": "web"},
    "Scale",
    scaleTargetRef={"name": "cloud"},
    triggers=[
        {
            "type": "cron",
            "metadata": {"start": "1 8 * * *", "end": "3 8 * * *", "timezone": "UTC", "desiredReplicas": 2},
        },
        {
            "type": "cron",
            "name": "later",
            "metadata": {"start": "5 8 * * *", "end": "30 8 * * *", "timezone": "UTC", "desiredReplicas": 1},
        },
    ],
    minReplicaCount=0,
    maxReplicaCount=2,
    pollingInterval=10,
    advanced={
        "restoreToOriginalReplicaCount": True,
        "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}},
    },
)


async def _a_number_rises_falls_and_is_put_back(stage: Stage) -> None:
    stage.serve_in_the_cloud("cloud", 0)
    await stage.at(380)
    stage.delete(POLICIES, "number")


def _the_number_is_back(stage: Stage) -> list[str]:
    workload = stage.there("deployments.apps", "cloud")
    replicas = workload["spec"]["replicas"] if workload else None
    problems = [] if replicas == 0 else [f"cloud has {replicas} replicas, and had 0 before the policy"]
    if stage.there(POLICIES, "number"):
        problems.append("the policy is still there")
    return problems


_MACHINES: Final[dict[str, Any]] = a_policy(
    "machines",
    {"kind": "Deployment", "namePattern": "nobody"},
    "Machine",
    triggers=[
        {
            "type": "cron",
            "metadata": {"start": "1 8 * * *", "end": "3 8 * * *", "timezone": "UTC", "desiredReplicas": 1},
        },
    ],
    machine={
        "requests": {"cpu": "1", "memory": "1Gi"},
        "image": IMAGE,
        "userData": {"configMap": "scorer"},
        "service": {"name": "scorer", "port": PORT},
    },
    minReplicaCount=0,
    maxReplicaCount=1,
    pollingInterval=10,
    advanced={"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}},
)


async def _a_machine_comes_and_goes(stage: Stage) -> None:
    stage.offer("scorer")
    await stage.at(260)


def _nobody_is_sent_anywhere(stage: Stage) -> list[str]:
    slices = stage.store.list("endpointslices.discovery.k8s.io", NAMESPACE)
    problems = [f"EndpointSlice {one['metadata']['name']} is still there" for one in slices]
    names = [vm.name for vm in stage.site.arm.billing.vms]
    if not names or len(set(names)) < len(names):
        problems.append(f"machines were made: {names}")
    return problems


SCENES: Final = (
    Scene("clones come and go", (SERVICES,), _a_service_has_a_peak),
    Scene("tasks move, and one is brought home", (TASKS,), _tasks_move_and_their_policy_goes, _both_have_worked),
    Scene(
        "a pause, and a VM that is left behind",
        (SERVICES,),
        _a_policy_is_paused_and_a_vm_is_left_behind,
        caa_faults=CaaFaults(crash_before_record=f"{NAMESPACE}/burst-web.*"),
    ),
    Scene("clones lose their policy", (SERVICES,), _a_service_loses_its_policy, _the_policy_is_gone),
    Scene("a machine comes and goes", (_MACHINES,), _a_machine_comes_and_goes, _nobody_is_sent_anywhere),
    Scene("a number is set and put back", (_NUMBER,), _a_number_rises_falls_and_is_put_back, _the_number_is_back),
)
