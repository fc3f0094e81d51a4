"""WritePolicyStatus: what burster makes of a policy, where `kubectl get burstpolicies` shows it."""

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, KubeApi
from burster.model.instructions import WritePolicyStatus
from burster.model.stimuli import PolicyStatusWritten
from burster.policy.records import policy_status_to_object


async def write_policy_status(api: KubeApi, instruction: WritePolicyStatus) -> PolicyStatusWritten:
    """Write the whole status by server-side apply: what an earlier version set and this one does not, goes."""
    namespace, _, name = instruction.policy.partition("/")
    await api.patch(
        paths.burst_policies(namespace, name) + "/status",
        policy_status_to_object(instruction),
        kind="apply",
        params={"fieldManager": FIELD_MANAGER, "force": "true"},
    )
    return PolicyStatusWritten(policy=instruction.policy)
