"""Every field of a policy's spec, each valid for itself. What must hold between them is in ``policy_rules``.

The parts are in modules of their own; here they are put together.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from burster.policy.expressions import check_condition
from burster.policy.fields import INT32_MAX
from burster.policy.schema.base import Strict
from burster.policy.schema.confidential import ConfidentialSpec
from burster.policy.schema.limits import LimitsSpec
from burster.policy.schema.machine import MachineSpec
from burster.policy.schema.placement import PlacementSpec, WaitSpec
from burster.policy.schema.scaling import ScalingSpec
from burster.policy.schema.triggers import PendingPodsSpec, Trigger
from burster.policy.schema.windows import Windows
from burster.policy.schema.workload import Workload, WorkloadRefSpec


def _condition(text: str) -> str:
    check_condition(text)
    return text


_DEFAULT_TRIGGERS: Final = (PendingPodsSpec(type="pending-pods"),)


class DemandSpec(Strict):
    """Whose demand there is, and where it comes from; a part of the policy's spec."""

    priority: int = Field(
        default=0,
        ge=-INT32_MAX,
        le=INT32_MAX,
        description="Where several policies match a pod, the highest priority takes it.",
    )
    workload: Workload = Field(description="Which pods the policy is about.")
    triggers: Annotated[tuple[Trigger, ...], Field(strict=False, min_length=1, max_length=16)] = Field(
        default=_DEFAULT_TRIGGERS,
        description="Sources of demand; pending-pods where it is left out.",
        json_schema_extra={"default": [{"type": "pending-pods"}]},
    )
    scale_target_ref: WorkloadRefSpec | None = Field(
        default=None,
        description="The cloud workload: what Scale sets, what KEDA scales for Signal, and whose template a Clone by metrics takes.",
    )


class PolicyFields(ScalingSpec, DemandSpec):
    """The spec's fields together, before anybody has looked at whether they contradict each other."""

    when: Annotated[str, Field(min_length=1, max_length=4_096), AfterValidator(_condition)] | None = Field(
        default=None, description="A condition in CEL; nothing new starts unless it holds. Always where it is left out."
    )
    windows: Windows = Field(
        default=(), description="The policy is in force while any of them is open; always without one."
    )
    blackouts: Windows = Field(default=(), description="The policy is not in force while any of them is open.")
    wait: WaitSpec = Field(default=WaitSpec(), description="Whether a pod waits for room on-prem.")
    limits: LimitsSpec = Field(default=LimitsSpec(), description="What the policy may use and spend at most.")
    placement: PlacementSpec = Field(description="Where cloud pods go, and for how long.")
    confidential: ConfidentialSpec = Field(default=ConfidentialSpec(), description="What a VM must prove.")
    machine: MachineSpec | None = Field(default=None, description="For strategy Machine: what each machine is.")
