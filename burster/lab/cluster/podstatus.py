"""What a kubelet writes into a pod's status, from binding to its end.

Called by ``kubelet``. Pure: object and time in, new status out; the conditions' transition times move only on transitions.
"""

from typing import Any, Final

from burster.lab.apiserver.objects import items, section
from burster.lab.cluster.objects import Json, condition_of, rfc3339, with_condition


GRACE_DEFAULT_S: Final = 30


def bound_status(pod: Json, now_ms: int, host_ip: str) -> Json:
    """Return the status of a pod whose containers are being created."""
    status = _status(pod)
    conditions = _conditions(pod, now_ms, ready=False, reason="ContainersNotReady", started=False)
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    return {
        **status,
        "phase": "Pending",
        "conditions": conditions,
        "hostIP": host_ip,
        "startTime": status.get("startTime") or rfc3339(now_ms),
        "containerStatuses": [_container(c, waiting, ready=False, restarts=0) for c in pod["spec"]["containers"]],
    }


def running_status(pod: Json, now_ms: int, pod_ip: str, restarts: int) -> Json:
    """Return the status of a pod whose containers all run; Ready waits for its readiness gates."""
    status = _status(pod)
    running = {"running": {"startedAt": rfc3339(now_ms)}}
    return {
        **status,
        "phase": "Running",
        "conditions": _conditions(pod, now_ms, ready=True, reason="", started=True),
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "containerStatuses": [_container(c, running, ready=True, restarts=restarts) for c in pod["spec"]["containers"]],
    }


def regated_status(pod: Json, now_ms: int) -> Json:
    """Return the status of a running pod with Ready made to agree with its readiness gates."""
    return {**_status(pod), "conditions": _conditions(pod, now_ms, ready=True, reason="", started=True)}


def ended_status(pod: Json, now_ms: int, *, exit_code: int, reason: str = "", message: str = "") -> Json:
    """Return the status of a pod whose containers have all ended."""
    status = _status(pod)
    phase = "Failed" if exit_code else "Succeeded"
    why = reason or ("Error" if exit_code else "Completed")
    finished: dict[str, Any] = {"exitCode": exit_code, "reason": why, "finishedAt": rfc3339(now_ms)}
    if message:
        finished["message"] = message
    containers: list[Json] = []
    for former in items(status, "containerStatuses"):
        began = section(former, "state").get("running", {}).get("startedAt")
        state = {"terminated": {**finished, **({"startedAt": began} if began else {})}}
        containers.append({**former, "state": state, "ready": False, "started": False})
    conditions = _conditions(
        pod, now_ms, ready=False, reason="PodFailed" if exit_code else "PodCompleted", started=False
    )
    return {**status, "phase": phase, "conditions": conditions, "containerStatuses": containers}


def gate_objection(pod: Json) -> str:
    """Return why the readiness gates keep the pod from being Ready, in kubelet's words, or nothing."""
    objections: list[str] = []
    for gate in items(pod["spec"], "readinessGates"):
        kind = gate["conditionType"]
        condition = condition_of(pod, kind)
        if condition is None:
            objections.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif condition["status"] != "True":
            objections.append(f'the status of pod readiness gate "{kind}" is not "True", but {condition["status"]}')
    return ", ".join(objections)


def grace_seconds(pod: Json) -> int:
    """Return the grace period the pod is being deleted with, or would be."""
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", GRACE_DEFAULT_S)
    return int(grace)


def _status(pod: Json) -> Json:
    return section(pod, "status")


def _conditions(pod: Json, now_ms: int, *, ready: bool, reason: str, started: bool) -> list[Json]:
    objection = gate_objection(pod) if ready else ""
    names = [container["name"] for container in pod["spec"]["containers"]]
    unready = f"containers with unready status: [{' '.join(names)}]" if reason == "ContainersNotReady" else ""
    pod_ready: Json = {"type": "Ready", "status": "True"}
    if not ready:
        pod_ready = {"type": "Ready", "status": "False", "reason": reason, "message": unready}
    elif objection:
        pod_ready = {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": objection}
    containers: Json = {"type": "ContainersReady", "status": "True" if ready else "False"}
    if not ready:
        containers |= {"reason": reason, "message": unready}
    conditions: list[Json] = items(pod, "status", "conditions")
    for condition in (
        {"type": "PodReadyToStartContainers", "status": "True" if started else "False"},
        {"type": "Initialized", "status": "True"},
        pod_ready,
        containers,
        {"type": "PodScheduled", "status": "True"},
    ):
        former = next((other for other in conditions if other["type"] == condition["type"]), None)
        if former is None or {**former, "lastTransitionTime": ""} != {**condition, "lastTransitionTime": ""}:
            conditions = with_condition(conditions, condition, now_ms)
    return conditions


def _container(container: Json, state: Json, *, ready: bool, restarts: int) -> Json:
    image = container.get("image", "")
    return {
        "name": container["name"],
        "image": image,
        "imageID": image if ready else "",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {},
    }
