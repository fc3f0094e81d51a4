"""The columns that kubectl shows for built-in kinds, as a real API server computes them.

Tables use it. Each kind's columns and its cells stand side by side; "wide" columns have priority 1.
"""

from collections.abc import Callable
from typing import Any, Final

from burster.lab.apiserver.durations import age, human
from burster.lab.apiserver.errors import Json
from burster.lab.apiserver.objects import condition, is_object, items, parse_timestamp, section, text
from burster.lab.apiserver.podcolumns import POD_COLUMNS, pod_cells
from burster.lab.apiserver.selectors import label_selector_text


Cells = Callable[[Json, int], list[Any]]

NONE: Final = "<none>"


def _born(obj: Json, now_ms: int) -> str:
    return age(text(obj, "metadata", "creationTimestamp"), now_ms)


def _name(obj: Json) -> str:
    return obj["metadata"]["name"]


def _containers(spec: Json) -> tuple[str, str]:
    containers = items(spec, "containers")
    return ",".join(text(each, "name") for each in containers), ",".join(text(each, "image") for each in containers)


def _of_template(obj: Json) -> list[Any]:
    names, images = _containers(section(obj, "spec", "template", "spec"))
    return [names, images, label_selector_text(section(obj, "spec", "selector"))]


def _node(obj: Json, now_ms: int) -> list[Any]:
    ready = condition(obj, "Ready")
    states = ["Ready" if ready.get("status") == "True" else "NotReady"] if ready else ["Unknown"]
    if section(obj, "spec").get("unschedulable"):
        states.append("SchedulingDisabled")
    prefix = "node-role.kubernetes.io/"
    labels = section(obj, "metadata", "labels")
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix) and key != prefix)
    info = section(obj, "status", "nodeInfo")
    addresses = {each.get("type"): each.get("address") for each in items(obj, "status", "addresses")}
    return [
        _name(obj),
        ",".join(states),
        ",".join(roles) or NONE,
        _born(obj, now_ms),
        info.get("kubeletVersion") or "",
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _number(obj: Json, *path: str) -> int:
    value = section(obj, *path[:-1]).get(path[-1])
    return value if isinstance(value, int) else 0


def _deployment(obj: Json, now_ms: int) -> list[Any]:
    ready = f"{_number(obj, 'status', 'readyReplicas')}/{_number(obj, 'spec', 'replicas')}"
    updated, available = _number(obj, "status", "updatedReplicas"), _number(obj, "status", "availableReplicas")
    return [_name(obj), ready, updated, available, _born(obj, now_ms), *_of_template(obj)]


def _replica_set(obj: Json, now_ms: int) -> list[Any]:
    wanted, there = _number(obj, "spec", "replicas"), _number(obj, "status", "replicas")
    return [_name(obj), wanted, there, _number(obj, "status", "readyReplicas"), _born(obj, now_ms), *_of_template(obj)]


def _stateful_set(obj: Json, now_ms: int) -> list[Any]:
    ready = f"{_number(obj, 'status', 'readyReplicas')}/{_number(obj, 'spec', 'replicas')}"
    return [_name(obj), ready, _born(obj, now_ms), *_of_template(obj)[:2]]


def _job_state(obj: Json) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind, shown in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
    ):
        if condition(obj, kind).get("status") == "True":
            return shown
    return "Running"


def _job(obj: Json, now_ms: int) -> list[Any]:
    done, wanted = _number(obj, "status", "succeeded"), section(obj, "spec").get("completions")
    parallel = _number(obj, "spec", "parallelism")
    of = f"1 of {parallel}" if parallel > 1 else "1"
    completions = f"{done}/{of if wanted is None else wanted}"
    started = parse_timestamp(text(obj, "status", "startTime"))
    ended = parse_timestamp(text(obj, "status", "completionTime"))
    took = "" if started is None else human(((now_ms if ended is None else ended) - started) // 1000)
    return [_name(obj), _job_state(obj), completions, took, _born(obj, now_ms), *_of_template(obj)]


def _event(obj: Json, now_ms: int) -> list[Any]:
    about = section(obj, "involvedObject")
    first = text(obj, "firstTimestamp") or text(obj, "eventTime")
    series = section(obj, "series")
    last = text(series, "lastObservedTime") or text(obj, "lastTimestamp") or first
    component = text(obj, "source", "component") or text(obj, "reportingComponent")
    host = text(obj, "source", "host") or text(obj, "reportingInstance")
    return [
        age(last, now_ms),
        text(obj, "type"),
        text(obj, "reason"),
        f"{text(about, 'kind').lower()}/{text(about, 'name')}",
        text(about, "fieldPath"),
        ", ".join(each for each in (component, host) if each),
        text(obj, "message").strip(),
        age(first, now_ms),
        series.get("count") or obj.get("count") or 1,
        _name(obj),
    ]


def _port(port: Json) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}"


