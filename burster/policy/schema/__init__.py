"""What platform teams write: BurstPolicy and BurstTarget, ``burster.dev/v1alpha1``.

These models are the one source of the rules' form: validation of files and of API objects, the CRDs, the JSON Schema for editors and the
reference page all come from them. They hold what was written; ``compile`` turns them into what the engine evaluates. They never look at
anything outside the document. Their parts are in the modules beside; whoever uses the rules as a whole imports from here.
"""

from typing import Final

from burster.policy.schema.base import API_VERSION, GROUP, PAUSED_ANNOTATION, RULES, VERSION, Metadata, Strict
from burster.policy.schema.policy import BurstPolicy, BurstPolicySpec
from burster.policy.schema.target import BurstTarget, BurstTargetSpec
from burster.policy.schema.triggers import SUPPORTED_TRIGGERS


__all__ = [
    "API_VERSION",
    "GROUP",
    "MODELS",
    "PAUSED_ANNOTATION",
    "RULES",
    "SUPPORTED_TRIGGERS",
    "VERSION",
    "BurstPolicy",
    "BurstPolicySpec",
    "BurstTarget",
    "BurstTargetSpec",
    "Metadata",
    "Strict",
]

MODELS: Final[dict[str, type[BurstPolicy | BurstTarget]]] = {"BurstPolicy": BurstPolicy, "BurstTarget": BurstTarget}
