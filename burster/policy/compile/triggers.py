"""Triggers as the engine counts them: milli-units and milliseconds.

Called by ``compile_policy``. Rounds as KEDA does.
"""

from typing import TypedDict

from burster.model.quantities import parse_cpu_millicores, parse_duration_ms, parse_memory_bytes
from burster.model.triggers import (
    AuthMode,
    AuthRef,
    CronTrigger,
    ExternalTrigger,
    HttpAccess,
    KubernetesWorkloadTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    ResourceTrigger,
    Trigger,
    WorkloadRef,
)
from burster.policy.fields.amounts import MILLI, activation_milli, threshold_milli
from burster.policy.fields.texts import pairs_of
from burster.policy.schema import triggers as written
from burster.policy.schema.policy_rules import trigger_names
from burster.policy.schema.workload import WorkloadRefSpec


def compile_triggers(triggers: tuple[written.Trigger, ...]) -> tuple[Trigger, ...]:
    """Return a policy's triggers, each with a name of its own."""
    return tuple(_trigger(trigger, name) for trigger, name in zip(triggers, trigger_names(triggers), strict=True))


def _trigger(trigger: written.Trigger, name: str) -> Trigger:
    match trigger:
        case written.PendingPodsSpec():
            made = _pending(trigger, name)
        case written.PrometheusSpec():
            made = _prometheus(trigger, name)
        case written.MetricsApiSpec():
            made = _metrics_api(trigger, name)
        case written.KubernetesWorkloadSpec():
            made = _kubernetes_workload(trigger, name)
        case written.ExternalSpec():
            made = _external(trigger, name)
        case written.CronSpec():
            made = _cron(trigger, name)
        case written.ResourceSpec():
            made = _resource(trigger, name)
    return made


class _Polled(TypedDict):
    name: str
    metric_type: written.PodMetricType
    use_cached_metrics: bool
    threshold_milli: int
    activation_milli: int


def _polled(trigger: written.PolledTrigger, name: str, threshold: str, activation: str) -> _Polled:
    """Return what all triggers have whose value is asked for; each type has its own words for threshold and activation."""
    return {
        "name": name,
        "metric_type": trigger.metric_type,
        "use_cached_metrics": trigger.use_cached_metrics,
        "threshold_milli": threshold_milli(threshold),
        "activation_milli": activation_milli(activation),
    }


def _kubernetes_workload(trigger: written.KubernetesWorkloadSpec, name: str) -> KubernetesWorkloadTrigger:
    metadata = trigger.metadata
    return KubernetesWorkloadTrigger(
        **_polled(trigger, name, metadata.value, metadata.activation_value),
        pod_selector=metadata.pod_selector,
        group_by_node=metadata.group_by_node,
    )


def _external(trigger: written.ExternalSpec, name: str) -> ExternalTrigger:
    metadata = trigger.metadata
    metric, selector = metadata.metric_name or "", metadata.metric_selector or ""
    free = dict(metadata.model_extra or {})
    if metadata.scaler_address:
        # a scaler's own keys may have these names as well
        free |= {key: text for key, text in (("metricName", metric), ("metricSelector", selector)) if text}
        metric = selector = ""
    return ExternalTrigger(
        **_polled(trigger, name, metadata.target_value, metadata.activation_target_value),
        scaler_address=metadata.scaler_address or "",
        metric_name=metric,
        metric_selector=selector,
        metadata=free,
        auth=_auth(trigger.authentication_ref),
    )


def _cron(trigger: written.CronSpec, name: str) -> CronTrigger:
    metadata = trigger.metadata
    return CronTrigger(
        name=name,
        metric_type=trigger.metric_type,
        start=metadata.start,
        end=metadata.end,
        timezone=metadata.timezone,
        desired_replicas=metadata.desired_replicas,
    )


