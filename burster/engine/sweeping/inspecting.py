"""What is in a resource group, each thing with what is to become of it and why: for people who ask, and for the reaper.

Pure. It knows nothing but one listing, the records that were read after it, and what the target says.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

import msgspec

from burster.engine.sweeping.scope import NOUNS, ORDER, Claims, Proof, Rule, proof_of, vm_of
from burster.model.offerings import CloudResource
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import CloudListed


#: Stays: somebody claims it, or it is too young to tell. Unproven: nobody claims it, or can say that it is this cluster's. Goes: it may.
Fate = Literal["Stays", "Unproven", "Goes"]
_PROOFS: Final[Mapping[str, str]] = {
    "Record": "a record of a burst that is over",
    "Tags": "its tags",
    "Group": "the resource group is this cluster's alone",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in a resource group. ``age_ms`` None: the cloud does not tell when it was made, and nobody has seen it before."""

    target: str
    resource: CloudResource
    vm: str
    fate: Fate
    code: str
    why: str
    size: str = ""
    claimed_by: str = ""
    proof: Proof = ""
    age_ms: int | None = None
    cost_micro_usd_per_hour: int | None = None


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: one listing, who claims what, and by which rules. ``first_seen`` tells since when something ageless is known."""

    listing: CloudListed
    claims: Claims
    rule: Rule
    grace_ms: int
    now_ms: int
    price_of: Callable[[str], int | None] = lambda _size: None
    first_seen: Mapping[str, int] = {}


def inspect(asked: Inspection) -> list[Finding]:
    """Return everything that is named like a pod's VM, a machine of burster's, or a part of one, in the order in which it would go."""
    return sorted(_findings(asked), key=lambda one: (ORDER[one.resource.kind], one.resource.name))


def _findings(asked: Inspection) -> Iterator[Finding]:
    listed: set[str] = set()
    for vm in asked.listing.vms:
        listed.add(vm.name)
        if vm_of("Vm", vm.name):
            yield _finding(asked, vm.as_resource, vm.name, size=vm.size)
    for part in asked.listing.strays:
        vm_name = vm_of(part.kind, part.name)
        if vm_name and not part.attached_to and vm_name not in listed:
            yield _finding(asked, part, vm_name)


def _finding(asked: Inspection, resource: CloudResource, vm_name: str, *, size: str = "") -> Finding:
    claims = asked.claims
    claimed_by = claims.claimant(vm_name)
    proof = "" if claimed_by else proof_of(vm_name, resource.tags, asked.rule, claims)
    since_ms = resource.created_at_ms or asked.first_seen.get(resource.resource_id.casefold())
    owner = claims.owner(vm_name)
    if since_ms is not None and owner is not None:
        since_ms = max(since_ms, owner.released_at_ms)
    age_ms = None if since_ms is None else max(0, asked.now_ms - since_ms)
    fate, code, why = _fate(asked, claimed_by, proof, age_ms)
    return Finding(
        target=asked.listing.target,
        resource=resource,
        vm=vm_name,
        fate=fate,
        code=code,
        why=why,
        size=size,
        claimed_by=claimed_by,
        proof=proof,
        age_ms=age_ms,
        cost_micro_usd_per_hour=asked.price_of(size) if size else None,
    )


def _fate(asked: Inspection, claimed_by: str, proof: Proof, age_ms: int | None) -> tuple[Fate, str, str]:
    if claimed_by:
        return "Stays", "Claimed", f"claimed by {claimed_by}"
    grace = format_duration_ms(asked.grace_ms)
    if age_ms is None:
        return "Stays", "AgeUnknown", f"the cloud does not tell its age: it has to be seen for {grace} first"
    if age_ms < asked.grace_ms:
        return "Stays", "TooYoung", f"younger than the grace of {grace}"
    if not proof and asked.claims.peer_pods is None:
        return "Unproven", "NoPeerPodRecords", "there are no PeerPod records to tell whose pod it is"
    if not proof:
        return "Unproven", "NotProven", "no record, tag or scope says that it is this cluster's"
    return "Goes", "Unclaimed", f"no record claims it, and it is this cluster's: {_PROOFS[proof]}"


def noun(kind: str) -> str:
    """Return what people call such a thing."""
    return NOUNS[kind]
