"""What is told of leftovers, and how they are deleted.

Reported first; then a bounded number at a time, in the order in which they hold on to each other, and again ever later where that fails.

It is asked of the cloud once more right before whether something still is what was listed (``DeleteResource``): this room only decides that
it may go.
"""

from collections.abc import Mapping
from typing import Final

from burster.engine.bursts import ending
from burster.engine.state import State
from burster.engine.sweeping import leaks
from burster.engine.sweeping.leftovers import Leftover, LeftoverKey
from burster.engine.sweeping.scope import NOUNS, ORDER
from burster.model.decisions import Reason
from burster.model.instructions import DeleteResource
from burster.model.quantities import format_micro_usd
from burster.model.stimuli import CloudListed, InstructionFailed, ResourceDeleted, VmDeleted
from burster.model.targets import Target


#: deletions of one target that are under way at one time
DELETIONS_MAX: Final = 50
#: leftovers that are told of after one listing; the next one tells of more
REPORTS_MAX: Final = 100
_DEADLINE_MS: Final = 600_000
_AGAIN_MS: Final = 60_000
_AGAIN_MAX_MS: Final = 3_600_000
_FAILURES_TOLD: Final = 3
_PROOFS: Final[Mapping[str, str]] = {
    "Record": "a record says so",
    "Tags": "its tags say so",
    "Group": "the resource group is this cluster's alone",
}


def serve(state: State, target: Target, stimulus: CloudListed, here: dict[LeftoverKey, Leftover]) -> None:
    """Tell of what is left behind, and delete what may be deleted."""
    due = sorted(
        (one for one in here.values() if one.due), key=lambda one: (ORDER[one.resource.kind], one.resource.resource_id)
    )
    room = DELETIONS_MAX - _under_way(state, target.name)
    reports = REPORTS_MAX
    with_nic = {one.vm for one in here.values() if one.resource.kind == "Nic"}
    for one in due:
        may_go = target.sweep == "Delete" and bool(one.proof)
        by_record = may_go and one.proof == "Record"
        if not by_record and one.reported_at_ms is None:
            if reports:
                reports -= 1
                _report(state, one, stimulus.listed_at_ms, goes=may_go)
            continue
        held = one.resource.kind == "PublicIp" and one.vm in with_nic
        if may_go and room > 0 and not held and state.now_ms >= one.again_at_ms and _delete(state, target.name, one):
            room -= 1


def _under_way(state: State, target: str) -> int:
    begins = f"sweep/{target}/"
    return sum(key.startswith(begins) and until > state.now_ms for key, until in state.under_way.items())


def _report(state: State, one: Leftover, at_ms: int, *, goes: bool) -> None:
    one.reported_at_ms = at_ms
    resource = one.resource
    fate = "it is reported, not touched"
    if goes:
        fate = f"it is this cluster's ({_PROOFS[one.proof]}), and is deleted when the next listing still shows it"
    elif one.proof:
        fate = f"it is this cluster's ({_PROOFS[one.proof]}); the target only reports, so somebody has to delete it"
    price = one.price_micro_usd_per_hour
    costs = f" It costs {format_micro_usd(price)} an hour." if one.cost_since_ms is not None and price else ""
    sentence = f"{_called(one)} in {resource.region} has no record here; {fate}.{costs}"
    vm, part = Reason(code="VmUnclaimed", sentence=sentence), Reason(code="PartUnclaimed", sentence=sentence)
    state.decide("Sweep", vm if resource.kind == "Vm" else part, policy=one.policy, subject=resource.name)


