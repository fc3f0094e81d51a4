"""The admission a real API server does itself: RuntimeClass, priority, namespaces.

The store runs it after the plugins it was given, so that a RuntimeClass set by one of them counts. It returns new objects.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from burster.lab.apiserver.errors import Json, forbidden, not_found
from burster.lab.apiserver.kinds import Kind
from burster.lab.apiserver.objects import items, section, terminating


if TYPE_CHECKING:
    from burster.lab.apiserver.store import Store


class Plugin(Protocol):
    """Mutating admission: returns the object to go on with, or raises ApiError to refuse it."""

    def __call__(self, resource: str, operation: str, obj: Json, user: str, /) -> Json:
        """See one CREATE or UPDATE."""
        ...


def plugin_name(plugin: Callable[..., Json]) -> str:
    """Plugins run in the order of their names, as webhook configurations do."""
    return str(getattr(plugin, "name", getattr(plugin, "__name__", type(plugin).__name__)))


def check_home(store: "Store", kind: Kind, namespace: str, name: str) -> None:
    """A new object needs a namespace that is there and stays."""
    if not kind.namespaced:
        return
    home = store.peek("namespaces", f"/{namespace}")
    if home is None:
        raise not_found("namespaces", "", namespace)
    if terminating(home):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        refusal = forbidden(kind.plural, kind.group, name, why)
        message = f"namespace {namespace} is being terminated"
        cause: Json = {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
        refusal.details = {**(refusal.details or {}), "causes": [cause]}
        raise refusal


def admit_pod(store: "Store", pod: Json) -> Json:
    """What the RuntimeClass and Priority plugins do to a new pod."""
    return _with_priority(store, _with_runtime_class(store, pod))


def _with_runtime_class(store: "Store", pod: Json) -> Json:
    spec = pod["spec"]
    name = spec.get("runtimeClassName")
    if not name:
        return pod
    pod_name = pod["metadata"]["name"]
    found = store.peek("runtimeclasses.node.k8s.io", f"/{name}")
    if found is None:
        raise forbidden("pods", "", pod_name, f'pod rejected: RuntimeClass "{name}" not found')
    overhead = section(found, "overhead", "podFixed")
    changes: Json = {}
    if overhead:
        if spec.get("overhead") not in (None, overhead):
            why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            raise forbidden("pods", "", pod_name, why)
        changes["overhead"] = overhead
    wanted, given = section(found, "scheduling", "nodeSelector"), section(spec, "nodeSelector")
    if wanted:
        if any(given.get(key, value) != value for key, value in wanted.items()):
            why = "pod rejected: conflict: runtimeClass.scheduling.nodeSelector"
            raise forbidden("pods", "", pod_name, why)
        changes["nodeSelector"] = {**given, **wanted}
    tolerations = items(found, "scheduling", "tolerations")
    if tolerations:
        own = items(spec, "tolerations")
        changes["tolerations"] = [*own, *(each for each in tolerations if each not in own)]
    return {**pod, "spec": {**spec, **changes}} if changes else pod


_SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def _with_priority(store: "Store", pod: Json) -> Json:
    spec = pod["spec"]
    name = spec.get("priorityClassName")
    if not name:
        return pod
    found = store.peek("priorityclasses.scheduling.k8s.io", f"/{name}")
    if found is None and name not in _SYSTEM:
        raise forbidden("pods", "", pod["metadata"]["name"], f"no PriorityClass with name {name} was found")
    priority = _SYSTEM[name] if found is None else found.get("value", 0)
    policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    return {**pod, "spec": {**spec, "priority": priority, "preemptionPolicy": policy}}
