"""What Kubernetes itself can be asked for a number: how many pods there are, how much they use, and external metrics.

Called by ``burster.sources.metrics``. Counts as KEDA (kubernetes-workload) and the HPA (cpu, memory) do. burster's own cloud pods carry
their workload's labels; they are no part of a measured workload, whose number of replicas does not count them either.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol

import msgspec

from burster.clients.metric_errors import Fault, MetricError
from burster.clients.workloads import path_of
from burster.model.errors import QuantityError, RemoteError
from burster.model.quantities import parse_cpu_millicores, parse_memory_bytes, parse_milli
from burster.model.stimuli import PodUse
from burster.model.triggers import ExternalTrigger, KubernetesWorkloadTrigger, ResourceTrigger
from burster.sources.wire import BURST_LABEL, Condition, ResourceNeeds, Time, epoch_ms


#: More pods than one policy can sensibly count or measure.
PODS_MAX: Final = 50_000
_NOT_ENDED: Final = "status.phase!=Succeeded,status.phase!=Failed"
_METRIC_NAME: Final = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,252}")
_FAULTS: Final[dict[str, Fault]] = {
    "Unreachable": "unreachable",
    "Timeout": "timeout",
    "Unauthorized": "auth",
    "NotFound": "client_error",
    "Invalid": "client_error",
    "Throttled": "throttled",
    "Unavailable": "server_error",
    "Expired": "server_error",
}


class Page(Protocol):
    """A page of a list."""

    @property
    def body(self) -> bytes:
        """Return it, undecoded."""
        ...


class Kube(Protocol):
    """Who reads the API: burster.clients.kube.Kube."""

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> bytes:
        """Return an object or a list. Raises RemoteError."""
        ...

    def pages(self, path: str, params: Mapping[str, str | int] | None = None) -> AsyncGenerator[Any]:
        """Yield a list in pages. Raises RemoteError."""
        ...


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    deletion_timestamp: str | None = None


class _Container(msgspec.Struct):
    name: str = ""
    resources: ResourceNeeds | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    node_name: str | None = None
    containers: list[_Container] | None = None


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str | None = None
    start_time: Time | None = None
    conditions: list[Condition] | None = None


class _Pod(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Pods(msgspec.Struct):
    items: list[_Pod] | None = None


class _Usage(msgspec.Struct):
    name: str = ""
    usage: dict[str, str] = {}


class _PodMetrics(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    containers: list[_Usage] | None = None


class _MetricsList(msgspec.Struct):
    items: list[_PodMetrics] | None = None


class _Requirement(msgspec.Struct):
    key: str
    operator: str
    values: list[str] | None = None


class _Selector(msgspec.Struct, rename="camel"):
    match_labels: dict[str, str] | None = None
    match_expressions: list[_Requirement] | None = None


class _WorkloadSpec(msgspec.Struct):
    replicas: int | None = None
    selector: _Selector = msgspec.field(default_factory=_Selector)


class _Workload(msgspec.Struct):
    spec: _WorkloadSpec = msgspec.field(default_factory=_WorkloadSpec)


class _Value(msgspec.Struct):
    value: str = ""


class _Values(msgspec.Struct):
    items: list[_Value] | None = None


class Use(msgspec.Struct, frozen=True):
    """The use of cpu or memory by the pods of a workload."""

    replicas: int
    pods: tuple[PodUse, ...]


_pods: Final = msgspec.json.Decoder(_Pods)
_metrics: Final = msgspec.json.Decoder(_MetricsList)
_workload: Final = msgspec.json.Decoder(_Workload)
_values: Final = msgspec.json.Decoder(_Values)


async def count_pods(kube: Kube, namespace: str, trigger: KubernetesWorkloadTrigger) -> int:
    """Return how many pods match that have not ended, or on how many nodes they are. Raises MetricError."""
    pods = await _list_pods(kube, namespace, trigger.pod_selector, _NOT_ENDED)
    if not trigger.group_by_node:
        return len(pods)
    return len({pod.spec.node_name for pod in pods if pod.spec.node_name})


async def external_value_milli(kube: Kube, namespace: str, trigger: ExternalTrigger) -> int:
    """Return the sum of an external metric's values, as the HPA adds them up; not below 0. Raises MetricError."""
    name, selector = trigger.metric_name, trigger.metric_selector
    if not _METRIC_NAME.fullmatch(name):
        # what the language lets through is a name; it becomes part of a path, so this does not rely on it
        raise MetricError("location", "metricName is no name of an external metric")
    path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{name}"
    try:
        found = _values.decode(await kube.get(path, {"labelSelector": selector} if selector else None)).items or []
        total = sum(parse_milli(each.value) for each in found)
    except RemoteError as error:
        raise remote(error, f"external metric {name}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, QuantityError):
        raise MetricError("protocol", f"external metric {name}: the answer makes no sense") from None
    if not found:
        raise MetricError("no_value", f"external metric {name} has no value")
    return max(0, total)


async def use_of(kube: Kube, namespace: str, trigger: ResourceTrigger) -> Use:
    """Return what each pod of a workload uses. Raises MetricError."""
    source = trigger.source
    what = f"{source.kind} {source.name}"
    path = path_of(namespace, source.kind, source.name)
    if path is None:
        raise MetricError("unsupported", f"burster can't measure a {source.kind}: it knows no such kind of workload")
    try:
        spec = _workload.decode(await kube.get(path)).spec
        selector = _label_selector(spec.selector, what)
        pods = await _list_pods(kube, namespace, selector, "")
        listed = await kube.get(
            f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", {"labelSelector": selector}
        )
        usage = {each.metadata.name: each for each in _metrics.decode(listed).items or []}
        uses = tuple(
            _use(pod, usage.get(pod.metadata.name), trigger)
            for pod in pods
            if pod.metadata.deletion_timestamp is None and pod.status.phase != "Failed"
        )
    except RemoteError as error:
        raise remote(error, what) from None
    except (msgspec.DecodeError, UnicodeDecodeError, QuantityError):
        raise MetricError("protocol", f"{what}: the answer makes no sense") from None
    return Use(1 if spec.replicas is None else spec.replicas, uses)


def remote(error: RemoteError, what: str) -> MetricError:
    """Return what a refusal of the API server means for a value."""
    fault = _FAULTS.get(error.kind, "protocol")
    return MetricError(fault, f"{what} can't be read: {error.message[:200]}", retry_after_ms=error.retry_after_ms)


async def _list_pods(kube: Kube, namespace: str, labels: str, fields: str) -> list[_Pod]:
    params = {"labelSelector": labels, **({"fieldSelector": fields} if fields else {})}
    found: list[_Pod] = []
    try:
        async with aclosing(kube.pages(f"/api/v1/namespaces/{namespace}/pods", params)) as pages:
            async for page in pages:
                found += _pods.decode(page.body).items or []
                if len(found) > PODS_MAX:
                    raise MetricError("too_large", f"more than {PODS_MAX} pods match {labels[:200]}")
    except RemoteError as error:
        raise remote(error, f"pods with {labels[:200]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MetricError("protocol", f"pods with {labels[:200]}: the answer makes no sense") from None
    return found


def _label_selector(selector: _Selector, what: str) -> str:
    parts = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    for each in selector.match_expressions or ():
        match each.operator:
            case "In" | "NotIn":
                parts.append(f"{each.key} {each.operator.lower()} ({','.join(each.values or [])})")
            case "Exists":
                parts.append(each.key)
            case "DoesNotExist":
                parts.append(f"!{each.key}")
            case _:
                raise MetricError("protocol", f"{what} has a selector that makes no sense")
    if not parts:
        raise MetricError("unsupported", f"{what} has no selector, so that nobody knows its pods")
    return ",".join([*parts, f"!{BURST_LABEL}"])


def _use(pod: _Pod, metrics: _PodMetrics | None, trigger: ResourceTrigger) -> PodUse:
    pending = pod.status.phase == "Pending"
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())
    return PodUse(
        usage=None if metrics is None else _usage(metrics, trigger),
        request=_request(pod, trigger),
        ready=ready,
        # a pod that is Pending may have a start time, and does not run all the same
        started_at_ms=None if pending or pod.status.start_time is None else epoch_ms(pod.status.start_time),
    )


def _usage(metrics: _PodMetrics, trigger: ResourceTrigger) -> int | None:
    containers = [each for each in metrics.containers or () if trigger.container in {"", each.name}]
    if not containers or any(trigger.resource not in each.usage for each in containers):
        return None
    return sum(_amount(trigger, each.usage[trigger.resource]) for each in containers)


def _request(pod: _Pod, trigger: ResourceTrigger) -> int:
    """Return what a pod asks for; 0 where one of its containers does not say, as then no percentage can be told (as for the HPA)."""
    total = 0
    for container in pod.spec.containers or ():
        if trigger.container not in {"", container.name}:
            continue
        requests = (container.resources.requests if container.resources is not None else None) or {}
        if trigger.resource not in requests:
            return 0
        total += _amount(trigger, str(requests[trigger.resource]))
    return total


def _amount(trigger: ResourceTrigger, text: str) -> int:
    return parse_cpu_millicores(text) if trigger.resource == "cpu" else parse_memory_bytes(text)
