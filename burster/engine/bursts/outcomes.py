"""How instructions ended, and what that means for their burst. An outcome that nobody knows is asked for again, never guessed."""

from typing import Final

import msgspec

from burster.engine import policy_status
from burster.engine.bursts import ending, resting, storms
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ACTIVE, ENDING
from burster.engine.bursts.observe_pods import FINAL, follow_pod, pod_vanished, storm
from burster.engine.bursts.vms import find_mismatch
from burster.engine.numbers import replicas
from burster.engine.releasing import leaving, wait
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.errors import RemoteKind
from burster.model.offerings import Vm
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import (
    BurstRecorded,
    InstructionFailed,
    PodDeleted,
    PodPlaced,
    PodReturned,
    RecordDeleted,
    StatusWritten,
    VmsObserved,
)


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
_NO_TARGET: Final = Reason(
    code="TargetMissing", sentence="Its BurstTarget is gone, and nobody can say what its VM has to be."
)


def burst_recorded(state: State, stimulus: BurstRecorded) -> None:
    """The record is there: the pod may follow, unless the wish has gone meanwhile."""
    entry = state.bursts.get(stimulus.key)
    if entry is not None:
        actions.answered(entry, "RecordBurst")
        _recorded(state, entry, stimulus.uid)


def _recorded(state: State, entry: BurstEntry, uid: str) -> None:
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


def vms_observed(state: State, stimulus: VmsObserved) -> None:
    """Take in what the cloud says of a burst's VMs."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    conclusive = entry.observing_gone and "ObserveVms" in entry.under_way
    actions.answered(entry, "ObserveVms")
    phase = entry.burst.status.phase
    if phase == "Released":
        return
    vms = tuple(vm for vm in stimulus.vms if not _is_anothers(state, entry, vm))
    _note_vms(state, entry, vms)
    _note_gone(state, entry, stimulus.gone)
    actions.cover_running(state, entry)
    if phase in {"Provisioning", "Attesting"} and len(entry.vms) > storms.VMS_MAX:
        ending.fail_launch(state, entry, storm(entry, len(entry.vms) - 1), slow=True)
    elif phase == "Attesting":
        _verify(state, entry, vms)
    elif phase == "Provisioning" and vms:
        actions.observe_again(state, entry)
    elif phase == "Serving" and not vms:
        sentence = "The pod says it runs, and the cloud has no VM for it."
        ending.end(state, entry, "Lost", Reason(code="VmLost", sentence=sentence), verdict="Fail")
    elif phase in ENDING or phase == "Releasing":
        ending.vms_seen_ending(state, entry, vms, conclusive=conclusive)


def _is_anothers(state: State, entry: BurstEntry, vm: Vm) -> bool:
    """Say whether a VM of this burst's name can't be its own: made after its pod had gone, or already known as another burst's."""
    if entry.pod_gone_at_ms is not None and vm.created_at_ms is not None and vm.created_at_ms > entry.pod_gone_at_ms:
        return True
    if vm.name in entry.vms:
        return False
    return any(
        vm.name in other.vms
        for other in state.bursts.values()
        if other is not entry and other.burst.status.phase in ACTIVE
    )


def _note_vms(state: State, entry: BurstEntry, vms: tuple[Vm, ...]) -> None:
    entry.vms_known = True
    seen = {vm.name: vm for vm in vms}
    for name, vm in seen.items():
        span = entry.vms.setdefault(name, [vm.created_at_ms or state.now_ms, None])
        span[0] = span[0] if span[0] is not None else vm.created_at_ms or state.now_ms
        span[1] = None
    for name, span in entry.vms.items():
        if name not in seen and span[1] is None:
            span[1] = state.now_ms
    _write_vms(state, entry)


def _note_gone(state: State, entry: BurstEntry, gone: tuple[Vm, ...]) -> None:
    """Note VMs that came and went between two looks, of which only a lagging listing tells: they cost until now at most.

    One that was made before this burst was decided on was another's, of a pod of the same name.
    """
    for vm in gone:
        began = vm.created_at_ms
        ours = began is not None and began >= entry.burst.spec.decided_at_ms and not _is_anothers(state, entry, vm)
        if ours and vm.name not in entry.vms:
            entry.vms[vm.name] = [began, state.now_ms]
            _write_vms(state, entry)


