"""From values to replicas, as the engine counts: milliseconds and milli-units, with the HPA's defaults filled in as an API server does.

Called by ``compile_policy``.
"""

from burster.model.quantities import MILLIS_PER_SECOND, parse_cpu_millicores
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, ScalingModifiers, Step
from burster.policy.compile.triggers import workload_ref
from burster.policy.fields.amounts import activation_milli, threshold_milli
from burster.policy.schema.policy import BurstPolicySpec
from burster.policy.schema.scaling import BehaviorSpec, DirectionSpec, FallbackSpec, ScalingModifiersSpec


#: what the API server writes into an HPA whose behavior leaves them out
_UP_STEPS = (Step(type="Pods", value=4, period_ms=15_000), Step(type="Percent", value=100, period_ms=15_000))
_DOWN_STEPS = (Step(type="Percent", value=100, period_ms=15_000),)
_UP_STABILIZATION_S = 0
_STALE_AFTER_MS = 120_000
_DOWN_STABILIZATION_S = 300


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
        # one poll may fail to come, a second one that fails too says that nobody reads any more
        stale_after_ms=max(_STALE_AFTER_MS, 2 * spec.polling_interval * MILLIS_PER_SECOND),
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
