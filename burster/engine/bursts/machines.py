"""The life of a machine: a burst without a pod, whose VM burster itself asks for, looks at, and lets be reached.

Called by ``outcomes``, ``failures``, ``observe_vms``, ``timers`` and ``adoption`` for bursts of strategy Machine; how it ends is in
``machine_ends``. Nothing tells when a machine changes, so it is looked at: while it is made, before it may serve, and for as long as it
serves. It becomes the endpoint of its Service only after it was found to be what was decided, and nothing else makes it one.
"""

from typing import Final

from burster.engine.bursts import ending, proving, resting, storms
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ENDING
from burster.engine.bursts.machine_ends import (
    STOPPED_ITSELF,
    TAKEN_AWAY,
    WENT_AWAY,
    delete,
    is_halted,
    watch_ms,
)
from burster.engine.bursts.vms import as_proven, say_verified
from burster.engine.offers import consequences
from burster.engine.releasing import wait
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import PublishEndpoint
from burster.model.offerings import CloudFailure, Matter, Vm
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import EndpointPublished, MachineDeleted, MachineLaunched


_FIRST_LOOK_MS: Final = 10_000
#: Matters of an operation's end before which no machine ran.
_NEVER_RAN: Final[frozenset[Matter]] = frozenset({
    "capacity",
    "zonal-capacity",
    "sku-restricted",
    "family-quota",
    "regional-quota",
    "spot-quota",
    "address-space",
})  # fmt: skip


# --- asked for ---------------------------------------------------------------------------------------------------------


def launched(state: State, stimulus: MachineLaunched) -> None:
    """The cloud has taken the request: the machine is being made, or was there already."""
    entry = state.bursts.get(stimulus.key)
    if entry is None or entry.burst.status.phase != "Placing":
        return
    actions.answered(entry, "LaunchMachine")
    actions.placed(state, entry, stimulus.vm_id)
    if stimulus.operation:
        actions.change_status(state, entry, operation=stimulus.operation)
    if entry.withdraw is not None:
        ending.end(state, entry, "Draining", entry.withdraw)
    else:
        state.at(state.now_ms + _FIRST_LOOK_MS, "observe", entry.burst.key)


# --- looked at ---------------------------------------------------------------------------------------------------------


def own(entry: BurstEntry, vms: tuple[Vm, ...]) -> tuple[Vm, ...]:
    """Return the burst's machine among VMs, if it is there: by its name, and by the cloud's own id where both are known."""
    spec, known = entry.burst.spec, entry.burst.status.pod_uid
    return tuple(vm for vm in vms if vm.name == spec.pod_name and (not known or vm.vm_id in {"", known}))


def billed(entry: BurstEntry, vms: tuple[Vm, ...], failure: CloudFailure | None) -> tuple[Vm, ...]:
    """Return the machines that cost. Where the cloud found no room in the end, nothing ever ran: what is there is an empty shell."""
    if failure is not None and failure.matter in _NEVER_RAN:
        entry.vms.clear()
        entry.unwatched = False
        return ()
    shells = not entry.vms and entry.burst.status.phase in ENDING
    return tuple(vm for vm in vms if not (shells and vm.provisioning_state == "Failed"))


def observed(state: State, entry: BurstEntry, vms: tuple[Vm, ...], failure: CloudFailure | None) -> None:
    """Go on with what the cloud says of a machine now."""
    phase = entry.burst.status.phase
    vm = vms[0] if vms else None
    if phase in ENDING:
        entry.looked, entry.halted = True, vm is None or is_halted(vm)
        ending.carry_on(state, entry)
    elif phase == "Releasing":
        delete(state, entry)
    elif phase == "Provisioning":
        _while_made(state, entry, vm, failure)
    elif phase == "Attesting":
        _before_it_serves(state, entry, vm)
    elif phase == "Serving":
        _while_it_serves(state, entry, vm)


def _while_made(state: State, entry: BurstEntry, vm: Vm | None, failure: CloudFailure | None) -> None:
    if failure is None and vm is not None and vm.provisioning_state == "Failed":
        failure = CloudFailure(
            kind="Unavailable",
            code=vm.failure_code or "ProvisioningFailed",
            matter="unknown",
            message=vm.failure_message,
        )
    if failure is not None:
        _not_made(state, entry, failure)
    elif vm is None and (entry.vms or state.now_ms >= _there_by_ms(entry)):
        _went_away(state, entry)
    elif vm is None:
        actions.observe_again(state, entry)
    elif is_halted(vm):
        _halted(state, entry, vm)
    elif vm.provisioning_state == "Succeeded":
        entry.ran, entry.observations = True, 0
        actions.set_phase(state, entry, "Attesting", operation="", address=vm.private_address, **_id_of(entry, vm))
        _before_it_serves(state, entry, vm)
    else:
        actions.observe_again(state, entry)


