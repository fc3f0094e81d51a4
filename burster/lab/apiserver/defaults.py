"""What a real API server fills into built-in objects on create and update, as far as clients look at it.

The store calls it before admission. It returns new objects and shares what it leaves alone.
"""

from collections.abc import Callable
from typing import Any, Final

from burster.lab.apiserver.errors import Json
from burster.lab.apiserver.objects import is_array, is_object, items, section


Defaulter = Callable[[Json], Json]

_CONTAINER: Final[Json] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_POD_SPEC: Final[Json] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_TOLERATION_S: Final = 300
_UNREACHABLE: Final = tuple(
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": _TOLERATION_S,
    }
    for key in ("not-ready", "unreachable")
)


def _pull_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"


def _resources(resources: Json) -> Json:
    """Limits become requests where there is no request; quantities written as numbers become strings."""
    limits, requests = section(resources, "limits"), section(resources, "requests")
    if not limits and all(isinstance(each, str) for each in requests.values()):
        return resources
    filled = {**resources, "requests": {key: str(value) for key, value in {**limits, **requests}.items()}}
    if limits:
        filled["limits"] = {key: str(value) for key, value in limits.items()}
    return filled


def _container(container: Any) -> Any:
    if not is_object(container):
        return container
    filled: Json = {
        **_CONTAINER,
        "resources": {},
        "imagePullPolicy": _pull_policy(str(container.get("image") or "")),
        **container,
    }
    filled["resources"] = _resources(filled["resources"] or {})
    if is_array(ports := filled.get("ports")):
        filled["ports"] = [{"protocol": "TCP", **port} if is_object(port) else port for port in ports]
    return filled


def pod_spec(spec: Json) -> Json:
    """The defaults of a pod's spec, also inside templates."""
    filled = {**_POD_SPEC, **spec}
    for field in ("containers", "initContainers"):
        if is_array(containers := filled.get(field)):
            filled[field] = [_container(container) for container in containers]
    return filled


def _qos(spec: Json) -> str:
    guaranteed, any_set = True, False
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        requests, limits = section(container, "resources", "requests"), section(container, "resources", "limits")
        any_set = any_set or bool(requests or limits)
        for resource in ("cpu", "memory"):
            if resource not in limits or requests.get(resource, limits[resource]) != limits[resource]:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _pod(pod: Json) -> Json:
    spec: Json = {
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        **pod_spec(section(pod, "spec")),
    }
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    tolerations = items(spec, "tolerations")
    keys = {each.get("key") for each in tolerations if each.get("effect") in (None, "", "NoExecute")}
    spec["tolerations"] = [
        *tolerations,
        *(each for each in _UNREACHABLE if each["key"] not in keys and None not in keys),
    ]
    return {**pod, "spec": spec}


def pod_status(pod: Json) -> Json:
    """The status a new pod starts with. That it has gates is said at once, and not by the scheduler."""
    status: Json = {"phase": "Pending", "qosClass": _qos(section(pod, "spec"))}
    if items(pod, "spec", "schedulingGates"):
        gated = {
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "lastProbeTime": None,
            "lastTransitionTime": section(pod, "metadata").get("creationTimestamp"),
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }  # fmt: skip
        status["conditions"] = [gated]
    return status


def _with_template(obj: Json, spec: Json) -> Json:
    template = spec.get("template")
    if is_object(template) and is_object(template.get("spec")):
        metadata = {"creationTimestamp": None, **section(template, "metadata")}
        spec = {**spec, "template": {**template, "metadata": metadata, "spec": pod_spec(template["spec"])}}
    return {**obj, "spec": spec}


def _deployment(obj: Json) -> Json:
    spec: Json = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        **section(obj, "spec"),
    }
    if not section(spec, "strategy").get("type"):
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    return _with_template(obj, spec)


def _replica_set(obj: Json) -> Json:
    return _with_template(obj, {"replicas": 1, **section(obj, "spec")})


def _stateful_set(obj: Json) -> Json:
    spec: Json = {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        **section(obj, "spec"),
    }
    return _with_template(obj, spec)


def _daemon_set(obj: Json) -> Json:
    spec: Json = {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        **section(obj, "spec"),
    }
    return _with_template(obj, spec)


def _job(obj: Json) -> Json:
    given = section(obj, "spec")
    spec: Json = {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        **given,
    }
    if given.get("completions") is None and given.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    if not spec.get("manualSelector"):
        uid = obj["metadata"]["uid"]
        template = section(spec, "template")
        name = obj["metadata"]["name"]
        labels = {
            "batch.kubernetes.io/controller-uid": uid,
            "batch.kubernetes.io/job-name": name,
            "controller-uid": uid,
            "job-name": name,
        }
        metadata = section(template, "metadata")
        metadata = {**metadata, "labels": {**section(metadata, "labels"), **labels}}
        spec["template"] = {**template, "metadata": metadata}
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    return _with_template(obj, spec)


def _service(obj: Json) -> Json:
    spec: Json = {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        **section(obj, "spec"),
    }
    ports = [{"protocol": "TCP", "targetPort": port.get("port"), **port} for port in items(spec, "ports")]
    if ports:
        spec["ports"] = ports
    return {**obj, "spec": spec, "status": {"loadBalancer": {}, **section(obj, "status")}}


def _namespace(obj: Json) -> Json:
    labels = {**section(obj, "metadata", "labels"), "kubernetes.io/metadata.name": obj["metadata"]["name"]}
    return {
        **obj,
        "metadata": {**obj["metadata"], "labels": labels},
        "spec": {"finalizers": ["kubernetes"], **section(obj, "spec")},
        "status": {"phase": "Active", **section(obj, "status")},
    }


def _secret(obj: Json) -> Json:
    return {"type": "Opaque", **obj}


def _crd(obj: Json) -> Json:
    spec = {"conversion": {"strategy": "None"}, **section(obj, "spec")}
    names = section(spec, "names")
    kind = names.get("kind") or ""
    spec["names"] = {"singular": kind.lower(), "listKind": f"{kind}List", **names}
    return {**obj, "spec": spec}


def _hpa(obj: Json) -> Json:
    return {**obj, "spec": {"minReplicas": 1, **section(obj, "spec")}}


_DEFAULTERS: Final[dict[str, Defaulter]] = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "replicationcontrollers": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "services": _service,
    "namespaces": _namespace,
    "secrets": _secret,
    "horizontalpodautoscalers.autoscaling": _hpa,
    "customresourcedefinitions.apiextensions.k8s.io": _crd,
}


def fill_defaults(resource: str, obj: Json) -> Json:
    """The object with its kind's defaults filled in."""
    defaulter = _DEFAULTERS.get(resource)
    return obj if defaulter is None else defaulter(obj)


#: the status a new object of a kind starts with, where it is not empty
_NEW_STATUS: Final[dict[str, Defaulter]] = {
    "pods": pod_status,
    "namespaces": lambda _: {"phase": "Active"},
    "services": lambda _: {"loadBalancer": {}},
}


def new_status(resource: str, obj: Json) -> Json:
    """The status of an object just created."""
    maker = _NEW_STATUS.get(resource)
    return {} if maker is None else maker(obj)
