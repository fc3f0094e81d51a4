"""The passive half, first part: what the cluster and the rules are. Takes facts in; asks for nothing but what the facts force."""

from typing import Final

import msgspec

from burster.engine import demand, statuses
from burster.engine.accounting import budgets
from burster.engine.bursts import ending, provenance, resting, storms
from burster.engine.bursts.lifecycle import ACTIVE, ANSWERING
from burster.engine.eligibility import reopen_for
from burster.engine.numbers import replica_gates, replica_money, replica_signals
from burster.engine.numbers.metrics import workload_key
from burster.engine.observe_rules import policy_accepted
from burster.engine.offers import capacity
from burster.engine.policy_events import tell_policy
from burster.engine.releasing import leaving, releases, wait
from burster.engine.shapes import shape_of
from burster.engine.state import BurstEntry, PodEntry, PolicyEntry, State
from burster.engine.sweeping import compare, leaks
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.stimuli import (
    LEAK,
    CapacitySeen,
    DrainCancelled,
    DrainRequested,
    LedgerHealth,
    LedgerRestored,
    PodLeft,
    PodSeen,
    PolicyGone,
    PolicySeen,
    Spend,
)


#: How long a settled burst is remembered after its record has gone, so that a late echo of the record is known for what it is.
_SETTLED_KEPT_MS: Final = 86_400_000
POLICY_GONE: Final = Reason(code="PolicyGone", sentence="Its policy was deleted.")


def reopen_all(state: State) -> None:
    """Something changed that could let any waiting pod go."""
    for policy in state.policies.values():
        policy.reopened = True


def policy_seen(state: State, stimulus: PolicySeen) -> None:
    """Take a policy in; what it spent before it changed stays spent."""
    policy = stimulus.policy
    policy_accepted(state, policy.key)
    statuses.remember(state, state.policy_statuses, policy.key, stimulus.told)
    entry = state.policies.get(policy.key)
    _note_object(state, stimulus, entry)
    if entry is not None and entry.policy == policy:
        return
    if entry is None:
        entry = PolicyEntry(policy=policy, scope=budgets.scope_of(state, "Policy", policy.key))
        entry.guarded = stimulus.guarded
        state.policies[policy.key] = entry
        for burst in state.bursts.values():
            spec = burst.burst.spec
            if burst.burst.policy_key == policy.key and burst.burst.status.phase in ACTIVE:
                entry.count_at((spec.target, spec.region, spec.size), 1)
    else:
        if policy.generation != entry.policy.generation:
            storms.reset_policy(state, entry)
        entry.policy = policy
        names = {trigger.name for trigger in policy.triggers}
        entry.readings = {name: reading for name, reading in entry.readings.items() if name in names}
    budgets.rules_changed(state, "Policy", policy.key)
    demand.forget_ambiguity(state, policy.key)
    entry.reopened = True
    state.releases_open.add(policy.key)  # what was kept by a pause may go now, or the other way round
    demand.reassign(state, policy.namespace)


def _note_object(state: State, stimulus: PolicySeen, entry: PolicyEntry | None) -> None:
    """Note what is said of a policy's object: that it is being deleted, that it is kept until its bursts are home."""
    key, uid = stimulus.policy.key, stimulus.policy.uid
    if stimulus.deleting:
        leaving.heard(state, key, uid, guarded=stimulus.guarded)
        return
    state.leaving.pop(key, None)
    was = entry is not None and entry.guarded
    if entry is not None:
        entry.guarded = stimulus.guarded
        if was and not stimulus.guarded and entry.policy.uid == uid and entry.active:
            sentence = (
                "Somebody has taken off the finalizer burster.dev/drain: if the policy is deleted now, all its bursts come home at once. "
                "The next burst puts it on again."
            )
            tell_policy(state, key, uid, "DrainFinalizerRemoved", sentence, warning=True)


