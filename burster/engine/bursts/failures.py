"""What a failed instruction means for its burst: final, withdrawn, or once more. An outcome that nobody knows is asked for again.

Called by ``step`` for each InstructionFailed. It must never guess: what may have been done is looked for, not assumed.
"""

from collections.abc import Callable
from typing import Final

from burster.engine import policy_status, target_status
from burster.engine.bursts import ending, machine_failures, resting
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ENDING
from burster.engine.bursts.observe_pods import FINAL, follow_pod
from burster.engine.bursts.outcomes import recorded
from burster.engine.numbers import replicas
from burster.engine.releasing import leaving
from burster.engine.state import BurstEntry, State
from burster.engine.sweeping import deleting
from burster.model.decisions import Reason
from burster.model.errors import RemoteKind
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import InstructionFailed


#: Answers of RecordBurst after which there is no record of ours.
_NOT_RECORDED: Final[frozenset[RemoteKind]] = frozenset({*FINAL, "Conflict", "NotFound", "AlreadyExists"})
#: Answers of PlacePod after which there is no pod of ours, and the pending one was not taken.
_NOT_PLACED: Final[frozenset[RemoteKind]] = frozenset({"Conflict", "NotFound"})
#: Answers that say "not now", in which case nothing was done, or what was done is soon shown by the watch.
_ANSWERED: Final[frozenset[RemoteKind]] = frozenset({"Unavailable", "Throttled", "Protocol"})
#: What a dry run says of a pod that it leaves alone, for as long as that waits.
_DRY_RUN: Final = "DryRun"
#: What the runtime says where it held a record back because the decision could not be written down.
_HELD_BACK: Final = "LedgerNotWritable"
#: The code by which a namespace that is being deleted refuses what is new.
_NAMESPACE_GOING: Final = "NamespaceTerminating"
_NO_NAMESPACE: Final = Reason(
    code="NotReturned",
    sentence="Its namespace is being deleted and takes no new pod: the pod can't be brought home.",
)
_NO_MANIFEST: Final = Reason(
    code="NotReturned",
    sentence="Its record was removed by force, and the pod's manifest with it: the pod can't be brought home.",
)


def instruction_failed(state: State, stimulus: InstructionFailed) -> None:
    """Decide what a failure means: final, withdrawn, or once more. An unknown outcome is always asked for again."""
    other = _OTHERS.get(stimulus.instruction)
    if other is not None:
        other(state, stimulus)
        return
    entry = state.bursts.get(stimulus.subject)
    if entry is None:
        return
    kind = stimulus.instruction
    entry.under_way.pop(kind, None)
    entry.let_go = entry.let_go and kind != "DeletePod"
    reason = Reason(
        code=stimulus.code or stimulus.kind,
        sentence=f"{kind} was refused: {stimulus.message[:300]}",
    )
    if kind == "RecordBurst":
        _not_recorded(state, entry, stimulus, reason)
    elif kind == "PlacePod":
        _not_placed(state, entry, stimulus, reason)
    elif kind == "LaunchMachine":
        machine_failures.not_launched(state, entry, stimulus, reason)
    elif kind == "DeleteMachine":
        machine_failures.not_deleted(state, entry, stimulus)
    elif kind == "WriteStatus" and stimulus.kind == "NotFound":
        # The record is gone: there is nothing to be true to.
        entry.written_phase = entry.burst.status.phase
        ending.carry_on(state, entry)
    elif kind == "MarkVerified" and stimulus.kind == "NotFound":
        return
    elif kind == "ReturnPod" and stimulus.kind == "Invalid" and not entry.recorded:
        _can_not_return(state, entry, _NO_MANIFEST)
    elif kind == "ReturnPod" and stimulus.code == _NAMESPACE_GOING:
        _can_not_return(state, entry, _NO_NAMESPACE)
    elif kind == "ObserveVms" and entry.burst.status.phase in ENDING and entry.pod_gone_at_ms is None:
        # The end does not wait for the cloud to answer.
        entry.looked = True
        ending.carry_on(state, entry)
    else:
        actions.retry_later(state, entry, kind, stimulus.retry_after_ms)


def _cloud_unanswered(state: State, stimulus: InstructionFailed) -> None:
    state.under_way.pop(stimulus.key, None)


def _no_loss(_state: State, _stimulus: InstructionFailed) -> None:
    """Leave it at that: an event is a courtesy."""


