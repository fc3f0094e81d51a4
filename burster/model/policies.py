"""Compiled rules: what the engine evaluates.

Made by burster.policy from YAML or from custom resources; complete and valid by construction.
"""

import re
from functools import lru_cache
from typing import Literal

import msgspec

from burster.model.bursts import Encryption
from burster.model.limits import Limits
from burster.model.offerings import Tee
from burster.model.pods import Pod, Resources
from burster.model.scaling import Scaling
from burster.model.triggers import PendingPodsTrigger, Trigger
from burster.model.windows import Window


Strategy = Literal["Auto", "Clone", "Move", "Scale", "Signal", "Machine"]


class LabelRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of a label selector's matchExpressions."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def holds(self, labels: dict[str, str]) -> bool:
        """Say whether labels satisfy it. As in Kubernetes a label that is absent satisfies NotIn."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None


class WorkloadSelector(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which pods a policy is about, within its namespace; every part that is set must match."""

    kind: str = ""  #: of the workload (Deployment, Job, Pod, ...); empty: any
    api_version: str = ""  #: of the workload, beside ``name``; empty: any
    name: str = ""  #: the workload's own name (ownerRef), for a bare pod the pod's; empty: any
    name_pattern: str = (
        ""  #: a regular expression for the workload's name, anchored at both ends; for a bare pod the pod's name
    )
    pod_name_pattern: str = ""  #: a regular expression for the pod's name, anchored at both ends
    match_labels: dict[str, str] = {}  #: of the pod
    match_expressions: tuple[LabelRule, ...] = ()  #: of the pod

    @property
    def specificity(self) -> int:
        """How exactly it says which pods are meant. Of two policies of equal priority that match a pod the more specific one takes it.

        A workload by its name counts 400, a kind 100, a pattern of names 100 and each condition on labels 1 (there are fewer than 100): an
        owner is more specific than kind and pattern, both more than either, and either more than labels alone.
        """
        return (
            400 * bool(self.name)
            + 100 * bool(self.kind)
            + 100 * bool(self.name_pattern or self.pod_name_pattern)
            + len(self.match_labels)
            + len(self.match_expressions)
        )

    def matches(self, pod: Pod) -> bool:
        """Say whether the pod is one of these."""
        workload = pod.workload
        if self.kind and (workload.kind if workload else "Pod") != self.kind:
            return False
        if self.name and not self._names(pod):
            return False
        if self.name_pattern and not _regex(self.name_pattern).fullmatch(workload.name if workload else pod.name):
            return False
        if self.pod_name_pattern and not _regex(self.pod_name_pattern).fullmatch(pod.name):
            return False
        labels = pod.labels
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and (
            not self.match_expressions or all(rule.holds(labels) for rule in self.match_expressions)
        )

    def _names(self, pod: Pod) -> bool:
        workload = pod.workload
        name, version = (workload.name, workload.api_version) if workload else (pod.name, "v1")
        return name == self.name and self.api_version in {"", version}


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a pod waits for room on-prem before money is spent on it.

    AtOnce: not at all. PendingFor: for as long as the pending-pods trigger says. BuyOrWait: as long as waiting is worth more than
    renting, and never longer than ``max_wait_ms``.
    """

    mode: Literal["AtOnce", "PendingFor", "BuyOrWait"] = "PendingFor"
    max_wait_ms: int = 3_600_000
    expected_run_ms: int | None = None  #: how long such a pod runs; None: learned from those that ended
    value_micro_usd_per_hour: int = 0  #: what an hour of a pod's waiting costs its owner


class Spread(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How evenly bursts lie over places, in the words of Kubernetes' topology spread."""

    by: Literal["target", "region", "zone", "family"] = "region"
    max_skew: int = 1
    required: bool = False  #: DoNotSchedule; else only preferred (ScheduleAnyway)


