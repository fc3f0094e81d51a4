"""Starts a burst: sets its money aside, counts it, and asks for its record. The first thing that happens to it.

Called by ``queues`` (for a pending pod) and ``replica_clones`` (for a number), once for each that a grant was given for. Thousands may
start in one step, so what their records have in common is made once: whatever depends only on who grants what to whom.
"""

import hashlib
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from burster.engine.accounting import budgets
from burster.engine.answers import Grant
from burster.engine.bursts import provenance
from burster.engine.bursts.lifecycle_actions import ask, tell
from burster.engine.bursts.vms import machine_name
from burster.engine.offers.offer_index import quota_keys
from burster.engine.offers.offerings import family_of
from burster.engine.offers.zones import choose_zone
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, State
from burster.model.bursts import Burst, BurstSpec, BurstStatus, BurstStrategy, InitdataSource, MachineSource, PodRef
from burster.model.decisions import Decision, Reason, Verdict
from burster.model.instructions import RecordBurst
from burster.model.pods import Owner, Pod
from burster.model.policies import Policy
from burster.model.targets import Target
from burster.model.triggers import WorkloadRef


#: A cloud pod's name is cut to 48 by CAA's VM name rule; the part that makes it unique must survive the cut.
_NAME_BASE_MAX: Final = 33
_STARTED: Final[tuple[Verdict, str]] = ("Burst", "Reserved")


def initdata_of(policy: Policy, target: Target) -> InitdataSource | None:
    """Return the initdata that a burst's VM is measured with: the policy's own, else the target's, else none."""
    if (own := policy.confidential.initdata) is not None:
        return InitdataSource(config_map=own.config_map, key=own.key, by="Policy")
    if (shared := target.initdata) is not None:
        return InitdataSource(config_map=shared.config_map, key=shared.key, by="Target")
    return None


class Series:
    """What bursts have in common that one grant starts in one step for pods that are alike: made once, however many they are."""

    __slots__ = (
        "counting",
        "counts_in",
        "grant",
        "offering_key",
        "paying",
        "place",
        "policy",
        "quota_keys",
        "scopes",
        "spec",
        "status",
        "target",
    )

    def __init__(self, state: State, policy: PolicyEntry, grant: Grant, pod: Pod) -> None:
        rules, offering = policy.policy, grant.offering
        self.policy, self.grant, self.target = policy, grant, state.targets[grant.target]
        target = self.target.target
        self.counts_in = (rules.key, pod.namespace, grant.target)
        self.scopes = budgets.scopes_of(state, *self.counts_in)
        self.counting = tuple(scope for scope in self.scopes if scope.counts)  #: those with limits of number
        self.paying = tuple(scope for scope in self.scopes if scope.caps)  #: those with a budget
        self.place = (grant.target, offering.region, offering.size)
        self.quota_keys = quota_keys(offering.region, family_of(self.target, offering.size), spot=offering.spot)
        self.offering_key = offering.key
        self.spec = _shared_spec(rules, target, grant, pod, state.now_ms)
        self.status = _first_status(grant.reserve_micro_usd, self.spec.first_lease_until_ms)


def start(state: State, pod: PodEntry, series: Series, reasons: tuple[Reason, ...]) -> None:
    """Set the money of one more burst of a series aside, count it, and ask for its record."""
    wanted, grant, now_ms = pod.pod, series.grant, state.now_ms
    namespace, pod_key = wanted.namespace, wanted.key
    name, key = _burst_name(state, pod, pod_key)
    spec = replace(
        series.spec,
        pod_name=_made_as(grant.strategy, name, key, wanted),
        zone=_zone(state, series) if grant.strategy == "Machine" else "",
        for_pod=PodRef(name=wanted.name, uid=wanted.uid, resource_version=wanted.resource_version),
        workload=_workload_of(wanted.workload),
    )
    burst = Burst(namespace=namespace, name=name, spec=spec, status=series.status)
    entry = state.bursts[key] = BurstEntry(
        burst=burst,
        covers=pod_key if wanted.uid else "",
        counts_in=series.counts_in,
        held_micro_usd=grant.reserve_micro_usd,
        launch_counted=True,
    )
    provenance.decided(state, key)
    if wanted.uid:  # else a number asks for it, and no pod in particular
        state.burst_for[wanted.uid] = key
    pod.burst = key
    pod.verdict = _STARTED
    budgets.start(state, series.scopes, provider=spec.provider, vcpus=spec.vcpus, micro_usd=grant.reserve_micro_usd)
    series.policy.count_at(series.place, 1)
    launched = series.target.launched
    for quota_key in series.quota_keys:
        launched[quota_key] = launched.get(quota_key, 0) + spec.vcpus
    state.decisions.append(
        Decision(
            at_ms=now_ms,
            verdict="Burst",
            policy=pod.policy,
            subject=pod_key if wanted.name else burst.subject,
            burst=key,
            offering=series.offering_key,
            reasons=reasons,
        )
    )
    ask(state, entry, RecordBurst(key=f"record/{key}", burst=burst))
    whom = f"machine {spec.pod_name}" if spec.machine is not None else f"pod {wanted.name}"
    tell(state, entry, "BurstStarted", f"{spec.size} in {spec.region} for {whom}")


