"""What is in the cloud against what the records claim: the second way in which nothing is left behind.

The cloud is listed before the records are read that it is compared with, so what is fresh is always claimed. Something unclaimed is told
once, after its target's grace. It is deleted only where the target says so, and only what is this cluster's for certain (``scope``): what a
record proves at once, what tags or the group prove when a later listing shows it still.
"""

from collections.abc import Iterator
from typing import Final

from burster.engine.bursts import ending
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.bursts.vms import stem_of, vm_stem
from burster.engine.entries import TargetEntry
from burster.engine.state import State
from burster.engine.sweeping import deleting, leaks
from burster.engine.sweeping.leftovers import Leftover, LeftoverKey
from burster.engine.sweeping.scope import (
    Claims,
    Proof,
    Rule,
    bears,
    claims_of,
    place_of,
    proof_of,
    rule_of,
    vm_of,
)
from burster.model.instructions import ListCloud
from burster.model.offerings import CloudResource, Vm
from burster.model.stimuli import CloudListed


_LIST_DEADLINE_MS: Final = 120_000
#: For how long it is remembered that a VM bore this cluster's tags: what is left of it bears none.
_PROVEN_KEPT_MS: Final = 86_400_000


def list_clouds(state: State) -> None:
    """Ask for what there is at every target."""
    for name in sorted(state.targets):
        key = f"list/{name}"
        if ending.begin(state, key, _LIST_DEADLINE_MS):
            state.instructions.append(ListCloud(key=key, target=name, deadline_ms=_LIST_DEADLINE_MS))


def cloud_listed(state: State, stimulus: CloudListed) -> None:
    """Compare what is in the cloud with what the records claim, and do about it what may be done."""
    state.under_way.pop(f"list/{stimulus.target}", None)
    entry = state.targets.get(stimulus.target)
    if entry is None or not state.ready:
        return
    comparison = _Comparison(state, entry, stimulus)
    comparison.run()
    deleting.serve(state, entry.target, stimulus, comparison.here)
    _look_for_lost(state, stimulus, entry.target.sweep_grace_ms)


class _Comparison:
    """One listing, compared."""

    def __init__(self, state: State, entry: TargetEntry, stimulus: CloudListed) -> None:
        self._state = state
        self._entry = entry
        self._stimulus = stimulus
        self._place = place_of(entry.target)
        self._rule: Rule = rule_of(entry.target, stimulus.cluster)
        peer_pods = None if stimulus.claimed is None else frozenset(stimulus.claimed)
        bursts = {key: one.burst for key, one in state.bursts.items()}
        self._claims: Claims = claims_of(bursts, peer_pods, ACTIVE)
        self._working, self._leaving = _of_replicas(state, stimulus, self._claims)
        #: what nobody claims, by key
        self.here: dict[LeftoverKey, Leftover] = {}

    def run(self) -> None:
        """Note what is unclaimed, and what is not there any more."""
        listed: set[str] = set()
        for vm in self._stimulus.vms:
            listed.add(vm.name)
            if vm_of("Vm", vm.name):
                self._take(vm.as_resource, vm.name, vm)
        for resource in self._stimulus.strays:
            vm_name = vm_of(resource.kind, resource.name)
            # what is left of a VM is looked at when that is gone: deleting a VM takes it along
            if vm_name and not resource.attached_to and vm_name not in listed:
                self._take(resource, vm_name, None)
        self._forget_gone()

    def _take(self, resource: CloudResource, vm_name: str, vm: Vm | None) -> None:
        key = (self._place, resource.kind, resource.name)
        proof = self._proof(resource, vm_name)
        if vm_name in self._working or self._claims.claimant(vm_name):
            self._state.leftovers.pop(key, None)
            return
        at_ms = self._stimulus.listed_at_ms
        one = self._state.leftovers.get(key)
        if one is not None and one.target != self._stimulus.target:
            return  # another target of the same resource group tells of it
        if one is None or _is_another(one.resource, resource):
            one = Leftover(
                target=self._stimulus.target,
                resource=resource,
                vm=vm_name,
                first_seen_ms=min(at_ms, self._state.now_ms),
            )
            self._state.leftovers[key] = one
        one.resource, one.proof = resource, proof
        owner = self._claims.owner(vm_name)
        if owner is not None:
            one.owner, one.policy = owner.burst, owner.policy
        since_ms = one.first_seen_ms
        if resource.created_at_ms is not None and vm_name not in self._leaving:
            since_ms = min(resource.created_at_ms, self._state.now_ms)
        since_ms = max(since_ms, owner.released_at_ms if owner is not None else 0)
        one.due = at_ms - since_ms >= self._entry.target.sweep_grace_ms
        if vm is not None:
            leaks.take_in(self._state, self._entry, one, vm, owner)
        self.here[key] = one

    def _proof(self, resource: CloudResource, vm_name: str) -> Proof:
        proven = self._state.proven_vms
        key = (self._place, vm_name)
        tags = resource.tags
        if resource.kind == "Vm":
            proof = proof_of(vm_name, tags, self._rule, self._claims)
            if bears(tags, self._rule):
                proven[key] = self._state.now_ms
            return proof
        if not tags and key in proven:
            tags = dict(self._rule.tags)
        return proof_of(vm_name, tags, self._rule, self._claims)

    def _forget_gone(self) -> None:
        """What this target's listings showed, and this one does not, is gone."""
        state = self._state
        for key, one in list(state.leftovers.items()):
            if one.target == self._stimulus.target and key not in self.here:
                deleting.gone(state, key, self._stimulus.listed_at_ms)


def forget_old(state: State) -> None:
    """Keep histories bounded: what is at targets that are gone, and what bore this cluster's tags a day ago."""
    for key, one in list(state.leftovers.items()):
        if one.target not in state.targets:
            del state.leftovers[key]
    oldest_ms = state.now_ms - _PROVEN_KEPT_MS
    state.proven_vms = {key: at_ms for key, at_ms in state.proven_vms.items() if at_ms > oldest_ms}
    leaks.forget_old(state)


def _is_another(before: CloudResource, now: CloudResource) -> bool:
    """Say whether something was made anew under the name of something that was deleted between two listings."""
    return (
        before.created_at_ms is not None and now.created_at_ms is not None and before.created_at_ms != now.created_at_ms
    )


def _of_replicas(state: State, stimulus: CloudListed, claims: Claims) -> tuple[set[str], set[str]]:
    """Return the names of VMs that are replicas' of scaled workloads: as many as there are, the youngest; and those of former ones.

    Nobody says which pod a replica is, and its VM is not burster's to delete. One that has just left is given its time to go. A burst's
    VM is no replica's, whatever the workload and the burst's pod are called.
    """
    working, leaving = set[str](), set[str]()
    for book in state.scale_books.values():
        if book.target != stimulus.target:
            continue
        stem = vm_stem(f"{book.workload.name}-")
        own = sorted(_candidates(stimulus, stem, claims))
        working.update(name for _, name in own[: len(book.leases)])
        leaving.update(name for _, name in own[len(book.leases) :])
    return working, leaving


def _candidates(stimulus: CloudListed, stem: str, claims: Claims) -> Iterator[tuple[int, str]]:
    for vm in stimulus.vms:
        own_stem = stem_of(vm.name)
        if own_stem.startswith(stem) and own_stem not in claims.active and not claims.owns_stem(own_stem):
            yield -(vm.created_at_ms or 0), vm.name


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