def _service(obj: Json, now_ms: int) -> list[Any]:
    spec = section(obj, "spec")
    ports = ",".join(_port(port) for port in items(spec, "ports")) or NONE
    selector = ",".join(f"{key}={value}" for key, value in sorted(section(spec, "selector").items())) or NONE
    external = ",".join(items(spec, "externalIPs")) or ("<pending>" if spec.get("type") == "LoadBalancer" else NONE)
    return [_name(obj), spec.get("type"), spec.get("clusterIP") or NONE, external, ports, _born(obj, now_ms), selector]


def _budget(obj: Json, now_ms: int) -> list[Any]:
    spec = section(obj, "spec")
    least, most = spec.get("minAvailable", "N/A"), spec.get("maxUnavailable", "N/A")
    return [_name(obj), str(least), str(most), _number(obj, "status", "disruptionsAllowed"), _born(obj, now_ms)]


def _slice(obj: Json, now_ms: int) -> list[Any]:
    ports = ",".join(str(port.get("port", "*")) for port in items(obj, "ports")) or "<unset>"
    addresses = [address for each in items(obj, "endpoints") if is_object(each) for address in items(each, "addresses")]
    return [_name(obj), obj.get("addressType"), ports, ",".join(addresses) or "<unset>", _born(obj, now_ms)]


def _data(obj: Json) -> int:
    return len(section(obj, "data")) + len(section(obj, "binaryData"))


def _priority(obj: Json, now_ms: int) -> list[Any]:
    policy = obj.get("preemptionPolicy") or "PreemptLowerPriority"
    return [_name(obj), obj.get("value", 0), bool(obj.get("globalDefault")), _born(obj, now_ms), policy]


def _default(obj: Json, now_ms: int) -> list[Any]:
    return [_name(obj), _born(obj, now_ms)]


TEMPLATE: Final = "Containers* Images* Selector*"
#: resource -> its columns ("*" wide, "#" a number) and its cells
BUILT_IN: Final[dict[str, tuple[str, Cells]]] = {
    "pods": (POD_COLUMNS, pod_cells),
    "nodes": (
        "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* Container-Runtime*",
        _node,
    ),
    "deployments.apps": (f"Name Ready Up-to-date# Available# Age {TEMPLATE}", _deployment),
    "replicasets.apps": (f"Name Desired# Current# Ready# Age {TEMPLATE}", _replica_set),
    "replicationcontrollers": (f"Name Desired# Current# Ready# Age {TEMPLATE}", _replica_set),
    "statefulsets.apps": ("Name Ready Age Containers* Images*", _stateful_set),
    "jobs.batch": (f"Name Status Completions Duration Age {TEMPLATE}", _job),
    "events": ("Last_Seen Type Reason Object Subobject* Source* Message First_Seen* Count#* Name*", _event),
    "namespaces": (
        "Name Status Age",
        lambda obj, now_ms: [_name(obj), text(obj, "status", "phase"), _born(obj, now_ms)],
    ),
    "services": ("Name Type Cluster-IP External-IP Port(s) Age Selector*", _service),
    "configmaps": ("Name Data Age", lambda obj, now_ms: [_name(obj), str(_data(obj)), _born(obj, now_ms)]),
    "secrets": (
        "Name Type Data Age",
        lambda obj, now_ms: [_name(obj), text(obj, "type"), str(_data(obj)), _born(obj, now_ms)],
    ),
    "leases.coordination.k8s.io": (
        "Name Holder Age",
        lambda obj, now_ms: [_name(obj), text(obj, "spec", "holderIdentity"), _born(obj, now_ms)],
    ),
    "runtimeclasses.node.k8s.io": (
        "Name Handler Age",
        lambda obj, now_ms: [_name(obj), text(obj, "handler"), _born(obj, now_ms)],
    ),
    "poddisruptionbudgets.policy": ("Name Min_Available Max_Unavailable Allowed_Disruptions# Age", _budget),
    "endpointslices.discovery.k8s.io": ("Name AddressType Ports Endpoints Age", _slice),
    "priorityclasses.scheduling.k8s.io": ("Name Value# Global-Default Age PreemptionPolicy", _priority),
    "customresourcedefinitions.apiextensions.k8s.io": (
        "Name Created_At",
        lambda obj, _: [_name(obj), text(obj, "metadata", "creationTimestamp")],
    ),
}
DEFAULT: Final[tuple[str, Cells]] = ("Name Age", _default)
