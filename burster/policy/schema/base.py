"""What all models of the rules share: strictness, the object's metadata, and how a rule over several fields is stated for API servers.

Everything else of the schema builds on this. Nothing here knows a field of a policy.
"""

from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from burster.policy.fields import DnsLabel, DnsShortName


GROUP: Final = "burster.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
PAUSED_ANNOTATION: Final = f"{GROUP}/paused"
SCALE_IN_ANNOTATION: Final = f"{GROUP}/paused-scale-in"
SCALE_OUT_ANNOTATION: Final = f"{GROUP}/paused-scale-out"
FORCE_ANNOTATION: Final = f"{GROUP}/force-activation"
RULES: Final = "x-kubernetes-validations"


class Strict(BaseModel):
    """A mapping of the rules: frozen, camelCase outside, no unknown field, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    #: what to say of certain unknown fields, beside "did you mean"
    hints: ClassVar[dict[str, str]] = {}

    @classmethod
    def hint(cls, name: str) -> str:
        """Return what a person should know who wrote this unknown field; empty for nothing in particular."""
        return cls.hints.get(name, "")


def ruled(*rules: tuple[str, str], **more: JsonValue) -> ConfigDict:
    """Return a model's configuration that states rules for API servers, each a CEL expression over ``self`` and its message.

    The model's own validators state the same in Python; a test holds the two to the same verdicts. ``more`` are further keywords of its
    JSON Schema.
    """
    stated: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in rules]
    return ConfigDict(json_schema_extra={**more, RULES: stated})


class Metadata(Strict):
    """The object's metadata: what a person writes, and what an API server adds (kept as it is and not judged)."""

    name: DnsShortName = Field(description="The object's name, at most 63 characters: cloud pods carry it as a label.")
    namespace: DnsLabel | None = Field(
        default=None, description="The namespace the policy is for; default where it is left out."
    )
    labels: dict[str, str] = Field(default={}, description="Labels of the object; they decide nothing.")
    annotations: dict[str, str] = Field(
        default={},
        description=f"Annotations; {PAUSED_ANNOTATION}, {SCALE_IN_ANNOTATION} and {SCALE_OUT_ANNOTATION} pause a policy, "
        f"{FORCE_ANNOTATION} takes it for active.",
    )
    uid: str = Field(default="", description="Given by the API server.")
    generation: int = Field(default=0, description="Given by the API server.")
    generate_name: Any = None
    resource_version: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    finalizers: Any = None
    self_link: Any = None

    @property
    def paused(self) -> bool:
        """Whether the annotation pauses the policy. As in KEDA a value that is no boolean pauses too: that is the safe side."""
        return self.is_set(PAUSED_ANNOTATION)

    def is_set(self, annotation: str) -> bool:
        """Say whether an annotation is there and not false; as in KEDA a value that is no boolean counts as true."""
        value = self.annotations.get(annotation)
        return value is not None and value.lower() not in {"false", "f", "0"}

    @property
    def forced(self) -> bool:
        """Whether the policy counts as active; only a plain true does, since what is no boolean must not buy anything."""
        return self.annotations.get(FORCE_ANNOTATION, "").lower() in {"true", "t", "1"}
