"""Triggers and their arithmetic as the engine counts them: milli-units, milliseconds, the HPA's defaults filled in.

Called by ``compile_policy``. Rounds as KEDA does.
"""

from burster.model.quantities import MILLIS_PER_SECOND, parse_cpu_millicores, parse_duration_ms, parse_memory_bytes
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, ScalingModifiers, Step
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
from burster.policy import schema_triggers as written
from burster.policy.amounts import MILLI, activation_milli, threshold_milli
from burster.policy.policy_rules import trigger_names
from burster.policy.schema_policy import BurstPolicySpec
from burster.policy.schema_scaling import BehaviorSpec, DirectionSpec, FallbackSpec, ScalingModifiersSpec
from burster.policy.schema_workload import WorkloadRefSpec
from burster.policy.texts import pairs_of


#: what the API server writes into an HPA whose behavior leaves them out
_UP_STEPS = (Step(type="Pods", value=4, period_ms=15_000), Step(type="Percent", value=100, period_ms=15_000))
_DOWN_STEPS = (Step(type="Percent", value=100, period_ms=15_000),)
_UP_STABILIZATION_S = 0
_DOWN_STABILIZATION_S = 300


def compile_triggers(triggers: tuple[written.Trigger, ...]) -> tuple[Trigger, ...]:
    """Return a policy's triggers, each with a name of its own."""
    return tuple(_trigger(trigger, name) for trigger, name in zip(triggers, trigger_names(triggers), strict=True))


def _trigger(trigger: written.Trigger, name: str) -> Trigger:
    match trigger:
        case written.PendingPodsSpec():
            return _pending(trigger, name)
        case written.PrometheusSpec():
            return _prometheus(trigger, name)
        case written.MetricsApiSpec():
            return _metrics_api(trigger, name)
        case written.KubernetesWorkloadSpec(metadata=metadata):
            return KubernetesWorkloadTrigger(
                name=name,
                metric_type=trigger.metric_type,
                use_cached_metrics=trigger.use_cached_metrics,
                threshold_milli=threshold_milli(metadata.value),
                activation_milli=activation_milli(metadata.activation_value),
                pod_selector=metadata.pod_selector,
                group_by_node=metadata.group_by_node,
            )
        case written.ExternalSpec(metadata=metadata):
            return ExternalTrigger(
                name=name,
                metric_type=trigger.metric_type,
                use_cached_metrics=trigger.use_cached_metrics,
                threshold_milli=threshold_milli(metadata.target_value),
                activation_milli=activation_milli(metadata.activation_target_value),
                scaler_address=metadata.scaler_address or "",
                metadata=dict(metadata.model_extra or {}),
                auth=_auth(trigger.authentication_ref),
            )
        case written.CronSpec(metadata=metadata):
            return CronTrigger(
                name=name,
                metric_type=trigger.metric_type,
                start=metadata.start,
                end=metadata.end,
                timezone=metadata.timezone,
                desired_replicas=metadata.desired_replicas,
            )
        case written.ResourceSpec():
            return _resource(trigger, name)


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
        name=name,
        metric_type=trigger.metric_type,
        use_cached_metrics=trigger.use_cached_metrics,
        threshold_milli=threshold_milli(metadata.threshold),
        activation_milli=activation_milli(metadata.activation_threshold),
        server_address=metadata.server_address,
        query=metadata.query,
        namespace=metadata.namespace or "",
        query_parameters=pairs_of(metadata.query_parameters),
        ignore_null_values=metadata.ignore_null_values,
        aws_region=metadata.aws_region or "",
        identity_owner=metadata.identity_owner or "",
        access=HttpAccess(
            auth_modes=_modes(metadata.modes),
            auth=_auth(trigger.authentication_ref),
            unsafe_ssl=metadata.unsafe_ssl,
            timeout_ms=metadata.timeout,
            headers=pairs_of(metadata.custom_headers),
        ),
    )


