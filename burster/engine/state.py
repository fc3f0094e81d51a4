"""What the engine knows between two steps. Only the rooms of the engine touch it; everybody else reads views (``engine.views``)."""

import heapq
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from burster.engine.accounting.money import Account
from burster.engine.accounting.scopes import NO_LIMITS, Scope
from burster.engine.answers import Refusal
from burster.engine.bursts.lifecycle import edge_allowed
from burster.engine.matching import Matcher
from burster.engine.numbers.scaler import Reading, ScaleBook, Scaler
from burster.engine.offers.offer_index import Narrowing, OfferIndex
from burster.engine.shapes import Shape
from burster.model.bursts import Burst, Phase
from burster.model.decisions import Decision, Reason, Verdict
from burster.model.instructions import Instruction
from burster.model.limits import Limits
from burster.model.offerings import Offering, Quota
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy
from burster.model.stimuli import CloudPodSeen, PolicyRefused, Spend, WorkloadSeen
from burster.model.targets import Target


TimerKind = Literal[
    "age", "reopen", "deadline", "observe", "retry", "release", "lease", "budget", "scaling", "forget", "policy-status"
]
#: Marks what is made anew from the rest when it is missing: it is in no snapshot.
DERIVED: Final = {"derived": True}
QueueKey = tuple[int, int, int, str]  #: (-priority, unschedulable since, created, the pod's key)


class PodEntry(msgspec.Struct, eq=False, gc=False):
    """A pending pod and where it stands."""

    pod: Pod
    policy: str = ""  #: the policy that is responsible for it; empty: none
    burst: str = ""  #: the burst that answers it; mutually exclusive with waiting in a queue
    verdict: tuple[Verdict, str] | None = None  #: what was last decided, so that the same is not said twice
    shape: Shape | None = None  #: what it is like, while it is in a queue


@dataclass(slots=True)
class Surplus:
    """How many of a policy's bursts are more than the number it wants now."""

    count: int
    reason: Reason
    since_ms: int


@dataclass(slots=True)
class FailingWorkload:
    """A workload whose every launch has failed lately."""

    failures: int
    until_ms: int  #: nobody of it is tried before
    reason: Reason
    probe: str = ""  #: key of the one pod that is tried for all of them


@dataclass(slots=True)
class Learned:
    """What was seen of the world's pace; every list is bounded, the oldest goes first."""

    since_ms: int | None = None  #: when the watching began
    bound: dict[str, list[int]] = field(
        default_factory=dict[str, "list[int]"]
    )  #: policy -> when on-prem nodes took its pods
    starts: dict[str, list[int]] = field(
        default_factory=dict[str, "list[int]"]
    )  #: target -> from decided to serving, in ms
    runs: dict[str, list[int]] = field(
        default_factory=dict[str, "list[int]"]
    )  #: policy -> how long moved pods ran, in ms


@dataclass(slots=True)
class Looked:
    """What came of a policy's ``when`` that is the same for every pod: once in a step."""

    turn: int = -1
    refusal: Refusal | None = None


@dataclass(slots=True)
class PolicyEntry:
    """A policy and its queue."""

    policy: Policy
    scope: Scope  #: its counts and its money
    #: aged, uncovered pods in the order they are tried; an item that ``queued`` does not confirm is stale and skipped
    queue: list[QueueKey] = field(default_factory=list[QueueKey])
    queued: dict[str, QueueKey] = field(default_factory=dict[str, QueueKey])
    #: places that ``queue`` does not have yet; ``demand.queue_of`` puts them in
    arrived: list[QueueKey] = field(default_factory=list[QueueKey])
    shapes: dict[Shape, int] = field(default_factory=dict[Shape, int])  #: how many of the queued pods are alike
    #: (target, region, size) -> how many of its bursts are active there
    places: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])
    #: what changed so that the whole queue is looked at again
    reopened: bool = True
    passing: bool = False  #: such a look is under way, a part of the queue in each step
    cursor: QueueKey | None = None  #: how far it has come
    passed_by: int = 0  #: how many of ``fresh`` it comes by: who was in the queue when it began
    too_few: bool = False  #: the queue waits for more pods to join it
    fresh: list[str] = field(default_factory=list[str])  #: pods to look at although the queue is not reopened
    #: trigger -> the latest word on it
    readings: dict[str, Reading] = field(default_factory=dict[str, Reading])
    scaler: Scaler | None = None  #: where demand is a number: how it came to be what it is
    surplus: Surplus | None = None  #: where demand is a number: how many bursts are too many
    tripped: Reason | None = None  #: the breaker: nothing new by this policy until a person has edited it
    looked: Looked = field(default_factory=Looked)  #: what came of its condition last

    @property
    def account(self) -> Account:
        """Its money."""
        return self.scope.account

    @property
    def active(self) -> int:
        """How many of its bursts are out."""
        return self.scope.active

    @property
    def vcpus(self) -> int:
        """How many vCPUs of its bursts are out."""
        return self.scope.vcpus

    def count_at(self, place: tuple[str, str, str], step: int) -> None:
        """Count a burst in (1) or out (-1) at a target, region and size."""
        count = self.places.get(place, 0) + step
        if count > 0:
            self.places[place] = count
        else:
            self.places.pop(place, None)


