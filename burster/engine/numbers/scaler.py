"""What is remembered of a policy whose demand is a number: its triggers' readings, its number and how it moved, its scaled workload.

Values of ``state``, moved by ``metrics``, ``replicas`` and ``replica_money`` alone. Everything in here is bounded: a reading for each
trigger, samples for the windows that look at them, a lease for each replica.
"""

from dataclasses import dataclass, field

from burster.engine.autoscale.limits import History
from burster.model.decisions import Reason
from burster.model.stimuli import ResourceRead
from burster.model.triggers import Trigger, WorkloadRef


@dataclass(slots=True)
class Reading:
    """The latest word on a trigger."""

    trigger: Trigger  #: as it was when it was read: a reading of another query is none
    at_ms: int | None = None  #: when the latest word was spoken
    value_milli: int | None = None  #: None: the latest word was a failure
    use: ResourceRead | None = None  #: of a measured workload, instead of a value
    failures: int = 0  #: in a row
    failed_since_poll: bool = False
    message: str = ""


@dataclass(slots=True)
class Scaler:
    """How the number of a policy came to be what it is."""

    created_at_ms: int
    strategy: str = ""  #: under which it was begun: another one begins anew
    number: int = 0  #: what was last wanted, where no workload's own number says so (Clone, Signal)
    granted: int = 0  #: what of it was allowed
    known: bool = False  #: ``number`` is more than a guess: it was adopted, or set
    active: bool = False
    active_value: bool = False  #: what the latest look at the triggers said
    last_active_at_ms: int | None = None
    fallback: bool = False  #: a fallback stands for a trigger now
    history: History = field(default_factory=History)
    poll_due_ms: int = 0
    sync_due_ms: int = 0
    pods_counted: int = 0  #: pods in the policy's queue when its triggers were last looked at
    chain: tuple[Reason, ...] = ()  #: why the number is what it is
    told: tuple[int, str] = (
        -1,
        "",
    )  #: number and first reason of what was last decided, so that the same is not said twice
    published: tuple[int, bool] | None = None  #: what was last asked to be published
    failures: int = 0  #: of its instruction, in a row
    again_at_ms: int = 0  #: its instruction is not asked for again before
    observed: int | None = None  #: the scaled workload's number when it was last looked at
    bursts_seen: int = -1  #: how many bursts were out when they were last counted


@dataclass(slots=True)
class ReplicaLease:
    """The money of one replica of a scaled workload."""

    since_ms: int  #: from when on it is not settled yet
    until_ms: int
    held_micro_usd: int
    ending: bool = False  #: not renewed: it is to go


@dataclass(slots=True)
class ScaleBook:
    """A workload that a policy scales, and what it holds; kept until its replicas have left, also where the policy is gone."""

    policy: str
    workload: WorkloadRef
    original: int | None = None  #: the number before the policy first set it
    noted_at_ms: int | None = None  #: when that was last put on record
    asked: int | None = None  #: a number that was asked for and not yet confirmed
    asked_at_ms: int = 0
    asked_from: int | None = None  #: the number that was known then
    last_asked: int | None = None  #: the number that was asked for last, confirmed or not
    failures: int = 0  #: to set it, in a row
    again_at_ms: int = 0  #: it is not asked for again before
    minimum: int = 0  #: what its policy says
    restore: bool = False  #: the same
    leaving: int | None = None  #: the policy is gone: this is the number it leaves behind
    target: str = ""
    size: str = ""
    provider: str = ""
    vcpus: int = 0
    price_micro_usd_per_hour: int = 0
    lease_ms: int = 0
    drain_ms: int = 0
    launch_ms: int = 0
    leases: list[ReplicaLease] = field(default_factory=list[ReplicaLease])  #: the oldest first
    settlements: int = 0
