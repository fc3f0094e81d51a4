"""Lint of replica numbers: minimum and maximum, fallback, the HPA's behavior, modifiers."""

from collections.abc import Iterator
from typing import Final

from burster.model.policies import Policy
from burster.policy.lint.base import SPEC, Hit, Known, PolicyRule


_HPA: Final = (*SPEC, "advanced", "horizontalPodAutoscalerConfig", "behavior")


def _always_some(policy: Policy, _known: Known) -> Iterator[Hit]:
    scaling = policy.scaling
    idle = scaling.idle_replicas
    kept = scaling.min_replicas if idle is None else idle
    if policy.numeric and kept > 0:
        field = "minReplicaCount" if idle is None else "idleReplicaCount"
        yield Hit(
            (*SPEC, field),
            f"{kept} cloud {'replica runs' if kept == 1 else 'replicas run'} and cost{'s' if kept == 1 else ''} money without any demand",
            f"set {field} to 0 unless that is what you want",
        )


def _max_above_bursts(policy: Policy, _known: Known) -> Iterator[Hit]:
    most, replicas = policy.limits.max_bursts, policy.scaling.max_replicas
    if policy.numeric and most is not None and 0 < most < replicas != _REPLICAS_DEFAULT:
        yield Hit(
            (*SPEC, "maxReplicaCount"),
            f"{replicas} replicas are never reached: limits.maxBursts is {most}, and the tightest decides",
            "set both to the same number",
        )


_REPLICAS_DEFAULT: Final = 100


def _fallback(policy: Policy, _known: Known) -> Iterator[Hit]:
    fallback, scaling = policy.scaling.fallback, policy.scaling
    if fallback is None or not policy.numeric:
        return
    if fallback.replicas >= scaling.max_replicas and fallback.behavior in {"static", "currentReplicasIfHigher"}:
        yield Hit(
            (*SPEC, "fallback", "replicas"),
            f"when its metric fails the policy buys {fallback.replicas}, the maximum, and keeps them until somebody repairs"
            " the metric",
            "choose fewer, or behavior currentReplicas",
        )
    if fallback.failure_threshold == 0:
        yield Hit(
            (*SPEC, "fallback", "failureThreshold"),
            "a single failed poll sets the fallback's number of replicas",
            "set it to 3 or more",
        )


def _never_down(policy: Policy, _known: Known) -> Iterator[Hit]:
    behavior = policy.scaling.behavior
    if behavior is None:
        return
    if behavior.scale_down.select == "Disabled":
        yield Hit(
            (*_HPA, "scaleDown", "selectPolicy"),
            "Disabled never takes a replica away: only budget, limits or 0 demand bring the cloud pods home",
            "use Min with a small policy to go down slowly",
        )
    if behavior.scale_up.select == "Disabled":
        yield Hit(
            (*_HPA, "scaleUp", "selectPolicy"),
            "Disabled never adds a replica beyond the first",
            "use Min with a small policy to go up slowly",
        )


def _restore(policy: Policy, _known: Known) -> Iterator[Hit]:
    if policy.scaling.restore_to_original and policy.placement.strategy != "Scale":
        yield Hit(
            (*SPEC, "advanced", "restoreToOriginalReplicaCount"),
            f"strategy {policy.placement.strategy} sets no workload's replicas, so there is nothing to restore",
            "remove it",
        )


def _by_hand(policy: Policy, known: Known) -> Iterator[Hit]:
    del known
    annotations = ("metadata", "annotations")
    if policy.force_activation and policy.numeric:
        least = max(1, policy.scaling.min_replicas)
        yield Hit(
            annotations,
            f"burster.dev/force-activation keeps {least} running and paid for, whatever the triggers say",
            "remove the annotation when you are done",
        )
    if policy.paused_scale_in and not policy.paused:
        yield Hit(
            annotations,
            "burster.dev/paused-scale-in keeps what nobody needs, and pays for it lease by lease",
            "remove the annotation when you are done",
        )


RULES: Final = (
    PolicyRule("always-some", "cloud replicas that run without any demand", _always_some),
    PolicyRule("left-by-hand", "annotations that keep cloud pods running without any demand", _by_hand),
    PolicyRule("max-above-bursts", "more replicas than maxBursts allows", _max_above_bursts),
    PolicyRule("fallback-buys", "a fallback that buys the maximum, or at the first failure", _fallback),
    PolicyRule("one-way", "scaling in one direction only", _never_down),
    PolicyRule("restore-without-effect", "restoring replicas where none are set", _restore),
)
