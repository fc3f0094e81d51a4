"""What the engine knows between two steps. Only the rooms of the engine touch it; everybody else reads views (``engine.views``)."""

import heapq
from dataclasses import dataclass, field
from typing import Literal

from burster.engine.accounting.scopes import NO_LIMITS, Scope
from burster.engine.bursts.lifecycle import edge_allowed
from burster.engine.entries import (
    DERIVED,
    BurstEntry,
    FailingWorkload,
    Learned,
    Leaving,
    PodEntry,
    PolicyEntry,
    Provenance,
    StatusBook,
    TargetEntry,
)
from burster.engine.entries import QueueKey as QueueKey  # noqa: PLC0414 - the rooms ask for all entries here
from burster.engine.entries import Surplus as Surplus  # noqa: PLC0414 - the same
from burster.engine.matching import Matcher
from burster.engine.numbers.scaler import ScaleBook
from burster.engine.sweeping.leftovers import Leftover, LeftoverKey
from burster.model.bursts import Phase
from burster.model.decisions import Decision, Reason, Verdict
from burster.model.instructions import Instruction
from burster.model.limits import Limits
from burster.model.offerings import Quota
from burster.model.pods import Resources
from burster.model.stimuli import (
    CloudPodSeen,
    ClusterStop,
    OfferingsSeen,
    Original,
    PolicyRefused,
    Spend,
    TargetProblem,
    TargetRefused,
    WorkloadSeen,
)


TimerKind = Literal[
    "age", "reopen", "deadline", "observe", "room", "retry", "release", "lease", "budget", "scaling", "forget", "status"
]


