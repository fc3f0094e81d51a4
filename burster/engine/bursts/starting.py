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
from burster.engine.bursts.lifecycle_actions import ask, count_launch, tell
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, State
from burster.model.bursts import Burst, BurstSpec, BurstStatus, InitdataSource, PodRef
from burster.model.decisions import Decision, Verdict
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


def start(state: State, pod: PodEntry, policy: PolicyEntry, grant: Grant, like: BurstSpec | None = None) -> BurstSpec:
    """Set the money aside and ask for the record; return what was decided.

    ``like``: what was decided for an alike pod by the same grant in this step, so that only what is the pod's own is made anew.
    """
    rules, offering, wanted = policy.policy, grant.offering, pod.pod
    target = state.targets[grant.target].target
    now_ms, namespace, pod_key, reserved = state.now_ms, wanted.namespace, wanted.key, grant.reserve_micro_usd
    name, key = _burst_name(state, pod, pod_key)
    spec = replace(
        like or _shared(rules, target, grant, wanted, now_ms),
        pod_name=name if grant.strategy == "Clone" else wanted.name,
        for_pod=PodRef(name=wanted.name, uid=wanted.uid, resource_version=wanted.resource_version),
        workload=_workload_of(wanted.workload),
    )
    status = _first_status(reserved, spec.first_lease_until_ms)
    burst = Burst(namespace=namespace, name=name, spec=spec, status=status)
    entry = BurstEntry(
        burst=burst,
        covers=pod_key if wanted.uid else "",
        counts_in=(pod.policy, namespace, grant.target),
        held_micro_usd=reserved,
    )
    state.bursts[key] = entry
    if wanted.uid:  # else a number asks for it, and no pod in particular
        state.burst_for[wanted.uid] = key
    pod.burst = key
    pod.verdict = _STARTED
    scopes = budgets.scopes_of(state, pod.policy, namespace, grant.target)
    budgets.start(state, scopes, provider=offering.provider, vcpus=spec.vcpus, micro_usd=reserved)
    policy.count_at((grant.target, offering.region, offering.size), 1)
    count_launch(state, entry, launched=True)
    state.decisions.append(
        Decision(
            at_ms=now_ms,
            verdict="Burst",
            policy=pod.policy,
            subject=pod_key if wanted.name else burst.subject,
            burst=key,
            offering=offering.key,
            reasons=grant.reasons,
        )
    )
    ask(state, entry, RecordBurst(key=f"record/{key}", burst=burst))
    tell(state, entry, "BurstStarted", f"{offering.size} in {offering.region} for {_whom(wanted)}")
    return spec


def _shared(rules: Policy, target: Target, grant: Grant, wanted: Pod, now_ms: int) -> BurstSpec:
    """Return what a burst's spec says that it has in common with those of alike pods."""
    offering = grant.offering
    return BurstSpec(
        policy=rules.name,
        target=grant.target,
        strategy=grant.strategy,
        pod_name="",
        initdata=initdata_of(rules, target),
        provider=offering.provider,
        region=offering.region,
        size=offering.size,
        runtime_class=target.runtime_class,
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


@lru_cache(maxsize=1_024)
def _first_status(reserved_micro_usd: int, lease_until_ms: int) -> BurstStatus:
    """Return one object for all bursts that start alike."""
    return BurstStatus(phase="Reserved", reserved_micro_usd=reserved_micro_usd, lease_until_ms=lease_until_ms)


@lru_cache(maxsize=4_096)
def _workload_of(owner: Owner | None) -> WorkloadRef | None:
    """Return one object for all bursts of a workload."""
    return None if owner is None else WorkloadRef(api_version=owner.api_version, kind=owner.kind, name=owner.name)


def _whom(pod: Pod) -> str:
    if pod.name or pod.workload is None:
        return f"pod {pod.name}"
    return f"{pod.workload.kind} {pod.workload.name}"


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
