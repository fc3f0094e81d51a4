"""Burst records as the API shows them: a predecessor's are adopted, of one's own only what others did to them is news."""

import msgspec

from burster.engine.bursts import ending, provenance
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.adoption import RECORD_DELETED, take_in
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.state import BurstEntry, State
from burster.model.bursts import Burst
from burster.model.decisions import Reason
from burster.model.stimuli import BurstGone, BurstSeen


def burst_seen(state: State, stimulus: BurstSeen) -> None:
    """Adopt a record that a predecessor wrote, and no other; of one's own, only a deletion by somebody else is news."""
    seen = stimulus.burst
    entry = state.bursts.get(seen.key)
    if entry is None:
        if provenance.is_foreign(state, seen, stimulus.created_at_ms):
            provenance.report(state, seen)
        else:
            take_in(state, seen)
        return
    if entry.burst.uid not in {"", seen.uid} or not _same_decision(entry.burst, seen):
        return
    if not entry.recorded and not entry.burst.uid:
        entry.seen_uid = seen.uid
    if seen.deleting and not entry.burst.deleting:
        entry.burst = msgspec.structs.replace(entry.burst, deleting=True)
        ending.end(state, entry, "Draining", RECORD_DELETED)
        if entry.burst.status.phase == "Released":
            state.at(state.now_ms, "forget", entry.burst.key)


def _same_decision(ours: Burst, seen: Burst) -> bool:
    return (ours.spec.policy, ours.spec.for_pod.uid) == (seen.spec.policy, seen.spec.for_pod.uid)


def burst_gone(state: State, stimulus: BurstGone) -> None:
    """The record is gone: expected after Released; else somebody forced it, and what exists is still brought home."""
    provenance.forget_foreign(state, stimulus.key, stimulus.uid)
    entry = state.bursts.get(stimulus.key)
    if entry is None or entry.burst.uid not in {"", stimulus.uid}:
        return
    if entry.burst.status.phase == "Released":
        state.forget(stimulus.key)
        return
    entry.seen_uid = ""
    entry.recorded = False
    reason = Reason(code="RecordGone", sentence="The Burst was removed by force.")
    if entry.burst.spec.strategy == "Move" and _has_pod(entry):
        # The pod's manifest went with the record: stopped, it could not be brought home. It may end its work where it is.
        actions.tell(state, entry, reason.code, reason.sentence, warning=True)
    else:
        ending.end(state, entry, "Draining", reason)
    ending.carry_on(state, entry)


def _has_pod(entry: BurstEntry) -> bool:
    return bool(entry.burst.status.pod_uid) and entry.burst.status.phase in ANSWERING