@dataclass(slots=True)
class State:
    """Everything. Made by ``initial_state``; moved on only by ``step``."""

    now_ms: int = 0
    synced: set[str] = field(default_factory=set[str])
    ready: bool = False  #: every required source has synced and adoption is done
    writable: bool = True
    ledger_message: str = ""
    draining: bool = False
    stop: ClusterStop | None = None  #: new bursts are stopped for the whole cluster
    pods: dict[str, PodEntry] = field(default_factory=dict[str, PodEntry])
    policies: dict[str, PolicyEntry] = field(default_factory=dict[str, PolicyEntry])
    #: policies whose latest version is not valid, whether or not an earlier one is in force
    refused: dict[str, PolicyRefused] = field(default_factory=dict[str, PolicyRefused])
    leaving: dict[str, Leaving] = field(default_factory=dict[str, Leaving])  #: policies that are being deleted
    turn: int = 0  #: how many steps there have been
    overdue_booked: int = 0  #: the latest turn in which all that bursts have cost beyond their leases was booked
    deciding: bool = False  #: a step is deciding; else whoever asks only looks, and nothing is remembered of it
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict[str, "dict[str, str]"])  #: name -> labels
    trustees_down: dict[str, str] = field(default_factory=dict[str, str])  #: target -> why its Trustee does not answer
    #: targets whose latest version can't be used
    refused_targets: dict[str, TargetRefused] = field(default_factory=dict[str, TargetRefused])
    target_statuses: dict[str, StatusBook] = field(default_factory=dict[str, StatusBook])
    policy_statuses: dict[str, StatusBook] = field(default_factory=dict[str, StatusBook])
    targets: dict[str, TargetEntry] = field(default_factory=dict[str, TargetEntry])
    #: offerings, with when they were heard of, and quotas that came before their target did
    early_offerings: dict[str, tuple[int, OfferingsSeen]] = field(default_factory=dict[str, tuple[int, OfferingsSeen]])
    #: what was found wrong at targets before they were told
    early_problems: dict[str, tuple[TargetProblem, ...]] = field(default_factory=dict[str, "tuple[TargetProblem, ...]"])
    early_quotas: dict[str, tuple[Quota, ...]] = field(default_factory=dict[str, tuple[Quota, ...]])
    bursts: dict[str, BurstEntry] = field(default_factory=dict[str, BurstEntry])
    #: pods that say they are a burst's, and came before it did: by burst key, then by their own uid, since several may say so
    early_pods: dict[str, dict[str, CloudPodSeen]] = field(default_factory=dict[str, "dict[str, CloudPodSeen]"])
    provenance: Provenance = field(default_factory=Provenance)
    #: uid of a pending pod -> key of the latest burst decided for it
    burst_for: dict[str, str] = field(default_factory=dict[str, str])
    #: namespace -> its policies, made when they are first asked for
    matchers: dict[str, Matcher] = field(default_factory=dict[str, Matcher], metadata=DERIVED)
    #: namespaces whose policies changed: who answers for each of their pods is asked anew when the step has heard everything
    reassign: dict[str, None] = field(default_factory=dict[str, None])
    #: (policy that takes pods, policy that could with the same right) -> it was told
    ambiguous: dict[tuple[str, str], bool] = field(default_factory=dict[tuple[str, str], bool])
    unmatched: list[str] = field(default_factory=list[str])  #: keys of pods to tell that no policy is about them
    #: (kind, key) -> counts and money; also of policies and targets that are gone, so that deleting one does not wipe what it spent
    scopes: dict[tuple[str, str], Scope] = field(default_factory=dict[tuple[str, str], Scope])
    #: (policy, target) -> the scopes that a burst of the one at the other is in, the narrowest first
    chains: dict[tuple[str, str], tuple[Scope, ...]] = field(default_factory=dict[tuple[str, str], tuple[Scope, ...]])
    cluster_limits: Limits = NO_LIMITS
    #: uid of a burst -> (when, how much): what is settled is never settled again
    settled: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    #: names of records that belong to somebody else
    taken_names: set[str] = field(default_factory=set[str])
    #: offering key -> (until, reason): what the cloud refused lately
    cooling: dict[str, tuple[int, Reason]] = field(default_factory=dict[str, tuple[int, Reason]])
    #: (target, region, zone or "", family or pool) -> steps of (vCPUs from which on it was refused, until, reason), the more vCPUs the
    #: longer: written by ``capacity.remember``
    family_blocks: dict[tuple[str, str, str, str], tuple[tuple[int, int, Reason], ...]] = field(
        default_factory=dict[tuple[str, str, str, str], "tuple[tuple[int, int, Reason], ...]"]
    )
    refusals: int = 0  #: how often something was written to either
    #: launches that failed lately: (when, whose, policy, target), the oldest first
    launch_failures: list[tuple[int, str, str, str]] = field(default_factory=list[tuple[int, str, str, str]])
    #: name of a target, or key of a policy -> when the latest of its bursts came to serve
    served_at_ms: dict[str, int] = field(default_factory=dict[str, int])
    #: ``namespace/kind/name`` of workloads whose every launch fails
    failing: dict[str, FailingWorkload] = field(default_factory=dict[str, FailingWorkload])
    #: pod key -> (until, what it asks for, why): pods that were given back to on-prem and are left to it for a while
    held_off: dict[str, tuple[int, Resources, Reason]] = field(default_factory=dict[str, tuple[int, Resources, Reason]])
    learned: Learned = field(default_factory=Learned)
    #: ``namespace/kind/name`` -> a workload that policies name, as it is now
    workloads: dict[str, WorkloadSeen] = field(default_factory=dict[str, WorkloadSeen])
    workloads_absent: set[str] = field(default_factory=set[str])  #: those that policies name and nobody has
    workloads_changed: set[str] = field(default_factory=set[str])  #: in this step
    scaling_open: set[str] = field(default_factory=set[str])  #: policies that heard of a trigger in this step
    #: policy -> the workload that it scales, and the money of its replicas; also while a policy that is gone still has some
    scale_books: dict[str, ScaleBook] = field(default_factory=dict[str, ScaleBook])
    #: policy -> what its workload had before it, as a predecessor has noted
    originals: dict[str, Original] = field(default_factory=dict[str, Original])
    #: launches that no burst tells of: of replicas, and of bursts that are forgotten: (when, policy, target), kept for a day
    former_launches: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    #: policies of which somebody waits because one provider has its share: they look again when the shares move
    share_waits: dict[str, None] = field(default_factory=dict[str, None])
    #: policies that waited for that, and whose numbers are not served yet
    shares_moved: set[str] = field(default_factory=set[str])
    #: policies whose releases are to be looked at in this step
    releases_open: set[str] = field(default_factory=set[str])
    #: pod key -> (not before, failures so far): survives the pod's own coming and going
    parked: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    #: what is in the cloud and nobody claims
    leftovers: dict[LeftoverKey, Leftover] = field(default_factory=dict[LeftoverKey, Leftover])
    #: (where, VM name) -> when it was last seen with the tags that make it this cluster's
    proven_vms: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    #: VM name -> target -> until when what it costs unclaimed is booked there
    leaks_booked: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    leaked_total_micro_usd: int = 0  #: of what is settled, what unclaimed VMs have cost
    #: key of a ListCloud, DeleteVm or DeleteResource under way -> when its answer is overdue
    under_way: dict[str, int] = field(default_factory=dict[str, int])
    spares: set[str] = field(default_factory=set[str])  #: keys of clones that answer nobody now
    capacity_allocatable: Resources = field(default_factory=Resources)
    capacity_requested: Resources = field(default_factory=Resources)
    capacity_nodes: int = 0
    #: whether there are nodes and it is known what is asked of them: without it nobody can say what is free
    capacity_known: bool = False
    timers: list[tuple[int, int, TimerKind, str]] = field(default_factory=list[tuple[int, int, TimerKind, str]])
    timer_keys: set[tuple[int, TimerKind, str]] = field(default_factory=set[tuple[int, TimerKind, str]])
    sequence: int = 0
    #: policy -> values and numbers that its condition sees beside the pod; empty between two steps
    seen: dict[str, tuple[dict[str, object], dict[str, int]]] = field(
        default_factory=dict[str, "tuple[dict[str, object], dict[str, int]]"]
    )
    # outputs of the step under way
    instructions: list[Instruction] = field(default_factory=list[Instruction])
    decisions: list[Decision] = field(default_factory=list[Decision])
    spends: list[Spend] = field(default_factory=list[Spend])
    settled_total_micro_usd: int = 0

    def at(self, due_ms: int, kind: TimerKind, key: str) -> None:
        """Ask to be woken; the same wish twice is one timer."""
        wish = (due_ms, kind, key)
        if wish in self.timer_keys:
            return
        self.timer_keys.add(wish)
        self.sequence += 1
        heapq.heappush(self.timers, (due_ms, self.sequence, kind, key))

    def decide(
        self,
        verdict: Verdict,
        *reasons: Reason,
        policy: str = "",
        subject: str = "",
        kind: str = "",
        burst: str = "",
        offering: str = "",
    ) -> None:
        """Put a decision on record."""
        self.decisions.append(
            Decision(
                at_ms=self.now_ms,
                verdict=verdict,
                policy=policy,
                subject=subject,
                kind=kind,
                burst=burst,
                offering=offering,
                reasons=reasons,
            )
        )

    def forget(self, key: str) -> None:
        """Take a burst out of everything."""
        entry = self.bursts.pop(key, None)
        if entry is not None and entry.burst.status.phase == "Released":
            burst = entry.burst
            self.former_launches.append((burst.spec.decided_at_ms, burst.policy_key, burst.spec.target))
        if entry is not None and self.burst_for.get(entry.burst.spec.for_pod.uid) == key:
            del self.burst_for[entry.burst.spec.for_pod.uid]


class IllegalTransitionError(AssertionError):
    """A burst was to take an edge that the table of its life does not have: a bug in the engine."""


def check_edge(old: Phase, new: Phase, key: str) -> None:
    """Raise IllegalTransitionError unless the table allows the edge."""
    if not edge_allowed(old, new):
        raise IllegalTransitionError(f"{key}: {old} -> {new} is no edge of a burst's life")
