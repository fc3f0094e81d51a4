"""Lint of confidentiality: proof that is not asked for, and demands that nothing enforces."""

from collections.abc import Callable, Iterator
from typing import Final

from burster.model.policies import Confidential, Policy
from burster.policy.images import read_prefix
from burster.policy.lint.base import CONFIDENTIAL, Hit, Known, PolicyCheck, PolicyRule


#: what a machine without a pod does not have
_OF_PODS: Final = ("images", "secrets")


def _where(holds: Callable[[Confidential], bool], field: str, message: str, advice: str) -> PolicyCheck:
    """Return the check that tells of a field where something holds; ``{data_class}`` in the message is the policy's."""

    def check(policy: Policy, _known: Known) -> Iterator[Hit]:
        confidential = policy.confidential
        if holds(confidential) and (policy.machine is None or field not in _OF_PODS):
            yield Hit((*CONFIDENTIAL, field), message.format(data_class=confidential.data_class), advice)

    return check


_VM_ONLY: Final = _where(
    lambda asked: asked.attestation == "VmOnly",
    "attestation",
    "with VmOnly a pod may work before anybody has verified its VM's evidence: only the cloud's own word says that it is confidential",
    "use Required, with a Trustee at the target",
)
_IMAGES: Final = _where(
    lambda asked: bool(asked.data_class) and not asked.images_by_digest,
    "images",
    "data of class {data_class} is worked on by images that a tag names: whoever can move the tag decides what runs",
    "set images.digestOnly: true",
)
_SECRETS: Final = _where(
    lambda asked: bool(asked.data_class) and asked.secrets == "Any",
    "secrets",
    "pods that work on data of class {data_class} may mount plain Secrets, which the worker node and the API server can read",
    "set secrets.mode: Sealed and name the sealed ones",
)
_SECURE_BOOT: Final = _where(
    lambda asked: not asked.secure_boot,
    "secureBoot",
    "without secure boot the VM may have started from anything",
    "set it to true, unless the measured boot of your image is verified by Trustee",
)


def _exec(policy: Policy, known: Known) -> Iterator[Hit]:
    confidential = policy.confidential
    if policy.machine is not None:
        return
    if not confidential.exec_forbidden:
        yield Hit(
            (*CONFIDENTIAL, "exec"),
            "with exec Allowed whoever may exec into pods of the cluster reads what is in the confidential VM",
            "use Forbidden, and an agent policy in the initdata that says so",
        )
        return
    targets = known.named(policy)
    if confidential.initdata is None and targets and known.all_known(policy):
        without = [target.name for target in targets if target.initdata is None]
        if without:
            yield Hit(
                (*CONFIDENTIAL, "exec"),
                f"exec is Forbidden, but neither the policy nor target {' or '.join(without)} names an initdata: without an"
                " agent policy nothing in the VM refuses it",
                "set confidential.initdata, or initdata at the target",
            )


def _unlikely_image(policy: Policy, _known: Known) -> Iterator[Hit]:
    for index, text in enumerate(policy.confidential.allowed_images):
        image = read_prefix(text)
        path = (*CONFIDENTIAL, "images", "allowed", index)
        if image is None:
            yield Hit(
                path,
                f"{text!r} is the beginning of no image's name that a container runtime takes: it allows nothing",
                "write registry/path, for example registry.bank.example/fraud",
            )
        elif image.path and "/" not in text:
            yield Hit(
                path,
                f"{text!r} is the one image {image.registry}/{'/'.join(image.path)}, and no registry: a registry's name has a dot"
                " or a port",
                "write the registry's whole name, or the image's",
            )


def _nothing_sealed(policy: Policy, _known: Known) -> Iterator[Hit]:
    confidential = policy.confidential
    if confidential.secrets == "Sealed" and not confidential.sealed_secrets:
        yield Hit(
            (*CONFIDENTIAL, "secrets"),
            "secrets are Sealed and none is named: a pod that refers to any Secret at all is refused",
            "name the sealed Secrets in secrets.sealed, unless that is what you want",
        )
    if confidential.secrets == "Any" and confidential.sealed_secrets:
        yield Hit(
            (*CONFIDENTIAL, "secrets", "sealed"),
            "names are listed as sealed, but mode Any lets every Secret pass",
            "set secrets.mode: Sealed",
        )


RULES: Final = (
    PolicyRule("attestation-vm-only", "pods that work before their VM is verified", _VM_ONLY),
    PolicyRule("exec-not-forbidden", "exec that is allowed, or forbidden by nothing", _exec),
    PolicyRule("images-by-tag", "images by tag for classified data", _IMAGES),
    PolicyRule(
        "unlikely-image", "an allowed image that no image can be, or a word that is no registry", _unlikely_image
    ),
    PolicyRule("secrets-not-sealed", "plain Secrets for classified data", _SECRETS),
    PolicyRule("sealed-names", "sealed Secrets that are not named, or named in vain", _nothing_sealed),
    PolicyRule("secure-boot-off", "VMs that need no secure boot", _SECURE_BOOT),
)
