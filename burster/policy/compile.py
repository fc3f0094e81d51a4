"""Rules to what the engine evaluates: complete, valid, in integers.

``compile_policy`` and ``compile_target`` take an object as the API server returns it; ``compile_documents`` takes what ``load`` found in
files and also checks the objects against each other. All of them raise PolicyErrors. Called by the policy source of the controller, the
simulator, the demo and the command line. Nothing here looks at the world.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from burster.model.limits import Budget, Limits
from burster.model.policies import Confidential, Placement, Policy, WorkloadSelector
from burster.model.quantities import MILLIS_PER_SECOND, parse_duration_ms, parse_micro_usd
from burster.model.scaling import Scaling
from burster.model.targets import Target
from burster.model.triggers import PendingPodsTrigger
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.load import Document, model_of
from burster.policy.problems import null_problems, schema_problems
from burster.policy.schema import BurstPolicy, BurstTarget, LimitsSpec


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a set of files defines, in their order."""

    policies: tuple[Policy, ...] = ()
    targets: tuple[Target, ...] = ()


def compile_policy(obj: Mapping[str, Any]) -> Policy:
    """Return the policy that a BurstPolicy object means. Raises PolicyErrors."""
    model = _validated(obj)
    if not isinstance(model, BurstPolicy):
        raise PolicyErrors(
            [Problem(source=_source(obj), path="kind", message="expected BurstPolicy, found BurstTarget")]
        )
    return _policy(model)


def compile_target(obj: Mapping[str, Any]) -> Target:
    """Return the target that a BurstTarget object means. Raises PolicyErrors."""
    model = _validated(obj)
    if not isinstance(model, BurstTarget):
        raise PolicyErrors(
            [Problem(source=_source(obj), path="kind", message="expected BurstTarget, found BurstPolicy")]
        )
    return _target(model)


def compile_documents(documents: Iterable[Document]) -> Compiled:
    """Return what files define, having checked that policies and the targets defined beside them can meet at all.

    A policy may name a target that is in none of the files: it may exist elsewhere. Raises PolicyErrors.
    """
    documents = tuple(documents)
    targets = {
        document.key: _target(document.model) for document in documents if isinstance(document.model, BurstTarget)
    }
    policies: list[Policy] = []
    problems: list[Problem] = []
    for document in documents:
        if isinstance(document.model, BurstPolicy):
            policy = _policy(document.model)
            policies.append(policy)
            problems += _contradictions(document, policy, targets)
    if problems:
        raise PolicyErrors(problems)
    return Compiled(policies=tuple(policies), targets=tuple(targets.values()))


def _contradictions(document: Document, policy: Policy, targets: Mapping[str, Target]) -> Iterable[Problem]:
    """Yield what makes a policy unable ever to burst to a target it names."""
    for index, name in enumerate(policy.placement.targets):
        target = targets.get(name)
        if target is None:
            continue
        here = ("spec", "placement", "targets", index)
        if not {"*", policy.namespace} & set(target.allowed_namespaces):
            yield document.problem(
                here,
                f"target {name} does not allow namespace {policy.namespace}: add it to the target's allowedNamespaces",
            )
        if policy.placement.sizes and not set(policy.placement.sizes) & set(target.sizes):
            yield document.problem(
                ("spec", "placement", "sizes"),
                f"target {name} allows none of these sizes; it has {', '.join(target.sizes)}",
            )
        if not set(policy.confidential.tees) & set(target.tees):
            yield document.problem(
                ("spec", "confidential", "tees"), f"target {name} allows none of these; it has {', '.join(target.tees)}"
            )


def _source(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata")
    names: list[str] = []
    if isinstance(metadata, dict):
        names = [str(metadata[part]) for part in ("namespace", "name") if metadata.get(part)]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] (JSON)
    return f"{obj.get('kind') or 'object'} {'/'.join(names)}".strip()


def _validated(obj: Mapping[str, Any]) -> BurstPolicy | BurstTarget:
    source = _source(obj)
    problems: list[Problem] = []
    model = model_of(dict(obj), source, problems, None)
    if model is None:
        raise PolicyErrors(problems)
    value = {key: item for key, item in obj.items() if key != "status"}
    problems += null_problems(value.get("spec", {}), source)
    try:
        parsed = model.model_validate(value)
    except ValidationError as error:
        raise PolicyErrors([*problems, *schema_problems(error, model, source)]) from None
    if problems:
        raise PolicyErrors(problems)
    return parsed


def _limits(spec: LimitsSpec) -> Limits:
    budget = spec.budget
    return Limits(
        max_bursts=spec.max_bursts,
        max_vcpus=spec.max_vcpus,
        budget=Budget(
            per_hour_micro_usd=_money(budget.per_hour),
            per_day_micro_usd=_money(budget.per_day),
            per_month_micro_usd=_money(budget.per_month),
        ),
    )


def _money(text: str | None) -> int | None:
    return None if text is None else parse_micro_usd(text)


def _policy(model: BurstPolicy) -> Policy:
    metadata, spec = model.metadata, model.spec
    workload, placement, trigger = spec.workload, spec.placement, spec.triggers[0]
    return Policy(
        namespace=metadata.namespace or "default",
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        priority=spec.priority,
        paused=metadata.paused,
        workload=WorkloadSelector(
            kind=workload.kind or "",
            name_pattern=workload.name_pattern or "",
            pod_name_pattern=workload.pod_name_pattern or "",
            match_labels=dict(workload.selector.match_labels) if workload.selector else {},
        ),
        triggers=(
            PendingPodsTrigger(
                name=trigger.name,
                pending_for_ms=parse_duration_ms(trigger.metadata.pending_for),
                min_count=trigger.metadata.min_count,
            ),
        ),
        scaling=Scaling(cooldown_ms=placement.cooldown_period * MILLIS_PER_SECOND),
        limits=_limits(spec.limits),
        placement=Placement(
            strategy=placement.strategy,
            targets=placement.targets,
            sizes=placement.sizes,
            lease_ms=parse_duration_ms(placement.lease),
            drain_ms=parse_duration_ms(placement.drain),
        ),
        confidential=Confidential(tees=spec.confidential.tees, secure_boot=spec.confidential.secure_boot),
    )


def _target(model: BurstTarget) -> Target:
    metadata, spec = model.metadata, model.spec
    return Target(
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        provider=spec.provider,
        subscription=spec.azure.subscription_id,
        resource_group=spec.azure.resource_group,
        region=spec.azure.region,
        runtime_class=spec.runtime_class_name,
        image=spec.image or "",
        subnet=spec.subnet or "",
        sizes=spec.sizes,
        tees=spec.tees,
        allowed_namespaces=spec.allowed_namespaces,
        limits=_limits(spec.limits),
        assumed_price_micro_usd_per_hour=_money(spec.assumed_price_per_hour),
        launch_deadline_ms=parse_duration_ms(spec.launch_deadline),
        ready_deadline_ms=parse_duration_ms(spec.ready_deadline),
        sweep=spec.sweep.mode,
        sweep_grace_ms=parse_duration_ms(spec.sweep.grace),
    )
