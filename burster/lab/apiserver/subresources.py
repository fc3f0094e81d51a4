"""The subresources that are more than a part of their object: binding, eviction, scale.

The server and the lab's own controllers call them. Each is a small transaction over the store.
"""

from typing import TYPE_CHECKING, Any, Final

from burster.lab.apiserver.errors import ApiError, Json, bad_value, conflict, invalid, modified, not_found, required
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import condition, is_object, section, terminating, timestamp, with_condition
from burster.lab.apiserver.selectors import label_selector_matches, label_selector_text


if TYPE_CHECKING:
    from burster.lab.apiserver.store import Store


_OVER: Final = ("Succeeded", "Failed")


def bind(store: "Store", namespace: str, name: str, node: str) -> None:
    """Assign a pod to a node."""
    pod = store.get("pods", namespace, name)
    assigned = section(pod, "spec").get("nodeName")
    why = ""
    if not node:
        raise invalid("Binding", "", name, [required("target.name")])
    if terminating(pod):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif assigned:
        why = f'pod {name} is already assigned to node "{assigned}"'
    elif section(pod, "spec").get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    if why:
        raise conflict("pods/binding", "", name, why)
    bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
    scheduled = {
        "type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": timestamp(store.now_ms()),
    }  # fmt: skip
    store.replace(store.kinds.need("pods"), with_condition(bound, scheduled), pod, checked=True)


def _count(value: Any, of: int, *, up: bool) -> int:
    """An int-or-percent of a number of pods."""
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * of
        return -(-share // 100) if up else share // 100
    return int(value)


def _healthy(pod: Json) -> bool:
    return condition(pod, "Ready").get("status") == "True" and not terminating(pod)


def disruptions_allowed(store: "Store", budget: Json) -> int:
    """How many pods a budget lets go now; counted from its pods where no controller has written it."""
    status = section(budget, "status")
    if "disruptionsAllowed" in status:
        return int(status["disruptionsAllowed"])
    spec, namespace = section(budget, "spec"), budget["metadata"]["namespace"]
    selector = section(spec, "selector")
    pods = [
        pod
        for pod in store.list("pods", namespace)
        if label_selector_matches(selector, section(pod, "metadata", "labels"))
    ]
    healthy = sum(1 for pod in pods if _healthy(pod))
    if spec.get("maxUnavailable") is not None:
        wanted = len(pods) - _count(spec["maxUnavailable"], len(pods), up=True)
    else:
        wanted = _count(spec.get("minAvailable", 1), len(pods), up=True)
    return max(0, healthy - wanted)


def evict(store: "Store", namespace: str, name: str, options: Json, *, dry_run: bool) -> None:
    """Delete a pod unless a disruption budget forbids it."""
    pod = store.get("pods", namespace, name)
    if section(pod, "status").get("phase") not in (*_OVER, "Pending") and not terminating(pod):
        labels = section(pod, "metadata", "labels")
        for budget in store.list("poddisruptionbudgets.policy", namespace):
            if label_selector_matches(section(budget, "spec", "selector"), labels):
                _spend(store, budget, healthy=_healthy(pod), dry_run=dry_run)
    preconditions = section(options, "preconditions")
    store.delete(
        "pods",
        namespace,
        name,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        grace_seconds=options.get("gracePeriodSeconds"),
        dry_run=dry_run,
    )


def _spend(store: "Store", budget: Json, *, healthy: bool, dry_run: bool) -> None:
    name, namespace = budget["metadata"]["name"], budget["metadata"]["namespace"]
    status = section(budget, "status")
    enough = int(status.get("currentHealthy", 0)) >= int(status.get("desiredHealthy", 0)) > 0
    if not healthy and enough:
        return
    allowed = disruptions_allowed(store, budget)
    if allowed <= 0:
        message = "Cannot evict pod as it would violate the pod's disruption budget."
        told = f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
        told += f"{status.get('currentHealthy', 0)} currently"
        details: Json = {"causes": [{"reason": "DisruptionBudget", "message": told}]}
        raise ApiError(429, "TooManyRequests", message, details=details)
    if "disruptionsAllowed" in status and not dry_run:
        spent = {**budget, "status": {**status, "disruptionsAllowed": allowed - 1}}
        store.update("poddisruptionbudgets.policy", namespace, name, spent, subresource="status")


_BUILT_IN_SCALE: Final[Json] = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".spec.selector",
}


def _paths(kind: Kind) -> Json:
    return kind.scale or _BUILT_IN_SCALE


def _at(obj: Json, path: str) -> Any:
    keys = path.lstrip(".").split(".")
    return section(obj, *keys[:-1]).get(keys[-1])


def read_scale(kind: Kind, obj: Json) -> Json:
    """An object's Scale."""
    paths, metadata = _paths(kind), obj["metadata"]
    wanted = _at(obj, paths["specReplicasPath"])
    if wanted is None and kind.custom:
        raise ApiError(500, "InternalError", f"the spec replicas field {paths['specReplicasPath']!r} does not exist")
    scale_status: Json = {"replicas": _at(obj, paths["statusReplicasPath"]) or 0}
    selector = _at(obj, paths["labelSelectorPath"]) if paths.get("labelSelectorPath") else None
    if isinstance(selector, str):
        scale_status["selector"] = selector
    elif is_object(selector):
        scale_status["selector"] = label_selector_text(selector)
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in shown if key in metadata},
        "spec": {"replicas": wanted or 0},
        "status": scale_status,
    }


def write_scale(store: "Store", kind: Kind, obj: Json, scale: Json, *, dry_run: bool, field_manager: str) -> Json:
    """Set an object's wanted replicas from a Scale."""
    metadata = obj["metadata"]
    wanted = section(scale, "spec").get("replicas", 0)
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise ApiError(400, "BadRequest", "spec.replicas of a Scale must be a whole number")
    if wanted < 0:
        raise invalid(
            "Scale",
            "autoscaling",
            metadata["name"],
            [bad_value("spec.replicas", wanted, "must be greater than or equal to 0")],
        )
    given = section(scale, "metadata").get("resourceVersion")
    if given and given != metadata["resourceVersion"]:
        raise modified(kind.plural, kind.group, metadata["name"])
    keys = _paths(kind)["specReplicasPath"].lstrip(".").split(".")
    new = _set(obj, keys, wanted)
    namespace = metadata.get("namespace", "")
    written = store.update(
        kind.resource, namespace, metadata["name"], new, dry_run=dry_run, field_manager=field_manager
    )
    return read_scale(kind, written)


def _set(obj: Json, keys: list[str], value: Any) -> Json:
    if len(keys) == 1:
        return {**obj, keys[0]: value}
    return {**obj, keys[0]: _set(section(obj, keys[0]), keys[1:], value)}


def check_scalable(kind: Kind) -> None:
    """Refuse the scale of a kind that has none."""
    if "scale" not in kind.subresources:
        raise not_found(f"{kind.plural}/scale", kind.group, "")
