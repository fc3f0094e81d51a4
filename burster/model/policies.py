"""Compiled rules: what the engine evaluates.

Made by burster.policy from YAML or from custom resources; complete and valid by construction.
"""

import re
from functools import lru_cache
from typing import Literal

import msgspec

from burster.model.offerings import Tee
from burster.model.pods import Pod


Strategy = Literal["Auto", "Clone", "Move"]


class WorkloadSelector(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which pods a policy is about, within its namespace; every part that is set must match."""

    kind: str = ""  #: of the workload (Deployment, Job, Pod, ...); empty: any
    name_pattern: str = (
        ""  #: a regular expression for the workload's name, anchored at both ends; for a bare pod the pod's name
    )
    pod_name_pattern: str = ""  #: a regular expression for the pod's name, anchored at both ends
    match_labels: dict[str, str] = {}  #: of the pod

    def matches(self, pod: Pod) -> bool:
        """Say whether the pod is one of these."""
        workload = pod.workload
        if self.kind and (workload.kind if workload else "Pod") != self.kind:
            return False
        if self.name_pattern and not _regex(self.name_pattern).fullmatch(workload.name if workload else pod.name):
            return False
        if self.pod_name_pattern and not _regex(self.pod_name_pattern).fullmatch(pod.name):
            return False
        return all(pod.labels.get(key) == value for key, value in self.match_labels.items())


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class PendingPodsTrigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Demand is the matching pods that have been Unschedulable for at least ``pending_for_ms``."""

    name: str = "pending-pods"
    pending_for_ms: int = 30_000
    min_count: int = 1


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hard limits in micro-USD per UTC hour, day and month; None: no limit of that kind."""

    per_hour_micro_usd: int | None = None
    per_day_micro_usd: int | None = None
    per_month_micro_usd: int | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a policy, or a target for all policies, may use at most; None: no limit of that kind."""

    max_bursts: int | None = None
    max_vcpus: int | None = None
    budget: Budget = Budget()


class Placement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where and how. Targets are tried in order; sizes, where given, narrow the target's own."""

    strategy: Strategy = "Auto"
    targets: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    lease_ms: int = 3_000_000
    #: how long a serving clone outlives the demand for it before it is released (KEDA's cooldownPeriod)
    cooldown_ms: int = 300_000
    drain_ms: int = 600_000


class Confidential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What proof a place must give. There is no way to say "none": bursting is for confidential VMs."""

    tees: tuple[Tee, ...] = ("TDX",)
    secure_boot: bool = True


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A BurstPolicy, compiled. ``key`` is ``namespace/name``."""

    namespace: str
    name: str
    uid: str = ""
    generation: int = 0
    priority: int = 0
    paused: bool = False
    workload: WorkloadSelector
    trigger: PendingPodsTrigger = PendingPodsTrigger()
    limits: Limits = Limits()
    placement: Placement
    confidential: Confidential = Confidential()

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A BurstTarget, compiled: one place to burst to, and what no policy may exceed there."""

    name: str
    uid: str = ""
    generation: int = 0
    provider: str = "azure"
    subscription: str
    resource_group: str
    region: str
    runtime_class: str = "kata-remote"
    image: str = ""  #: the pod VM image every VM there must have; empty: not checked
    subnet: str = ""  #: the subnet every VM there must be in; empty: not checked
    sizes: tuple[str, ...] = ()  #: allowed VM sizes; never empty after compilation
    tees: tuple[Tee, ...] = ("TDX",)
    allowed_namespaces: tuple[str, ...] = ()  #: empty: none; "*": every one
    limits: Limits = Limits()
    #: reserved per hour for a size whose price is unknown; None: such a size is refused
    assumed_price_micro_usd_per_hour: int | None = None
    launch_deadline_ms: int = 300_000  #: from the pod's placing to its VM being there
    ready_deadline_ms: int = 900_000  #: from the pod's placing to the pod running and its VM verified
    sweep: Literal["Report", "Delete"] = "Report"  #: what to do with VMs that no record claims
    sweep_grace_ms: int = 300_000
