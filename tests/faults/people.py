"""What people do to what is burster's, and to what burster stands on, while a burst is in one phase of its life.

Each deed is done at the very instant at which the record says the phase, by means that people have: the API server and ARM. A service and
a task have one burst each; who deletes what was theirs to delete is not owed it any more.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from burster.engine.bursts.vms import stem_of, vm_stem
from burster.lab.apiserver.errors import ApiError
from burster.policy.compile import compile_target
from tests.faults.evidence import BURSTS, POLICIES
from tests.faults.mortal import Moment
from tests.faults.scenes import NAMESPACE, SERVICES, TARGET, TASKS, Scene, Stage


PHASES: Final = ("Reserved", "Placing", "Provisioning", "Attesting", "Serving", "Draining", "Releasing")
STRATEGIES: Final = ("Clone", "Move")
TASK: Final = "task-1"


async def delete_the_burst(stage: Stage, burst: dict[str, Any]) -> None:
    stage.delete(BURSTS, burst["metadata"]["name"])


async def delete_its_pod(stage: Stage, burst: dict[str, Any]) -> None:
    """The cloud pod; while there is none, the pod that it is for."""
    spec = burst["spec"]
    name = spec["podName"] if stage.there("pods", spec["podName"]) else spec["forPod"]["name"]
    if stage.there("pods", name):
        stage.delete("pods", name)
    stage.player.tasks.clear()  # nobody wants it any more


async def delete_its_vm(stage: Stage, burst: dict[str, Any]) -> None:
    if (burst.get("status") or {}).get("phase") == "Provisioning":
        await stage.clock.sleep(5)  # it is being made
    target = compile_target(TARGET)
    for vm in stage.site.arm.vms.values():
        if stem_of(vm.name) == vm_stem(burst["spec"]["podName"]):
            await stage.cloud.delete_vm(target, vm.name)


async def take_its_finalizer_off(stage: Stage, burst: dict[str, Any]) -> None:
    stage.edit(BURSTS, burst["metadata"]["name"], metadata={"finalizers": None})


async def remove_the_burst_by_force(stage: Stage, burst: dict[str, Any]) -> None:
    name = burst["metadata"]["name"]
    stage.edit(BURSTS, name, metadata={"finalizers": None})
    if stage.there(BURSTS, name):
        stage.delete(BURSTS, name)


async def remove_the_pod_by_force(stage: Stage, burst: dict[str, Any]) -> None:
    """As ``kubectl delete --force`` does, after its finalizers were taken off."""
    pod = stage.there("pods", burst["spec"]["podName"])
    if pod is not None:
        stage.edit("pods", pod["metadata"]["name"], metadata={"finalizers": None})
        if stage.there("pods", pod["metadata"]["name"]):
            stage.store.delete("pods", NAMESPACE, pod["metadata"]["name"], grace_seconds=0)
    stage.player.tasks.clear()


def _status(**values: Any) -> "Deed":
    async def edit(stage: Stage, burst: dict[str, Any]) -> None:
        stage.edit(BURSTS, burst["metadata"]["name"], "status", status=values)

    return edit


def _spec(**values: Any) -> "Deed":
    async def edit(stage: Stage, burst: dict[str, Any]) -> None:
        stage.edit(BURSTS, burst["metadata"]["name"], spec=values)

    return edit


async def edit_its_marks(stage: Stage, burst: dict[str, Any]) -> None:
    marks = {"burster.dev/epoch": "99"}
    stage.edit(BURSTS, burst["metadata"]["name"], metadata={"annotations": marks})


async def delete_the_policy(stage: Stage, _: dict[str, Any]) -> None:
    if stage.there(POLICIES, "it"):
        stage.delete(POLICIES, "it")


async def remove_the_policy_by_force(stage: Stage, burst: dict[str, Any]) -> None:
    await delete_the_policy(stage, burst)
    if stage.there(POLICIES, "it"):
        stage.edit(POLICIES, "it", metadata={"finalizers": None})


async def delete_the_namespace(stage: Stage, _: dict[str, Any]) -> None:
    stage.store.delete("namespaces", "", NAMESPACE)
    stage.player.tasks.clear()


async def delete_the_runtime_class(stage: Stage, _: dict[str, Any]) -> None:
    stage.store.delete("runtimeclasses.node.k8s.io", "", "kata-remote")


async def delete_the_target(stage: Stage, _: dict[str, Any]) -> None:
    stage.store.delete("bursttargets.burster.dev", "", "azure")


Deed = Callable[[Stage, dict[str, Any]], Awaitable[None]]
DEEDS: Final[dict[str, Deed]] = {
    "delete the Burst": delete_the_burst,
    "delete its pod": delete_its_pod,
    "delete its VM": delete_its_vm,
    "take its finalizer off": take_its_finalizer_off,
    "remove the Burst by force": remove_the_burst_by_force,
    "remove the pod by force": remove_the_pod_by_force,
    "say that it cost nothing": _status(settledMicroUsd=0, reservedMicroUsd=0),
    "say that it cost a fortune": _status(settledMicroUsd=10**12, reservedMicroUsd=10**12),
    "say that it is Released": _status(phase="Released", settledMicroUsd=0, releasedAt="2026-01-05T08:00:00.000Z"),
    "say that it serves": _status(phase="Serving"),
    "say that it is elsewhere": _spec(target="elsewhere"),
    "say that it is dear": _spec(priceMicroUsdPerHour=10**9, reservedMicroUsd=10**9),
    "say that another lead made it": edit_its_marks,
    "delete the policy": delete_the_policy,
    "remove the policy by force": remove_the_policy_by_force,
    "delete the namespace": delete_the_namespace,
    "delete the RuntimeClass": delete_the_runtime_class,
    "delete the target": delete_the_target,
}


class Crash(NamedTuple):
    """How soon after a deed the controller dies: so many of its operations later."""

    operations: int
    moment: Moment


def a_scene(strategy: str, phase: str, deed: str, crash: Crash | None = None) -> Scene:
    """Return a world with one burst, to which something is done in one phase of its life."""
    clone = strategy == "Clone"
    rule = SERVICES if clone else TASKS
    rule = {**rule, "metadata": {**rule["metadata"], "name": "it"}}

    async def story(stage: Stage) -> None:
        stage.serve("web" if clone else "blocker", 3 if clone else 2)
        await stage.at(1)
        if not clone:
            stage.task(TASK, 300 if phase == "Draining" else 60)
        if phase in {"Draining", "Releasing"} and (clone or phase == "Draining"):
            await stage.burst_in("Serving")
            if clone:
                stage.scale("web", 2)
            else:
                stage.delete(POLICIES, "it")
        burst = await stage.burst_in(phase)
        try:
            await DEEDS[deed](stage, burst)
        except ApiError as refused:
            stage.refused = str(refused)
        if crash is not None and stage.life is not None:
            stage.life.doom(*crash)
        await stage.clock.sleep(200)
        _set_right(stage)
        await stage.clock.sleep(100)
        for name in ("web", "blocker"):
            if stage.there("deployments.apps", name):
                stage.scale(name, 0)

    return Scene(f"{deed}, {strategy}, {phase}", (rule,), story)


def _set_right(stage: Stage) -> None:
    """Put back what a platform team would put back; what comes home to a target that is gone waits for it."""
    if not stage.store.list("bursttargets.burster.dev"):
        stage.store.create("bursttargets.burster.dev", "", TARGET)
