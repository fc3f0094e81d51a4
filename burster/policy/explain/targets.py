"""A target in plain sentences: the place, who may use it, what it must cost at most, and how pods there are proven."""

from collections.abc import Iterator

from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.targets import Target
from burster.policy.explain.limits import limit_sentences
from burster.policy.explain.machine import lent_sentences
from burster.policy.explain.words import all_of, any_of


def explain_target(target: Target) -> list[str]:
    """Return what a target allows, one sentence an item."""
    return [
        _place(target),
        f"Pods run under RuntimeClass {target.runtime_class} on {any_of(target.sizes)}, with {any_of(target.tees)}.",
        *_who(target),
        *limit_sentences(target.limits, "All policies together use", "Together they spend"),
        *_prices(target),
        *_shown(target),
        *_proof(target),
        *lent_sentences(target.machines),
        (
            f"A VM must be there {format_duration_ms(target.launch_deadline_ms)} after its pod was placed, and the pod must run on the"
            f" verified VM after {format_duration_ms(target.ready_deadline_ms)}; otherwise the burst has failed."
        ),
        f"VMs older than {format_duration_ms(target.sweep_grace_ms)} that no record claims are {_swept(target)}.",
    ]


def _swept(target: Target) -> str:
    if target.sweep == "Report":
        return "only reported"
    if target.sweep_exclusive:
        return "deleted: the resource group is this cluster's alone"
    proven = "deleted where a burst's record proves whose they were"
    if target.sweep_tags:
        tags = ", ".join(f"{name}={value}" for name, value in sorted(target.sweep_tags.items()))
        return f"{proven}, or where they bear the tags {tags}; others are reported"
    return f"{proven}, and reported otherwise"


def _place(target: Target) -> str:
    place = f"Target {target.name} is {target.provider}" + (f" region {target.region}" if target.region else "")
    if target.subscription:
        place += f", subscription {target.subscription}, resource group {target.resource_group}"
    if target.jurisdiction:
        place += f", under the law of {target.jurisdiction}"
    return f"{place}."


def _shown(target: Target) -> Iterator[str]:
    match target.proof:
        case "Arm":
            return
        case "Record":
            yield (
                f"Of its VMs burster knows what cloud-api-adaptor records: that there is one, at {target.provider}. That they are"
                " confidential attestation alone proves, so only policies with attestation Required may burst here."
            )
            yield "They cost what the catalogue says, from the pod's placing until the record is let go."
        case "Node":
            labels = [f"{key}={value}" for key, value in sorted(target.node_selector.items())]
            if labels:
                yield f"Pods run in VMs of nodes that carry {all_of(labels)}; each pod's node is checked once it has one."
            yield "It holds what the nodes hold: a pod that none of them takes within 30s goes to the policy's next target."


def _who(target: Target) -> Iterator[str]:
    namespaces = target.allowed_namespaces
    if "*" in namespaces:
        yield "Every namespace may burst here."
    elif namespaces:
        yield f"Only namespaces {', '.join(namespaces)} may burst here."
    else:
        yield "No namespace may burst here until allowedNamespaces names one."
    if target.required_namespace_labels:
        labels = [f"{key}={value}" for key, value in sorted(target.required_namespace_labels.items())]
        yield f"A namespace must carry {all_of(labels)} too."
    for name, limits in sorted(target.namespace_limits.items()):
        yield from limit_sentences(limits, f"Namespace {name} uses", f"Namespace {name} spends")
    if target.data_classes:
        yield f"Data of class {any_of(target.data_classes)} may be worked on here, and data without a class."
    if target.allowed_metric_endpoints:
        yield f"Policies that burst here may read metrics from {any_of(target.allowed_metric_endpoints)} only."


def _prices(target: Target) -> Iterator[str]:
    for size, price in sorted(target.negotiated_micro_usd_per_hour.items()):
        yield f"{size} costs {format_micro_usd(price)} per hour here, as negotiated."
    if target.discount_milli_percent:
        yield f"Every other size costs {target.discount_milli_percent / 1000:g} % less than its list price."
    assumed = target.assumed_price_micro_usd_per_hour
    yield (
        "A size of unknown price is refused."
        if assumed is None
        else f"A size of unknown price is taken to cost {format_micro_usd(assumed)} per hour."
    )
    if target.catalogue:
        yield f"What is on offer is declared, not asked for: {all_of([one.size for one in target.catalogue])}."


def _proof(target: Target) -> Iterator[str]:
    if target.trustee_url:
        yield f"Pods here attest to the Trustee at {target.trustee_url}."
    if target.initdata is not None:
        yield f"Their initdata is key {target.initdata.key} of ConfigMap {target.initdata.config_map}, unless a policy names its own."
    if target.image:
        yield f"Every VM must have been made from image {target.image}."
    if target.subnet:
        yield f"Every VM must be in subnet {target.subnet}."
