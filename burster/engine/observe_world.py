"""The passive half, first part: what the cluster and the rules are. Takes facts in; asks for nothing but what the facts force."""

from typing import Final

from burster.engine import demand
from burster.engine import lifecycle_actions as actions
from burster.engine.lifecycle import ACTIVE, ANSWERING
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.stimuli import (
    CapacitySeen,
    DrainCancelled,
    DrainRequested,
    LedgerHealth,
    LedgerRestored,
    OfferingsSeen,
    PodLeft,
    PodSeen,
    PolicyGone,
    PolicySeen,
    QuotaSeen,
    TargetGone,
    TargetSeen,
)


_PARKED_MAX: Final = 10_000


def reopen_all(state: State) -> None:
    """Something changed that could let any waiting pod go."""
    for policy in state.policies.values():
        policy.reopened = True


def policy_seen(state: State, stimulus: PolicySeen) -> None:
    """Take a policy in; what it spent before it changed stays spent."""
    policy = stimulus.policy
    entry = state.policies.get(policy.key)
    if entry is not None and entry.policy == policy:
        return
    if entry is None:
        entry = PolicyEntry(policy=policy, account=state.closed_accounts.pop(policy.key, actions.Account()))
        state.policies[policy.key] = entry
        for burst in state.bursts.values():
            if burst.burst.policy_key == policy.key and burst.burst.status.phase in ACTIVE:
                entry.active += 1
                entry.vcpus += burst.burst.spec.vcpus
    else:
        entry.policy = policy
    entry.reopened = True
    demand.reassign_all(state)


def policy_gone(state: State, stimulus: PolicyGone) -> None:
    """Bring a deleted policy's bursts home; its account is kept."""
    entry = state.policies.pop(stimulus.key, None)
    if entry is None:
        return
    state.closed_accounts[stimulus.key] = entry.account
    reason = Reason(code="PolicyGone", sentence="Its policy was deleted or is no longer valid.")
    for burst in list(state.bursts.values()):
        if burst.burst.policy_key == stimulus.key:
            actions.end(state, burst, "Draining", reason)
    demand.reassign_all(state)


def target_seen(state: State, stimulus: TargetSeen) -> None:
    """Take a target in."""
    target = stimulus.target
    entry = state.targets.get(target.name)
    if entry is None:
        entry = TargetEntry(target=target)
        state.targets[target.name] = entry
        for burst in state.bursts.values():
            if burst.burst.spec.target == target.name and burst.burst.status.phase in ACTIVE:
                entry.active += 1
                entry.vcpus += burst.burst.spec.vcpus
                entry.account.reserve(burst.held_micro_usd)
        for spend in state.early_spends.pop(target.name, []):
            entry.account.settle(spend.micro_usd, spend.at_ms)
        if target.name in state.early_offerings:
            entry.offerings = state.early_offerings.pop(target.name)
        for row in state.early_quotas.pop(target.name, ()):
            entry.quotas[row.family.strip().lower()] = row
    else:
        entry.target = target
    reopen_all(state)


def target_gone(state: State, stimulus: TargetGone) -> None:
    """Start nothing more at a target that is gone; what runs there keeps its lease and comes home by itself."""
    state.targets.pop(stimulus.name, None)


def offerings_seen(state: State, stimulus: OfferingsSeen) -> None:
    """Replace what a target offers."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_offerings[stimulus.target] = stimulus.offerings
    elif target.offerings != stimulus.offerings:
        target.offerings = stimulus.offerings
        reopen_all(state)


def quota_seen(state: State, stimulus: QuotaSeen) -> None:
    """Replace what is known of a target's quota."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_quotas[stimulus.target] = stimulus.rows
        return
    quotas = {row.family.strip().lower(): row for row in stimulus.rows}
    if quotas != target.quotas:
        target.quotas = quotas
        reopen_all(state)


def pod_seen(state: State, stimulus: PodSeen) -> None:
    """Take a pending pod in, or what changed about it."""
    pod = stimulus.pod
    entry = state.pods.get(pod.key)
    if entry is not None and entry.pod.uid != pod.uid:
        # The same name, another pod: the former one is gone, whether or not anybody said so.
        forget_pod(state, entry, Reason(code="Replaced", sentence="Another pod of the same name has taken its place."))
        entry = None
    if entry is None:
        entry = PodEntry(pod=pod, policy=demand.responsible_policy(state, pod))
        state.pods[pod.key] = entry
        _adopt_cover(state, entry)
        demand.admit(state, entry)
        return
    before = entry.pod
    entry.pod = pod
    if before.labels != pod.labels:
        new = demand.responsible_policy(state, pod)
        if new != entry.policy:
            demand.dequeue(state, pod, entry.policy)
            entry.policy, entry.verdict = new, None
    if not pod.unschedulable:
        demand.dequeue(state, pod, entry.policy)
        if entry.burst:
            _uncover(state, entry, Reason(code="NoLongerPending", sentence="The pod is no longer waiting for a node."))
        return
    if before.unschedulable_since_ms != pod.unschedulable_since_ms or not before.unschedulable:
        demand.dequeue(state, before, entry.policy)
        entry.verdict = None if not entry.burst else entry.verdict
    demand.admit(state, entry)


def _adopt_cover(state: State, entry: PodEntry) -> None:
    """After a restart: find the burst that was decided for this very pod."""
    if state.ready:
        return
    for burst in state.bursts.values():
        if burst.burst.spec.for_pod.uid == entry.pod.uid and burst.burst.status.phase in ANSWERING:
            entry.burst, burst.covers = burst.burst.key, entry.pod.key


