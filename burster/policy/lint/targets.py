"""Lint of targets: what platform teams leave open."""

from collections.abc import Iterator
from typing import Final

from burster.model.targets import Target
from burster.policy.lint.base import SPEC, Hit, Known, TargetRule
from burster.policy.lint.limits import amounts, never_reached


def _every_namespace(target: Target, _known: Known) -> Iterator[Hit]:
    if "*" in target.allowed_namespaces and not target.required_namespace_labels:
        yield Hit(
            (*SPEC, "allowedNamespaces", target.allowed_namespaces.index("*")),
            'with "*" whoever may write a BurstPolicy in any namespace spends your money',
            "name the namespaces, or set requiredNamespaceLabels",
        )


def _no_namespace(target: Target, _known: Known) -> Iterator[Hit]:
    if not target.allowed_namespaces:
        yield Hit((*SPEC, "allowedNamespaces"), "no namespace may burst here: the target is never used", "name one")


def _no_budget(target: Target, _known: Known) -> Iterator[Hit]:
    if not amounts(target.limits.budget):
        yield Hit(
            (*SPEC, "limits"),
            "the target has no budget: its policies' own limits are all that ends the spending",
            "set limits.budget, perMonth at the least",
        )


def _never_reached(target: Target, _known: Known) -> Iterator[Hit]:
    yield from never_reached(target.limits.budget)


def _namespace_budgets(target: Target, _known: Known) -> Iterator[Hit]:
    """Yield namespaces whose own limit is above the target's, which decides."""
    whole = {field: amount for _, field, amount in amounts(target.limits.budget)}
    for index, name in enumerate(target.allowed_namespaces):
        limits = target.namespace_limits.get(name)
        if limits is None:
            continue
        for window, field, amount in amounts(limits.budget):
            if field in whole and amount > whole[field]:
                yield Hit(
                    (*SPEC, "allowedNamespaces", index),
                    f"namespace {name} may spend more per {window} than the whole target, which decides",
                    f"lower its {field}",
                )


def _shared_group(target: Target, known: Known) -> Iterator[Hit]:
    if target.sweep != "Delete":
        return
    mine = (target.subscription.casefold(), target.resource_group.casefold())
    for name, other in sorted(known.targets.items()):
        if name != target.name and mine == (other.subscription.casefold(), other.resource_group.casefold()) and mine[1]:
            yield Hit(
                (*SPEC, "sweep"),
                f"sweep deletes pod VMs that no record of this cluster claims, and target {name} uses resource group"
                f" {target.resource_group} too",
                "give each target a resource group of its own, or use mode Report",
            )


def _no_scope(target: Target, _known: Known) -> Iterator[Hit]:
    if target.sweep == "Delete" and not target.sweep_exclusive and not target.sweep_tags:
        yield Hit(
            (*SPEC, "sweep", "mode"),
            "Delete without sweep.scope: only what records of bursts, or machines' own tags, prove to be this cluster's is"
            " ever deleted; other VMs without a record stay and cost",
            "set sweep.scope.tags to what cloud-api-adaptor tags its VMs with, or sweep.scope.exclusive, or use mode Report",
        )


def _shared_runtime_class(target: Target, known: Known) -> Iterator[Hit]:
    """Yield targets elsewhere with the same RuntimeClass: one installation of cloud-api-adaptor makes VMs in one cloud and account."""
    for name, other in sorted(known.targets.items()):
        if name == target.name or other.runtime_class != target.runtime_class:
            continue
        if other.provider != target.provider:
            elsewhere = f"of provider {other.provider}"
        elif other.subscription.casefold() != target.subscription.casefold():
            elsewhere = "of another subscription"
        else:
            continue
        yield Hit(
            (*SPEC, "runtimeClassName"),
            f"RuntimeClass {target.runtime_class} is that of target {name} too, {elsewhere}: its pods run in one of the two clouds only,"
            " whichever target was chosen",
            "give each its own cloud-api-adaptor, and a RuntimeClass of that name",
        )


def _tees(target: Target, _known: Known) -> Iterator[Hit]:
    if target.provider == "azure" and "SNP" in target.tees and "TDX" in target.tees:
        yield Hit(
            (*SPEC, "tees"),
            "TDX and SNP are both allowed: a policy that allows both takes whichever is cheaper",
            "split it into two targets if policies should tell them apart",
        )


def _assumed(target: Target, known: Known) -> Iterator[Hit]:
    """Yield where the assumed price is below a price that is known: what is reserved would not be enough."""
    assumed = target.assumed_price_micro_usd_per_hour
    if assumed is None:
        return
    listed = known.list_prices.get(target.name, {})
    dearer = [size for size in target.sizes if listed.get(size.casefold(), 0) > assumed]
    if dearer:
        yield Hit(
            (*SPEC, "assumedPricePerHour"),
            f"it is below the list price of {', '.join(dearer)}: a size of that kind without a price is under-reserved",
            "set it to the price of the dearest allowed size",
        )


def _discount(target: Target, _known: Known) -> Iterator[Hit]:
    unknown = [size for size in sorted(target.negotiated_micro_usd_per_hour) if size not in target.sizes]
    for size in unknown:
        yield Hit(
            (*SPEC, "prices", "perHour", size),
            f"a price for {size}, which is not among the target's sizes",
            "remove it, or allow the size",
        )


RULES: Final = (
    TargetRule("every-namespace", "a target open to every namespace", _every_namespace),
    TargetRule("no-namespace", "a target open to none", _no_namespace),
    TargetRule("target-without-budget", "a target without a budget", _no_budget),
    TargetRule("budget-never-reached", "a budget above that of a longer window", _never_reached),
    TargetRule("namespace-above-target", "a namespace's budget above its target's", _namespace_budgets),
    TargetRule("sweep-shared-group", "VMs deleted in a resource group that others use", _shared_group),
    TargetRule("sweep-without-scope", "VMs to be deleted, and nothing said of whose they are", _no_scope),
    TargetRule("runtime-class-of-two-clouds", "a RuntimeClass that targets of two clouds share", _shared_runtime_class),
    TargetRule("both-tees", "a target where either TEE will do", _tees),
    TargetRule("assumed-price-too-low", "an assumed price below known ones", _assumed),
    TargetRule("price-of-no-size", "a negotiated price for a size that is not allowed", _discount),
)
