"""The passive half, second part: what became of bursts, their pods and their VMs, and how instructions ended."""

from typing import Final

import msgspec

from burster.engine import lifecycle_actions as actions
from burster.engine.lifecycle import ACTIVE, ANSWERING
from burster.engine.state import BurstEntry, State
from burster.engine.vms import find_mismatch, stem_of, vm_stem
from burster.model.bursts import Burst
from burster.model.decisions import Reason
from burster.model.errors import RemoteKind
from burster.model.instructions import DeleteVm
from burster.model.offerings import Vm
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import (
    BurstGone,
    BurstRecorded,
    BurstSeen,
    CloudListed,
    CloudPodGone,
    CloudPodSeen,
    InstructionFailed,
    PodDeleted,
    PodPlaced,
    PodReturned,
    RecordDeleted,
    SandboxFailed,
    StatusWritten,
    VmDeleted,
    VmsObserved,
)


#: A pod whose sandbox failed this often costs more than it brings: the kubelet makes another VM each time.
_SANDBOX_FAILURES_MAX: Final = 3
_COOL_DEFAULT_MS: Final = 180_000
#: How long a refused size is left alone, by the cloud's own code (Karpenter on Azure's measured choices).
_COOL_MS: Final[dict[str, int]] = {
    "SkuNotAvailable": 23 * 3_600_000,
    "AllocationFailed": 3_600_000,
    "ZonalAllocationFailed": 3_600_000,
    "OverconstrainedAllocationRequest": 3_600_000,
    "OverconstrainedZonalAllocationRequest": 3_600_000,
    "OperationNotAllowed": 600_000,
    "QuotaExceeded": 600_000,
}
#: Failures after which the very same request can only fail again.
_FINAL: Final[frozenset[RemoteKind]] = frozenset({"Invalid", "Unauthorized"})
#: Asked for again by the next tick, or not at all.
_LEFT_ALONE: Final = frozenset({"EmitEvent", "DeleteVm", "ListCloud"})
#: What they would have changed is gone.
_MOOT: Final = frozenset({("WriteStatus", "NotFound"), ("WriteStatus", "Conflict"), ("MarkVerified", "NotFound")})


def burst_seen(state: State, stimulus: BurstSeen) -> None:
    """Adopt a record that a predecessor wrote; of one's own, only a deletion by somebody else is news."""
    seen = stimulus.burst
    entry = state.bursts.get(seen.key)
    if entry is None:
        _take_in(state, seen)
        return
    if entry.burst.uid and entry.burst.uid != seen.uid:
        return
    if seen.deleting and not entry.burst.deleting:
        entry.burst = msgspec.structs.replace(entry.burst, deleting=True)
        actions.end(state, entry, "Draining", Reason(code="RecordDeleted", sentence="Somebody deleted the Burst."))
        _forget_if_released(state, entry)