def pod_left(state: State, stimulus: PodLeft) -> None:
    """Let a pod go that was bound, finished or deleted: whatever was done for it is surplus."""
    key = f"{stimulus.namespace}/{stimulus.name}"
    entry = state.pods.get(key)
    if entry is None or entry.pod.uid != stimulus.uid:
        return
    if stimulus.why == "Bound":
        reason = Reason(code="RunsOnPrem", sentence="An on-prem node has taken the pod.")
    else:
        reason = Reason(code="PodGone", sentence="The pending pod was deleted.")
    forget_pod(state, entry, reason)


def forget_pod(state: State, entry: PodEntry, reason: Reason) -> None:
    """Take a pod out of everything."""
    demand.dequeue(state, entry.pod, entry.policy)
    state.pods.pop(entry.pod.key, None)
    if entry.burst:
        _uncover(state, entry, reason)
    elif entry.verdict is not None:
        state.decide("Resolved", reason, policy=entry.policy, subject=entry.pod.key)


def _uncover(state: State, pod: PodEntry, reason: Reason) -> None:
    """Find other use for a burst whose pod needs it no more, or end it."""
    burst = state.bursts.get(pod.burst)
    pod.burst = ""
    pod.verdict = None
    if burst is None:
        return
    burst.covers = ""
    phase = burst.burst.status.phase
    if burst.burst.spec.strategy == "Move":
        # From Placing on the pending pod's absence is our own doing; before that the burst is withdrawn.
        if phase == "Reserved":
            actions.end(state, burst, "Draining", reason)
        return
    if phase not in ANSWERING:
        return
    successor = _uncovered_sibling(state, burst)
    if successor is not None:
        cover(state, burst, successor)
    elif phase == "Serving":
        burst.surplus_since_ms = state.now_ms
        state.spares.add(burst.burst.key)
        actions.start_cooldown(state, burst)
    else:
        actions.end(state, burst, "Draining", reason)


def _uncovered_sibling(state: State, burst: BurstEntry) -> PodEntry | None:
    policy = state.policies.get(burst.burst.policy_key)
    if policy is None:
        return None
    for *_, key in policy.queue:
        pod = state.pods.get(key)
        if key in policy.queued and pod is not None and same_workload(burst, pod.pod):
            return pod
    return None


def same_workload(burst: BurstEntry, pod: Pod) -> bool:
    """Say whether a clone stands for pods of this one's workload."""
    ref, workload = burst.burst.spec.workload, pod.workload
    return (
        ref is not None
        and workload is not None
        and burst.burst.namespace == pod.namespace
        and (ref.kind, ref.name) == (workload.kind, workload.name)
    )


def cover(state: State, burst: BurstEntry, pod: PodEntry) -> None:
    """Let a clone that is there already answer another pod of the same workload."""
    demand.dequeue(state, pod.pod, pod.policy)
    burst.covers, burst.surplus_since_ms = pod.pod.key, None
    state.spares.discard(burst.burst.key)
    pod.burst = burst.burst.key
    pod.verdict = ("Resolved", "AnsweredByClone")
    state.decide(
        "Resolved",
        Reason(
            code="AnsweredByClone", sentence=f"{burst.burst.name} is already there for its workload and answers it."
        ),
        policy=pod.policy,
        subject=pod.pod.key,
        burst=burst.burst.key,
    )


def capacity_seen(state: State, stimulus: CapacitySeen) -> None:
    """Remember the on-prem fill."""
    state.capacity_allocatable = stimulus.allocatable
    state.capacity_requested = stimulus.requested
    state.capacity_nodes = stimulus.nodes


def ledger_restored(state: State, stimulus: LedgerRestored) -> None:
    """Book what was spent before a restart: it stays spent."""
    for spend in stimulus.entries:
        if spend.uid in state.settled_uids:
            continue
        state.settled_uids.add(spend.uid)
        state.settled_total_micro_usd += spend.micro_usd
        state.policy_account(spend.policy).settle(spend.micro_usd, spend.at_ms)
        target = state.targets.get(spend.target)
        if target is not None:
            target.account.settle(spend.micro_usd, spend.at_ms)
        else:
            state.early_spends.setdefault(spend.target, []).append(spend)


def ledger_health(state: State, stimulus: LedgerHealth) -> None:
    """Note whether the ledger can be written: where it can't, nothing new is started, and nothing else stops."""
    if stimulus.writable and not state.writable:
        reopen_all(state)
    state.writable, state.ledger_message = stimulus.writable, stimulus.message


def drain_requested(state: State, stimulus: DrainRequested) -> None:
    """Everything, or what is at one target, comes home."""
    if stimulus.target:
        target = state.targets.get(stimulus.target)
        if target is not None:
            target.draining = True
    else:
        state.draining = True
    reason = Reason(code="ComingHome", sentence="Somebody asked for everything to come home.")
    for entry in list(state.bursts.values()):
        if not stimulus.target or entry.burst.spec.target == stimulus.target:
            actions.end(state, entry, "Draining", reason)
    reopen_all(state)


def drain_cancelled(state: State, _stimulus: DrainCancelled) -> None:
    """Bursting goes on."""
    state.draining = False
    for target in state.targets.values():
        target.draining = False
    reopen_all(state)


def prune(state: State) -> None:
    """Keep histories bounded."""
    if len(state.parked) > _PARKED_MAX:
        state.parked = {key: value for key, value in state.parked.items() if value[0] > state.now_ms}
    state.cooling = {key: value for key, value in state.cooling.items() if value[0] > state.now_ms}