def _pending(trigger: written.PendingPodsSpec, name: str) -> PendingPodsTrigger:
    metadata = trigger.metadata
    return PendingPodsTrigger(
        name=name,
        metric_type=trigger.metric_type,
        threshold_milli=threshold_milli(metadata.threshold),
        activation_milli=activation_milli(metadata.activation_threshold),
        pending_for_ms=parse_duration_ms(metadata.pending_for),
        min_count=metadata.min_count,
        reasons=metadata.reasons,
        resources=metadata.resources,
        namespaces=metadata.namespaces,
        min_priority=metadata.min_priority,
        max_priority=metadata.max_priority,
        min_cpu_millicores=parse_cpu_millicores(metadata.min_cpu or "0"),
        max_cpu_millicores=None if metadata.max_cpu is None else parse_cpu_millicores(metadata.max_cpu),
        min_memory_bytes=parse_memory_bytes(metadata.min_memory or "0"),
        max_memory_bytes=None if metadata.max_memory is None else parse_memory_bytes(metadata.max_memory),
        runtime_classes=metadata.runtime_classes,
    )


def _prometheus(trigger: written.PrometheusSpec, name: str) -> PrometheusTrigger:
    metadata = trigger.metadata
    return PrometheusTrigger(
        **_polled(trigger, name, metadata.threshold, metadata.activation_threshold),
        server_address=metadata.server_address,
        query=metadata.query,
        namespace=metadata.namespace or "",
        query_parameters=pairs_of(metadata.query_parameters),
        ignore_null_values=metadata.ignore_null_values,
        aws_region=metadata.aws_region or "",
        identity_owner=metadata.identity_owner or "",
        access=_access(trigger, pairs_of(metadata.custom_headers)),
    )


def _metrics_api(trigger: written.MetricsApiSpec, name: str) -> MetricsApiTrigger:
    metadata = trigger.metadata
    return MetricsApiTrigger(
        **_polled(trigger, name, metadata.target_value, metadata.activation_target_value),
        url=metadata.url,
        value_location=metadata.value_location,
        format=metadata.format,
        method=metadata.method,
        key_param_name=metadata.key_param_name or "",
        aggregate_from_kube_service_endpoints=metadata.aggregate_from_kube_service_endpoints,
        aggregation_type=metadata.aggregation_type,
        access=_access(trigger, {}),
    )


def _resource(trigger: written.ResourceSpec, name: str) -> ResourceTrigger:
    value = trigger.metadata.value
    if trigger.metric_type == "Utilization":
        milli = int(value) * MILLI
    elif trigger.type == "cpu":
        milli = parse_cpu_millicores(value)  # a core is the unit
    else:
        milli = parse_memory_bytes(value) * MILLI
    return ResourceTrigger(
        name=name,
        metric_type=trigger.metric_type,
        threshold_milli=milli,
        resource=trigger.type,
        source=workload_ref(trigger.source_ref),
        container=trigger.metadata.container_name or "",
    )


def _access(trigger: written.PrometheusSpec | written.MetricsApiSpec, headers: dict[str, str]) -> HttpAccess:
    metadata = trigger.metadata
    return HttpAccess(
        auth_modes=_modes(metadata.modes),
        auth=_auth(trigger.authentication_ref),
        unsafe_ssl=metadata.unsafe_ssl,
        timeout_ms=metadata.timeout,
        headers=headers,
    )


def _modes(text: str) -> tuple[AuthMode, ...]:
    known: tuple[AuthMode, ...] = ("apiKey", "basic", "bearer", "custom", "oauth", "tls")
    chosen = text.split(",")
    return tuple(mode for mode in known if mode in chosen)


def _auth(ref: written.AuthRefSpec | None) -> AuthRef | None:
    return AuthRef(name=ref.name, kind=ref.kind) if ref else None


def workload_ref(spec: WorkloadRefSpec) -> WorkloadRef:
    """Return the name of a workload."""
    return WorkloadRef(kind=spec.kind, name=spec.name, api_version=spec.api_version)