def policy_gone(state: State, stimulus: PolicyGone) -> None:
    """Bring a deleted policy's bursts home; its account is kept."""
    refused = stimulus.key in state.refused
    policy_accepted(state, stimulus.key)
    state.leaving.pop(stimulus.key, None)
    entry = state.policies.pop(stimulus.key, None)
    if entry is None and not refused:
        return
    demand.forget_ambiguity(state, stimulus.key)
    # One that was refused ever since this controller started has bursts of a predecessor's all the same.
    budgets.rules_changed(state, "Policy", stimulus.key)
    for burst in list(state.bursts.values()):
        if burst.burst.policy_key == stimulus.key:
            ending.end(state, burst, "Draining", POLICY_GONE)
    if entry is not None:
        replica_signals.withdraw(state, stimulus.key, entry.scaler)
        demand.reassign(state, entry.policy.namespace)


def pod_seen(state: State, stimulus: PodSeen) -> None:
    """Take a pending pod in, or what changed about it."""
    key = stimulus.pod.key
    entry = state.pods.get(key)
    pod = _by_our_clock(state, stimulus.pod, entry)
    if entry is not None and entry.pod.uid != pod.uid:
        # The same name, another pod: the former one is gone, whether or not anybody said so.
        forget_pod(state, entry, Reason(code="Replaced", sentence="Another pod of the same name has taken its place."))
        entry = None
    if entry is None:
        burst = state.bursts.get(state.burst_for.get(pod.uid, ""))
        if burst is not None and _was_taken(burst):
            return
        entry = PodEntry(pod=pod, policy=demand.responsible_policy(state, pod))
        state.pods[key] = entry
        if burst is not None:
            _find_cover(state, entry, burst)
        demand.admit(state, entry)
        return
    before = entry.pod
    entry.pod = pod
    if before.labels != pod.labels or before.workload != pod.workload:
        new = demand.responsible_policy(state, pod)
        if new != entry.policy:
            demand.dequeue(state, pod, entry.policy)
            entry.policy, entry.verdict = new, None
    if not pod.unschedulable:
        demand.dequeue(state, pod, entry.policy)
        if entry.burst and not _is_being_taken(state, entry):
            _uncover(state, entry, Reason(code="NoLongerPending", sentence="The pod is no longer waiting for a node."))
        return
    if _asks_anew(before, pod):
        demand.dequeue(state, pod, entry.policy)
        entry.verdict = None if not entry.burst else entry.verdict
    demand.admit(state, entry)


def _by_our_clock(state: State, pod: Pod, entry: PodEntry | None) -> Pod:
    """Return a pod that has waited since it was first seen, where the API server's clock is ahead and the time it says has not come."""
    since_ms = pod.unschedulable_since_ms
    if since_ms is None or since_ms <= state.now_ms:
        return pod
    known_ms = entry.pod.unschedulable_since_ms if entry is not None and entry.pod.uid == pod.uid else None
    return msgspec.structs.replace(pod, unschedulable_since_ms=state.now_ms if known_ms is None else known_ms)


def _asks_anew(before: Pod, pod: Pod) -> bool:
    """Say whether a pod's place in the queue, or the answer to it, may be another than before."""
    return (
        not before.unschedulable
        or before.owner != pod.owner
        or before.workload != pod.workload
        or shape_of(before) != shape_of(pod)
        or demand.queue_key(before) != demand.queue_key(pod)
    )


def _was_taken(burst: BurstEntry) -> bool:
    """Say whether a word about a burst's pod comes late, as it was deleted to be moved: it is gone, and no demand any more."""
    return burst.burst.spec.strategy == "Move" and burst.burst.status.placed_at_ms is not None


def _is_being_taken(state: State, entry: PodEntry) -> bool:
    """Say whether the pod's going is, or may be, our own doing: the outcome of its placing will tell."""
    burst = state.bursts.get(entry.burst)
    if burst is None or burst.burst.spec.strategy != "Move":
        return False
    return burst.maybe_placed or burst.burst.status.phase == "Placing"


def _find_cover(state: State, entry: PodEntry, burst: BurstEntry) -> None:
    """Let a pod have the burst that was decided for it: by a predecessor, or before the pod was lost sight of."""
    if not burst.covers and burst.burst.status.phase in ANSWERING:
        entry.burst, burst.covers = burst.burst.key, entry.pod.key
        burst.surplus_since_ms = None
        state.spares.discard(burst.burst.key)


