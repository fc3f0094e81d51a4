"""What the engine knows between two steps. Only the rooms of the engine touch it; everybody else reads views (``engine.views``)."""

import heapq
from dataclasses import dataclass, field
from typing import Literal

from burster.engine.lifecycle import edge_allowed
from burster.engine.money import Account
from burster.model.bursts import Burst, Phase
from burster.model.decisions import Decision, Reason, Verdict
from burster.model.instructions import Instruction
from burster.model.offerings import Offering, Quota
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy, Target
from burster.model.stimuli import CloudPodSeen, Spend


TimerKind = Literal["age", "reopen", "deadline", "observe", "retry", "cooldown", "lease", "forget"]


@dataclass(slots=True)
class PodEntry:
    """A pending pod and where it stands."""

    pod: Pod
    policy: str = ""  #: the policy that is responsible for it; empty: none
    burst: str = ""  #: the burst that answers it; mutually exclusive with waiting in a queue
    verdict: tuple[Verdict, str] | None = None  #: what was last decided, so that the same is not said twice


@dataclass(slots=True)
class PolicyEntry:
    """A policy and its queue."""

    policy: Policy
    #: aged, uncovered pods in the order they are tried: (-priority, since, created, key); entries of pods that left are skipped
    queue: list[tuple[int, int, int, str]] = field(default_factory=list[tuple[int, int, int, str]])
    queued: set[str] = field(default_factory=set[str])
    #: what changed so that the whole queue is looked at again
    reopened: bool = True
    fresh: list[str] = field(default_factory=list[str])  #: pods to look at although the queue is not reopened
    account: Account = field(default_factory=Account)
    active: int = 0
    vcpus: int = 0


@dataclass(slots=True)
class TargetEntry:
    """A target, what it offers, and what is known of its health."""

    target: Target
    offerings: tuple[Offering, ...] = ()
    quotas: dict[str, Quota] = field(default_factory=dict[str, Quota])
    account: Account = field(default_factory=Account)
    active: int = 0
    vcpus: int = 0
    tripped: Reason | None = None  #: the breaker: nothing new here until a person resets it
    draining: bool = False


@dataclass(slots=True)
class BurstEntry:
    """A burst and what is under way for it."""

    burst: Burst
    recorded: bool = False
    pod: CloudPodSeen | None = None
    covers: str = ""  #: key of the pending pod it answers now; empty: surplus
    surplus_since_ms: int | None = None
    under_way: dict[str, Instruction] = field(default_factory=dict[str, Instruction])
    attempts: dict[str, int] = field(default_factory=dict[str, int])
    held_micro_usd: int = 0  #: reserved in the accounts now
    #: VM name -> [first known start, confirmed end or None], in epoch ms: what is billed
    vms: dict[str, list[int | None]] = field(default_factory=dict[str, "list[int | None]"])
    ran: bool = False  #: its cloud pod's containers have run, so there was a VM
    vms_known: bool = False  #: the cloud was asked since the pod was placed
    observations: int = 0
    pod_gone_at_ms: int | None = None
    withdraw: Reason | None = None  #: to be ended as soon as the instruction under way has said what it did
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
    targets: dict[str, TargetEntry] = field(default_factory=dict[str, TargetEntry])
    #: offerings and quotas that came before their target did
    early_offerings: dict[str, tuple[Offering, ...]] = field(default_factory=dict[str, tuple[Offering, ...]])
    early_quotas: dict[str, tuple[Quota, ...]] = field(default_factory=dict[str, tuple[Quota, ...]])
    early_spends: dict[str, list[Spend]] = field(default_factory=dict[str, "list[Spend]"])
    bursts: dict[str, BurstEntry] = field(default_factory=dict[str, BurstEntry])
    #: cloud pods that came before their burst did, by burst key
    early_pods: dict[str, CloudPodSeen] = field(default_factory=dict[str, CloudPodSeen])
    #: accounts of policies that are gone, so that deleting a policy does not wipe what it spent
    closed_accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    settled_uids: set[str] = field(default_factory=set[str])
    #: offering key -> (until, reason): what the cloud refused lately
    cooling: dict[str, tuple[int, Reason]] = field(default_factory=dict[str, tuple[int, Reason]])
    #: pod key -> (not before, failures so far): survives the pod's own coming and going
    parked: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    orphans: dict[str, int] = field(default_factory=dict[str, int])  #: VM name -> first seen unclaimed (ms)
    spares: set[str] = field(default_factory=set[str])  #: keys of clones that answer nobody now
    capacity_allocatable: Resources = field(default_factory=Resources)
    capacity_requested: Resources = field(default_factory=Resources)
    capacity_nodes: int = 0
    timers: list[tuple[int, int, TimerKind, str]] = field(default_factory=list[tuple[int, int, TimerKind, str]])
    timer_keys: set[tuple[int, TimerKind, str]] = field(default_factory=set[tuple[int, TimerKind, str]])
    sequence: int = 0
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

    def policy_account(self, key: str) -> Account:
        """Return a policy's account, also where the policy is gone."""
        entry = self.policies.get(key)
        if entry is not None:
            return entry.account
        return self.closed_accounts.setdefault(key, Account())


class IllegalTransitionError(AssertionError):
    """A burst was to take an edge that the table of its life does not have: a bug in the engine."""


def check_edge(old: Phase, new: Phase, key: str) -> None:
    """Raise IllegalTransitionError unless the table allows the edge."""
    if not edge_allowed(old, new):
        raise IllegalTransitionError(f"{key}: {old} -> {new} is no edge of a burst's life")
