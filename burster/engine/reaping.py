"""What may be ended of what nobody looks after any more: by the leases on record, or by the cloud's own facts alone.

Pure: the reaper asks it what to do with what it has read. It never ends anything whose lease is valid, nothing of another cluster's, and
nothing while it can't tell what the time is. Where the API server can't be asked it knows machines by the end of their lease, which is on
their tags, and pods' VMs by their age, if a target's writer said which of them are this cluster's and somebody set an age.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.bursts.vms import stem_of
from burster.engine.sweeping.inspecting import Fate, Finding
from burster.engine.sweeping.scope import (
    ORDER,
    Proof,
    Rule,
    bears,
    is_others,
    proof_by_rule,
    stem_of_burst,
    vm_of,
)
from burster.model.bursts import Burst
from burster.model.offerings import CloudResource, Vm
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import CloudListed
from burster.model.tags import CLUSTER_TAG, MACHINE_PREFIX, lease_end_ms


_Judgement = tuple[Fate, str, str]
_LEFT_TO_CONTROLLER: Final = "a controller leads, and it is the controller's to end"


class ReapRules(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the reaper is. ``max_age_ms`` None: nothing is ended for its age."""

    grace_ms: int = 600_000
    max_age_ms: int | None = None
    skew_max_ms: int = 120_000  #: by how much this clock and the cloud's may differ before nothing is ended at all


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one target, the cloud first. ``bursts`` None: the API server could not be asked, since ``blind_since_ms``."""

    listing: CloudListed
    rule: Rule
    bursts: Mapping[str, Burst] | None
    controller_leads: bool = False  #: somebody has renewed the election's Lease lately
    blind_since_ms: int | None = None
    skew_ms: int | None = None
    first_seen: Mapping[str, int] = {}
    owners: Mapping[str, str] = {}  #: VM name in lower case -> uid of the pod that its PeerPod record names
    reaped: frozenset[str] = frozenset()  #: VMs that the reaper has ended: what is left of them is known by that


def judge(reading: Reading, rules: ReapRules, now_ms: int) -> list[Finding]:
    """Return everything that is named like burster's, each with what is to become of it, in the order in which it would go."""
    judged = _Judge(reading, rules, now_ms)
    return sorted(judged.findings(), key=lambda one: (ORDER[one.resource.kind], one.resource.name))