def pod_left(state: State, stimulus: PodLeft) -> None:
    """Let a pod go that was bound, finished or deleted: whatever was done for it is surplus."""
    key = f"{stimulus.namespace}/{stimulus.name}"
    entry = state.pods.get(key)
    if entry is None or entry.pod.uid != stimulus.uid:
        return
    if stimulus.why == "Bound":
        wait.note_bound(state, entry.policy)
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
        # Once a placing was asked for, the pending pod's absence may be our own doing; before that the burst is withdrawn.
        if phase == "Reserved" and not burst.maybe_placed:
            ending.end(state, burst, "Draining", reason)
    elif phase in ANSWERING and not find_other_use(state, burst):
        releases.no_longer_needed(state, burst, reason)


def find_other_use(state: State, burst: BurstEntry) -> bool:
    """Let a clone whose pod needs it no more answer another one that waits; say whether there is one."""
    successor = None if burst.withdraw is not None else _uncovered_sibling(state, burst)
    if successor is not None:
        cover(state, burst, successor)
    return successor is not None


def _uncovered_sibling(state: State, burst: BurstEntry) -> PodEntry | None:
    policy = state.policies.get(burst.burst.policy_key)
    if policy is None:
        return None
    for place in demand.queue_of(policy):
        pod = state.pods.get(place[3])
        if policy.queued.get(place[3]) == place and pod is not None and same_workload(burst, pod.pod):
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
    releases.note_room(state)
    state.capacity_allocatable = stimulus.allocatable
    state.capacity_requested = stimulus.requested
    state.capacity_nodes = stimulus.nodes
    state.capacity_known = stimulus.nodes > 0 and stimulus.requested_known
    releases.note_room(state)
    reopen_for(state, "onprem")


def ledger_restored(state: State, stimulus: LedgerRestored) -> None:
    """Book what was spent before a restart: it stays spent; and note which records are ours."""
    provenance.restore(state, stimulus)
    state.originals = {one.policy: one for one in stimulus.originals}
    for spend in stimulus.entries:
        book_spend(state, spend)


def book_spend(state: State, spend: Spend) -> None:
    """Book what a burst cost, once."""
    if spend.uid in state.settled:
        return
    if spend.burst.startswith(LEAK):
        leaks.book(state, spend)
        return
    state.settled[spend.uid] = (spend.at_ms, spend.micro_usd)
    provenance.settled(state, spend.burst, spend.uid)
    state.settled_total_micro_usd += spend.micro_usd
    namespace = spend.policy.partition("/")[0]
    budgets.settle(state, spend.policy, namespace, spend.target, spend.micro_usd, spend.at_ms)


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
            ending.end(state, entry, "Draining", reason)
    reopen_all(state)


def drain_cancelled(state: State, _stimulus: DrainCancelled) -> None:
    """Bursting goes on."""
    state.draining = False
    for target in state.targets.values():
        target.draining = False
    reopen_all(state)


def prune(state: State) -> None:
    """Keep histories bounded."""
    state.parked = resting.forgiven(state)
    storms.forget_old(state)
    wait.forget_old(state)
    capacity.forget_old(state)
    replica_money.forget_old(state)
    state.under_way = {key: until for key, until in state.under_way.items() if until > state.now_ms}
    state.taken_names.clear()
    compare.forget_old(state)
    namespaces = {entry.policy.namespace for entry in state.policies.values()}
    state.matchers = {namespace: one for namespace, one in state.matchers.items() if namespace in namespaces}
    known = {entry.burst.uid for entry in state.bursts.values()}
    state.settled = {
        uid: value for uid, value in state.settled.items() if uid in known or value[0] + _SETTLED_KEPT_MS > state.now_ms
    }
    provenance.forget_old(state, _SETTLED_KEPT_MS)
    workloads = {(key, replica_gates.workload_of(entry.policy)) for key, entry in state.policies.items()}
    named = {workload_key(key.partition("/")[0], one.kind, one.name) for key, one in workloads if one is not None}
    state.workloads_absent &= named
    budgets.forget_empty(state)