#: Instructions that are about no burst
_OTHERS: Final[dict[str, Callable[[State, InstructionFailed], None]]] = {
    "ListCloud": _cloud_unanswered,
    "DeleteVm": deleting.failed,
    "DeleteResource": deleting.failed,
    "WritePolicyStatus": policy_status.failed,
    "WriteTargetStatus": target_status.failed,
    "ReleasePolicy": leaving.failed,
    "SetScale": replicas.failed,
    "PublishSignal": replicas.failed,
    "EmitEvent": _no_loss,
}


def _not_recorded(state: State, entry: BurstEntry, stimulus: InstructionFailed, reason: Reason) -> None:
    if entry.recorded or entry.burst.status.phase != "Reserved":
        return
    if entry.seen_uid:
        # The watch has shown the record: an earlier attempt had succeeded.
        recorded(state, entry, entry.seen_uid)
        return
    if stimulus.kind not in _NOT_RECORDED:
        if not _is_overdue(state, entry, stimulus):
            actions.retry_later(state, entry, "RecordBurst", stimulus.retry_after_ms)
            return
        late = _late(entry, stimulus, "NotRecordedInTime", "Its record was not taken")
        resting.park(state, entry)  # one that was written all the same is shown by the watch until then, and adopted
        ending.drop(state, entry, late)
        return
    if stimulus.kind == "AlreadyExists":
        state.taken_names.add(entry.burst.key)
    if stimulus.kind in FINAL and stimulus.code != _HELD_BACK:
        resting.park(state, entry)
    else:
        resting.rest(state, entry)
    ending.drop(state, entry, reason)


def _is_overdue(state: State, entry: BurstEntry, stimulus: InstructionFailed) -> bool:
    """Say whether a burst that the API keeps refusing for the moment has waited for as long as its launch may take.

    What nobody has answered is never overdue: it may have been done. After a restart the time begins anew.
    """
    if stimulus.kind not in _ANSWERED or stimulus.code == _DRY_RUN:
        return False
    spec = entry.burst.spec
    return state.now_ms >= max(spec.decided_at_ms, state.learned.since_ms or 0) + spec.launch_deadline_ms


def _late(entry: BurstEntry, stimulus: InstructionFailed, code: str, what: str) -> Reason:
    allowed = format_duration_ms(entry.burst.spec.launch_deadline_ms)
    return Reason(
        code=code, sentence=f"{what} within {allowed}; the last answer was {stimulus.kind}: {stimulus.message[:300]}"
    )


def _not_placed(state: State, entry: BurstEntry, stimulus: InstructionFailed, reason: Reason) -> None:
    if entry.burst.status.phase != "Placing":
        return
    if stimulus.kind in _NOT_PLACED and entry.pod is not None:
        # The watch has shown the cloud pod: an earlier attempt had succeeded, and it has to be brought home.
        actions.placed(state, entry, entry.pod.pod_uid)
        ending.end(state, entry, "Draining", entry.withdraw or reason)
    elif stimulus.kind in FINAL and entry.pod is not None:
        # So too here, only that the answer is one which the next attempt would get as well.
        actions.placed(state, entry, entry.pod.pod_uid)
        follow_pod(state, entry, entry.pod)
        if entry.burst.status.phase not in {*ENDING, "Released"}:
            ending.fail_launch(state, entry, reason, blame_workload=stimulus.kind == "Invalid")
    elif stimulus.kind in _NOT_PLACED:
        # A pending pod that has changed is heard of at once; a workload that is gone may leave its pods waiting for long.
        (resting.rest if entry.burst.spec.strategy == "Move" else resting.park)(state, entry)
        ending.withdraw(state, entry, entry.withdraw or reason)
    elif stimulus.kind in FINAL:
        ending.fail_unplaced(state, entry, reason)
        ending.launch_failed(state, entry, reason, blame_workload=stimulus.kind == "Invalid")
    elif not _is_overdue(state, entry, stimulus):
        entry.maybe_placed = True
        actions.retry_later(state, entry, "PlacePod", stimulus.retry_after_ms)
    elif entry.pod is not None:
        actions.placed(state, entry, entry.pod.pod_uid)
        follow_pod(state, entry, entry.pod)
    else:
        entry.maybe_placed = True
        late = _late(entry, stimulus, "NotPlacedInTime", "Its pod could not be placed")
        ending.fail_unplaced(state, entry, entry.withdraw or late)
        ending.launch_failed(state, entry, late, blame_workload=False)


def _can_not_return(state: State, entry: BurstEntry, reason: Reason) -> None:
    """A moved pod has no home any more: say so, and go on with the end."""
    state.decide(
        "Fail",
        reason,
        policy=entry.burst.policy_key,
        subject=entry.burst.subject,
        burst=entry.burst.key,
    )
    entry.returned = True
    ending.carry_on(state, entry)
