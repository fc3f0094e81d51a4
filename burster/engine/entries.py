"""What the engine remembers of one pod, policy, target or burst: the entries that ``state`` is made of.

Read and moved by the rooms of the engine alone. Nothing is decided here.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from burster.engine.accounting.money import Account
from burster.engine.accounting.scopes import Scope
from burster.engine.answers import Refusal
from burster.engine.numbers.scaler import Reading, Scaler
from burster.engine.offers.offer_index import Narrowing, OfferIndex
from burster.engine.shapes import Shape
from burster.model.bursts import Burst
from burster.model.decisions import Reason, Verdict
from burster.model.instructions import Instruction
from burster.model.offerings import Offering, Quota
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.stimuli import CloudPodSeen, TargetFact, TargetProblem
from burster.model.targets import Target


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
class Provenance:
    """What tells a record that burster wrote from one that somebody else made."""

    #: from when on the ledger knows every burst that was decided; None: it can't tell
    since_ms: int | None = None
    #: key of a burst -> (when it was decided or last heard of, uid of its record where that was settled, else "")
    decided: dict[str, tuple[int, str]] = field(default_factory=dict[str, "tuple[int, str]"])
    #: key -> uid of records that nobody decided: reported once, and left alone
    foreign: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Looked:
    """What came of a policy's ``when`` that is the same for every pod: once in a step."""

    turn: int = -1
    refusal: Refusal | None = None


class _Scoped:
    """What has a scope: its money and its counts are the scope's."""

    __slots__ = ()
    scope: Scope

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


@dataclass(slots=True)
class PolicyEntry(_Scoped):
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
    guarded: bool = False  #: burster's finalizer is on its object
    looked: Looked = field(default_factory=Looked)  #: what came of its condition last

    def count_at(self, place: tuple[str, str, str], step: int) -> None:
        """Count a burst in (1) or out (-1) at a target, region and size."""
        count = self.places.get(place, 0) + step
        if count > 0:
            self.places[place] = count
        else:
            self.places.pop(place, None)


@dataclass(slots=True)
class Leaving:
    """A policy that is being deleted; kept by ``leaving``."""

    uid: str
    guarded: bool  #: burster's finalizer is on it
    failures: int = 0
    again_at_ms: int = 0  #: the finalizer is not asked to be taken off before
    taken_up: bool = False  #: the workload that it scaled, by whichever controller, is seen to
    told_owned: bool = False  #: that somebody else owns its workload's number


@dataclass(slots=True)
class StatusBook:
    """What a policy's or target's status was last asked to say, and how that went; kept by ``statuses``."""

    facts: tuple[object, ...] = ()  #: what the latest wish was made from
    asked_at_ms: int | None = None
    under_way: bool = False
    failures: int = 0
    again_at_ms: int = 0  #: not before this
    #: condition -> (status, since when)
    since: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])


@dataclass(slots=True)
class TargetEntry(_Scoped):
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
    quotas_read_ms: int | None = None  #: when the rows were heard of; None: never
    read: bool = False  #: its cloud has said what it offers
    prices_as_of: str = ""  #: the date of its price list where that is not today's
    prices_until_ms: int | None = None  #: from then on the list is too old to launch by; None: no limit is known
    prices_problem: str = ""  #: why today's list could not be had, or made no sense
    #: what could not be read the last time -> why
    unread: dict[TargetFact, str] = field(default_factory=dict[TargetFact, str])
    tripped: Reason | None = None  #: the breaker: nothing new here until a person has edited the target
    #: (until, why): its cloud refused something that would be refused again and again; nothing new here until it was looked at
    stopped: tuple[int, Reason] | None = None
    problems: tuple[TargetProblem, ...] = ()  #: what the latest check of it has found; those that block first
    draining: bool = False


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
    adopted_at_ms: int | None = None  #: when this controller went on with what a predecessor had begun
    unwatched: bool = (
        False  #: its cloud pod was placed and went while no controller was there: nobody knows whether it ran
    )
    looked: bool = False  #: the cloud was asked for VMs since the end began, with or without an answer
    vms_gone: bool = False  #: no VM was left after the pod had gone
    reported_vms: frozenset[str] = frozenset()  #: left-behind VMs that were told once, where nothing is swept
    observations: int = 0
    observing_gone: bool = (
        False  #: the observation under way began after the pod had gone, so that "none" is the last word
    )
    asked_at_ms: int = 0  #: when the latest observation was asked for
    launch_counted: bool = False  #: its vCPUs are in the target's ``launched``
    maybe_placed: bool = False  #: a placing was asked for whose outcome nobody knows
    pod_gone_at_ms: int | None = None
    delete_accepted: bool = False
    withdraw: Reason | None = None  #: to be ended as soon as the instruction under way has said what it did
    let_go: bool = False  #: the finalizer of its moved pod, which has ended, was asked to be taken off
    ended_by_us: bool = False  #: burster deletes or deleted the pod, so a moved one has to go home
    verified: bool = False  #: this controller has found its machine to be what was decided
    exposed: bool = False  #: its machine is an endpoint of its Service, or may be
    halted: bool = False  #: its machine runs no more
    returned: bool = False
