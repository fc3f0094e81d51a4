"""What the engine has been told so far, and a second opinion on what it does with that: made from the rules, not with the engine's gates.

``Told.take`` hears the same facts as the engine; ``objections`` says what is wrong with a burst that it starts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.limits import Limits
from burster.model.offerings import Offering, Quota
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy
from burster.model.targets import Target
from burster.model.triggers import (
    CronTrigger,
    ExternalTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    WorkloadRef,
)
from tests.support.language import IMAGES, PROMETHEUS, WINDOWS


#: (kind, key): the policy, the namespace at a target, the target, the cluster
ScopeName = tuple[str, str]
PAUSED = "the policy is paused"
_CPU = 1000


@dataclass
class Reading:
    at_ms: int
    missing: bool


@dataclass
class Told:
    now: int = 0
    writable: bool = True
    draining: bool = False
    draining_targets: set[str] = field(default_factory=set[str])
    policies: dict[str, Policy] = field(default_factory=dict[str, Policy])
    refused: set[str] = field(default_factory=set[str])
    targets: dict[str, Target] = field(default_factory=dict[str, Target])
    offerings: dict[str, tuple[Offering, ...]] = field(default_factory=dict[str, tuple[Offering, ...]])
    quotas: dict[str, tuple[Quota, ...]] = field(default_factory=dict[str, tuple[Quota, ...]])
    labels: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    trustees_down: set[str] = field(default_factory=set[str])
    cluster: Limits = field(default_factory=Limits)
    workloads: dict[tuple[str, str], s.WorkloadSeen] = field(default_factory=dict[tuple[str, str], s.WorkloadSeen])
    pods: dict[str, Pod] = field(default_factory=dict[str, Pod])
    #: (policy, trigger) -> the latest word, and on which version of the trigger
    readings: dict[tuple[str, str], tuple[Any, Reading]] = field(
        default_factory=dict[tuple[str, str], tuple[Any, Reading]]
    )
    values: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    free_millicores: int | None = None
    #: policy -> the workload whose number it asked for, and the number that was known then
    asked: dict[str, tuple[WorkloadRef, int]] = field(default_factory=dict[str, tuple[WorkloadRef, int]])

    def take(self, facts: list[s.Stimulus], now: int) -> None:
        self.now = max(self.now, now)
        for fact in facts:
            self._take(fact)

    def _take(self, fact: s.Stimulus) -> None:  # noqa: C901, PLR0912, PLR0915 - one line for each kind
        match fact:
            case s.PolicySeen(policy=policy):
                self.policies[policy.key] = policy
                self.refused.discard(policy.key)
            case s.PolicyGone(key=key):
                self.policies.pop(key, None)
                self.refused.discard(key)
                self.readings = {pair: word for pair, word in self.readings.items() if pair[0] != key}
            case s.PolicyRefused(key=key):
                self.refused.add(key)
            case s.TargetSeen(target=target):
                self.targets[target.name] = target
            case s.TargetGone(name=name) | s.TargetRefused(name=name):
                self.targets.pop(name, None)
                self.draining_targets.discard(name)
            case s.OfferingsSeen(target=target, offerings=offerings):
                self.offerings[target] = offerings
            case s.QuotaSeen(target=target, rows=rows):
                self.quotas[target] = rows
            case s.NamespaceSeen(name=name, labels=labels):
                self.labels[name] = labels
            case s.NamespaceGone(name=name):
                self.labels.pop(name, None)
            case s.TrusteeHealth(target=target, healthy=healthy):
                (self.trustees_down.discard if healthy else self.trustees_down.add)(target)
            case s.ClusterLimitsSeen(limits=limits):
                self.cluster = limits
            case s.WorkloadSeen():
                known = self.workloads.get((fact.namespace, fact.name))
                if known is None or not fact.version or fact.version >= known.version:
                    self.workloads[fact.namespace, fact.name] = fact
            case s.ScaleSet():
                self._scaled(fact)
            case s.WorkloadGone():
                self.workloads.pop((fact.namespace, fact.name), None)
            case s.PodSeen(pod=pod):
                self.pods[pod.key] = pod
            case s.PodLeft(namespace=namespace, name=name, uid=uid):
                known = self.pods.get(f"{namespace}/{name}")
                if known is not None and known.uid == uid:
                    del self.pods[known.key]
            case s.MetricRead() | s.ResourceRead() | s.MetricFailed():
                self._read(fact)
            case s.CapacitySeen(allocatable=there, requested=asked):
                self.free_millicores = max(0, there.cpu_millicores - asked.cpu_millicores)
            case s.LedgerHealth(writable=writable):
                self.writable = writable
            case s.DrainRequested(target=""):
                self.draining = True
            case s.DrainRequested(target=target):
                if target in self.targets:
                    self.draining_targets.add(target)
            case s.DrainCancelled():
                self.draining = False
                self.draining_targets.clear()
            case _:
                pass

    def _read(self, fact: s.MetricRead | s.ResourceRead | s.MetricFailed) -> None:
        policy = self.policies.get(fact.policy)
        trigger = next((one for one in policy.triggers if one.name == fact.trigger), None) if policy else None
        if trigger is None:
            return
        known = self.readings.get((fact.policy, fact.trigger))
        if known is not None and known[0] == trigger and fact.at_ms < known[1].at_ms:
            return
        missing = isinstance(fact, s.MetricFailed) or (
            isinstance(fact, s.ResourceRead) and all(use.usage is None or not use.request for use in fact.pods)
        )
        self.readings[fact.policy, fact.trigger] = (trigger, Reading(min(fact.at_ms, self.now), missing))
        if isinstance(fact, s.MetricRead):
            self.values[fact.policy, fact.trigger] = fact.value_milli

    def _scaled(self, fact: s.ScaleSet) -> None:
        """Take an answer for the workload's number, unless the workload has told a later one."""
        if fact.policy not in self.asked:
            return
        workload, before = self.asked[fact.policy]
        key = fact.policy.partition("/")[0], workload.name
        seen = self.workloads.get(key)
        if seen is None:
            return
        later = fact.version < seen.version if fact.version and seen.version else seen.replicas != before
        if not later:
            version = max(fact.version, seen.version)
            self.workloads[key] = msgspec.structs.replace(seen, replicas=fact.replicas, version=version)

    # -- metrics

    def has_value(self, policy: Policy, trigger: Any) -> bool:
        """Whether a trigger is worth anything now."""
        if isinstance(trigger, PendingPodsTrigger | CronTrigger):
            return True
        known = self.readings.get((policy.key, trigger.name))
        if known is None or known[0] != trigger or known[1].missing:
            return False
        return self.now - known[1].at_ms <= policy.scaling.stale_after_ms

    def all_missing(self, policy: Policy) -> bool:
        """Whether nothing is known that a number could be made of, and no fallback stands for it."""
        return policy.scaling.fallback is None and not any(self.has_value(policy, one) for one in policy.triggers)

    # -- who is in which scope

    def limits_of(self, scope: ScopeName) -> Limits:
        kind, key = scope
        if kind == "Cluster":
            return self.cluster
        if kind == "Policy":
            return self.policies[key].limits if key in self.policies else Limits()
        target = self.targets.get(key.partition("/")[0])
        if target is None:
            return Limits()
        if kind == "Target":
            return target.limits
        own = target.namespace_limits
        return own.get(key.partition("/")[2]) or own.get("*", Limits())

    # -- a new burst

    def objections(self, burst: Burst) -> Iterator[str]:
        """Say everything that stands against starting this burst now."""
        spec, policy = burst.spec, self.policies.get(burst.policy_key)
        target = self.targets.get(spec.target)
        if policy is None or target is None:
            yield "its policy or target is not there"
            return
        yield from self.against_policy(policy)
        yield from self.against_target(policy, target)
        if spec.runtime_class != ("" if spec.machine is not None else target.runtime_class):
            yield f"it has RuntimeClass {spec.runtime_class}"
        if spec.machine is not None:
            yield from _against_machine(burst, policy, target)
        elif spec.for_pod.uid:
            yield from self._against_pod(burst, policy, target)
        else:
            yield from self._against_clone(burst, policy)
        yield from self._against_offering(burst, policy, target)

    def against_policy(self, policy: Policy) -> Iterator[str]:
        if not self.writable:
            yield "the ledger is not writable"
        if self.draining:
            yield "everything is coming home"
        if policy.key in self.refused:
            yield "the policy is refused"
        if policy.paused or policy.paused_scale_out:
            yield PAUSED
        opens = {window.name: holds for window, holds in WINDOWS}
        if policy.windows and not any(opens[one.name](self.now) for one in policy.windows):
            yield "no window is open"
        if any(opens[one.name](self.now) for one in policy.blackouts):
            yield "a blackout is on"
        if policy.when and "pod" not in policy.when and not self._holds(policy):
            yield f"when does not hold: {policy.when}"

    def _holds(self, policy: Policy) -> bool:
        if "now" in policy.when:
            return datetime.fromtimestamp(self.now // 1000, ZoneInfo("Europe/Berlin")).hour >= 9
        if "metrics" in policy.when:
            load = next((one for one in policy.triggers if one.name == "load"), None)
            return load is not None and self.has_value(policy, load) and self.values[policy.key, "load"] > 5_000
        return self.free_millicores is not None and self.free_millicores < 4_000

    def against_target(self, policy: Policy, target: Target) -> Iterator[str]:
        rules = policy.confidential
        if target.name not in policy.placement.targets:
            yield "the policy does not name the target"
        if target.name in self.draining_targets:
            yield "the target is being evacuated"
        if not {"*", policy.namespace} & set(target.allowed_namespaces):
            yield "the namespace is not allowed there"
        if target.required_namespace_labels.items() - self.labels.get(policy.namespace, {}).items():
            yield "the namespace is not opted in"
        if rules.data_class and rules.data_class not in target.data_classes:
            yield "the data may not be there"
        if rules.jurisdictions and target.jurisdiction not in rules.jurisdictions:
            yield "the wrong law holds there"
        if rules.attestation == "Required" and (not target.trustee_url or target.name in self.trustees_down):
            yield "there is no Trustee"
        reads = any(isinstance(one, PrometheusTrigger | MetricsApiTrigger) for one in policy.triggers)
        assert not any(isinstance(one, ExternalTrigger) and one.scaler_address for one in policy.triggers)
        if reads and not any(one.startswith(PROMETHEUS) for one in target.allowed_metric_endpoints):
            yield "its metrics may not be read there"

    def _against_pod(self, burst: Burst, policy: Policy, target: Target) -> Iterator[str]:
        ref, trigger = burst.spec.for_pod, policy.pending
        pod = self.pods.get(f"{burst.namespace}/{ref.name}")
        if pod is None or pod.uid != ref.uid or not pod.unschedulable or trigger is None:
            yield "no such pod waits"
            return
        if self.responsible(pod) != policy.key:
            yield f"{self.responsible(pod)} answers for the pod"
        age = self.now - (pod.unschedulable_since_ms or 0)
        if age < trigger.pending_for_ms and policy.wait.mode != "AtOnce":
            yield "the pod is too young"
        if pod.requests.cpu_millicores < trigger.min_cpu_millicores:
            yield "the pod is too small"
        if trigger.max_cpu_millicores is not None and pod.requests.cpu_millicores > trigger.max_cpu_millicores:
            yield "the pod is too large"
        if trigger.reasons and not any(one in pod.message.lower() for one in trigger.reasons):
            yield "the pod waits for another reason"
        if pod.runtime_class == target.runtime_class:
            yield "the pod is a peer pod already"
        if policy.when.startswith("pod.cpu") and pod.requests.cpu_millicores < 1_000:
            yield "when does not hold for the pod"
        yield from _against_contents(policy, pod.images, pod.secrets)
        cloned = pod.workload is not None
        if burst.spec.strategy != ("Clone" if cloned else "Move"):
            yield "a pod is moved and a service is cloned"
        if policy.placement.strategy not in {"Auto", burst.spec.strategy}:
            yield "the policy names another strategy"
        if not pod.requests.fits_in(Resources(cpu_millicores=burst.spec.vcpus * _CPU, memory_bytes=1 << 60)):
            yield "the pod does not fit"

    def _against_clone(self, burst: Burst, policy: Policy) -> Iterator[str]:
        workload = burst.spec.workload
        seen = self.workloads.get((burst.namespace, workload.name if workload else ""))
        if not policy.numeric or seen is None:
            yield "nothing is known of the workload that it is a clone of"
            return
        yield from _against_contents(policy, seen.images, seen.secrets)

    def _against_offering(self, burst: Burst, policy: Policy, target: Target) -> Iterator[str]:
        spec = burst.spec
        offering = next(
            (
                one
                for one in (*target.catalogue, *self.offerings.get(target.name, ()))
                if (one.size, one.spot) == (spec.size, spec.spot)
            ),
            None,
        )
        if offering is None:
            yield "no such size is offered"
            return
        yield from self.against_size(policy, target, offering)
        if price_of(target, offering) not in {None, spec.price_micro_usd_per_hour}:
            yield f"it has the wrong price {spec.price_micro_usd_per_hour}"
        if (spec.region, spec.vcpus) != (offering.region, offering.resources.cpu_millicores // _CPU):
            yield "it is not what is offered"
        for row in self.quotas.get(target.name, ()):
            mine = row.family in {"cores", offering.family} and row.region == offering.region
            if mine and row.used_vcpus + spec.vcpus > row.limit_vcpus:
                yield f"the quota {row} is used up"

    @staticmethod
    def against_size(policy: Policy, target: Target, offering: Offering) -> Iterator[str]:
        size, placement = offering.size.lower(), policy.placement
        if offering.tee not in {"TDX", "SNP"}:
            yield "it is not confidential"
        if offering.tee not in target.tees or offering.tee not in policy.confidential.tees:
            yield f"{offering.tee} is not accepted"
        if size not in {one.lower() for one in target.sizes}:
            yield "the target does not list the size"
        if placement.sizes and size not in {one.lower() for one in placement.sizes}:
            yield "the policy does not list the size"
        if offering.restricted:
            yield "it is restricted"
        if price_of(target, offering) is None:
            yield "nobody knows its price"
        if offering.region != target.region:
            yield "it is elsewhere"
        if policy.machine is None and (offering.spot or placement.spot == "Only"):
            yield "no peer pod is a spot VM"
        if policy.machine is not None and placement.spot == ("Never" if offering.spot else "Only"):
            yield "the policy wants no such VM"

    def responsible(self, pod: Pod) -> str:
        """Return the policy that answers for a pod: priority, then most specific, then by name."""
        rules = [one for one in self.policies.values() if one.namespace == pod.namespace and _is_about(one, pod)]
        best = sorted(rules, key=lambda one: (-one.priority, -_exactness(one), one.key))
        return best[0].key if best else ""

    # -- a scaled workload

    def against_replicas(self, policy: Policy, workload: WorkloadRef) -> Iterator[str]:
        """Say what stands against one more replica of a workload."""
        yield from self.against_policy(policy)
        seen = self.workloads.get((policy.namespace, workload.name))
        if seen is None:
            yield "the workload is not there"
            return
        if seen.owner:
            yield "somebody else owns the number"
        yield from _against_contents(policy, seen.images, seen.secrets)
        fitting = [self.targets[name] for name in policy.placement.targets if name in self.targets]
        if not any(self._may_hold(policy, target, seen) for target in fitting):
            yield "no target may hold it"

    def _may_hold(self, policy: Policy, target: Target, seen: s.WorkloadSeen) -> bool:
        offerings = (*target.catalogue, *self.offerings.get(target.name, ()))
        return (
            target.runtime_class == seen.runtime_class
            and not any(self.against_target(policy, target))
            and any(
                seen.requests.fits_in(one.resources) and not any(self.against_size(policy, target, one))
                for one in offerings
            )
        )


def price_of(target: Target, offering: Offering) -> int | None:
    """Return what an offering costs there per hour: as agreed, else as listed less discount, else as assumed."""
    agreed = {size.lower(): price for size, price in target.negotiated_micro_usd_per_hour.items()}
    if offering.size.lower() in agreed:
        return agreed[offering.size.lower()]
    listed = offering.price_micro_usd_per_hour
    if listed is None:
        return target.assumed_price_micro_usd_per_hour
    exact, rest = divmod(listed * (100_000 - target.discount_milli_percent), 100_000)
    return exact + bool(rest)


def _against_machine(burst: Burst, policy: Policy, target: Target) -> Iterator[str]:
    machine, spec = policy.machine, burst.spec
    if machine is None or target.machines is None or spec.machine is None:
        yield "nobody makes machines there"
        return
    if spec.machine.image != machine.image or machine.image not in target.machines.images:
        yield "its image is not allowed"
    if spec.for_pod.uid:
        yield "a machine is for no pod"
    if spec.vcpus * _CPU < machine.requests.cpu_millicores:
        yield "it is too small"


def _against_contents(policy: Policy, images: tuple[str, ...], secrets: tuple[str, ...]) -> Iterator[str]:
    rules = policy.confidential
    _, ours, pinned = next(one for one in IMAGES if one[0] == images)
    if rules.allowed_images and not ours:
        yield f"{images} are not allowed"
    if rules.images_by_digest and not pinned:
        yield f"{images} are not all named by digest"
    if rules.secrets == "Sealed" and set(secrets) - set(rules.sealed_secrets):
        yield f"{secrets} are not sealed"


def _is_about(policy: Policy, pod: Pod) -> bool:
    selector, workload = policy.workload, pod.workload
    if selector.match_expressions:
        return pod.labels.get("tier") == "gold"
    if not selector.kind:
        return True
    return workload is not None and (workload.kind, workload.name) == (selector.kind, selector.name)


def _exactness(policy: Policy) -> int:
    return 1000 * bool(policy.workload.name) + bool(policy.workload.match_expressions)


def window_of(kind: str, now_ms: int, zone: str) -> tuple[int, int]:
    """Return begin and end of the hour, day or month that a clock on the wall shows (zones of whole hours' changes only)."""
    here = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone))
    if kind == "hour":
        begin = now_ms - (here.minute * 60 + here.second) * 1000 - here.microsecond // 1000
        return begin, begin + 3_600_000
    first = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if kind == "month":
        first = first.replace(day=1)
    after = (first.replace(tzinfo=None) + timedelta(days=32 if kind == "month" else 1)).replace(tzinfo=ZoneInfo(zone))
    after = after.replace(day=1) if kind == "month" else after
    return _ms(first), _ms(after)


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)


def windows_of(limits: Limits, now_ms: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield each window of a budget: its kind, its limit, its begin and its end."""
    budget = limits.budget
    amounts = (
        ("hour", budget.per_hour_micro_usd),
        ("day", budget.per_day_micro_usd),
        ("month", budget.per_month_micro_usd),
    )
    for kind, amount in amounts:
        if amount is not None:
            yield kind, amount, *window_of(kind, now_ms, budget.timezone)