def _delete(state: State, target: str, one: Leftover) -> bool:
    """Ask for a deletion, unless one is under way; say so the first time."""
    resource = one.resource
    key = _key(target, resource.kind, resource.name)
    former = state.bursts.get(one.owner)
    if former is not None and resource.kind == "Vm" and former.burst.spec.strategy != "Machine":
        # a pod's VM has a name that no other ever has: no need to look whether it is another by now
        return ending.sweep(state, target, resource, former)
    if not ending.begin(state, key, _DEADLINE_MS):
        return False
    if not one.asked:
        one.asked = True
        why = f"burst {one.owner} is over" if one.owner else _PROOFS[one.proof]
        state.decide(
            "Sweep",
            Reason(code="SweepDeletes", sentence=f"{_called(one)} is still there and nobody else deletes it: {why}."),
            policy=one.policy,
            subject=resource.name,
            burst=one.owner,
        )
    state.instructions.append(DeleteResource(key=key, target=target, resource=resource, deadline_ms=_DEADLINE_MS))
    return True


def _called(one: Leftover) -> str:
    resource = one.resource
    noun = NOUNS[resource.kind]
    words = f"{noun[0].upper()}{noun[1:]} {resource.name}"
    return (
        f"{words} ({resource.provisioning_state})" if resource.kind == "Vm" and resource.provisioning_state else words
    )


def _key(target: str, kind: str, name: str) -> str:
    return f"sweep/{target}/{name}" if kind == "Vm" else f"sweep/{target}/{kind}/{name}"


def failed(state: State, stimulus: InstructionFailed) -> None:
    """A deletion did not succeed, or nobody knows: it is tried again, ever later, and told of once."""
    state.under_way.pop(stimulus.key, None)
    one = next((one for _, one in _at(state, stimulus.subject) if _key_of(one) == stimulus.key), None)
    if one is None:
        return
    one.failures += 1
    wait_ms = min(_AGAIN_MAX_MS, _AGAIN_MS * (1 << min(one.failures - 1, 10)))
    one.again_at_ms = state.now_ms + max(wait_ms, min(stimulus.retry_after_ms or 0, _AGAIN_MAX_MS))
    if one.failures == _FAILURES_TOLD:
        sentence = f"{_called(one)} could not be deleted {_FAILURES_TOLD} times: {stimulus.message[:300]}"
        state.decide("Warn", Reason(code="SweepFails", sentence=sentence), policy=one.policy, subject=one.resource.name)


def vm_deleted(state: State, stimulus: VmDeleted) -> None:
    """A VM that outlived its pod is confirmed gone."""
    state.under_way.pop(_key(stimulus.target, "Vm", stimulus.vm), None)
    for key, one in _at(state, stimulus.target):
        if one.resource.kind == "Vm" and one.resource.name == stimulus.vm:
            gone(state, key, state.now_ms)


def resource_deleted(state: State, stimulus: ResourceDeleted) -> None:
    """Something that nobody claimed is confirmed gone."""
    wanted = stimulus.resource_id.casefold()
    for key, one in _at(state, stimulus.target):
        if one.resource.resource_id.casefold() == wanted:
            state.under_way.pop(_key_of(one), None)
            gone(state, key, state.now_ms)


def gone(state: State, key: LeftoverKey, at_ms: int) -> None:
    """Note that something nobody claimed is there no more: what it has cost until then is booked, and told where it was told of."""
    one = state.leftovers.pop(key, None)
    if one is None:
        return
    leaks.close(state, one, min(at_ms, state.now_ms))
    if one.reported_at_ms is not None or one.asked:
        cost = f" It has cost {format_micro_usd(one.cost_micro_usd)}." if one.cost_micro_usd else ""
        sentence = f"{_called(one)} is gone.{cost}"
        reason = Reason(code="LeftoverGone", sentence=sentence, numbers={"cost_micro_usd": one.cost_micro_usd})
        state.decide("Sweep", reason, policy=one.policy, subject=one.resource.name)


def _at(state: State, target: str) -> list[tuple[LeftoverKey, Leftover]]:
    return [(key, one) for key, one in state.leftovers.items() if one.target == target]


def _key_of(one: Leftover) -> str:
    return _key(one.target, one.resource.kind, one.resource.name)
