"""What a place must prove and a pod must be before it works there; a part of the schema of policies, and in part of targets.

``compile`` turns it into the engine's Confidential.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, field_validator, model_validator

from burster.policy.fields import DnsName, Matching, unique
from burster.policy.fields.texts import DnsNames, ImagePrefix, Word, Words
from burster.policy.refusals import Findings
from burster.policy.schema.base import Strict, ruled


TeeName = Literal["TDX", "SNP"]
Tees = Annotated[tuple[TeeName, ...], Field(strict=False, min_length=1, max_length=2), AfterValidator(unique)]


def refuse_no_tee(value: Any) -> Any:
    """Say to somebody who writes None that bursting is for confidential VMs."""
    wrong = Findings()
    for index, item in enumerate(cast("list[Any]", value) if isinstance(value, list) else []):
        if item == "None":
            wrong.at(index, message="bursting is for confidential VMs only: there is no None; use TDX or SNP")
    wrong.raise_any()
    return cast("Any", value)


class InitdataSpec(Strict):
    """A ConfigMap key that holds the initdata of peer pods."""

    config_map: DnsName = Field(description="The ConfigMap's name.")
    key: Annotated[str, Matching(r"[-._a-zA-Z0-9]+", 253, "a ConfigMap's key")] = Field(
        default="initdata.toml", description="The key."
    )


class ImagesSpec(Strict):
    """Which images a pod may be made of."""

    allowed: Annotated[tuple[ImagePrefix, ...], Field(strict=False, max_length=64), AfterValidator(unique)] = Field(
        default=(), description="Beginnings of images' names, registry first; any where it is empty."
    )
    digest_only: bool = Field(default=False, description="Whether every image must be named by its digest.")


class SecretsSpec(Strict):
    """Which Secrets a pod may refer to."""

    model_config = ruled(
        (
            "self.mode == 'Sealed' || !has(self.sealed) || size(self.sealed) == 0",
            "sealed lists Secrets for mode Sealed only",
        ),
    )

    mode: Literal["Any", "Sealed"] = Field(
        default="Any", description="Any: every Secret. Sealed: only those listed, which only the Trustee opens."
    )
    sealed: DnsNames = Field(default=(), description="Names of Secrets that hold sealed secrets.")

    @model_validator(mode="after")
    def _mode(self) -> "SecretsSpec":
        if self.mode == "Any" and self.sealed:
            raise ValueError(
                "lists sealed Secrets, but mode Any allows every Secret: write mode: Sealed, or remove the list"
            )
        return self


class ConfidentialSpec(Strict):
    """What a VM must prove, and what a pod must be, before it works there. There is no way to ask for a VM that isn't confidential."""

    tees: Tees = Field(default=("TDX",), description="Trusted execution environments, any of which will do.")
    secure_boot: bool = Field(default=True, description="Whether the VM must have booted by UEFI secure boot.")
    attestation: Literal["Required", "VmOnly"] = Field(
        default="Required",
        description="Required: only where the target names a Trustee, which attests the guest. VmOnly: the VM's own properties will do.",
    )
    initdata: InitdataSpec | None = Field(default=None, description="Initdata instead of the target's.")
    exec: Literal["Forbidden", "Allowed"] = Field(
        default="Forbidden", description="Forbidden: the agent's policy in the initdata must forbid exec."
    )
    images: ImagesSpec = Field(default=ImagesSpec(), description="Which images a pod may be made of.")
    secrets: SecretsSpec = Field(default=SecretsSpec(), description="Which Secrets a pod may refer to.")
    data_class: Word | None = Field(default=None, description="The class of the data; the target must list it.")
    jurisdictions: Words = Field(default=(), description="Of which the target must be in one; any where it is empty.")

    _no_tee = field_validator("tees", mode="before")(refuse_no_tee)
