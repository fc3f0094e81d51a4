"""The columns that kubectl shows for a pod: how ready it is, its state in one word, its restarts.

The table of built-in columns includes it. The word is computed as a real API server does, from the containers' states.
"""

from typing import Any, Final

from burster.lab.apiserver.durations import age
from burster.lab.apiserver.errors import Json
from burster.lab.apiserver.objects import condition, is_object, items, section, text


POD_COLUMNS: Final = "Name Ready Status Restarts Age IP* Node* Nominated_Node* Readiness_Gates*"
_NONE: Final = "<none>"


def _waiting_or_ended(status: Json) -> str:
    """What keeps a container from running, in a word; nothing where it runs."""
    waiting, ended = section(status, "state", "waiting"), section(status, "state").get("terminated")
    if waiting.get("reason"):
        return str(waiting["reason"])
    if not is_object(ended):
        return ""
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _initializing(pod: Json) -> str:
    statuses = items(pod, "status", "initContainerStatuses")
    for index, status in enumerate(statuses):
        ended = section(status, "state").get("terminated")
        if is_object(ended) and ended.get("exitCode", 0) == 0:
            continue
        if status.get("started") and status.get("ready"):
            continue
        word = _waiting_or_ended(status)
        if word and word != "PodInitializing":
            return f"Init:{word}"
        return f"Init:{index}/{len(items(pod, 'spec', 'initContainers'))}"
    return ""


def pod_word(pod: Json) -> str:
    """A pod's state in one word."""
    word = text(pod, "status", "reason") or text(pod, "status", "phase") or "Unknown"
    if condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    initializing = _initializing(pod)
    if initializing and condition(pod, "Initialized").get("status") != "True":
        word = initializing
    else:
        running = False
        for status in reversed(items(pod, "status", "containerStatuses")):
            word = _waiting_or_ended(status) or word
            running = running or ("running" in section(status, "state") and bool(status.get("ready")))
        if word == "Completed" and running:
            word = "Running" if condition(pod, "Ready").get("status") == "True" else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if text(pod, "status", "reason") == "NodeLost" else "Terminating"
    return word


def pod_cells(pod: Json, now_ms: int) -> list[Any]:
    """A pod's cells."""
    statuses = items(pod, "status", "containerStatuses")
    ready = sum(1 for status in statuses if status.get("ready") and "running" in section(status, "state"))
    restarts = sum(int(status.get("restartCount", 0)) for status in statuses)
    conditions = {each.get("type"): each.get("status") for each in items(pod, "status", "conditions")}
    gates = items(pod, "spec", "readinessGates")
    passed = sum(1 for gate in gates if conditions.get(gate.get("conditionType")) == "True")
    return [
        pod["metadata"]["name"],
        f"{ready}/{len(items(pod, 'spec', 'containers'))}",
        pod_word(pod),
        str(restarts),
        age(text(pod, "metadata", "creationTimestamp"), now_ms),
        text(pod, "status", "podIP") or _NONE,
        text(pod, "spec", "nodeName") or _NONE,
        text(pod, "status", "nominatedNodeName") or _NONE,
        f"{passed}/{len(gates)}" if gates else _NONE,
    ]
