"""How instructions that succeeded go on. What failed is ``failures``' business, what the cloud says of VMs ``observe_vms``'."""

import msgspec

from burster.engine.bursts import ending
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ENDING
from burster.engine.bursts.observe_pods import follow_pod, pod_vanished
from burster.engine.state import BurstEntry, State
from burster.model.stimuli import BurstRecorded, PodDeleted, PodPlaced, PodReturned, RecordDeleted, StatusWritten


def burst_recorded(state: State, stimulus: BurstRecorded) -> None:
    """The record is there: the pod may follow, unless the wish has gone meanwhile."""
    entry = state.bursts.get(stimulus.key)
    if entry is not None:
        actions.answered(entry, "RecordBurst")
        recorded(state, entry, stimulus.uid)


def recorded(state: State, entry: BurstEntry, uid: str) -> None:
    """Go on with a burst whose record is there, as its writer or the watch has said."""
    if entry.recorded or entry.burst.status.phase != "Reserved":
        return
    entry.burst = msgspec.structs.replace(entry.burst, uid=uid)
    entry.recorded, entry.written_phase = True, "Reserved"
    if entry.withdraw is not None:
        ending.withdraw(state, entry, entry.withdraw)
    else:
        actions.place(state, entry)


def pod_placed(state: State, stimulus: PodPlaced) -> None:
    """The cloud pod is there."""
    entry = state.bursts.get(stimulus.key)
    if entry is None or entry.burst.status.phase != "Placing":
        return
    actions.answered(entry, "PlacePod")
    actions.placed(state, entry, stimulus.pod_uid)
    if entry.gone_pod_uid == stimulus.pod_uid:
        pod_vanished(state, entry)
    elif entry.pod is not None and entry.pod.pod_uid == stimulus.pod_uid:
        follow_pod(state, entry, entry.pod)
    if entry.withdraw is not None:
        ending.end(state, entry, "Draining", entry.withdraw)


def pod_deleted(state: State, stimulus: PodDeleted) -> None:
    """The deletion was accepted; the pod is gone when CloudPodGone says so."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    actions.answered(entry, "DeletePod")
    entry.delete_accepted = True
    ending.let_go(state, entry)
    if stimulus.gone and entry.burst.status.phase in ENDING:
        ending.pod_gone(state, entry)


def pod_returned(state: State, stimulus: PodReturned) -> None:
    """A moved pod is pending on-prem again."""
    entry = state.bursts.get(stimulus.key)
    if entry is not None:
        actions.answered(entry, "ReturnPod")
        entry.returned = True
        ending.carry_on(state, entry)


def status_written(state: State, stimulus: StatusWritten) -> None:
    """Note what the record says: the deletion of a moved pod waits for the word that it is to end."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    if stimulus.phase == "Verified":
        actions.answered(entry, "MarkVerified")
        return
    entry.written_phase = stimulus.phase
    if entry.burst.status.phase == stimulus.phase:
        actions.answered(entry, "WriteStatus")
        ending.let_go(state, entry)
    ending.carry_on(state, entry)


def record_deleted(state: State, stimulus: RecordDeleted) -> None:
    """Forget a closed record."""
    entry = state.bursts.get(stimulus.key)
    if entry is not None and entry.burst.status.phase == "Released":
        state.forget(stimulus.key)
