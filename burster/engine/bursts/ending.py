"""How bursts end: asked to stop, pod gone, moved pod home, VMs confirmed gone, money settled.

Called by the ``observe`` rooms and ``timers``. ``carry_on`` is the one place that knows the order; it may be called at any time and
does what can be done next. The order is what keeps a task from being lost or from running twice: the wish to end is on record before a
moved pod is deleted, its VMs are confirmed gone before it is written anew on-prem, and that is done before the burst is Releasing.
"""

from typing import Final

from burster.engine.accounting import budgets
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts import machine_ends, provenance, resting, storms
from burster.engine.bursts.lifecycle import ANSWERING, ENDING
from burster.engine.offers import quotas
from burster.engine.state import BurstEntry, State
from burster.model.bursts import Phase
from burster.model.decisions import Reason, Verdict
from burster.model.instructions import DeletePod, DeleteVm, ReturnPod
from burster.model.offerings import CloudResource, Vm
from burster.model.quantities import format_micro_usd
from burster.model.stimuli import Spend


_RETENTION_MS: Final = 3_600_000
_SWEEP_DEADLINE_MS: Final = 600_000
#: What the executor may add to an instruction's deadline before it says so.
_ANSWER_SLACK_MS: Final = 60_000


def end(
    state: State,
    entry: BurstEntry,
    phase: Phase,
    reason: Reason,
    *,
    verdict: Verdict = "Release",
    also: tuple[Reason, ...] = (),
) -> None:
    """End a burst from wherever it is: Draining for a good end, Failed or Lost for a bad one. ``also``: what else is to be said.

    While it is not known whether there is a pod, the wish is kept and carried out once it is known.
    """
    now = entry.burst.status.phase
    if now not in ANSWERING:
        return
    if now in {"Reserved", "Placing"} or not state.ready:
        entry.withdraw = entry.withdraw or reason
        return
    _say_ended(state, entry, reason, verdict, also)
    entry.ended_by_us = True
    actions.set_phase(state, entry, phase, reason=reason.code, message=reason.sentence, draining_at_ms=state.now_ms)
    carry_on(state, entry)


def withdraw(state: State, entry: BurstEntry, reason: Reason) -> None:
    """End a burst of which it is known that there is no pod: none was created, or somebody else has deleted it."""
    _say_ended(state, entry, reason, "Release")
    entry.pod_gone_at_ms = state.now_ms
    actions.set_phase(state, entry, "Releasing", reason=reason.code, message=reason.sentence)
    if entry.maybe_placed:
        # An attempt that nobody heard the end of may have brought a VM to life.
        actions.observe(state, entry)
    else:
        released(state, entry)


def fail_unplaced(state: State, entry: BurstEntry, reason: Reason, *, also: tuple[Reason, ...] = ()) -> None:
    """End a burst whose pod can't be created. A Move may have taken the pending pod already, which then goes home."""
    _say_ended(state, entry, reason, "Fail", also)
    entry.ended_by_us = True
    entry.vms_gone = not entry.maybe_placed
    actions.set_phase(state, entry, "Failed", reason=reason.code, message=reason.sentence)
    carry_on(state, entry)


def _say_ended(
    state: State, entry: BurstEntry, reason: Reason, verdict: Verdict, also: tuple[Reason, ...] = ()
) -> None:
    state.decide(
        verdict,
        reason,
        *also,
        policy=entry.burst.policy_key,
        subject=entry.burst.subject,
        burst=entry.burst.key,
    )
    actions.tell(state, entry, f"Burst{verdict}", reason.sentence, warning=verdict == "Fail")
    forget_cover(state, entry)


def carry_on(state: State, entry: BurstEntry) -> None:
    """Do the next thing that ends a burst, if nothing is under way that must be waited for."""
    status, spec = entry.burst.status, entry.burst.spec
    if status.phase not in ENDING:
        return
    if spec.strategy == "Machine":
        if machine_ends.is_over(state, entry):
            to_releasing(state, entry, status.reason, status.message)
        return
    if status.pod_uid and entry.pod_gone_at_ms is None:
        _delete_pod(state, entry)
        return
    if entry.pod_gone_at_ms is None:
        entry.pod_gone_at_ms = state.now_ms
    homeless = spec.strategy == "Move" and entry.ended_by_us and not status.outcome and not entry.returned
    if homeless and not entry.vms_gone:
        # A pod that was removed by force may still be at work in its VM: it comes home when that is gone for certain.
        actions.observe(state, entry)
    elif homeless:
        if "ReturnPod" not in entry.under_way:
            actions.ask(state, entry, ReturnPod(key=f"return/{entry.burst.key}", burst=entry.burst))
    else:
        to_releasing(state, entry, status.reason, status.message)


