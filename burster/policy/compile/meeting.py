"""Where a policy and a target defined beside it contradict each other: the policy could never burst there.

Called by ``compile`` for documents that are valid for themselves. A policy may name a target that is in none of the files, which then says
nothing. The target always wins and a policy only narrows, so what is merely narrower is no contradiction.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from burster.model.limits import Limits
from burster.model.offerings import Offering
from burster.model.policies import Policy
from burster.model.quantities import format_micro_usd
from burster.model.targets import Target
from burster.model.triggers import ExternalTrigger, MetricsApiTrigger, PrometheusTrigger
from burster.policy.endpoints import endpoint_allowed
from burster.policy.errors import Problem
from burster.policy.load import Document
from burster.policy.yaml_nodes import Path


_PLACEMENT: Final = ("spec", "placement")
_CONFIDENTIAL: Final = ("spec", "confidential")
_GPU: Final = "nvidia.com/gpu"

Contradiction = tuple[Path, str]


def contradictions(document: Document, policy: Policy, targets: Mapping[str, Target]) -> Iterator[Problem]:
    """Yield what makes a policy unable ever to burst to a target it names, and limits that its targets can't let it reach."""
    known = [(index, targets[name]) for index, name in enumerate(policy.placement.targets) if name in targets]
    for index, target in known:
        for path, message in (
            *_namespace(policy, target, index),
            *_sizes(policy, target),
            *_machines(policy, target, index),
            *_proof(policy, target, index),
            *_metrics(policy, target),
        ):
            yield document.problem(path, message)
    if len(known) == len(policy.placement.targets):
        for path, message in _beyond(policy, [target for _, target in known]):
            yield document.problem(path, message)


def _namespace(policy: Policy, target: Target, index: int) -> Iterator[Contradiction]:
    if not {"*", policy.namespace} & set(target.allowed_namespaces):
        yield (
            (*_PLACEMENT, "targets", index),
            f"target {target.name} does not allow namespace {policy.namespace}: add it to the target's allowedNamespaces",
        )


def _machines(policy: Policy, target: Target, index: int) -> Iterator[Contradiction]:
    """Yield why a target would make no machine of a policy's."""
    machine = policy.machine
    if machine is None:
        return
    if target.machines is None:
        yield (
            (*_PLACEMENT, "targets", index),
            f"target {target.name} takes no machines: the platform team must give it machines, with images and a subnet",
        )
    elif machine.image not in target.machines.images:
        yield (
            ("spec", "machine", "image"),
            f"target {target.name} does not allow this image; it has {', '.join(target.machines.images)}",
        )


def _sizes(policy: Policy, target: Target) -> Iterator[Contradiction]:
    sizes = policy.placement.sizes
    by_size = not sizes or bool(set(sizes) & set(target.sizes))
    by_tee = bool(set(policy.confidential.tees) & set(target.tees))
    if not by_size:
        yield (
            (*_PLACEMENT, "sizes"),
            f"target {target.name} allows none of these sizes; it has {', '.join(target.sizes)}",
        )
    if not by_tee:
        yield (
            (*_CONFIDENTIAL, "tees"),
            f"target {target.name} allows none of these; it has {', '.join(target.tees)}",
        )
    if target.catalogue and by_size and by_tee:
        yield from _catalogue(policy, target)


def _catalogue(policy: Policy, target: Target) -> Iterator[Contradiction]:
    """Yield what a declared catalogue lacks. What Azure has is known only there."""
    tees = set(policy.confidential.tees) & set(target.tees)
    left = [
        offering
        for offering in target.catalogue
        if offering.size in target.sizes and (not policy.placement.sizes or offering.size in policy.placement.sizes)
    ]
    proven = [offering for offering in left if offering.tee in tees]
    if not proven:
        listed = ", ".join(f"{offering.size} ({offering.tee})" for offering in left)
        yield (
            (*_CONFIDENTIAL, "tees"),
            f"target {target.name} has no allowed size with {' or '.join(sorted(tees))}; it has {listed}",
        )
        return
    spot = policy.placement.spot
    if spot == "Only" and not any(offering.spot for offering in proven):
        yield (
            (*_PLACEMENT, "spot"),
            f"target {target.name} has no spot sizes: write Prefer or Never, or name another target",
        )
    if spot == "Never" and all(offering.spot for offering in proven):
        yield (
            (*_PLACEMENT, "spot"),
            f"target {target.name} has nothing but spot sizes here: write Prefer, or name another target",
        )
    yield from _devices(policy, target, proven)


