"""BurstPolicy: which workload bursts, when, how much, where to, and what that place must prove.

``compile_policy`` turns a BurstPolicy into the engine's Policy.
"""

from typing import Literal

from pydantic import Field, model_validator

from burster.policy.schema.base import Metadata, Strict, ruled
from burster.policy.schema.policy_fields import PolicyFields
from burster.policy.schema.policy_rules import SPEC_RULES, check_spec


class BurstPolicySpec(PolicyFields):
    """Which workload bursts, when, how much, where to, and what that place must prove."""

    model_config = ruled(*SPEC_RULES)

    @model_validator(mode="after")
    def _together(self) -> "BurstPolicySpec":
        check_spec(self)
        return self


class BurstPolicy(Strict):
    """Which workload of a namespace may burst into confidential cloud VMs, when, where to, and how much."""

    api_version: Literal["burster.dev/v1alpha1"] = Field(description="burster.dev/v1alpha1")
    kind: Literal["BurstPolicy"] = Field(description="BurstPolicy")
    metadata: Metadata = Field(description="Name, namespace and annotations.")
    spec: BurstPolicySpec = Field(description="The rules.")