def _delete_pod(state: State, entry: BurstEntry) -> None:
    """Ask for the cloud pod's deletion, with the policy's drain time as its grace."""
    if not (entry.vms_known or entry.looked):
        # What it cost can be told only by who has seen the VM: look before it goes.
        actions.observe(state, entry)
        return
    if entry.burst.spec.strategy == "Move" and entry.recorded and entry.written_phase not in ENDING:
        return  # until the record says so: else a successor would take our deletion for somebody else's, and not bring the pod home
    if "DeletePod" not in entry.under_way and not entry.delete_accepted:
        grace_ms = entry.burst.spec.drain_ms
        actions.ask(state, entry, DeletePod(key=f"delete/{entry.burst.key}", burst=entry.burst, grace_ms=grace_ms))


def let_go(state: State, entry: BurstEntry) -> None:
    """Take the finalizer off a moved pod that has ended, once: by asking for its deletion again, when how it ended is on record.

    Called whenever one of the conditions may have come true; asks only if all of them have.
    """
    pod, status = entry.pod, entry.burst.status
    if entry.let_go or entry.burst.spec.strategy != "Move" or pod is None or "DeletePod" in entry.under_way:
        return
    if status.phase in ANSWERING or not pod.terminating or pod.phase not in {"Succeeded", "Failed"}:
        return
    on_record = entry.written_phase == status.phase or not entry.recorded
    if status.outcome and not on_record:
        return
    entry.let_go = True
    grace_ms = entry.burst.spec.drain_ms
    key = f"delete/{entry.burst.key}"
    actions.ask(state, entry, DeletePod(key=key, burst=entry.burst, grace_ms=grace_ms, let_go=True))


def pod_gone(state: State, entry: BurstEntry) -> None:
    """Note that the cloud pod is gone, or that its work is over, and go on with the end."""
    if entry.pod_gone_at_ms is None:
        entry.pod_gone_at_ms = state.now_ms
        entry.observations = 0
    carry_on(state, entry)


def to_releasing(state: State, entry: BurstEntry, reason: str, message: str) -> None:
    """Go on to the last phase: no pod is left, the VMs' absence is to be confirmed."""
    if entry.pod_gone_at_ms is None:
        entry.pod_gone_at_ms = state.now_ms
    entry.observations = 0
    actions.set_phase(state, entry, "Releasing", reason=reason, message=message)
    state.releases_open.add(entry.burst.policy_key)  # one less is on its way
    if entry.vms_gone:
        _none_left(state, entry)
    else:
        actions.observe(state, entry)


def vms_seen_ending(state: State, entry: BurstEntry, vms: tuple[Vm, ...], *, conclusive: bool) -> None:
    """Go on with what the cloud says of an ending burst. ``conclusive``: it was asked after the pod had gone."""
    entry.looked = True
    if entry.pod_gone_at_ms is None:
        carry_on(state, entry)
    elif vms:
        _sweep_overdue(state, entry, vms)
        actions.observe_again(state, entry)
    elif not conclusive:
        actions.observe(state, entry)
    elif entry.burst.status.phase == "Releasing":
        _none_left(state, entry)
    else:
        entry.vms_gone = True
        carry_on(state, entry)


def _none_left(state: State, entry: BurstEntry) -> None:
    """No VM was in the cloud's answer: that is the end, or too early to be believed."""
    listed_by_ms = actions.listed_by_ms(entry)
    if entry.asked_at_ms >= listed_by_ms:
        released(state, entry)
        return
    actions.observe_again(state, entry)
    state.at(max(listed_by_ms, state.now_ms), "observe", entry.burst.key)


def _sweep_overdue(state: State, entry: BurstEntry, vms: tuple[Vm, ...]) -> None:
    target = state.targets.get(entry.burst.spec.target)
    gone_at = entry.pod_gone_at_ms if entry.pod_gone_at_ms is not None else state.now_ms
    if target is None or state.now_ms < gone_at + target.target.sweep_grace_ms:
        return
    for vm in vms:
        if target.target.sweep == "Delete":
            sweep(state, target.target.name, vm, entry)
        elif vm.name not in entry.reported_vms:
            entry.reported_vms |= {vm.name}
            sentence = f"VM {vm.name} ({vm.provisioning_state}) outlived its pod; the target only reports, so somebody has to delete it."
            state.decide(
                "Sweep",
                Reason(code="VmLeftBehind", sentence=sentence),
                policy=entry.burst.policy_key,
                subject=vm.name,
                burst=entry.burst.key,
            )