class Placement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where, how and for how long. Targets are tried in order; sizes, where given, narrow the target's own."""

    strategy: Strategy = "Auto"
    targets: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    spot: Literal["Never", "Prefer", "Only"] = "Never"
    spread: Spread | None = None
    lease_ms: int = 3_000_000
    drain_ms: int = 600_000
    #: a serving burst is not released before this unless money, a limit or a person says so
    min_life_ms: int = 0
    #: how long a spare burst is kept after the demand for it has ended, and after the latest launch of its policy
    idle_ms: int = 0
    release_order: Literal["DearestFirst", "YoungestFirst", "OldestFirst"] = "DearestFirst"
    #: WhenStarted: a clone goes when its pod has started on-prem. WhenRoom: also when on-prem has had room for it for ``idle_ms``.
    return_home: Literal["WhenStarted", "WhenRoom"] = "WhenStarted"
    disruption_percent: int = 10  #: how many of a policy's serving bursts may be coming home at once for want of demand


class InitdataRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ConfigMap key that holds the initdata of peer pods."""

    config_map: str
    key: str = "initdata.toml"


class Confidential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What proof a place must give, and what a pod must be. There is no way to say "none": bursting is for confidential VMs."""

    tees: tuple[Tee, ...] = ("TDX",)
    secure_boot: bool = True
    #: Required: only where a Trustee is declared, which releases keys after attestation; VmOnly: the VM's own properties will do
    attestation: Literal["Required", "VmOnly"] = "Required"
    initdata: InitdataRef | None = None  #: instead of the target's
    exec_forbidden: bool = True  #: the agent policy in the initdata must forbid exec; without initdata that can't be so
    allowed_images: tuple[str, ...] = ()  #: registry/repository prefixes; empty: any
    images_by_digest: bool = False
    #: Any: a pod may refer to any Secret; Sealed: only to those named here, which hold sealed secrets that only Trustee opens
    secrets: Literal["Any", "Sealed"] = "Any"
    sealed_secrets: tuple[str, ...] = ()
    data_class: str = ""  #: of what is worked on; a target must list it
    jurisdictions: tuple[str, ...] = ()  #: any of which the target must be in; empty: any


class Machine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What each machine of a policy of strategy Machine is: a confidential VM for a workload that is packaged for one."""

    requests: Resources  #: what the workload needs; the cheapest size that has it is chosen
    image: str  #: one of those that the target allows
    config_map: str = ""  #: holds the cloud-init user data, in the policy's namespace; empty: none
    key: str = ""
    service: str = ""  #: whose endpoint it is, once it is verified; empty: none
    port: int = 0
    encryption: Encryption = "VMGuestStateOnly"
    os_disk_gib: int = 0  #: 0: as large as the image says


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A BurstPolicy, compiled. ``key`` is ``namespace/name``."""

    namespace: str
    name: str
    uid: str = ""
    generation: int = 0
    priority: int = 0
    paused: bool = False  #: nothing new starts, and nothing comes home for want of demand
    paused_scale_in: bool = False  #: nothing comes home for want of demand
    paused_scale_out: bool = False  #: nothing new starts
    #: taken for active whatever its triggers say: a number is at least 1 (or the minimum), pending pods count from the first on
    force_activation: bool = False
    workload: WorkloadSelector
    triggers: tuple[Trigger, ...] = (PendingPodsTrigger(),)
    scaling: Scaling = Scaling()
    when: str = ""  #: CEL; empty: always
    windows: tuple[Window, ...] = ()  #: in force while any is open; empty: always
    blackouts: tuple[Window, ...] = ()  #: not in force while any is open
    wait: Wait = Wait()
    limits: Limits = Limits()
    placement: Placement
    confidential: Confidential = Confidential()
    machine: Machine | None = None  #: for strategy Machine

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def pending(self) -> PendingPodsTrigger | None:
        """Its pending-pods trigger, or None."""
        for one in self.triggers:  # plainly, as it is asked for every pod
            if isinstance(one, PendingPodsTrigger):
                return one
        return None

    @property
    def numeric(self) -> bool:
        """Whether its demand is a number of replicas (KEDA's arithmetic) rather than the pending pods themselves.

        Move takes pods and nothing else: there, metrics only serve ``when``. A Machine takes no pod: there, pods are only counted.
        """
        if self.placement.strategy in {"Scale", "Signal", "Machine"}:
            return True
        return self.placement.strategy != "Move" and any(
            not isinstance(one, PendingPodsTrigger) for one in self.triggers
        )

    @property
    def pending_for_ms(self) -> int:
        """How long a pod must have been unschedulable before it counts."""
        pending = self.pending
        return 0 if pending is None or self.wait.mode == "AtOnce" else pending.pending_for_ms
