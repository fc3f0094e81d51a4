"""What burster makes of a policy or a target, where ``kubectl get burstpolicies,bursttargets`` shows it.

A whole status is written by server-side apply: what an earlier version set and this one does not, goes.
"""

from typing import Any

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, KubeApi
from burster.model.instructions import WritePolicyStatus, WriteTargetStatus
from burster.model.stimuli import PolicyStatusWritten, TargetStatusWritten
from burster.policy.status_objects import policy_status_to_object, target_status_to_object


async def write_policy_status(api: KubeApi, instruction: WritePolicyStatus) -> PolicyStatusWritten:
    """Write a policy's status. Raises RemoteError."""
    namespace, _, name = instruction.policy.partition("/")
    await _apply(api, paths.burst_policies(namespace, name), policy_status_to_object(instruction))
    return PolicyStatusWritten(policy=instruction.policy)


async def write_target_status(api: KubeApi, instruction: WriteTargetStatus) -> TargetStatusWritten:
    """Write a target's status. Raises RemoteError."""
    await _apply(api, paths.burst_targets(instruction.target), target_status_to_object(instruction))
    return TargetStatusWritten(target=instruction.target)


async def _apply(api: KubeApi, path: str, body: dict[str, Any]) -> None:
    await api.patch(f"{path}/status", body, kind="apply", params={"fieldManager": FIELD_MANAGER, "force": "true"})
