"""Pods that no confidential node takes: on-prem capacity is what the nodes hold, and only their scheduler knows when that is used up.

Called by ``observe_pods`` for each look at a pod of such a target, and by ``timers`` when its patience is over. A refused pod goes home,
and every size as large or larger is left alone at the target for a while: the next one in turn goes to the next target at once.
"""

from typing import Final

from burster.engine.bursts import ending
from burster.engine.offers import cooling, elsewhere
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.stimuli import CloudPodSeen
from burster.model.targets import proof_of


#: How long a pod may wait for a node: what has just ended there is still being cleared away.
PATIENCE_MS: Final = 30_000


def look(state: State, entry: BurstEntry, pod: CloudPodSeen) -> None:
    """End a burst whose pod no node has taken for long enough; have it looked at again where it is not long enough yet."""
    spec, status = entry.burst.spec, entry.burst.status
    since_ms = pod.unschedulable_since_ms
    if since_ms is None or status.phase != "Provisioning" or proof_of(spec.provider) != "Node":
        return
    # by the cluster's clock, which may be ahead or behind
    since_ms = max(min(since_ms, state.now_ms), status.placed_at_ms or 0)
    due_ms = since_ms + PATIENCE_MS
    if state.now_ms < due_ms:
        state.at(due_ms, "room", entry.burst.key)
        return
    said = pod.unschedulable or "nobody says why"
    reason = Reason(code="NodesFull", sentence=f"No node of {spec.target} takes it: {said}")
    why = f"had no node with room for {spec.size}"
    left = elsewhere.leave_alone(state, entry, reason.code, why, cooling.OTHERWISE_MS)
    ending.end(state, entry, "Failed", reason, verdict="Fail", also=(left,))
