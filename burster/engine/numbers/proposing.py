"""From what the triggers are worth to what they propose, with their fallbacks and the formula.

Called by ``replicas`` at each poll (is anything active?) and each sync (how many?). Decides nothing and changes nothing.
"""

from typing import Final, NamedTuple

from burster.engine.autoscale.arithmetic import MILLI, Combined, combine, milli_of, propose_average, propose_value
from burster.engine.autoscale.fallback import fallback_value_milli, in_force, possible_with_formula
from burster.engine.numbers.metrics import Fact, tolerance_of
from burster.model.decisions import Reason
from burster.model.policies import Policy
from burster.model.scaling import Fallback, ScalingModifiers
from burster.model.triggers import ResourceTrigger
from burster.policy.formula import FormulaError, compile_formula


COMPOSITE: Final = "composite-metric"  #: KEDA's name of what a formula gives


class Replicas(NamedTuple):
    """The numbers of the workload that is scaled."""

    spec: int
    status: int
    ready: int


class Weighed(NamedTuple):
    """What the triggers say together."""

    metrics: tuple[Fact, ...]  #: what proposes: the triggers, or the formula in their place
    active: bool
    failed: bool  #: one is missing, and no fallback stands for it
    fallback: bool  #: a fallback stands for one


def weigh(policy: Policy, facts: dict[str, Fact], replicas: Replicas) -> Weighed:
    """Return what proposes a number, and whether anything is active."""
    modifiers = policy.scaling.modifiers
    if modifiers is None:
        metrics = [
            fact if _is_measured(policy, fact) else _with_fallback(fact, policy.scaling.fallback, replicas)
            for fact in facts.values()
        ]
    else:
        measured = [fact for fact in facts.values() if _is_measured(policy, fact)]
        named = {name: fact for name, fact in facts.items() if not _is_measured(policy, fact)}
        metrics = [_composite(modifiers, named, policy.scaling.fallback, replicas), *measured]
    return Weighed(
        metrics=tuple(metrics),
        active=policy.force_activation or any(one.active for one in metrics),
        failed=any(one.value_milli is None for one in metrics),
        fallback=any(one.missing and one.value_milli is not None for one in metrics),
    )


def propose(policy: Policy, weighed: Weighed, replicas: Replicas) -> tuple[Combined, tuple[Reason, ...]]:
    """Return the number that the metrics propose together, and how each of them comes to its own."""
    proposals = {one.name: _proposal(policy, one, replicas) for one in weighed.metrics}
    reasons = tuple(_say(one, proposals[one.name]) for one in weighed.metrics)
    return combine(proposals, spec_replicas=replicas.spec), reasons


def describe(weighed: Weighed) -> tuple[Reason, ...]:
    """Return what each metric is worth, in words."""
    return tuple(_say(one, None) for one in weighed.metrics)


def _is_measured(policy: Policy, fact: Fact) -> bool:
    """Say whether a fact is of a measured workload, which no formula can name."""
    return any(one.name == fact.name and isinstance(one, ResourceTrigger) for one in policy.triggers)


def _with_fallback(fact: Fact, fallback: Fallback | None, replicas: Replicas) -> Fact:
    """Return a fact, or what its fallback makes of it."""
    if fact.value_milli is not None or fallback is None or not in_force(fallback, failures=fact.failures):
        return fact
    value = fallback_value_milli(
        fallback,
        target_milli=fact.target_milli,
        metric_type="Value" if fact.metric_type == "Value" else "AverageValue",
        current=replicas.spec,
        ready_replicas=replicas.ready,
    )
    return fact if value is None else fact._replace(value_milli=value, active=True)


def _composite(
    modifiers: ScalingModifiers, facts: dict[str, Fact], fallback: Fallback | None, replicas: Replicas
) -> Fact:
    """Return what the formula gives. A missing trigger makes it missing, unless a fallback stands for it."""
    lost = [fact for fact in facts.values() if fact.value_milli is None]
    stands = bool(lost) and all(in_force(fallback, failures=fact.failures) for fact in lost)
    value: int | None = None
    if not lost or (stands and fallback is not None and fallback.behavior == "scalingModifiers"):
        known = {name: None if fact.value_milli is None else fact.value_milli / MILLI for name, fact in facts.items()}
        value = _value_of(modifiers.formula, known)
    active = value is not None and value > modifiers.activation_milli
    if value is None and stands and fallback is not None and possible_with_formula(modifiers.target_milli):
        value = fallback_value_milli(
            fallback,
            target_milli=modifiers.target_milli,
            metric_type=modifiers.metric_type,
            current=replicas.spec,
            ready_replicas=replicas.ready,
        )
        active = value is not None
    missing = "; ".join(fact.missing.rstrip(".") for fact in lost)
    if value is None and not lost:
        missing = "The formula gives no number"
    return Fact(
        COMPOSITE,
        modifiers.target_milli,
        modifiers.metric_type,
        value,
        active=active,
        missing=f"{missing}." if missing else "",
    )


def _value_of(formula: str, known: dict[str, float | None]) -> int | None:
    """Return a formula's value in milli-units. One that can't be read has none: loading refuses it, and it must not stop other policies."""
    try:
        return milli_of(compile_formula(formula, tuple(known)).value(known))
    except FormulaError:
        return None


def _proposal(policy: Policy, one: Fact, replicas: Replicas) -> int | None:
    if one.value_milli is None:
        return None
    if one.wants is not None:
        return one.wants
    tolerance = tolerance_of(policy)
    if one.metric_type == "Value":
        return propose_value(
            one.value_milli,
            one.target_milli,
            spec_replicas=replicas.spec,
            ready_replicas=replicas.ready,
            status_replicas=replicas.status,
            tolerance=tolerance,
        )
    return propose_average(one.value_milli, one.target_milli, status_replicas=replicas.status, tolerance=tolerance)


def _say(one: Fact, proposed: int | None) -> Reason:
    """Return a metric's part of the argument."""
    if one.value_milli is None:
        return Reason(code="TriggerMissing", sentence=one.missing)
    numbers = {"value_milli": one.value_milli, "target_milli": one.target_milli}
    ends = "."
    if proposed is not None:
        numbers["proposed"] = proposed
        ends = f", which proposes {proposed}."
    worth = f"{_plain(one.value_milli)} for a target of {_plain(one.target_milli)}"
    if one.wants is not None:
        sentence = f"{one.name} is {worth}: {one.wants} are lacking on-prem{ends}"
    elif one.missing:
        sentence = f"The fallback of {one.name} stands for {worth}{ends} {one.missing}"
        return Reason(code="TriggerFallback", sentence=sentence, numbers=numbers)
    else:
        sentence = f"{one.name} is {worth}{ends}"
    return Reason(code="TriggerValue", sentence=sentence, numbers=numbers)


def _plain(milli: int) -> str:
    whole, rest = divmod(milli, MILLI)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
