"""Is a VM what was decided, and what becomes of a burst whose VM is not: the same for a pod's VM and for a machine."""

from typing import Final

from burster.engine.bursts import ending, resting
from burster.engine.bursts.vms import find_mismatch
from burster.engine.state import BurstEntry, State
from burster.model.bursts import Phase
from burster.model.decisions import Reason
from burster.model.offerings import Vm


NO_TARGET: Final = Reason(
    code="TargetMissing", sentence="Its BurstTarget is gone, and nobody can say what its VM has to be."
)


def mismatch_of(state: State, entry: BurstEntry, vm: Vm) -> Reason | None:
    """Return the first way in which a VM is not what its burst, policy and target ask for; without a target nobody can say."""
    target = state.targets.get(entry.burst.spec.target)
    if target is None:
        return NO_TARGET
    policy = state.policies.get(entry.burst.policy_key)
    return find_mismatch(vm, entry.burst, policy.policy if policy else None, target.target)


def condemn(state: State, entry: BurstEntry, mismatch: Reason, phase: Phase = "Failed") -> None:
    """End a burst whose VM is not what was decided, and let nothing more go where it was made."""
    target = state.targets.get(entry.burst.spec.target)
    if target is not None:
        target.tripped = mismatch
    resting.park(state, entry)
    ending.end(state, entry, phase, mismatch, verdict="Fail")