@dataclass(slots=True)
class StatusBook:
    """What a policy's status was last asked to say, and how that went; kept by ``policy_status``."""

    facts: tuple[object, ...] = ()  #: what the latest wish was made from
    asked_at_ms: int | None = None
    under_way: bool = False
    failures: int = 0
    again_at_ms: int = 0  #: not before this
    #: condition -> (status, since when)
    since: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])


@dataclass(slots=True)
class TargetEntry:
    """A target, what it offers, and what is known of its health."""

    target: Target
    scope: Scope  #: its counts and its money
    listed: tuple[Offering, ...] = ()  #: what its cloud says it offers
    offerings: tuple[Offering, ...] = ()  #: that and the target's own catalogue
    indexed: tuple[Target, tuple[Offering, ...]] | None = None  #: what ``indexes`` were made of
    indexes: dict[Narrowing, OfferIndex] = field(default_factory=dict[Narrowing, OfferIndex], metadata=DERIVED)
    families: dict[str, str] = field(default_factory=dict[str, str])  #: of its sizes
    #: (region, family) -> row, both in lower case
    quotas: dict[tuple[str, str], Quota] = field(default_factory=dict[tuple[str, str], Quota])
    #: (region, family) -> vCPUs that burster launched and the rows may not count yet
    launched: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    tripped: Reason | None = None  #: the breaker: nothing new here until a person has edited the target
    draining: bool = False

    @property
    def account(self) -> Account:
        """Its money."""
        return self.scope.account

    @property
    def active(self) -> int:
        """How many bursts are out here."""
        return self.scope.active

    @property
    def vcpus(self) -> int:
        """How many vCPUs are out here."""
        return self.scope.vcpus


class BurstEntry(msgspec.Struct, eq=False, gc=False):
    """A burst and what is under way for it."""

    burst: Burst
    recorded: bool = False
    seen_uid: str = ""  #: the record's uid as the watch told it, before the answer to its writing came
    written_phase: str = ""  #: the latest phase that the record is known to hold
    pod: CloudPodSeen | None = None
    gone_pod_uid: str = ""  #: a cloud pod that went before its placing was answered
    covers: str = ""  #: key of the pending pod it answers now; empty: surplus
    counts_in: tuple[str, str, str] | None = None  #: its policy, namespace and target, once they were asked for
    surplus_since_ms: int | None = None
    going_at_ms: int | None = None  #: chosen to come home then, if nobody wants it until then
    passed_over: bool = False  #: it could have been chosen, and enough others were on their way
    unwanted: bool = False  #: it comes home for want of demand
    crowded: bool = False  #: on-prem has been without room for its pod while it was out
    room_since_ms: int | None = None  #: since when on-prem has had room for its pod, after there was none
    under_way: dict[str, Instruction] = {}
    attempts: dict[str, int] = {}
    held_micro_usd: int = 0  #: reserved in the accounts now
    booked_micro_usd: int = 0  #: settled in the accounts while it runs, so not any more reserved
    booked_until_ms: int = 0  #: for the time until then
    claimed_micro_usd: int = 0  #: kept in the accounts for its next renewal
    #: VM name -> [first known start, confirmed end or None], in epoch ms: what is billed
    vms: dict[str, list[int | None]] = {}
    ran: bool = False  #: its cloud pod's containers have run, so there was a VM
    vms_known: bool = False  #: the cloud has answered since the pod was placed
    looked: bool = False  #: the cloud was asked for VMs since the end began, with or without an answer
    vms_gone: bool = False  #: no VM was left after the pod had gone
    reported_vms: set[str] = set()  #: left-behind VMs that were told once, where nothing is swept
    observations: int = 0
    observing_gone: bool = (
        False  #: the observation under way began after the pod had gone, so that "none" is the last word
    )
    launch_counted: bool = False  #: its vCPUs are in the target's ``launched``
    maybe_placed: bool = False  #: a placing was asked for whose outcome nobody knows
    pod_gone_at_ms: int | None = None
    delete_accepted: bool = False
    withdraw: Reason | None = None  #: to be ended as soon as the instruction under way has said what it did
    let_go: bool = False  #: the finalizer of its moved pod, which has ended, was asked to be taken off
    ended_by_us: bool = False  #: burster deletes or deleted the pod, so a moved one has to go home
    returned: bool = False


