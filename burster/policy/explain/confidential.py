"""What a place must prove and a pod must be, in sentences."""

from collections.abc import Iterator

from burster.model.policies import Confidential
from burster.policy.explain.words import any_of


def confidential_sentences(confidential: Confidential, *, pods: bool = True) -> Iterator[str]:
    """Yield what is asked for; without ``pods`` of a VM alone."""
    boot = "booted by secure boot" if confidential.secure_boot else "with or without secure boot"
    yield f"Only a confidential VM will do: {any_of(confidential.tees)}, {boot}."
    if confidential.attestation == "Required":
        whom = "a pod after its VM" if pods else "a machine after it"
        yield f"Only targets with a Trustee will do, which releases keys to {whom} has been attested."
    else:
        yield "The VM's own properties, as the cloud tells them, are proof enough (attestation VmOnly)."
    if pods:
        yield from _pod_sentences(confidential)
    if confidential.data_class:
        yield f"It works on data of class {confidential.data_class}: only targets that take that class will do."
    if confidential.jurisdictions:
        yield f"Only targets under the law of {any_of(confidential.jurisdictions)} will do."


def _pod_sentences(confidential: Confidential) -> Iterator[str]:
    if confidential.initdata is not None:
        yield f"Its initdata is key {confidential.initdata.key} of ConfigMap {confidential.initdata.config_map}, not the target's."
    yield (
        "Nobody may exec into a cloud pod: the agent policy in the initdata must forbid it."
        if confidential.exec_forbidden
        else "Whoever may exec into pods may exec into these."
    )
    if confidential.allowed_images or confidential.images_by_digest:
        where = f" from {any_of(confidential.allowed_images)}" if confidential.allowed_images else ""
        how = " named by digest" if confidential.images_by_digest else ""
        yield f"Every image must be one{where}{how}."
    if confidential.secrets == "Sealed":
        names = ", ".join(confidential.sealed_secrets)
        yield f"A pod may refer to sealed Secrets only: {names}." if names else "A pod may refer to no Secret at all."
