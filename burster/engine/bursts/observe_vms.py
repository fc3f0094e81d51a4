"""What the cloud says of a burst's VMs: which are its own, what they cost from when on, and whether they are what was decided.

Called by ``step`` for each answer of ObserveVms. Whether a burst may serve is decided here, by ``proving``.
"""

from burster.engine.bursts import ending, machines, proving, storms
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ACTIVE, ENDING
from burster.engine.bursts.observe_pods import storm
from burster.engine.bursts.vms import say_verified
from burster.engine.releasing import wait
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.offerings import Vm
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import VmsObserved
from burster.model.targets import proof_of


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
    if entry.burst.spec.strategy == "Machine":
        vms = machines.own(entry, stimulus.vms)
        _note_vms(state, entry, machines.billed(entry, vms, stimulus.failure))
        actions.cover_running(state, entry)
        machines.observed(state, entry, vms, stimulus.failure)
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
    if vm.name in entry.vms:
        return False
    if entry.pod_gone_at_ms is not None and vm.created_at_ms is not None and vm.created_at_ms > entry.pod_gone_at_ms:
        return True
    return any(
        vm.name in other.vms or _is_of_later(other, entry, vm)
        for other in state.bursts.values()
        if other is not entry and other.burst.status.phase in ACTIVE
    )


def _is_of_later(other: BurstEntry, entry: BurstEntry, vm: Vm) -> bool:
    """Say whether a VM was made for a pod of the same name that was decided on later: by then this burst's own pod was no more."""
    ours, theirs = entry.burst.spec, other.burst.spec
    return (
        theirs.pod_name == ours.pod_name
        and other.burst.namespace == entry.burst.namespace
        and _was_decided_later(other, entry)
        and vm.created_at_ms is not None
        and vm.created_at_ms >= theirs.decided_at_ms
    )


def _was_decided_later(other: BurstEntry, entry: BurstEntry) -> bool:
    """Say which of two bursts of one pod name is the later one; of one and the same millisecond that is the one whose pod lived longer.

    Whoever takes a VM for its own waits until it is gone: with the later one it can't be forgotten.
    """
    theirs, ours = other.burst.spec.decided_at_ms, entry.burst.spec.decided_at_ms
    if theirs != ours or entry.pod_gone_at_ms is None:
        return theirs > ours
    return other.pod_gone_at_ms is None or other.pod_gone_at_ms > entry.pod_gone_at_ms


def _note_vms(state: State, entry: BurstEntry, vms: tuple[Vm, ...]) -> None:
    entry.vms_known = True
    seen = {vm.name: vm for vm in vms}
    for name, vm in seen.items():
        began_ms = _began_ms(state, entry, vm)
        span = entry.vms.setdefault(name, [began_ms, None])
        span[0] = span[0] if span[0] is not None else began_ms
        span[1] = None
    for name, span in entry.vms.items():
        if name not in seen and span[1] is None:
            span[1] = state.now_ms
    _write_vms(state, entry)


def _began_ms(state: State, entry: BurstEntry, vm: Vm) -> int:
    """Return when a VM began to cost; where the cloud's clock is ahead and that time has not come, when its pod was placed.

    A record is written when its VM is there: the first one's cost is counted from the pod's placing, which is before it began.
    """
    if proof_of(entry.burst.spec.provider) == "Record" and not entry.vms:
        return min(state.now_ms, entry.burst.status.placed_at_ms or state.now_ms)
    if vm.created_at_ms is None:
        return state.now_ms
    if vm.created_at_ms > state.now_ms:
        return min(state.now_ms, entry.burst.status.placed_at_ms or state.now_ms)
    return vm.created_at_ms


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
    if proof_of(entry.burst.spec.provider) == "Record" and not (entry.pod is not None and entry.pod.containers_ready):
        # Nobody else says anything of what is in that VM: at least its containers must.
        actions.observe_again(state, entry)
        return
    for vm in up:
        mismatch = proving.mismatch_of(state, entry, vm)
        if mismatch is not None:
            proving.condemn(state, entry, mismatch)
            return
    took = state.now_ms - entry.burst.spec.decided_at_ms
    sentence = f"{say_verified(up[-1], entry.burst)}, {format_duration_ms(took)} after the decision."
    actions.serve(state, entry, Reason(code="Verified", sentence=sentence, numbers={"took_ms": took}))
    storms.served(state, entry)
    wait.note_start(state, entry.burst.spec.target, took)
