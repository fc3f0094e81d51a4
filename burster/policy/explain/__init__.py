"""A policy in plain sentences, with the numbers it resolves to.

Made from the compiled values, so that what is told is what the engine evaluates. Called by ``burster policy explain``. It reads no clock
and no price list: both are arguments.
"""

import re
from collections.abc import Iterator, Mapping

from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.quantities import format_duration_ms
from burster.model.targets import Target
from burster.policy.explain.confidential import confidential_sentences
from burster.policy.explain.limits import limit_sentences, worst_case_sentences
from burster.policy.explain.machine import machine_sentences
from burster.policy.explain.scaling import scaling_sentences
from burster.policy.explain.targets import explain_target
from burster.policy.explain.times import time_sentences
from burster.policy.explain.triggers import trigger_sentences
from burster.policy.explain.words import any_of, in_order, label_rule
from burster.policy.lint.base import Known


__all__ = ["explain_policy", "explain_target"]

_STRATEGIES = {
    "Clone": "Each burst is a further replica, made from the workload's template; the pending pod keeps its place on-prem.",
    "Move": "Each burst is the pending pod itself: it leaves the on-prem queue and runs in the cloud until it ends.",
    "Auto": "Pods of Deployments are cloned (a further replica); all other pods move (the pending pod itself goes).",
    "Scale": "It sets the replicas of {workload}, whose pods run in the cloud.",
    "Signal": "It publishes the number of replicas it wants for KEDA to act on, and sets nothing itself.",
    "Machine": "Each burst is a confidential VM without a pod, as many as the triggers ask for; no pod is taken or cloned.",
}
_RELEASES = {
    "DearestFirst": "the dearest first",
    "YoungestFirst": "the youngest first",
    "OldestFirst": "the oldest first",
}


def explain_policy(
    policy: Policy, targets: Mapping[str, Target] | None = None, known: Known | None = None
) -> list[str]:
    """Return what a policy does, one sentence an item; ``targets`` are those known by name, ``known`` adds prices and the time."""
    placement = policy.placement
    named = tuple(one for name in placement.targets if (one := (targets or {}).get(name)) is not None)
    about = f"Policy {policy.key} is about {_workload(policy.workload)} in namespace {policy.namespace}."
    rank = f"Where several policies match a pod, the one with the highest priority takes it; this one has {policy.priority}."
    numbered = _of_machines if placement.strategy == "Machine" else str
    return [
        about,
        *_paused(policy),
        *map(numbered, trigger_sentences(policy)),
        *time_sentences(policy, known.at_ms if known else None),
        _strategy(policy),
        *map(numbered, scaling_sentences(policy)),
        *_where(placement),
        *machine_sentences(policy.machine),
        *confidential_sentences(policy.confidential, pods=policy.machine is None),
        *map(numbered, limit_sentences(policy.limits, "It uses", "It spends")),
        *_life(policy),
        *worst_case_sentences(policy, named, known),
        rank,
    ]


def _of_machines(sentence: str) -> str:
    """Return a sentence about replicas as one about machines."""
    return re.sub(r"\b(replica|cloud pod)(s?)\b", r"machine\2", sentence)


def _paused(policy: Policy) -> Iterator[str]:
    if policy.paused:
        yield "It is paused: nothing new starts until the annotation burster.dev/paused is removed."
    elif policy.paused_scale_out:
        yield "It is paused outward: nothing new starts until the annotation burster.dev/paused-scale-out is removed."
    if policy.paused or policy.paused_scale_in:
        annotation = "paused" if policy.paused else "paused-scale-in"
        yield (
            f"Nothing comes home for want of demand until the annotation burster.dev/{annotation} is removed; leases, money and people "
            "still end what runs."
        )
    if policy.force_activation:
        yield _forced(policy)


def _forced(policy: Policy) -> str:
    annotation = "by the annotation burster.dev/force-activation"
    if policy.numeric:
        least = max(1, policy.scaling.min_replicas)
        return f"It counts as active {annotation}: at least {least} is wanted, whatever the triggers say."
    return f"It counts as active {annotation}: pending pods burst from the first on, whatever minCount says."


def _strategy(policy: Policy) -> str:
    target = policy.scaling.target
    workload = f"{target.kind} {target.name}" if target else "the workload"
    text = _STRATEGIES[policy.placement.strategy].format(workload=workload)
    if policy.numeric and policy.placement.strategy in {"Clone", "Auto"}:
        text += " As many run as the triggers ask for; pods that wait are answered by them first."
    return text


def _where(placement: Placement) -> Iterator[str]:
    sizes = f", on {any_of(placement.sizes)}" if placement.sizes else ", on any size the target allows"
    yield f"It goes to {in_order(placement.targets)}{sizes}."
    spread = placement.spread
    if spread is not None:
        by = {"family": "families of sizes"}.get(spread.by, f"{spread.by}s")
        how = "must differ" if spread.required else "should differ"
        what = "machines" if placement.strategy == "Machine" else "cloud pods"
        yield f"The numbers of its {what} in two {by} {how} by at most {spread.max_skew}."
    if placement.spot != "Never":
        yield "Only spot VMs will do." if placement.spot == "Only" else "Spot VMs are taken where there are any."


def _workload(selector: WorkloadSelector) -> str:
    bare = selector.kind == "Pod"
    if selector.name:
        what = f"the bare pod {selector.name}" if bare else f"pods of {selector.kind} {selector.name}"
    elif selector.kind:
        what = "bare pods" if bare else f"pods of a {selector.kind}"
    else:
        what = "pods"
    conditions: list[str] = []
    if selector.name_pattern:
        whose = "whose" if bare else "whose workload's"
        conditions.append(f"{whose} whole name matches {selector.name_pattern}")
    if selector.pod_name_pattern:
        conditions.append(f"whose own whole name matches {selector.pod_name_pattern}")
    if selector.match_labels:
        conditions.append(
            "that carry " + ", ".join(f"{key}={value}" for key, value in sorted(selector.match_labels.items()))
        )
    conditions += [f"whose {label_rule(rule)}" for rule in selector.match_expressions]
    return " ".join([what, " and ".join(conditions)]).strip()


def _life(policy: Policy) -> Iterator[str]:
    placement = policy.placement
    if placement.strategy == "Signal":
        return
    lease, drain = format_duration_ms(placement.lease_ms), format_duration_ms(placement.drain_ms)
    one = "machine" if placement.strategy == "Machine" else "cloud pod"
    yield f"A {one} lives on leases of {lease}, each reserved before it begins, and has {drain} to finish when it must go."
    if placement.strategy == "Machine":
        yield "It is taken out of its Service first, deleted when that time is over, and is gone when the cloud confirms it."
    elif placement.strategy not in {"Move", "Scale"}:
        yield f"A clone goes {format_duration_ms(policy.scaling.cooldown_ms)} after the demand for it has ended."
        if placement.return_home == "WhenRoom":
            yield "It goes also when there has been room for its pod on-prem, though the pod has not started there yet."
    if placement.min_life_ms:
        yield f"It stays for {format_duration_ms(placement.min_life_ms)} at the least, unless money, a limit or a person says otherwise."
    if placement.idle_ms:
        yield f"A spare one is kept for {format_duration_ms(placement.idle_ms)} before it goes."
    if placement.strategy != "Scale":
        yield (
            f"When several may go, {_RELEASES[placement.release_order]}, and at most {placement.disruption_percent} % of them at"
            " once for want of demand."
        )
