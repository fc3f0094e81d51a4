"""What people have stopped by hand: everything that would start, or what would come home for want of demand.

Called by ``gates`` and ``eligibility`` before anything new is judged, by ``releases`` and ``replicas`` before anything is given up, and by
``policy_status``. A pause never holds up what money, a lease, a breaker, an evacuation or a person brings home.
"""

from typing import Final

from burster.engine.answers import Refusal
from burster.engine.state import State
from burster.model.decisions import Reason
from burster.model.policies import Policy
from burster.model.stimuli import ClusterStop


#: Refusals under which a number that was published stays: nothing new is to start, and what runs is to go on.
HOLDING: Final = frozenset({"Paused", "PausedScaleOut", "ClusterStopped"})


def cluster_stop_heard(state: State, stimulus: ClusterStop) -> None:
    """Note whether new bursts are stopped for the whole cluster; who was refused for it looks again when they are not."""
    before, state.stop = state.stop, stimulus if stimulus.stopped else None
    if before == state.stop:
        return
    for policy in state.policies.values():
        policy.reopened = True
    state.scaling_open.update(state.policies)


def cluster_gate(state: State) -> Refusal | None:
    """Refuse everything new while the cluster is stopped."""
    stop = state.stop
    if stop is None:
        return None
    who = f" by {stop.by}" if stop.by else ""
    why = f": {stop.why}" if stop.why else "."
    return _deny("ClusterStopped", f"New bursts are stopped for the whole cluster{who}{why}")


def outward_gate(policy: Policy) -> Refusal | None:
    """Refuse what is new of a policy that is paused, or paused outward."""
    if policy.paused:
        return _deny("Paused", "The policy is paused by its annotation burster.dev/paused.")
    if policy.paused_scale_out:
        sentence = "Nothing new starts by the policy, by its annotation burster.dev/paused-scale-out."
        return _deny("PausedScaleOut", sentence)
    return None


def keeps_what_runs(policy: Policy) -> bool:
    """Say whether nothing of a policy comes home for want of demand."""
    return policy.paused or policy.paused_scale_in


def kept(policy: Policy, there: int, wanted: int) -> Reason:
    """Return why a number does not fall."""
    annotation = "burster.dev/paused" if policy.paused else "burster.dev/paused-scale-in"
    return Reason(
        code="PausedScaleIn",
        sentence=f"{wanted} would do, and {there} stay: nothing comes home for want of demand, by the annotation {annotation}.",
        numbers={"there": there, "wanted": wanted},
    )


def _deny(code: str, sentence: str) -> Refusal:
    return Refusal(verdict="Deny", reason=Reason(code=code, sentence=sentence), whole_policy=True)
