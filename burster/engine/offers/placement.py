"""Which strategy: what it means for a pod to burst, by what the pod is. Called by ``gates``; which offering is for ``offerings``."""

from typing import Final

from burster.model.bursts import BurstStrategy
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.policies import Policy


#: Owners whose pods serve and may run here and there at once.
SERVICES: Final = frozenset({"Deployment", "ReplicaSet"})
_NO_PODS: Final = {
    "Scale": "Strategy Scale sets a number of replicas and makes no burst for a pod.",
    "Signal": "Strategy Signal sets a number of replicas and makes no burst for a pod.",
    "Machine": "Strategy Machine starts machines as a number says, and makes no burst for a pod.",
}


def choose_strategy(policy: Policy, pod: Pod) -> BurstStrategy | Reason:
    """Return how this pod bursts, or why it can't.

    A task may run only once, so only services are cloned. Pods with a controller can be moved only by the admission webhook
    (design section 6), which this version does not have.
    """
    kind = pod.workload.kind if pod.workload else ""
    wanted = policy.placement.strategy
    if wanted in _NO_PODS:
        by_number = wanted == "Machine" and not pod.name  # it stands in for one
        return "Machine" if by_number else Reason(code="NoBurstsOfItsOwn", sentence=_NO_PODS[wanted])
    if wanted == "Auto":
        wanted = "Clone" if kind in SERVICES else "Move"
    if wanted == "Clone":
        if kind in SERVICES:
            return "Clone"
        what = f"a {kind}'s pod" if kind else "a bare pod"
        return Reason(
            code="CloneWouldRunTwice",
            sentence=f"Clone is for services, and this is {what}: a second copy could do its work twice. Use strategy Auto or Move.",
        )
    if pod.owner is not None:
        return Reason(
            code="MoveNeedsWebhook",
            sentence=(
                f"Moving a pod that a {pod.owner.kind} controls needs burster's admission webhook, which is not part of this version; "
                "bare pods can be moved."
            ),
        )
    return "Move"


def why_strategy(policy: Policy, pod: Pod, strategy: BurstStrategy) -> str:
    """Return the sentence that says which strategy was taken and why."""
    if policy.placement.strategy != "Auto":
        return f"{strategy}, as the policy says."
    what = f"a {pod.workload.kind}'s pod" if pod.workload else "a bare pod"
    if strategy == "Clone":
        return f"Clone, because it is {what}: a service may run here and there at once."
    return f"Move, because it is {what}: finite work or an identity may run only once."