@dataclass(slots=True)
class State:
    """Everything. Made by ``initial_state``; moved on only by ``step``."""

    now_ms: int = 0
    synced: set[str] = field(default_factory=set[str])
    ready: bool = False  #: every required source has synced and adoption is done
    writable: bool = True
    ledger_message: str = ""
    draining: bool = False
    pods: dict[str, PodEntry] = field(default_factory=dict[str, PodEntry])
    policies: dict[str, PolicyEntry] = field(default_factory=dict[str, PolicyEntry])
    #: policies whose latest version is not valid, whether or not an earlier one is in force
    refused: dict[str, PolicyRefused] = field(default_factory=dict[str, PolicyRefused])
    turn: int = 0  #: how many steps there have been
    deciding: bool = False  #: a step is deciding; else whoever asks only looks, and nothing is remembered of it
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict[str, "dict[str, str]"])  #: name -> labels
    trustees_down: dict[str, str] = field(default_factory=dict[str, str])  #: target -> why its Trustee does not answer
    policy_statuses: dict[str, StatusBook] = field(default_factory=dict[str, StatusBook])
    targets: dict[str, TargetEntry] = field(default_factory=dict[str, TargetEntry])
    #: offerings and quotas that came before their target did
    early_offerings: dict[str, tuple[Offering, ...]] = field(default_factory=dict[str, tuple[Offering, ...]])
    early_quotas: dict[str, tuple[Quota, ...]] = field(default_factory=dict[str, tuple[Quota, ...]])
    bursts: dict[str, BurstEntry] = field(default_factory=dict[str, BurstEntry])
    #: cloud pods that came before their burst did, by burst key
    early_pods: dict[str, CloudPodSeen] = field(default_factory=dict[str, CloudPodSeen])
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
    #: (target, region, zone or "", family) -> (vCPUs from which on it was refused, until, reason): written by ``capacity.remember``
    family_blocks: dict[tuple[str, str, str, str], tuple[int, int, Reason]] = field(
        default_factory=dict[tuple[str, str, str, str], tuple[int, int, Reason]]
    )
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
    workloads_changed: set[str] = field(default_factory=set[str])  #: in this step
    scaling_open: set[str] = field(default_factory=set[str])  #: policies that heard of a trigger in this step
    #: policy -> the workload that it scales, and the money of its replicas; also while a policy that is gone still has some
    scale_books: dict[str, ScaleBook] = field(default_factory=dict[str, ScaleBook])
    #: policies of which somebody waits because one provider has its share: they look again when the shares move
    share_waits: dict[str, None] = field(default_factory=dict[str, None])
    #: policies whose releases are to be looked at in this step
    releases_open: set[str] = field(default_factory=set[str])
    #: pod key -> (not before, failures so far): survives the pod's own coming and going
    parked: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    #: (target, VM name) -> (first seen unclaimed, reported)
    orphans: dict[tuple[str, str], tuple[int, bool]] = field(default_factory=dict[tuple[str, str], tuple[int, bool]])
    #: key of a ListCloud or DeleteVm under way -> when its answer is overdue
    under_way: dict[str, int] = field(default_factory=dict[str, int])
    spares: set[str] = field(default_factory=set[str])  #: keys of clones that answer nobody now
    capacity_allocatable: Resources = field(default_factory=Resources)
    capacity_requested: Resources = field(default_factory=Resources)
    capacity_nodes: int = 0
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
                burst=burst,
                offering=offering,
                reasons=reasons,
            )
        )

    def forget(self, key: str) -> None:
        """Take a burst out of everything."""
        entry = self.bursts.pop(key, None)
        if entry is not None and self.burst_for.get(entry.burst.spec.for_pod.uid) == key:
            del self.burst_for[entry.burst.spec.for_pod.uid]


class IllegalTransitionError(AssertionError):
    """A burst was to take an edge that the table of its life does not have: a bug in the engine."""


def check_edge(old: Phase, new: Phase, key: str) -> None:
    """Raise IllegalTransitionError unless the table allows the edge."""
    if not edge_allowed(old, new):
        raise IllegalTransitionError(f"{key}: {old} -> {new} is no edge of a burst's life")
