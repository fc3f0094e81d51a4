"""Records that a predecessor wrote, taken in at start and gone on with from the phase they say.

Called by ``observe_bursts`` (a record was seen) and ``step`` (every source has spoken). What was under way when the predecessor died is
asked for again: every instruction finds its own earlier result.
"""

from typing import Final

import msgspec

from burster.engine import demand
from burster.engine import observe_world as world
from burster.engine.accounting import budgets
from burster.engine.bursts import ending, machine_adoption, provenance, storms
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ANSWERING, ENDING
from burster.engine.bursts.observe_pods import come_to_light, follow_pod, pod_vanished
from burster.engine.bursts.provenance import is_pod_of
from burster.engine.state import BurstEntry, State
from burster.model.bursts import Burst
from burster.model.decisions import Reason
from burster.model.instructions import MarkVerified, PlacePod
from burster.model.stimuli import CloudPodSeen, Spend


RECORD_DELETED: Final = Reason(code="RecordDeleted", sentence="Somebody deleted the Burst.")
_RETENTION_MS: Final = 3_600_000
_NO_DEMAND: Final = Reason(code="DemandGone", sentence="The pod that it was decided for no longer waits.")


def take_in(state: State, burst: Burst) -> None:
    """Adopt a record: its money and its place in the counts at once, the rest when every source has spoken."""
    burst = _by_our_clock(_with_what_was_decided(_unless_settled(state, burst)), state.now_ms)
    entry = BurstEntry(burst=burst, recorded=True, written_phase=burst.status.phase)
    state.bursts[burst.key] = entry
    budgets.launched(state, *actions.where(entry), burst.spec.decided_at_ms)
    if burst.status.phase == "Released":
        _take_in_released(state, burst)
        return
    if burst.uid in state.settled:
        _close_settled(state, entry)
        return
    status = burst.status
    if burst.spec.for_pod.uid:
        state.burst_for[burst.spec.for_pod.uid] = burst.key
    started = status.placed_at_ms if status.vm_started_at_ms is None else status.vm_started_at_ms
    entry.vms = {name: [started, None] for name in status.vms}
    entry.vms_known = bool(entry.vms)
    entry.ran = status.phase in {"Attesting", "Serving"} or status.serving_at_ms is not None
    entry.ended_by_us = status.phase in ENDING
    # The record may be behind: a placing was perhaps asked for that nobody heard the end of.
    entry.maybe_placed = status.phase in {"Reserved", "Placing"}
    actions.count(state, entry, 1)
    actions.hold(state, entry, status.reserved_micro_usd)
    actions.book_again(state, entry)
    early = state.early_pods.pop(burst.key, {})
    entry.pod = next((pod for pod in early.values() if is_pod_of(pod, burst)), None)
    pod = state.pods.get(f"{burst.namespace}/{burst.spec.for_pod.name}")
    if pod is not None and not pod.burst and pod.pod.uid == burst.spec.for_pod.uid and status.phase in ANSWERING:
        demand.dequeue(state, pod.pod, pod.policy)
        pod.burst, entry.covers = burst.key, pod.pod.key
    if state.ready:
        resume(state, entry)


def _unless_settled(state: State, burst: Burst) -> Burst:
    """Return a record that says Released as one whose end is still to be confirmed, where the ledger decided it and has not settled it.

    The settlement is in the ledger before a record says so: somebody has edited this one, or the ledger could not be written in between.
    """
    if burst.status.phase != "Released" or burst.uid in state.settled or not provenance.is_decided(state, burst):
        return burst
    status = msgspec.structs.replace(burst.status, phase="Releasing", settled_micro_usd=None, released_at_ms=None)
    return msgspec.structs.replace(burst, status=status)


def _with_what_was_decided(burst: Burst) -> Burst:
    """Return a record with all that its decision gave it.

    A record and its status are written one after the other: of one whose writer died in between only the decision is known, and of one
    whose status somebody has cut, only what is left.
    """
    spec, status = burst.spec, burst.status
    if status.phase == "Released":
        return burst
    placed = bool(status.pod_uid) or status.phase in {"Provisioning", "Attesting", "Serving"}
    status = msgspec.structs.replace(
        status,
        reserved_micro_usd=status.reserved_micro_usd or spec.reserved_micro_usd,
        lease_until_ms=status.lease_until_ms or spec.first_lease_until_ms,
        placed_at_ms=status.placed_at_ms or (spec.decided_at_ms if placed else None),
    )
    return msgspec.structs.replace(burst, status=status)


def _by_our_clock(burst: Burst, now_ms: int) -> Burst:
    """Return a record without times that have not come: whoever wrote them had a clock ahead of ours, or was somebody else.

    A lease goes no further than one that is decided or renewed at this moment would, and what has happened has happened by now.
    """
    spec, status = burst.spec, burst.status
    longest_ms = spec.lease_ms + max(spec.launch_deadline_ms, actions.renew_before_ms(burst))
    return msgspec.structs.replace(
        burst,
        spec=msgspec.structs.replace(spec, decided_at_ms=min(spec.decided_at_ms, now_ms)),
        status=msgspec.structs.replace(
            status,
            lease_until_ms=min(status.lease_until_ms, now_ms + longest_ms),
            placed_at_ms=_by(now_ms, status.placed_at_ms),
            vm_started_at_ms=_by(now_ms, status.vm_started_at_ms),
            serving_at_ms=_by(now_ms, status.serving_at_ms),
            released_at_ms=_by(now_ms, status.released_at_ms),
        ),
    )