class _Judge:
    def __init__(self, reading: Reading, rules: ReapRules, now_ms: int) -> None:
        self._reading = reading
        self._rules = rules
        self._now_ms = now_ms
        claimed = reading.listing.claimed
        self._peer_pods = None if claimed is None else frozenset(claimed)
        self._bursts: dict[str, Burst] = {}
        for burst in (reading.bursts or {}).values():
            stem = stem_of_burst(burst)
            if burst.status.phase in ACTIVE and self._until_ms(burst) >= self._until_ms(self._bursts.get(stem)):
                self._bursts[stem] = burst

    def findings(self) -> Iterator[Finding]:
        listed: set[str] = set()
        for vm in self._reading.listing.vms:
            listed.add(vm.name)
            if vm_of("Vm", vm.name):
                yield self._finding(vm.as_resource, vm.name, self._vm(vm), size=vm.size)
        for part in self._reading.listing.strays:
            name = vm_of(part.kind, part.name)
            if name and not part.attached_to and name not in listed:
                yield self._finding(part, name, self._part(part, name))

    def _finding(self, resource: CloudResource, vm: str, judgement: _Judgement, *, size: str = "") -> Finding:
        fate, code, why = judgement
        skew_ms = self._reading.skew_ms
        if fate == "Goes" and skew_ms is not None and abs(skew_ms) > self._rules.skew_max_ms:
            fate, code = "Stays", "ClockSkew"
            why = f"this clock and the cloud's differ by {format_duration_ms(abs(skew_ms))}: nobody knows what is over"
        burst = self._bursts.get(stem_of(vm) or vm)
        return Finding(
            target=self._reading.listing.target,
            resource=resource,
            vm=vm,
            fate=fate,
            code=code,
            why=why,
            size=size,
            claimed_by="" if burst is None else f"Burst {burst.key}",
            proof=self._proof(vm, resource.tags),
            age_ms=self._age_ms(resource),
        )

    def _proof(self, vm: str, tags: Mapping[str, str]) -> Proof:
        return proof_by_rule(vm, tags, self._reading.rule)

    def _age_ms(self, resource: CloudResource) -> int | None:
        since_ms = resource.created_at_ms or self._reading.first_seen.get(resource.resource_id.casefold())
        return None if since_ms is None else max(0, self._now_ms - since_ms)

    def _until_ms(self, burst: Burst | None) -> int:
        """Return when a burst must be over at the latest: its lease, and its drain."""
        if burst is None:
            return 0
        spec, status = burst.spec, burst.status
        return max(status.lease_until_ms, spec.first_lease_until_ms) + spec.drain_ms

    def _vm(self, vm: Vm) -> _Judgement:
        rule = self._reading.rule
        if is_others(vm.tags, rule):
            return "Unproven", "NotProven", f"its tag {CLUSTER_TAG} is another cluster's"
        burst = self._bursts.get(stem_of(vm.name) or vm.name)
        if burst is not None and not self._is_anothers(vm, burst):
            return self._of_burst(vm, burst)
        if vm.name.startswith(MACHINE_PREFIX):
            return self._machine(vm)
        return self._pod_vm(vm)

    def _is_anothers(self, vm: Vm, burst: Burst) -> bool:
        """Say whether a VM has the name of a burst's pod and may be another pod's of that name, here or elsewhere."""
        owner, known = self._reading.owners.get(vm.name.lower(), ""), burst.status.pod_uid
        if owner and known:
            return owner != known
        return burst.spec.strategy == "Move" and vm.name not in burst.status.vms and not self._proof(vm.name, vm.tags)

    def _of_burst(self, vm: Vm, burst: Burst) -> _Judgement:
        until_ms = max(self._until_ms(burst), (lease_end_ms(vm.tags) or 0) + burst.spec.drain_ms)
        if self._now_ms < until_ms + self._rules.grace_ms:
            return "Stays", "LeaseValid", f"the lease of Burst {burst.key}, its drain and the grace are not over"
        if self._reading.controller_leads and self._now_ms < until_ms + 2 * self._rules.grace_ms:
            return "Stays", "ControllerLeads", f"the lease of Burst {burst.key} is over; {_LEFT_TO_CONTROLLER}"
        over = format_duration_ms(self._now_ms - until_ms)
        return "Goes", "LeaseOver", f"the lease of Burst {burst.key} and its drain have been over for {over}"

    def _machine(self, vm: Vm) -> _Judgement:
        if not self._proof(vm.name, vm.tags):
            return "Unproven", "NotProven", f"it does not bear this cluster's tag {CLUSTER_TAG}"
        hindered = self._not_yet_blind()
        if hindered is not None:
            return hindered
        until_ms = lease_end_ms(vm.tags)
        if until_ms is None:
            return self._by_age(vm)
        if self._now_ms < until_ms + self._rules.grace_ms:
            return "Stays", "LeaseValid", "the lease that its tags tell, and the grace, are not over"
        if self._reading.bursts is not None and self._reading.controller_leads:
            return "Stays", "ControllerLeads", f"the lease that its tags tell is over; {_LEFT_TO_CONTROLLER}"
        over = format_duration_ms(self._now_ms - until_ms)
        return "Goes", "MachineLeaseOver", f"the lease that its tags tell has been over for {over}"

    def _pod_vm(self, vm: Vm) -> _Judgement:
        reading = self._reading
        if not self._proof(vm.name, vm.tags):
            return "Unproven", "NotProven", "neither a tag nor the resource group says that it is this cluster's"
        if reading.bursts is None:
            return self._not_yet_blind() or self._by_age(vm)
        if self._peer_pods is None:
            return "Unproven", "NoPeerPodRecords", "there are no PeerPod records to tell whose pod it is"
        if vm.name.lower() in self._peer_pods:
            return "Stays", "Claimed", "a PeerPod record claims it, and no burst does"
        return self._unclaimed(vm.as_resource)

    def _part(self, part: CloudResource, vm: str) -> _Judgement:
        reading = self._reading
        if vm not in reading.reaped and not self._proof(vm, part.tags) and not bears(part.tags, reading.rule):
            return "Unproven", "NotProven", "neither a tag nor the resource group says that it is this cluster's"
        if reading.bursts is not None and (
            (stem_of(vm) or vm) in self._bursts or (self._peer_pods is not None and vm.lower() in self._peer_pods)
        ):
            return "Stays", "Claimed", "what claims its VM is there"
        if reading.bursts is not None and self._peer_pods is None and not vm.startswith(MACHINE_PREFIX):
            return "Unproven", "NoPeerPodRecords", "there are no PeerPod records to tell whose pod it is"
        return self._not_yet_blind() or self._unclaimed(part)

    def _unclaimed(self, resource: CloudResource) -> _Judgement:
        age_ms = self._age_ms(resource)
        if age_ms is None or age_ms < self._rules.grace_ms:
            return "Stays", "TooYoung", f"not known for the grace of {format_duration_ms(self._rules.grace_ms)} yet"
        if self._reading.controller_leads:
            return "Stays", "ControllerLeads", f"no record claims it; {_LEFT_TO_CONTROLLER}"
        return "Goes", "Unclaimed", "no record claims it, and no controller leads that could sweep it"

    def _by_age(self, vm: Vm) -> _Judgement:
        max_age_ms, age_ms = self._rules.max_age_ms, self._age_ms(vm.as_resource)
        if max_age_ms is None:
            return "Stays", "NoMaxAge", "nothing but its age is known, and no age was set at which it is to end"
        if age_ms is None or age_ms < max_age_ms:
            return "Stays", "TooYoung", f"younger than {format_duration_ms(max_age_ms)}"
        return "Goes", "TooOld", f"older than {format_duration_ms(max_age_ms)}, and nobody can say that it is needed"

    def _not_yet_blind(self) -> _Judgement | None:
        """Return why nothing is ended for want of records yet: the API server has been away for less than the grace."""
        since_ms = self._reading.blind_since_ms
        if self._reading.bursts is not None or (
            since_ms is not None and self._now_ms - since_ms >= self._rules.grace_ms
        ):
            return None
        grace = format_duration_ms(self._rules.grace_ms)
        return "Stays", "BlindForNow", f"the API server has been away for less than the grace of {grace}"