def sweep(state: State, target: str, vm: Vm | CloudResource, entry: BurstEntry) -> bool:
    """Delete a VM that outlived its pod, nothing but burster will; False: that is under way."""
    key = f"sweep/{target}/{vm.name}"
    if not begin(state, key, _SWEEP_DEADLINE_MS):
        return False
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
    state.instructions.append(DeleteVm(key=key, target=target, vm=vm.name, deadline_ms=_SWEEP_DEADLINE_MS))
    return True


def begin(state: State, key: str, deadline_ms: int) -> bool:
    """Say whether an instruction that belongs to no burst may be asked for now, and if so note that it is under way."""
    if state.under_way.get(key, 0) > state.now_ms:
        return False
    state.under_way[key] = state.now_ms + deadline_ms + _ANSWER_SLACK_MS
    return True


def released(state: State, entry: BurstEntry) -> None:
    """The pod is gone and no VM is left: settle the money and close the record."""
    give_back(state, entry)
    cost = actions.settle(state, entry)
    burst = entry.burst
    state.settled_total_micro_usd += cost
    state.settled[burst.uid] = (state.now_ms, cost)
    provenance.settled(state, burst.key, burst.uid)
    state.spends.append(
        Spend(
            burst=burst.key,
            uid=burst.uid,
            policy=burst.policy_key,
            target=burst.spec.target,
            at_ms=state.now_ms,
            micro_usd=cost,
        )
    )
    actions.set_phase(
        state,
        entry,
        "Released",
        reason=burst.status.reason,
        message=burst.status.message,
        settled_micro_usd=cost,
        reserved_micro_usd=0,
        released_at_ms=state.now_ms,
    )
    actions.tell(state, entry, "BurstReleased", f"No VM is left; it cost {format_micro_usd(cost)}")
    state.at(state.now_ms if burst.deleting else state.now_ms + _RETENTION_MS, "forget", burst.key)


def drop(state: State, entry: BurstEntry, reason: Reason) -> None:
    """Forget a burst whose record was never written: nothing exists of it, and its money comes back whole."""
    burst = entry.burst
    state.decide("Fail", reason, policy=burst.policy_key, subject=burst.subject, burst=burst.key)
    give_back(state, entry)
    state.forget(burst.key)


def give_back(state: State, entry: BurstEntry) -> None:
    """Let go of everything a burst held: its money, its place in the counts, its pod."""
    held, entry.held_micro_usd = entry.held_micro_usd, 0
    actions.claim(state, entry, 0)
    budgets.release(state, *actions.where(entry), held)
    actions.count(state, entry, -1)
    quotas.count(state, entry, launched=False)
    forget_cover(state, entry)
    for policy in state.policies.values():
        policy.reopened = True


def fail_launch(
    state: State, entry: BurstEntry, reason: Reason, *, slow: bool = False, blame_workload: bool = True
) -> None:
    """End a burst that could not be brought to serve, let its pod rest, and count it against whoever else fails so.

    ``slow``: what failed may have taken the whole ready deadline, so the rest is longer than that.
    """
    end(state, entry, "Failed", reason, verdict="Fail")
    launch_failed(state, entry, reason, slow=slow, blame_workload=blame_workload)


def launch_failed(
    state: State, entry: BurstEntry, reason: Reason, *, slow: bool = False, blame_workload: bool = True
) -> None:
    """Do the same for a burst that has been ended already, so that it does not count among those that may still serve."""
    at_least_ms = entry.burst.spec.ready_deadline_ms + storms.BEYOND_READY_MS if slow else 0
    resting.park(state, entry, at_least_ms)
    storms.launch_failed(state, entry, reason, at_least_ms=at_least_ms, blame_workload=blame_workload)


def forget_cover(state: State, entry: BurstEntry) -> None:
    """The burst answers no pod any more; the pod, if it still waits, is free to be answered by another."""
    state.spares.discard(entry.burst.key)
    covered, entry.covers = entry.covers, ""
    pod = state.pods.get(covered)
    if pod is not None and pod.burst == entry.burst.key:
        pod.burst = ""
        pod.verdict = None
        state.at(state.now_ms, "age", covered)