def _there_by_ms(entry: BurstEntry) -> int:
    """Return by when the cloud must show a machine at all, however slowly its answers catch up."""
    return (entry.burst.status.placed_at_ms or 0) + entry.burst.spec.launch_deadline_ms


def _id_of(entry: BurstEntry, vm: Vm) -> dict[str, str]:
    return {"pod_uid": vm.vm_id} if vm.vm_id and not entry.burst.status.pod_uid else {}


def _not_made(state: State, entry: BurstEntry, failure: CloudFailure) -> None:
    """The cloud took the request and made nothing of it, or a machine that never came up."""
    sentence = f"Its machine could not be made: {failure.message[:300] or failure.code or failure.kind}"
    reason = Reason(code=failure.code or f"Machine{failure.kind}", sentence=sentence)
    outcome = consequences.follow(state, entry, failure)
    if outcome.blames_workload or outcome.consequence == "Wait":
        blame = outcome.blames_workload or failure.matter == "guest"
        ending.fail_launch(state, entry, reason, blame_workload=blame)
        return
    if outcome.consequence == "Stop":
        resting.park(state, entry)
    ending.end(state, entry, "Failed", reason, verdict="Fail", also=(outcome.next,))


def _before_it_serves(state: State, entry: BurstEntry, vm: Vm | None) -> None:
    machine = entry.burst.spec.machine
    if vm is None:
        _went_away(state, entry)
    elif is_halted(vm):
        _halted(state, entry, vm)
    elif vm.provisioning_state != "Succeeded" or _is_wrong(state, entry, vm):
        if entry.burst.status.phase == "Attesting":
            actions.observe_again(state, entry)
    elif machine is None or not machine.service:
        _serve(state, entry, vm)
    elif not vm.private_address:
        actions.observe_again(state, entry)
    else:
        _publish_where_it_is(state, entry, vm)
        _watch(state, entry)  # its port may take long, and it may go or change meanwhile


def _publish_where_it_is(state: State, entry: BurstEntry, vm: Vm) -> None:
    """Have a machine published that was just found right, if that was not asked for at its address yet."""
    moved = bool(vm.private_address) and vm.private_address != entry.burst.status.address
    _note_address(state, entry, vm)
    if moved or not entry.verified:
        # a predecessor may have published it; whether its word stands, nobody has looked
        publish(state, entry)
    entry.verified = True


def _while_it_serves(state: State, entry: BurstEntry, vm: Vm | None) -> None:
    machine = entry.burst.spec.machine
    if vm is None:
        _went_away(state, entry)
    elif is_halted(vm):
        _halted(state, entry, vm)
    elif vm.provisioning_state == "Succeeded" and _is_wrong(state, entry, vm):
        return
    else:
        if machine is not None and machine.service:
            _publish_where_it_is(state, entry, vm)
        else:
            _note_address(state, entry, vm)
        entry.verified = True
        _watch(state, entry)


def _watch(state: State, entry: BurstEntry) -> None:
    state.at(state.now_ms + watch_ms(entry), "observe", entry.burst.key)


def _note_address(state: State, entry: BurstEntry, vm: Vm) -> None:
    if vm.private_address and vm.private_address != entry.burst.status.address:
        actions.change_status(state, entry, address=vm.private_address)


def _is_wrong(state: State, entry: BurstEntry, vm: Vm) -> bool:
    """End a machine that is not what was decided, and let nothing more go where it was made. Say whether it was so."""
    vm = as_proven(vm, entry.burst.spec.machine) if entry.verified else vm
    serves = entry.burst.status.phase == "Serving"
    mismatch = proving.mismatch_of(state, entry, vm)
    if mismatch is None or (serves and mismatch is proving.NO_TARGET):
        return False
    proving.condemn(state, entry, mismatch, "Draining" if serves else "Failed")
    return True


def _serve(state: State, entry: BurstEntry, vm: Vm) -> None:
    entry.verified = True
    took = state.now_ms - entry.burst.spec.decided_at_ms
    sentence = f"{say_verified(vm, entry.burst)}, {format_duration_ms(took)} after the decision."
    _begin(state, entry, Reason(code="Verified", sentence=sentence, numbers={"took_ms": took}))


def _begin(state: State, entry: BurstEntry, reason: Reason) -> None:
    actions.serve(state, entry, reason)
    storms.served(state, entry)
    wait.note_start(state, entry.burst.spec.target, state.now_ms - entry.burst.spec.decided_at_ms)
    _watch(state, entry)


