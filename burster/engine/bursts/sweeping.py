"""What is in the cloud against what the records claim: the second way in which nothing is left behind.

A VM is deleted only where it is certain that it was a burst's: by the name that was seen while the burst lived, or by a clone's name,
which nobody else's pod has. Everything else that nobody claims is reported.
"""

from collections.abc import Iterable
from typing import Final

from burster.engine.bursts import ending
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.bursts.vms import stem_of, vm_stem
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import ListCloud
from burster.model.offerings import Vm
from burster.model.stimuli import CloudListed, ResourceDeleted, VmDeleted


_LIST_DEADLINE_MS: Final = 60_000


def list_clouds(state: State) -> None:
    """Ask for every target's VMs."""
    for name in sorted(state.targets):
        key = f"list/{name}"
        if ending.begin(state, key, _LIST_DEADLINE_MS):
            state.instructions.append(ListCloud(key=key, target=name, deadline_ms=_LIST_DEADLINE_MS))


def cloud_listed(state: State, stimulus: CloudListed) -> None:
    """Compare what is in the cloud with what the records claim."""
    state.under_way.pop(f"list/{stimulus.target}", None)
    target = state.targets.get(stimulus.target)
    if target is None or not state.ready:
        return
    claims = _claims(state)
    working, leaving = _of_replicas(state, stimulus, claims)
    orphans = {key: value for key, value in state.orphans.items() if key[0] != stimulus.target}
    for vm in stimulus.vms:
        claimants = claims.get(stem_of(vm.name), ())
        if vm.name in working or any(entry.burst.status.phase in ACTIVE for entry in claimants):
            continue
        key = (stimulus.target, vm.name)
        first, reported = state.orphans.get(key, (stimulus.listed_at_ms, False))
        owner = _former_owner(vm, claimants)
        since = vm.created_at_ms if vm.created_at_ms is not None and vm.name not in leaving else first
        if owner is not None:
            since = max(since, owner.burst.status.released_at_ms or 0)
        if stimulus.listed_at_ms - since >= target.target.sweep_grace_ms:
            if owner is not None and target.target.sweep == "Delete":
                ending.sweep(state, stimulus.target, vm, owner)
            elif not reported:
                sentence = f"VM {vm.name} in {vm.region} has no record here; it is reported, not touched."
                state.decide("Sweep", Reason(code="VmUnclaimed", sentence=sentence), subject=vm.name)
                reported = True
        orphans[key] = (first, reported)
    state.orphans = orphans
    _look_for_lost(state, stimulus, target.target.sweep_grace_ms)


def _claims(state: State) -> dict[str, list[BurstEntry]]:
    claims: dict[str, list[BurstEntry]] = {}
    for entry in state.bursts.values():
        claims.setdefault(vm_stem(entry.burst.spec.pod_name), []).append(entry)
    return claims


def _of_replicas(state: State, stimulus: CloudListed, claims: dict[str, list[BurstEntry]]) -> tuple[set[str], set[str]]:
    """Return the names of VMs that are replicas' of scaled workloads: as many as there are, the youngest; and those of former ones.

    Nobody says which pod a replica is, and its VM is not burster's to delete. One that has just left is given its time to go. A burst's
    VM is no replica's, whatever the workload and the burst's pod are called.
    """
    working, leaving = set[str](), set[str]()
    for book in state.scale_books.values():
        if book.target != stimulus.target:
            continue
        stem = vm_stem(f"{book.workload.name}-")
        own = sorted(
            (-(vm.created_at_ms or 0), vm.name)
            for vm in stimulus.vms
            if (own_stem := stem_of(vm.name)).startswith(stem) and own_stem not in claims
        )
        working.update(name for _, name in own[: len(book.leases)])
        leaving.update(name for _, name in own[len(book.leases) :])
    return working, leaving


def _former_owner(vm: Vm, claimants: Iterable[BurstEntry]) -> BurstEntry | None:
    for entry in claimants:
        if vm.name in entry.burst.status.vms or entry.burst.spec.strategy == "Clone":
            return entry
    return None


def _look_for_lost(state: State, stimulus: CloudListed, grace_ms: int) -> None:
    """A listing may lag: a serving burst whose VM is not in it is looked at by itself."""
    listed = {vm.name for vm in stimulus.vms}
    for key in sorted(state.bursts):
        entry = state.bursts[key]
        status = entry.burst.status
        if entry.burst.spec.target != stimulus.target or status.phase != "Serving":
            continue
        if listed.isdisjoint(status.vms) and stimulus.listed_at_ms >= (status.serving_at_ms or 0) + grace_ms:
            actions.observe(state, entry)


def vm_deleted(state: State, stimulus: VmDeleted) -> None:
    """Forget a swept VM: it is confirmed gone."""
    state.under_way.pop(f"sweep/{stimulus.target}/{stimulus.vm}", None)
    state.orphans.pop((stimulus.target, stimulus.vm), None)


def resource_deleted(state: State, stimulus: ResourceDeleted) -> None:
    """Forget what was swept."""
    state.under_way.pop(f"sweep/{stimulus.target}/{stimulus.resource_id}", None)