def _made_as(strategy: BurstStrategy, name: str, key: str, wanted: Pod) -> str:
    """Return the name of what is made: of the cloud pod, or of the machine."""
    if strategy == "Machine":
        return machine_name(key)
    return name if strategy == "Clone" else wanted.name


def _zone(state: State, series: Series) -> str:
    """Return the zone of one more machine; where none has room any more, the cloud is to say so."""
    return choose_zone(state, series.policy.policy, series.target.target, series.grant.offering) or ""


def _shared_spec(rules: Policy, target: Target, grant: Grant, wanted: Pod, now_ms: int) -> BurstSpec:
    """Return what a burst's spec says that it has in common with those of alike pods."""
    offering = grant.offering
    return BurstSpec(
        policy=rules.name,
        target=grant.target,
        strategy=grant.strategy,
        pod_name="",
        initdata=None if grant.strategy == "Machine" else initdata_of(rules, target),
        spot=offering.spot,
        machine=_machine_of(rules, target) if grant.strategy == "Machine" else None,
        provider=offering.provider,
        region=offering.region,
        size=offering.size,
        runtime_class="" if grant.strategy == "Machine" else target.runtime_class,
        node_selector=target.node_selector,
        cpu_millicores=wanted.requests.cpu_millicores,
        memory_bytes=wanted.requests.memory_bytes,
        vcpus=offering.resources.cpu_millicores // 1000,
        price_micro_usd_per_hour=grant.price_micro_usd_per_hour,
        reserved_micro_usd=grant.reserve_micro_usd,
        decided_at_ms=now_ms,
        lease_ms=rules.placement.lease_ms,
        drain_ms=rules.placement.drain_ms,
        launch_deadline_ms=target.launch_deadline_ms,
        ready_deadline_ms=target.ready_deadline_ms,
    )


def _machine_of(rules: Policy, target: Target) -> MachineSource | None:
    """Return what a machine is made of: what the policy asks for, and what the target lends."""
    machine, lent = rules.machine, target.machines
    if machine is None or lent is None:
        return None
    return MachineSource(
        image=machine.image,
        encryption=machine.encryption,
        disk_encryption_set=lent.disk_encryption_set if machine.encryption == "DiskWithVMGuestState" else "",
        subnet=lent.subnet,
        network_security_group=lent.network_security_group,
        secure_boot=rules.confidential.secure_boot,
        config_map=machine.config_map,
        key=machine.key,
        service=machine.service,
        port=machine.port,
        os_disk_gib=machine.os_disk_gib,
    )


@lru_cache(maxsize=1_024)
def _first_status(reserved_micro_usd: int, lease_until_ms: int) -> BurstStatus:
    """Return one object for all bursts that start alike."""
    return BurstStatus(phase="Reserved", reserved_micro_usd=reserved_micro_usd, lease_until_ms=lease_until_ms)


@lru_cache(maxsize=4_096)
def _workload_of(owner: Owner | None) -> WorkloadRef | None:
    """Return one object for all bursts of a workload."""
    return None if owner is None else WorkloadRef(api_version=owner.api_version, kind=owner.kind, name=owner.name)


def _burst_name(state: State, pod: PodEntry, pod_key: str) -> tuple[str, str]:
    """Return the name of a pod's burst, which nobody else has, and its key."""
    wanted, namespace = pod.pod, pod.pod.namespace
    workload = wanted.workload.name if wanted.workload is not None else ""
    base = (wanted.name or workload)[:_NAME_BASE_MAX].rstrip("-.").replace(".", "-")
    # clones for no pod in particular are told apart by their time, so that no name is used again for another
    whose = f"{pod_key}/{wanted.uid}" if wanted.uid else f"{namespace}/{workload}/{state.now_ms}"
    attempt = 0
    while True:
        seed = f"{pod.policy}/{whose}/{attempt}"
        name = f"burst-{base}-{hashlib.sha256(seed.encode()).hexdigest()[:8]}"
        key = f"{namespace}/{name}"
        if key not in state.bursts and key not in state.taken_names:
            return name, key
        attempt += 1