def _metrics_api(trigger: written.MetricsApiSpec, name: str) -> MetricsApiTrigger:
    metadata = trigger.metadata
    return MetricsApiTrigger(
        name=name,
        metric_type=trigger.metric_type,
        use_cached_metrics=trigger.use_cached_metrics,
        threshold_milli=threshold_milli(metadata.target_value),
        activation_milli=activation_milli(metadata.activation_target_value),
        url=metadata.url,
        value_location=metadata.value_location,
        format=metadata.format,
        method=metadata.method,
        key_param_name=metadata.key_param_name or "",
        aggregate_from_kube_service_endpoints=metadata.aggregate_from_kube_service_endpoints,
        aggregation_type=metadata.aggregation_type,
        access=HttpAccess(
            auth_modes=_modes(metadata.modes),
            auth=_auth(trigger.authentication_ref),
            unsafe_ssl=metadata.unsafe_ssl,
            timeout_ms=metadata.timeout,
        ),
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


def _modes(text: str) -> tuple[AuthMode, ...]:
    known: tuple[AuthMode, ...] = ("apiKey", "basic", "bearer", "custom", "oauth", "tls")
    chosen = text.split(",")
    return tuple(mode for mode in known if mode in chosen)


def _auth(ref: written.AuthRefSpec | None) -> AuthRef | None:
    return AuthRef(name=ref.name, kind=ref.kind) if ref else None


def workload_ref(spec: WorkloadRefSpec) -> WorkloadRef:
    """Return the name of a workload."""
    return WorkloadRef(kind=spec.kind, name=spec.name, api_version=spec.api_version)


def compile_scaling(spec: BurstPolicySpec) -> Scaling:
    """Return how values become a number of replicas."""
    advanced = spec.advanced
    hpa = advanced.horizontal_pod_autoscaler_config
    return Scaling(
        target=workload_ref(spec.scale_target_ref) if spec.scale_target_ref else None,
        min_replicas=spec.min_replica_count,
        max_replicas=spec.max_replica_count,
        idle_replicas=spec.idle_replica_count,
        polling_ms=spec.polling_interval * MILLIS_PER_SECOND,
        cooldown_ms=spec.cooldown_period * MILLIS_PER_SECOND,
        initial_cooldown_ms=spec.initial_cooldown_period * MILLIS_PER_SECOND,
        behavior=_behavior(hpa.behavior) if hpa and hpa.behavior else None,
        fallback=_fallback(spec.fallback) if spec.fallback else None,
        modifiers=_modifiers(advanced.scaling_modifiers) if advanced.scaling_modifiers else None,
        restore_to_original=advanced.restore_to_original_replica_count,
    )


def _behavior(spec: BehaviorSpec) -> Behavior:
    return Behavior(
        scale_up=_direction(spec.scale_up, _UP_STABILIZATION_S, _UP_STEPS),
        scale_down=_direction(spec.scale_down, _DOWN_STABILIZATION_S, _DOWN_STEPS),
    )


def _direction(spec: DirectionSpec | None, stabilization_s: int, steps: tuple[Step, ...]) -> Direction:
    if spec is None:
        return Direction(stabilization_ms=stabilization_s * MILLIS_PER_SECOND, steps=steps)
    if spec.stabilization_window_seconds is not None:
        stabilization_s = spec.stabilization_window_seconds
    if spec.policies is not None:
        steps = tuple(
            Step(type=one.type, value=one.value, period_ms=one.period_seconds * MILLIS_PER_SECOND)
            for one in spec.policies
        )
    return Direction(
        stabilization_ms=stabilization_s * MILLIS_PER_SECOND,
        select=spec.select_policy,
        steps=steps,
        tolerance_milli=100 if spec.tolerance is None else parse_cpu_millicores(spec.tolerance),
    )


def _fallback(spec: FallbackSpec) -> Fallback:
    return Fallback(failure_threshold=spec.failure_threshold, replicas=spec.replicas, behavior=spec.behavior)


def _modifiers(spec: ScalingModifiersSpec) -> ScalingModifiers:
    return ScalingModifiers(
        formula=spec.formula,
        target_milli=threshold_milli(spec.target),
        activation_milli=activation_milli(spec.activation_target),
        metric_type=spec.metric_type,
    )
