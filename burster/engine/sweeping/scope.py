"""Whose something in a resource group is: by its name, by what records say, by its tags, or because the group is this cluster's alone.

Pure, and asked by everybody who may delete: the sweep in the engine, ``burster sweep-cloud`` and the reaper. What can't be proven to be
this cluster's is nobody's to delete.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from burster.engine.bursts.vms import stem_of, vm_stem
from burster.model.bursts import Burst
from burster.model.tags import CLUSTER_TAG, MACHINE_PREFIX
from burster.model.targets import Target


#: how it is known that something is this cluster's; empty: it is not
Proof = Literal["Record", "Tags", "Group", ""]
#: In which order what is left of a VM goes: each holds on to the next.
ORDER: Final[Mapping[str, int]] = {"Vm": 0, "Nic": 1, "PublicIp": 2, "Disk": 3}
NOUNS: Final[Mapping[str, str]] = {
    "Vm": "VM",
    "Nic": "network interface",
    "PublicIp": "public address",
    "Disk": "disk",
}
_NIC_END: Final = "-net"
_DISK_END: Final = "-disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a target's writer has said of its resource group. ``cluster``: what this cluster's own tag says; empty: nobody knows."""

    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    exclusive: bool = False
    cluster: str = ""

    @property
    def tells(self) -> bool:
        """Whether it tells anything of a pod's VM."""
        return self.exclusive or bool(self.tags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A burst that is over, by its record: what is left of it is this cluster's for certain."""

    burst: str
    policy: str
    released_at_ms: int
    price_micro_usd_per_hour: int
    saw_it: bool  #: the VM was seen while the burst lived, and was paid for until it was taken for gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who claims what, by the records: Bursts, and cloud-api-adaptor's PeerPods, whoever's pods these are about."""

    active: Mapping[str, str]  #: a VM's stem, or a machine's name -> key of a burst that is out
    seen: Mapping[str, Owner]  #: VM name -> the burst that had it
    own: Mapping[str, Owner]  #: stem of a clone's VMs, or a machine's name, which nobody else has -> the burst
    over: frozenset[str] = frozenset()  #: stems and names of all bursts that are over
    peer_pods: frozenset[str] | None = None  #: names in lower case; None: there are no such records

    def claimant(self, vm: str) -> str:
        """Return who claims a VM now, for people; empty: nobody."""
        burst = self.active.get(stem_of(vm) or vm, "")
        if burst:
            return f"Burst {burst}"
        return "a PeerPod record" if self.peer_pods is not None and vm.lower() in self.peer_pods else ""

    def owns_stem(self, stem: str) -> bool:
        """Say whether VMs of a stem are a burst's that is over, be it by its name alone."""
        return stem in self.over

    def owner(self, vm: str) -> Owner | None:
        """Return the burst that is over and had this VM for certain."""
        return self.seen.get(vm) or self.own.get(stem_of(vm) or vm)


def place_of(target: Target) -> str:
    """Return where a target's VMs are: two targets may share a resource group, and what is there is there once."""
    return f"{target.subscription}/{target.resource_group}".casefold()


def rule_of(target: Target, cluster: str) -> Rule:
    """Return a target's rule."""
    return Rule(tags=target.sweep_tags, exclusive=target.sweep_exclusive, cluster=cluster)


def claims_of(bursts: Mapping[str, Burst], peer_pods: frozenset[str] | None, active: frozenset[str]) -> Claims:
    """Return what records claim. ``active``: the phases in which a burst is out."""
    out: dict[str, str] = {}
    seen: dict[str, Owner] = {}
    own: dict[str, Owner] = {}
    over: set[str] = set()
    for key, burst in bursts.items():
        stem = stem_of_burst(burst)
        if burst.status.phase in active:
            out[stem] = key
            continue
        over.add(stem)
        owner = Owner(
            burst=key,
            policy=burst.policy_key,
            released_at_ms=burst.status.released_at_ms or 0,
            price_micro_usd_per_hour=burst.spec.price_micro_usd_per_hour,
            saw_it=False,
        )
        if burst.spec.strategy != "Move":
            own[stem] = owner
        for name in burst.status.vms:
            seen[name] = Owner(
                burst=key,
                policy=owner.policy,
                released_at_ms=owner.released_at_ms,
                price_micro_usd_per_hour=owner.price_micro_usd_per_hour,
                saw_it=True,
            )
    return Claims(active=out, seen=seen, own=own, over=frozenset(over), peer_pods=peer_pods)


def stem_of_burst(burst: Burst) -> str:
    """Return what the names of a burst's VMs have in common; a machine's whole name."""
    return burst.spec.pod_name if burst.spec.strategy == "Machine" else vm_stem(burst.spec.pod_name)


def vm_of(kind: str, name: str) -> str:
    """Return the VM that something belongs to by its name; empty: it is none of a pod's VM, nor of a machine of burster's own.

    Disks of workloads are called otherwise (``pvc-…``), and never match.
    """
    match kind:
        case "Vm":
            return name if stem_of(name) or name.startswith(MACHINE_PREFIX) else ""
        case "Nic":
            vm = name.removesuffix(_NIC_END) if name.endswith(_NIC_END) else ""
        case "Disk":
            vm = name.removesuffix(_DISK_END) if name.endswith(_DISK_END) else ""
        case _:
            vm = name.rpartition("-")[0]
    return vm if stem_of(vm) or vm.startswith(MACHINE_PREFIX) else ""


def proof_of(vm: str, tags: Mapping[str, str], rule: Rule, claims: Claims) -> Proof:
    """Say how it is known that a VM, or what is left of it, is this cluster's. Another cluster's tag is believed before all else."""
    if is_others(tags, rule):
        return ""
    if claims.owner(vm) is not None:
        return "Record"
    if not vm.startswith(MACHINE_PREFIX) and claims.peer_pods is None:
        return ""  # nobody could say that it is a pod's that burster has nothing to do with
    return proof_by_rule(vm, tags, rule)


def is_others(tags: Mapping[str, str], rule: Rule) -> bool:
    """Say whether something bears another cluster's tag."""
    says = tags.get(CLUSTER_TAG, "")
    return bool(says and rule.cluster and says != rule.cluster and rule.tags.get(CLUSTER_TAG) != says)


def proof_by_rule(vm: str, tags: Mapping[str, str], rule: Rule) -> Proof:
    """Say the same without any record: by tags, or by the group."""
    if is_others(tags, rule):
        return ""
    own_tag = vm.startswith(MACHINE_PREFIX) and bool(rule.cluster) and tags.get(CLUSTER_TAG) == rule.cluster
    if own_tag or bears(tags, rule):
        return "Tags"
    return "Group" if rule.exclusive else ""


def bears(tags: Mapping[str, str], rule: Rule) -> bool:
    """Say whether something has all the tags that the target names."""
    return bool(rule.tags) and all(tags.get(name) == value for name, value in rule.tags.items())