def _by(now_ms: int, at_ms: int | None) -> int | None:
    return None if at_ms is None else min(at_ms, now_ms)


def _take_in_released(state: State, burst: Burst) -> None:
    status = burst.status
    released_at = status.released_at_ms or state.now_ms
    if burst.uid not in state.settled and status.settled_micro_usd is not None:
        # The ledger is the record of spend; a volume that was lost is made good from the records that are left.
        spend = Spend(
            burst=burst.key,
            uid=burst.uid,
            policy=burst.policy_key,
            target=burst.spec.target,
            at_ms=released_at,
            micro_usd=status.settled_micro_usd,
        )
        world.book_spend(state, spend)
        state.spends.append(spend)
    due = state.now_ms if burst.deleting else max(state.now_ms, released_at + _RETENTION_MS)
    state.at(due, "forget", burst.key)


def _close_settled(state: State, entry: BurstEntry) -> None:
    """The ledger knows that this one is settled: only the word of it did not reach the record, or this is a late echo of it."""
    at_ms, cost = state.settled[entry.burst.uid]
    actions.change_status(
        state,
        entry,
        phase="Released",
        settled_micro_usd=cost,
        reserved_micro_usd=0,
        released_at_ms=at_ms,
    )
    state.at(state.now_ms if entry.burst.deleting else state.now_ms + _RETENTION_MS, "forget", entry.burst.key)


def resume(state: State, entry: BurstEntry) -> None:
    """Go on with a record found at start, from the phase it says, by asking again for what that phase needs."""
    burst = entry.burst
    phase = burst.status.phase
    entry.adopted_at_ms = state.now_ms
    entry.unwatched = entry.pod is None and burst.status.placed_at_ms is not None and not entry.vms
    if burst.spec.strategy == "Machine":
        machine_adoption.resume(state, entry)
    elif phase in {"Reserved", "Placing"}:
        _resume_unplaced(state, entry)
    elif phase == "Releasing" and entry.pod is not None and _may_work(entry.pod):
        come_to_light(state, entry, entry.pod)
    elif phase == "Releasing":
        entry.pod_gone_at_ms = state.now_ms
        ending.let_go(state, entry)
        actions.observe(state, entry)
    elif phase in ENDING:
        _resume_ending(state, entry)
    elif phase != "Released":
        _resume_with_pod(state, entry)
    if burst.policy_key not in state.policies and burst.policy_key not in state.refused:
        ending.end(state, entry, "Draining", world.POLICY_GONE)
    if burst.deleting:
        ending.end(state, entry, "Draining", RECORD_DELETED)
    if entry.withdraw is not None:
        ending.end(state, entry, "Draining", entry.withdraw)


def _may_work(pod: CloudPodSeen) -> bool:
    """Say whether a pod works, or was stopped on the way home: what its record says is not true then."""
    return pod.phase not in {"Succeeded", "Failed"} or (pod.phase == "Failed" and pod.terminating)


def _resume_unplaced(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase == "Reserved":
        actions.place(state, entry)
    else:
        actions.ask(state, entry, PlacePod(key=f"place/{entry.burst.key}", burst=entry.burst))
    policy = state.policies.get(entry.burst.policy_key)
    counted = policy is not None and policy.policy.numeric  # then the number says whether it is wanted
    unwanted = entry.burst.spec.strategy == "Clone" and not entry.covers and not counted
    if unwanted and not world.find_other_use(state, entry):
        ending.end(state, entry, "Draining", _NO_DEMAND)


def _resume_ending(state: State, entry: BurstEntry) -> None:
    if entry.pod is None:
        ending.pod_gone(state, entry)
        return
    follow_pod(state, entry, entry.pod)
    ending.carry_on(state, entry)


def _resume_with_pod(state: State, entry: BurstEntry) -> None:
    if entry.pod is None:
        pod_vanished(state, entry)
        return
    follow_pod(state, entry, entry.pod)
    burst, status = entry.burst, entry.burst.status
    if status.phase not in ANSWERING:
        return
    state.at(max(state.now_ms, actions.ready_by_ms(entry)), "deadline", burst.key)
    actions.watch_lease(state, entry)
    if status.phase == "Attesting":
        actions.observe(state, entry)
    if burst.spec.strategy != "Clone":
        return
    if status.phase == "Serving":
        actions.ask(state, entry, MarkVerified(key=f"verify/{burst.key}", burst=burst))
    if not entry.covers and not world.find_other_use(state, entry):
        actions.keep_spare(state, entry)


def restore_breaker(state: State, entry: BurstEntry) -> None:
    """Open a target's breaker again for a record that says why it was open: a restart asks nobody, so it closes nothing."""
    storms.restore(state, entry)
    status = entry.burst.status
    target = state.targets.get(entry.burst.spec.target)
    if target is not None and status.reason == "VmMismatch" and target.tripped is None:
        target.tripped = Reason(code="VmMismatch", sentence=status.message)