# --- reached -----------------------------------------------------------------------------------------------------------


def publish(state: State, entry: BurstEntry) -> None:
    """Make a verified machine the endpoint of its Service; refused until its port answers."""
    asked = entry.under_way.get("PublishEndpoint")
    burst = entry.burst
    if not burst.status.address or (isinstance(asked, PublishEndpoint) and asked.address == burst.status.address):
        return
    entry.exposed = True  # from now on it may be
    key = f"endpoint/{burst.key}"
    actions.ask(state, entry, PublishEndpoint(key=key, burst=burst, address=burst.status.address, ready=True))


def endpoint_published(state: State, stimulus: EndpointPublished) -> None:
    """A machine is an endpoint now, or none any more."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    asked = entry.under_way.get("PublishEndpoint")
    if isinstance(asked, PublishEndpoint) and asked.ready != stimulus.ready:
        return  # the other was asked for meanwhile, and is under way
    actions.answered(entry, "PublishEndpoint")
    entry.exposed = stimulus.ready
    phase = entry.burst.status.phase
    if phase in ENDING:
        ending.carry_on(state, entry)
    elif phase == "Attesting" and stimulus.ready:
        machine, took = entry.burst.spec.machine, state.now_ms - entry.burst.spec.decided_at_ms
        service = machine.service if machine is not None else ""
        sentence = (
            f"Machine {entry.burst.spec.pod_name} is a confidential {entry.burst.spec.size} and an endpoint of Service {service},"
            f" {format_duration_ms(took)} after the decision."
        )
        _begin(state, entry, Reason(code="Verified", sentence=sentence, numbers={"took_ms": took}))


def deleted(state: State, stimulus: MachineDeleted) -> None:
    """Nothing is left of a machine, by the cloud's own word: the end goes on, or is reached."""
    entry = state.bursts.get(stimulus.key)
    if entry is None:
        return
    actions.answered(entry, "DeleteMachine")
    entry.vms_gone = True
    for span in entry.vms.values():
        span[1] = state.now_ms if span[1] is None else span[1]
    if entry.burst.status.phase == "Releasing":
        ending.released(state, entry)
    else:
        ending.carry_on(state, entry)


# --- gone by itself ----------------------------------------------------------------------------------------------------


def _went_away(state: State, entry: BurstEntry) -> None:
    """Nobody here deleted it, and the cloud has it no more, or never showed it."""
    spec, phase = entry.burst.spec, entry.burst.status.phase
    entry.halted = True
    if spec.spot and entry.vms:
        _evicted(state, entry)
        return
    what = "is gone" if entry.vms else f"was not there after {format_duration_ms(spec.launch_deadline_ms)}"
    reason = Reason(code=WENT_AWAY, sentence=f"Machine {spec.pod_name} {what}, and burster did not delete it.")
    resting.park(state, entry)
    ending.end(state, entry, "Lost" if phase == "Serving" else "Failed", reason, verdict="Fail")


def _halted(state: State, entry: BurstEntry, vm: Vm) -> None:
    """It does not run any more: the cloud has taken a spot machine back, or its guest has shut down."""
    entry.halted = True
    if entry.burst.spec.spot and vm.power_state in {"deallocated", "deallocating"}:
        _evicted(state, entry)
        return
    sentence = (
        f"Machine {vm.name} has stopped by itself ({vm.power_state}): its lease was over, or its guest was shut down."
    )
    reason = Reason(code=STOPPED_ITSELF, sentence=sentence)
    resting.park(state, entry)  # one that stops as soon as it runs is not bought again and again
    serving = entry.burst.status.phase == "Serving"
    ending.end(state, entry, "Draining" if serving else "Failed", reason, verdict="Release" if serving else "Fail")


def _evicted(state: State, entry: BurstEntry) -> None:
    """The cloud wants a spot machine's place for others: for a while such a one is not asked for there."""
    spec = entry.burst.spec
    where = f"zone {spec.zone} of {spec.region}" if spec.zone else spec.region
    sentence = f"The cloud has taken spot machine {spec.pod_name} back."
    matter = "zonal-capacity" if spec.zone else "capacity"
    failure = CloudFailure(kind="Capacity", code=TAKEN_AWAY, matter=matter, message=f"evicted in {where}")
    outcome = consequences.follow(state, entry, failure)
    reason = Reason(code=TAKEN_AWAY, sentence=sentence)
    serving = entry.burst.status.phase == "Serving"
    ending.end(state, entry, "Draining" if serving else "Failed", reason, verdict="Fail", also=(outcome.next,))
