"""kube-state-metrics' page, as far as rules for bursting look at it: pods by phase and by why they wait, nodes, Deployments.

Made from the lab's store whenever somebody asks. Names, labels and the zeros are kube-state-metrics'.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from burster.lab.apiserver.store import Store


_PHASES: Final = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def kube_state_metrics(store: Store) -> str:
    """Return the page, in Prometheus' text format."""
    pods = list(store.list("pods"))
    lines = [*_family("kube_pod_status_phase", "The pods current phase.", _pod_phases(pods))]
    lines += _family("kube_pod_status_unschedulable", "Describes the unschedulable status for the pod.", _waiting(pods))
    lines += _family("kube_node_info", "Information about a cluster node.", _nodes(store))
    lines += _family("kube_deployment_spec_replicas", "Number of desired pods.", _deployments(store))
    return "\n".join(lines) + "\n"


_Sample = tuple[dict[str, str], int]


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Return one line of the text format."""
    written = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{name}{{{written}}} {value:g}" if written else f"{name} {value:g}"


def _family(name: str, text: str, samples: Iterator[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        yield sample(name, labels, value)


def _of(obj: Mapping[str, Any]) -> dict[str, str]:
    metadata = obj["metadata"]
    return {"namespace": metadata.get("namespace", ""), "pod": metadata["name"], "uid": metadata.get("uid", "")}


def _pod_phases(pods: list[dict[str, Any]]) -> Iterator[_Sample]:
    for pod in pods:
        now = pod.get("status", {}).get("phase", "Pending")
        for phase in _PHASES:
            yield {**_of(pod), "phase": phase}, int(phase == now)


def _waiting(pods: list[dict[str, Any]]) -> Iterator[_Sample]:
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
                yield _of(pod), 1


def _nodes(store: Store) -> Iterator[_Sample]:
    for node in store.list("nodes"):
        yield {"node": node["metadata"]["name"]}, 1


def _deployments(store: Store) -> Iterator[_Sample]:
    for one in store.list("deployments.apps"):
        labels = {"namespace": one["metadata"]["namespace"], "deployment": one["metadata"]["name"]}
        yield labels, one["spec"].get("replicas", 1)