def _write_vms(state: State, entry: BurstEntry) -> None:
    names = tuple(sorted(entry.vms))
    started = min((span[0] for span in entry.vms.values() if span[0] is not None), default=None)
    status = entry.burst.status
    if names != status.vms or started != status.vm_started_at_ms:
        actions.change_status(state, entry, vms=names, vm_started_at_ms=started)


def _verify(state: State, entry: BurstEntry, vms: tuple[Vm, ...]) -> None:
    up = [vm for vm in vms if vm.provisioning_state == "Succeeded"]
    if not up:
        actions.observe_again(state, entry)
        return
    policy = state.policies.get(entry.burst.policy_key)
    target = state.targets.get(entry.burst.spec.target)
    for vm in up:
        mismatch = _NO_TARGET
        if target is not None:
            mismatch = find_mismatch(vm, entry.burst, policy.policy if policy else None, target.target)
        if mismatch is not None:
            if target is not None:
                target.tripped = mismatch
            resting.park(state, entry)
            ending.end(state, entry, "Failed", mismatch, verdict="Fail")
            return
    took = state.now_ms - entry.burst.spec.decided_at_ms
    sentence = (
        f"VM {up[-1].name} is a confidential {entry.burst.spec.size}, {format_duration_ms(took)} after the decision."
    )
    actions.serve(state, entry, Reason(code="Verified", sentence=sentence, numbers={"took_ms": took}))
    storms.served(state, entry)
    wait.note_start(state, entry.burst.spec.target, took)


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


def instruction_failed(state: State, stimulus: InstructionFailed) -> None:
    """Decide what a failure means: final, withdrawn, or once more. An unknown outcome is always asked for again."""
    if stimulus.instruction in {"ListCloud", "DeleteVm"}:
        state.under_way.pop(stimulus.key, None)
        return
    if stimulus.instruction == "WritePolicyStatus":
        policy_status.failed(state, stimulus)
        return
    if stimulus.instruction == "ReleasePolicy":
        leaving.failed(state, stimulus)
        return
    if stimulus.instruction in {"SetScale", "PublishSignal"}:
        replicas.failed(state, stimulus)
        return
    entry = state.bursts.get(stimulus.subject)
    if entry is None or stimulus.instruction == "EmitEvent":
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
    elif kind == "WriteStatus" and stimulus.kind == "NotFound":
        # The record is gone: there is nothing to be true to.
        entry.written_phase = entry.burst.status.phase
        ending.carry_on(state, entry)
    elif kind == "MarkVerified" and stimulus.kind == "NotFound":
        return
    elif kind == "ReturnPod" and stimulus.kind == "Invalid" and not entry.recorded:
        _can_not_return(state, entry)
    elif kind == "ObserveVms" and entry.burst.status.phase in ENDING and entry.pod_gone_at_ms is None:
        # The end does not wait for the cloud to answer.
        entry.looked = True
        ending.carry_on(state, entry)
    else:
        actions.retry_later(state, entry, kind, stimulus.retry_after_ms)


def _not_recorded(state: State, entry: BurstEntry, stimulus: InstructionFailed, reason: Reason) -> None:
    if entry.recorded or entry.burst.status.phase != "Reserved":
        return
    if entry.seen_uid:
        # The watch has shown the record: an earlier attempt had succeeded.
        _recorded(state, entry, entry.seen_uid)
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


def _can_not_return(state: State, entry: BurstEntry) -> None:
    """The record was removed by force, and the moved pod's manifest with it: say so, and go on with the end."""
    reason = Reason(
        code="NotReturned",
        sentence="Its record was removed by force, and the pod's manifest with it: the pod can't be brought home.",
    )
    state.decide(
        "Fail",
        reason,
        policy=entry.burst.policy_key,
        subject=entry.burst.subject,
        burst=entry.burst.key,
    )
    entry.returned = True
    ending.carry_on(state, entry)
