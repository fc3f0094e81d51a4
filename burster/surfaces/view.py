"""What people are shown: one frozen snapshot of the whole, rendered by the status page, the live view and `burster status`.

The runtime fills it from the engine's state whenever somebody asks; nothing here reads the world. Every list is bounded where it is
made (`bounded`), and the total beside it says how much was left out.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec

from burster.model.bursts import Phase
from burster.model.decisions import Decision
from burster.model.pods import Resources


LISTED_MAX: Final = 200  #: the longest list a view carries; the totals are always whole
DECISIONS_MAX: Final = 50

T = TypeVar("T")


class NodeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One on-prem node: how full it is by what its pods ask for."""

    name: str
    used: Resources = Resources()
    allocatable: Resources = Resources()


class OnPremView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The on-prem cluster as a whole; ``nodes`` may be left empty where nobody counts per node."""

    node_count: int = 0
    used: Resources = Resources()
    used_known: bool = True  #: False: nobody adds up what so many pods ask for, and ``used`` says nothing
    allocatable: Resources = Resources()
    running_pods: int = 0
    nodes: tuple[NodeView, ...] = ()


class PendingView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pod that no node takes. ``why`` is the first thing that stops its burst, in a sentence."""

    pod: str  #: namespace/name
    since_ms: int
    requests: Resources = Resources()
    policy: str = ""
    why: str = ""


class BurstView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One burst: where it stands, on which VM, and what it costs. ``cost_micro_usd`` is the real cost once settled, so far before."""

    burst: str  #: namespace/name of the record
    policy: str
    pod: str  #: namespace/name of the cloud pod
    phase: Phase
    strategy: str = ""
    reason: str = ""
    vm: str = ""
    size: str = ""
    region: str = ""
    decided_at_ms: int = 0
    cost_micro_usd: int = 0
    reserved_micro_usd: int = 0
    settled: bool = False


class BudgetView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Spend against one budget. ``limit_micro_usd`` None: no limit of that kind; the spend is shown all the same."""

    owner: str  #: the policy's key, or the target's name
    window: Literal["hour", "day", "month"]
    spent_micro_usd: int = 0
    reserved_micro_usd: int = 0
    limit_micro_usd: int | None = None


class LeakView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is in a target's cloud and no record claims, of one kind: VMs, network interfaces, disks, public addresses."""

    target: str
    kind: str
    count: int
    ours: int = 0  #: of these, what is this cluster's for certain
    cost_micro_usd_per_hour: int = 0


class StatusView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything at one moment. ``ready`` is what /readyz answers: every required source has synced and the ledger can be written."""

    at_ms: int
    ready: bool = True
    not_ready_because: str = ""
    dry_run: bool = False
    leader: bool = True
    led_by: str = ""  #: who leads, on a replica that stands by
    draining: bool = False
    title: str = ""  #: what is shown: a cluster's name, or a demo's
    onprem: OnPremView = OnPremView()
    pending_total: int = 0
    pending: tuple[PendingView, ...] = ()
    bursts_by_phase: dict[str, int] = {}
    bursts: tuple[BurstView, ...] = ()
    budgets: tuple[BudgetView, ...] = ()
    spent_micro_usd: int = 0  #: settled, in all
    accruing_micro_usd: int = 0  #: of what runs now, so far
    leaks: tuple[LeakView, ...] = ()
    leaked_micro_usd: int = 0  #: of what is settled, what unclaimed VMs have cost
    decisions_total: int = 0
    decisions: tuple[Decision, ...] = ()  #: the latest, oldest first


def bounded(items: Sequence[T], limit: int = LISTED_MAX) -> tuple[T, ...]:
    """Return at most ``limit`` items, the first ones: whoever fills a view sorts by what matters most."""
    return tuple(items[:limit])