def _forget_if_released(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase == "Released":
        state.at(state.now_ms, "forget", entry.burst.key)


def _take_in(state: State, burst: Burst) -> None:
    entry = BurstEntry(burst=burst, recorded=True)
    state.bursts[burst.key] = entry
    status = burst.status
    if status.phase == "Released":
        if burst.uid not in state.settled_uids and status.settled_micro_usd is not None:
            # The ledger is the record of spend; a volume that was lost is made good from the records that are left.
            state.settled_uids.add(burst.uid)
            state.settled_total_micro_usd += status.settled_micro_usd
            at = status.released_at_ms or state.now_ms
            state.policy_account(burst.policy_key).settle(status.settled_micro_usd, at)
            target = state.targets.get(burst.spec.target)
            if target is not None:
                target.account.settle(status.settled_micro_usd, at)
        state.at(max(state.now_ms, (status.released_at_ms or state.now_ms) + 3_600_000), "forget", burst.key)
        return
    entry.vms = {name: [status.vm_started_at_ms, None] for name in status.vms}
    entry.vms_known = bool(entry.vms)
    entry.ran = status.phase in {"Attesting", "Serving"} or status.serving_at_ms is not None
    entry.ended_by_us = status.phase in {"Draining", "Failed", "Lost"}
    actions.count(state, entry, 1)
    actions.hold(state, entry, status.reserved_micro_usd or burst.spec.reserved_micro_usd)
    early = state.early_pods.pop(burst.key, None)
    if early is not None:
        entry.pod = early
    pod = state.pods.get(f"{burst.namespace}/{burst.spec.for_pod.name}")
    if pod is not None and pod.pod.uid == burst.spec.for_pod.uid and status.phase in ANSWERING:
        pod.burst, entry.covers = burst.key, pod.pod.key
    if state.ready:
        resume(state, entry)


def resume(state: State, entry: BurstEntry) -> None:
    """Go on with a record found at start, from the phase it says, by asking again for what that phase needs."""
    burst = entry.burst
    phase = burst.status.phase
    state.at(burst.status.lease_until_ms - min(burst.spec.lease_ms // 10, 300_000), "lease", burst.key)
    if phase == "Reserved":
        actions.place(state, entry)
    elif phase == "Placing":
        actions.ask(state, entry, actions.PlacePod(key=f"place/{burst.key}", burst=burst))
    elif phase in {"Provisioning", "Attesting", "Serving"}:
        _resume_with_pod(state, entry)
    elif phase == "Releasing":
        entry.pod_gone_at_ms = state.now_ms
        actions.observe(state, entry)
    elif phase in {"Draining", "Failed", "Lost"}:
        if entry.pod is None:
            entry.pod_gone_at_ms = state.now_ms
        if entry.vms_known:
            actions.delete_pod(state, entry)
        else:
            actions.observe(state, entry)
    if burst.deleting:
        actions.end(state, entry, "Draining", Reason(code="RecordDeleted", sentence="Somebody deleted the Burst."))


def _resume_with_pod(state: State, entry: BurstEntry) -> None:
    status = entry.burst.status
    if entry.pod is None:
        _pod_vanished(state, entry)
        return
    placed_at = status.placed_at_ms or state.now_ms
    state.at(max(state.now_ms, placed_at + entry.burst.spec.ready_deadline_ms), "deadline", entry.burst.key)
    if status.phase == "Attesting":
        actions.observe(state, entry)
    if status.phase == "Serving" and entry.burst.spec.strategy == "Clone":
        actions.ask(state, entry, actions.MarkVerified(key=f"verify/{entry.burst.key}", burst=entry.burst))
    if not entry.covers and entry.burst.spec.strategy == "Clone":
        state.spares.add(entry.burst.key)
        state.at(state.now_ms, "cooldown", entry.burst.key)
    _follow_pod(state, entry, entry.pod)


def burst_gone(state: State, stimulus: BurstGone) -> None:
    """The record is gone: expected after Released; else somebody forced it, and what exists is still brought home."""
    entry = state.bursts.get(stimulus.key)
    if entry is None or (entry.burst.uid and entry.burst.uid != stimulus.uid):
        return
    if entry.burst.status.phase == "Released":
        del state.bursts[stimulus.key]
        return
    entry.recorded = False
    actions.end(state, entry, "Draining", Reason(code="RecordGone", sentence="The Burst was removed by force."))


def cloud_pod_seen(state: State, stimulus: CloudPodSeen) -> None:
    """One of burster's own pods, new or changed."""
    entry = state.bursts.get(stimulus.burst_key)
    if entry is None:
        state.early_pods[stimulus.burst_key] = stimulus
        return
    if entry.burst.uid and stimulus.burst_uid and entry.burst.uid != stimulus.burst_uid:
        return
    entry.pod = stimulus
    if state.ready:
        _follow_pod(state, entry, stimulus)


def _follow_pod(state: State, entry: BurstEntry, pod: CloudPodSeen) -> None:
    phase = entry.burst.status.phase
    entry.ran = entry.ran or pod.phase in {"Running", "Succeeded", "Failed"}
    if phase not in {"Provisioning", "Attesting", "Serving", "Draining"}:
        return
    spec = entry.burst.spec
    if phase == "Provisioning" and (pod.runtime_class != spec.runtime_class or pod.size.lower() != spec.size.lower()):
        sentence = (
            f"The admission chain made it {pod.size or 'no size'} with RuntimeClass {pod.runtime_class or 'none'}; "
            f"{spec.size} with {spec.runtime_class} was asked for."
        )
        actions.end(state, entry, "Failed", Reason(code="AdmissionMismatch", sentence=sentence), verdict="Fail")
        actions.park(state, entry)
        return
    if pod.phase in {"Succeeded", "Failed"}:
        _pod_ended(state, entry, pod)
    elif phase == "Provisioning" and pod.phase == "Running":
        actions.attest(state, entry)


def _pod_ended(state: State, entry: BurstEntry, pod: CloudPodSeen) -> None:
    """The task is over: its pod stays for its owner to read, its VM goes with the sandbox."""
    sentence = f"The pod's work ended: {pod.phase}."
    reason = Reason(code=f"Pod{pod.phase}", sentence=sentence)
    if entry.burst.spec.strategy == "Clone":
        # A clone is a service's: one that ended has failed at serving, and its record owns it.
        actions.end(state, entry, "Draining", reason)
        return
    entry.pod_gone_at_ms = state.now_ms
    phase = entry.burst.status.phase
    if phase == "Draining":
        actions.change_status(state, entry, outcome=pod.phase)
        actions.after_pod(state, entry)
        return
    if phase == "Provisioning":
        actions.set_phase(state, entry, "Attesting")
    state.decide(
        "Release",
        reason,
        policy=entry.burst.policy_key,
        subject=f"{entry.burst.namespace}/{entry.burst.spec.for_pod.name}",
        burst=entry.burst.key,
    )
    actions.forget_cover(state, entry)
    actions.change_status(state, entry, outcome=pod.phase, reason=reason.code, message=sentence)
    actions.after_pod(state, entry)


def cloud_pod_gone(state: State, stimulus: CloudPodGone) -> None:
    """One of burster's own pods is really gone."""
    state.early_pods.pop(stimulus.burst_key, None)
    entry = state.bursts.get(stimulus.burst_key)
    if entry is None or (entry.burst.status.pod_uid and entry.burst.status.pod_uid != stimulus.pod_uid):
        return
    entry.pod = None
    if state.ready:
        _pod_vanished(state, entry)


def _pod_vanished(state: State, entry: BurstEntry) -> None:
    phase = entry.burst.status.phase
    if phase in {"Draining", "Failed", "Lost"}:
        actions.after_pod(state, entry)
    elif phase in {"Provisioning", "Attesting", "Serving"}:
        reason = Reason(code="PodDeleted", sentence="Somebody else deleted the cloud pod.")
        state.decide(
            "Release",
            reason,
            policy=entry.burst.policy_key,
            subject=f"{entry.burst.namespace}/{entry.burst.spec.for_pod.name}",
            burst=entry.burst.key,
        )
        actions.forget_cover(state, entry)
        entry.pod_gone_at_ms = state.now_ms
        actions.set_phase(state, entry, "Releasing", reason=reason.code, message=reason.sentence)
        actions.observe(state, entry)


def sandbox_failed(state: State, stimulus: SandboxFailed) -> None:
    """The kubelet could not start the pod's VM."""
    entry = state.bursts.get(stimulus.burst_key)
    if entry is None or entry.burst.status.phase != "Provisioning":
        return
    refused = stimulus.kind in {"Capacity", "Quota"}
    if not refused and stimulus.kind not in _FINAL and stimulus.count < _SANDBOX_FAILURES_MAX:
        # The kubelet tries again with another VM; the one it gave up costs until it is gone, so it is noted while it is there.
        actions.observe(state, entry)
        return
    reason = Reason(
        code=stimulus.code or f"Sandbox{stimulus.kind}",
        sentence=f"Its VM could not be started ({stimulus.count} times): {stimulus.message[:300]}",
        numbers={"count": stimulus.count},
    )
    if refused:
        _cool(state, entry, stimulus.code)
    else:
        actions.park(state, entry)
    actions.end(state, entry, "Failed", reason, verdict="Fail")


def _cool(state: State, entry: BurstEntry, code: str) -> None:
    """Leave a refused size alone for a while, and with it every larger one of its family."""
    spec = entry.burst.spec
    target = state.targets.get(spec.target)
    if target is None:
        return
    duration = _COOL_MS.get(code, _COOL_DEFAULT_MS)
    family = next((o.family for o in target.offerings if o.size == spec.size), "")
    reason = Reason(
        code=code or "Capacity", sentence=f"{spec.region} refused {spec.size} ({code or 'capacity'}) lately."
    )
    for offering in target.offerings:
        if offering.size == spec.size or (
            offering.family == family and offering.resources.cpu_millicores >= spec.vcpus * 1000
        ):
            state.cooling[offering.key] = (state.now_ms + duration, reason)
    for key in state.policies:
        state.at(state.now_ms + duration, "reopen", key)


def burst_recorded(state: State, stimulus: BurstRecorded) -> None:
    """The record is there: the pod may follow, unless the wish has gone meanwhile."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    entry.under_way.pop("RecordBurst", None)
    entry.burst = msgspec.structs.replace(entry.burst, uid=stimulus.uid)
    entry.recorded = True
    if entry.burst.status.phase != "Reserved":
        return
    if entry.withdraw is not None:
        actions.end(state, entry, "Draining", entry.withdraw)
    else:
        actions.place(state, entry)


def pod_placed(state: State, stimulus: PodPlaced) -> None:
    """The cloud pod is there."""
    entry = state.bursts.get(stimulus.key)
    if entry is None or entry.burst.status.phase != "Placing":
        return
    entry.under_way.pop("PlacePod", None)
    actions.placed(state, entry, stimulus.pod_uid)
    if entry.withdraw is not None:
        actions.end(state, entry, "Draining", entry.withdraw)


def pod_deleted(state: State, stimulus: PodDeleted) -> None:
    """The deletion was accepted; the pod is gone when CloudPodGone says so."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    entry.under_way.pop("DeletePod", None)
    if stimulus.gone and entry.burst.status.phase in {"Draining", "Failed", "Lost"}:
        actions.after_pod(state, entry)


def pod_returned(state: State, stimulus: PodReturned) -> None:
    """A moved pod is pending on-prem again."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    entry.under_way.pop("ReturnPod", None)
    entry.returned = True
    if entry.burst.status.phase in {"Draining", "Failed", "Lost"}:
        actions.after_pod(state, entry)


def vms_observed(state: State, stimulus: VmsObserved) -> None:
    """Take in what the cloud says of a burst's VMs."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    entry.under_way.pop("ObserveVms", None)
    entry.attempts.pop("ObserveVms", None)
    _note_vms(state, entry, stimulus.vms)
    phase = entry.burst.status.phase
    if phase == "Attesting":
        _verify(state, entry, stimulus.vms)
    elif phase == "Provisioning" and stimulus.vms:
        actions.observe_again(state, entry)
    elif phase in {"Draining", "Failed", "Lost"}:
        actions.delete_pod(state, entry)
    elif phase == "Releasing":
        _confirm_gone(state, entry, stimulus.vms)


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
        mismatch = find_mismatch(vm, entry.burst, policy.policy if policy else None, target.target if target else None)
        if mismatch is not None:
            if target is not None:
                target.tripped = mismatch
            actions.park(state, entry)
            actions.end(state, entry, "Failed", mismatch, verdict="Fail")
            return
    took = state.now_ms - entry.burst.spec.decided_at_ms
    sentence = (
        f"VM {up[-1].name} is a confidential {entry.burst.spec.size}, {format_duration_ms(took)} after the decision."
    )
    actions.serve(state, entry, Reason(code="Verified", sentence=sentence, numbers={"took_ms": took}))


def _confirm_gone(state: State, entry: BurstEntry, vms: tuple[Vm, ...]) -> None:
    if not vms:
        actions.released(state, entry)
        _forget_if_deleting(state, entry)
        return
    target = state.targets.get(entry.burst.spec.target)
    grace = target.target.sweep_grace_ms if target else 0
    gone_at = entry.pod_gone_at_ms if entry.pod_gone_at_ms is not None else state.now_ms
    if target is not None and target.target.sweep == "Delete" and state.now_ms >= gone_at + grace:
        for vm in vms:
            sweep(state, target.target.name, vm, entry)
    actions.observe_again(state, entry)


def _forget_if_deleting(state: State, entry: BurstEntry) -> None:
    if entry.burst.deleting:
        state.at(state.now_ms, "forget", entry.burst.key)


def sweep(state: State, target: str, vm: Vm, entry: BurstEntry) -> None:
    """Delete a VM that outlived its pod; nothing but burster will."""
    state.decide(
        "Sweep",
        Reason(
            code="VmOutlivedPod",
            sentence=f"VM {vm.name} ({vm.provisioning_state}) is still there and nobody else deletes it.",
        ),
        policy=entry.burst.policy_key,
        subject=vm.name,
        burst=entry.burst.key,
    )
    state.instructions.append(DeleteVm(key=f"sweep/{target}/{vm.name}", target=target, vm=vm.name, deadline_ms=600_000))


def cloud_listed(state: State, stimulus: CloudListed) -> None:
    """Compare what is in the cloud with what the records claim."""
    target = state.targets.get(stimulus.target)
    if target is None:
        return
    stems = {vm_stem(entry.burst.spec.pod_name): entry for entry in state.bursts.values()}
    unclaimed: dict[str, int] = {}
    for vm in stimulus.vms:
        entry = stems.get(stem_of(vm.name))
        if entry is not None and entry.burst.status.phase in ACTIVE:
            continue
        first = state.orphans.get(vm.name, stimulus.listed_at_ms)
        unclaimed[vm.name] = first
        age = stimulus.listed_at_ms - (vm.created_at_ms if vm.created_at_ms is not None else first)
        if age < target.target.sweep_grace_ms:
            continue
        if entry is not None and target.target.sweep == "Delete":
            sweep(state, stimulus.target, vm, entry)
        elif vm.name not in state.orphans:
            sentence = f"VM {vm.name} in {vm.region} has no record here; it is reported, not touched."
            state.decide("Sweep", Reason(code="VmUnclaimed", sentence=sentence), subject=vm.name)
    state.orphans = unclaimed


def vm_deleted(state: State, stimulus: VmDeleted) -> None:
    """Forget a swept VM: it is confirmed gone."""
    state.orphans.pop(stimulus.vm, None)


def status_written(_state: State, _stimulus: StatusWritten) -> None:
    """Do nothing: the record says what the engine says."""


def record_deleted(state: State, stimulus: RecordDeleted) -> None:
    """Forget a closed record."""
    entry = state.bursts.get(stimulus.key)
    if entry is not None and entry.burst.status.phase == "Released":
        del state.bursts[stimulus.key]


def instruction_failed(state: State, stimulus: InstructionFailed) -> None:
    """Decide what a failure means: final, withdrawn, or once more. An unknown outcome is always asked for again."""
    entry = state.bursts.get(stimulus.subject)
    if entry is None:
        return
    kind = stimulus.instruction
    entry.under_way.pop(kind, None)
    reason = Reason(
        code=stimulus.code or stimulus.kind,
        sentence=f"{kind} was refused: {stimulus.message[:300]}",
    )
    if kind == "RecordBurst" and stimulus.kind in _FINAL | {"Conflict", "NotFound", "AlreadyExists"}:
        if stimulus.kind in _FINAL:
            actions.park(state, entry)
        actions.drop(state, entry, reason)
    elif kind == "PlacePod" and stimulus.kind in {"Conflict", "NotFound"}:
        # The pending pod is bound, changed or gone and was not taken: nothing was created.
        actions.end(state, entry, "Draining", entry.withdraw or reason)
    elif kind == "PlacePod" and stimulus.kind in _FINAL:
        actions.park(state, entry)
        actions.end(state, entry, "Failed", reason, verdict="Fail")
    elif kind == "ObserveVms" and entry.burst.status.phase in {"Draining", "Failed", "Lost"}:
        # The end does not wait for the cloud to answer.
        actions.delete_pod(state, entry)
    elif kind not in _LEFT_ALONE and (kind, stimulus.kind) not in _MOOT:
        actions.retry_later(state, entry, kind, stimulus.retry_after_ms)