def _devices(policy: Policy, target: Target, proven: list[Offering]) -> Iterator[Contradiction]:
    for index, trigger in enumerate(policy.triggers):
        asked = [name for name in getattr(trigger, "resources", ()) if "/" in name]
        if asked and not any(_has(offering, name) for offering in proven for name in asked):
            there = sorted({name for offering in target.catalogue for name in _devices_of(offering)})
            yield (
                ("spec", "triggers", index, "metadata", "resources"),
                (
                    f"target {target.name} has none of these in a size with {' or '.join(policy.confidential.tees)}; its devices are"
                    f" {', '.join(there) or 'none'}"
                ),
            )


def _devices_of(offering: Offering) -> list[str]:
    return [*([_GPU] if offering.resources.gpus else []), *(name for name, _ in offering.resources.devices)]


def _has(offering: Offering, name: str) -> bool:
    return name in _devices_of(offering)


def _proof(policy: Policy, target: Target, index: int) -> Iterator[Contradiction]:
    asked = policy.confidential
    if asked.attestation == "Required" and not target.trustee_url:
        yield (
            (*_PLACEMENT, "targets", index),
            (
                f"target {target.name} names no Trustee, and the policy requires attestation: give the target trustee.url, or write"
                " confidential.attestation: VmOnly"
            ),
        )
    if asked.attestation != "Required" and target.proof == "Record":
        yield (
            (*_CONFIDENTIAL, "attestation"),
            (
                f"nobody can show what VMs target {target.name} has (of provider {target.provider} only records are read), so attestation"
                f" {asked.attestation} proves nothing there: write Required, or name another target"
            ),
        )
    if asked.data_class and asked.data_class not in target.data_classes:
        yield (
            (*_CONFIDENTIAL, "dataClass"),
            (
                f"data of class {asked.data_class} may not be worked on at target {target.name}, which lists"
                f" {', '.join(target.data_classes) or 'none'}: name another target, or add it to the target's dataClasses"
            ),
        )
    if asked.jurisdictions and target.jurisdiction not in asked.jurisdictions:
        where = f"is in {target.jurisdiction}" if target.jurisdiction else "declares no jurisdiction"
        yield (
            (*_CONFIDENTIAL, "jurisdictions"),
            f"target {target.name} {where}: name another target, or correct the target's jurisdiction",
        )


def _metrics(policy: Policy, target: Target) -> Iterator[Contradiction]:
    for index, trigger in enumerate(policy.triggers):
        match trigger:
            case PrometheusTrigger(server_address=address):
                field = "serverAddress"
            case MetricsApiTrigger(url=address):
                field = "url"
            case ExternalTrigger(scaler_address=scaler) if scaler:
                field, address = "scalerAddress", f"grpc://{scaler}"
            case _:
                continue
        if not endpoint_allowed(address, target.allowed_metric_endpoints):
            yield (
                ("spec", "triggers", index, "metadata", field),
                (
                    f"{address} is not among the allowedMetricEndpoints of target {target.name}"
                    f" ({', '.join(target.allowed_metric_endpoints) or 'it has none'}): the platform team must add it"
                ),
            )


# --- limits that can't be reached -----------------------------------------------------------------------------------------


def _beyond(policy: Policy, targets: list[Target]) -> Iterator[Contradiction]:
    """Yield limits above what all of a policy's targets together let its namespace use: they promise what there never is."""
    names = " and ".join(target.name for target in targets)
    for path, mine, theirs, money in _caps(policy.limits, [_there(policy, target) for target in targets]):
        if mine is not None and theirs is not None and mine > theirs:
            allowed = format_micro_usd(theirs) if money else str(theirs)
            yield (
                ("spec", "limits", *path),
                f"is above what {names} allow{'s' if len(targets) == 1 else ' together'} ({allowed}): lower it, or leave it out",
            )


def _there(policy: Policy, target: Target) -> tuple[Limits, ...]:
    own = target.namespace_limits.get(policy.namespace)
    return (target.limits, own) if own else (target.limits,)


def _caps(mine: Limits, theirs: list[tuple[Limits, ...]]) -> Iterator[tuple[Path, int | None, int | None, bool]]:
    def together(values: Iterable[Iterable[int | None]]) -> int | None:
        tightest = [min((one for one in each if one is not None), default=None) for each in values]
        known = [one for one in tightest if one is not None]
        return sum(known) if len(known) == len(tightest) else None

    yield ("maxBursts",), mine.max_bursts, together((one.max_bursts for one in each) for each in theirs), False
    yield ("maxVcpus",), mine.max_vcpus, together((one.max_vcpus for one in each) for each in theirs), False
    for name, field in (
        ("perHour", "per_hour_micro_usd"),
        ("perDay", "per_day_micro_usd"),
        ("perMonth", "per_month_micro_usd"),
    ):
        amounts = together((getattr(one.budget, field) for one in each) for each in theirs)
        yield ("budget", name), getattr(mine.budget, field), amounts, True
