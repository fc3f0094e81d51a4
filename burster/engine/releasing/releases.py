"""Which serving bursts come home because nothing asks for them any more, and when: the last part of a step.

Called by ``step`` at its end for every policy in ``state.releases_open``; ``observe_world`` says which clones are spare and what room
there is on-prem, ``replicas`` how many are too many. A burst is first chosen, and goes 15 s later if the choice still holds. It must never
delay what money, a limit or a person demands: that is ``ending.end``, at once.

A burst may be chosen when all of these have passed, where the policy sets them: the cool-down since its demand ended (pending pods only),
``idle_ms`` since then and since the policy's latest launch, ``min_life_ms`` since it began to serve. Of those that may go, the policy's
order says who does, and never more than ``disruption_percent`` of its serving bursts, rounded up, are on their way at once.

Why this does not flap: pods and clones are matched before anything is released, so a release never makes demand, but for ``WhenRoom``.
There the clone goes although its pod waits. It does so only where room *appeared* while the clone was out, and nothing of the policy was
launched since: room that is there when the scheduler refuses a pod is no room for it. Spares go first. The pod is then left to on-prem for
ten minutes, twice the scheduler's own period for trying all pods anew. If it still waits after that, it bursts again, and that launch
keeps everybody from going home for this room. Where a limit is reached, a spare of one workload that goes makes room for a pod of another
one that waits: one down and one up for each such spare, which is no flapping but the next in the line.
"""

from typing import Final

from burster.engine.bursts import ending
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.pauses import keeps_what_runs
from burster.engine.releasing.release_candidates import (
    Candidate,
    View,
    candidates_of,
    drained_by_ms,
    is_of,
    lived_ms,
    minus,
    rank,
    served_since_ms,
    view_of,
)
from burster.engine.state import BurstEntry, PolicyEntry, State, Surplus
from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms


#: How long a pod whose clone went home for room is left to on-prem; the scheduler tries every pod anew after five minutes.
HOLD_OFF_MS: Final = 600_000
_SUPERLATIVE: Final = {"DearestFirst": "dearest", "YoungestFirst": "youngest", "OldestFirst": "oldest"}


def release(state: State) -> None:
    """Look at every policy whose releases are open: send home what is due, choose who is next."""
    opened = sorted(state.releases_open)
    state.releases_open.clear()
    for key in opened:
        policy = state.policies.get(key)
        if policy is None or key in state.leaving:
            continue
        if keeps_what_runs(policy.policy):
            _keep(state, policy)
            continue
        _withdraw_unserved(state, policy)
        if _anything_to_release(state, policy):
            _decide(state, view_of(state, policy))


def release_surplus(state: State, policy: PolicyEntry, count: int, reason: Reason) -> None:
    """Have ``count`` bursts of a policy whose demand is a number come home; to be told anew whenever the number is looked at.

    ``count`` is how many of its bursts that answer (see ``staying``) are more than wanted; none or fewer takes an earlier wish back. What
    is not serving yet goes at once, serving bursts by the policy's order and rules. ``reason`` is the first of each decision.
    """
    if count <= 0:
        if policy.surplus is None:
            return
        policy.surplus = None
        for entry in state.bursts.values():
            if is_of(entry, policy):
                entry.going_at_ms = None
    else:
        since_ms = policy.surplus.since_ms if policy.surplus is not None else state.now_ms
        policy.surplus = Surplus(count=count, reason=reason, since_ms=since_ms)
    state.releases_open.add(policy.policy.key)


def staying(state: State, policy: PolicyEntry) -> int:
    """Return how many bursts of a policy answer demand and are not to be withdrawn; those chosen to go are still among them."""
    return sum(
        entry.burst.status.phase in ANSWERING and entry.withdraw is None
        for entry in state.bursts.values()
        if is_of(entry, policy)
    )


def no_longer_needed(state: State, entry: BurstEntry, reason: Reason) -> None:
    """A clone's pod has left and no sibling waits: keep the clone for a while if it serves, else end it.

    Where demand is a number, the number decides: the clone stays one of it.
    """
    policy = state.policies.get(entry.burst.policy_key)
    numeric = policy is not None and policy.policy.numeric
    kept = policy is not None and keeps_what_runs(policy.policy)
    if entry.burst.status.phase == "Serving" or (kept and not numeric):
        actions.keep_spare(state, entry)
    elif not numeric:
        ending.end(state, entry, "Draining", reason)


def note_room(state: State) -> None:
    """Note for each clone of a WhenRoom policy whether on-prem has room for its pod; called before and after capacity changes."""
    if not state.capacity_nodes:
        return
    policies = {key for key, one in state.policies.items() if one.policy.placement.return_home == "WhenRoom"}
    if not policies:
        return
    free = minus(state.capacity_allocatable, state.capacity_requested) if state.capacity_known else None
    for entry in state.bursts.values():
        pod = state.pods.get(entry.covers)
        if pod is None or entry.burst.spec.strategy != "Clone" or entry.burst.policy_key not in policies:
            continue
        if free is None:
            entry.room_since_ms, entry.going_at_ms = None, None
        elif not pod.pod.requests.fits_in(free):
            entry.crowded, entry.room_since_ms, entry.going_at_ms = True, None, None
        elif entry.crowded:
            entry.room_since_ms = state.now_ms if entry.room_since_ms is None else entry.room_since_ms
            state.releases_open.add(entry.burst.policy_key)


def _withdraw_unserved(state: State, policy: PolicyEntry) -> None:
    """End spare clones that have not come to serve: adopted ones whose demand went while nobody watched."""
    if policy.policy.numeric:
        return
    for key in sorted(state.spares):
        entry = state.bursts[key]
        if is_of(entry, policy) and entry.burst.status.phase != "Serving":
            state.spares.discard(key)
            waited = state.now_ms - (entry.surplus_since_ms if entry.surplus_since_ms is not None else state.now_ms)
            ending.end(state, entry, "Draining", _demand_gone(waited, policy))


def _keep(state: State, policy: PolicyEntry) -> None:
    """Let go of every choice: a person wants to keep what runs."""
    for entry in state.bursts.values():
        if is_of(entry, policy):
            entry.going_at_ms, entry.passed_over = None, False


def _anything_to_release(state: State, policy: PolicyEntry) -> bool:
    rules = policy.policy
    if rules.numeric or policy.surplus is not None:
        return policy.surplus is not None
    if rules.placement.return_home == "WhenRoom":
        return True
    return any(is_of(state.bursts[key], policy) for key in state.spares)


def _decide(state: State, view: View) -> None:
    """Let go of choices that no longer hold, choose who is next, send home what is due, and say when to look again."""
    if view.policy.surplus is not None:
        _withdraw_launching(state, view, view.policy.surplus)
    candidates = candidates_of(state, view)
    _unchoose(state, view, candidates)
    places = view.allowed - len(view.coming) - sum(one.entry.going_at_ms is not None for one in candidates)
    for candidate in candidates:
        ripe = candidate.ready_at_ms - candidate.recheck_ms <= state.now_ms
        if not ripe or candidate.entry.going_at_ms is not None:
            continue
        if places > 0:
            _choose(state, view, candidate)
            places -= 1
        else:
            candidate.entry.passed_over = True
    for candidate in list(candidates):
        going_at_ms = candidate.entry.going_at_ms
        if going_at_ms is not None and going_at_ms <= state.now_ms:
            candidates.remove(candidate)
            _send_home(state, view, candidate, candidates)
    _look_again(state, view, candidates)


def _withdraw_launching(state: State, view: View, surplus: Surplus) -> None:
    """End what is not serving yet before anything that serves: first who answers no pod, the latest first."""
    view.launching.sort(key=lambda one: (bool(one.covers), -one.burst.spec.decided_at_ms, one.burst.key))
    for entry in view.launching[: surplus.count]:
        surplus.count -= 1
        ending.end(state, entry, "Draining", surplus.reason)


def _unchoose(state: State, view: View, candidates: list[Candidate]) -> None:
    """Keep those that found demand again, and those that a launch since then gives more time."""
    by_key = {one.entry.burst.key: one for one in candidates}
    for entry in view.serving:
        going_at_ms = entry.going_at_ms
        if going_at_ms is None:
            continue
        candidate = by_key.get(entry.burst.key)
        if candidate is None or candidate.ready_at_ms > max(going_at_ms, state.now_ms):
            entry.going_at_ms, entry.passed_over = None, False


def _choose(state: State, view: View, candidate: Candidate) -> None:
    """Have a burst go in a moment; where clones of one workload stand for each other, the first of them by the order."""
    late = candidate.entry.passed_over or candidate.why != "Demand"
    if candidate.why == "Demand":
        _take_instead(state, view, candidate)
    elif candidate.why == "Number":
        _hand_over(state, view, candidate)
    # A spare is watched all the time it is given, so that the last look is in it; who had to wait for a place is looked at once more.
    again_at_ms = state.now_ms + candidate.recheck_ms if late else candidate.ready_at_ms
    candidate.entry.going_at_ms, candidate.entry.passed_over = max(candidate.ready_at_ms, again_at_ms), False


def _take_instead(state: State, view: View, candidate: Candidate) -> None:
    """Let the spare answer the pod of a sibling that comes before it in the order, and send that one home instead."""
    spare = candidate.entry
    siblings = [
        one
        for one in view.serving
        if one.covers in state.pods
        and one.going_at_ms is None
        and one.burst.spec.workload == spare.burst.spec.workload
        and rank(view, one)[0] < rank(view, spare)[0]
        and lived_ms(view, one) <= candidate.ready_at_ms
    ]
    best = min(siblings, key=lambda one: (*rank(view, one), one.burst.key), default=None)
    if best is not None:
        _exchange(state, going=best, staying=spare)
        candidate.entry = best


def _hand_over(state: State, view: View, candidate: Candidate) -> None:
    """Let a spare that stays answer the pod of one that goes."""
    going = candidate.entry
    spare = next(
        (
            one
            for one in view.serving
            if going.covers in state.pods
            and one.burst.key in state.spares
            and one.going_at_ms is None
            and one.burst.spec.workload == going.burst.spec.workload
        ),
        None,
    )
    if spare is not None:
        _exchange(state, going=going, staying=spare)


def _exchange(state: State, *, going: BurstEntry, staying: BurstEntry) -> None:
    pod = state.pods[going.covers]
    staying.covers, going.covers = going.covers, ""
    pod.burst = staying.burst.key
    going.surplus_since_ms, staying.surplus_since_ms = staying.surplus_since_ms, None
    staying.crowded, staying.room_since_ms = going.crowded, going.room_since_ms
    going.room_since_ms = None
    state.spares.discard(staying.burst.key)
    state.spares.add(going.burst.key)


def _send_home(state: State, view: View, candidate: Candidate, kept: list[Candidate]) -> None:
    entry = candidate.entry
    waited_ms = state.now_ms - candidate.since_ms
    if candidate.why == "Room":
        reason = _left_to_onprem(state, entry, waited_ms)
    elif candidate.why == "Number" and view.policy.surplus is not None:
        reason = view.policy.surplus.reason
        view.policy.surplus.count -= 1
    else:
        reason = _demand_gone(waited_ms, view.policy)
    order = _order_reason(state, view, candidate, kept)
    view.serving.remove(entry)
    view.coming.append(entry)
    entry.going_at_ms, entry.unwanted = None, True
    ending.end(state, entry, "Draining", reason, also=(order,))


def _demand_gone(waited_ms: int, policy: PolicyEntry) -> Reason:
    rules = policy.policy
    return Reason(
        code="DemandGone",
        sentence=f"No pod of its workload has been pending for {format_duration_ms(waited_ms)}.",
        numbers={
            "spare_ms": waited_ms,
            "cooldown_ms": rules.scaling.cooldown_ms,
            "idle_ms": rules.placement.idle_ms,
            "min_life_ms": rules.placement.min_life_ms,
        },
    )


def _left_to_onprem(state: State, entry: BurstEntry, waited_ms: int) -> Reason:
    """Leave a clone's pod to on-prem for a while, and say so."""
    asked = state.pods[entry.covers].pod.requests
    free = minus(state.capacity_allocatable, state.capacity_requested)
    held = Reason(
        code="RoomOnPrem",
        sentence=f"On-prem has room for it; it is left to on-prem for {format_duration_ms(HOLD_OFF_MS)}.",
        numbers={"due_ms": state.now_ms + HOLD_OFF_MS},
    )
    state.held_off[entry.covers] = (state.now_ms + HOLD_OFF_MS, asked, held)
    return Reason(
        code="RoomOnPrem",
        sentence=f"On-prem has had room for its pod for {format_duration_ms(waited_ms)}, after there was none.",
        numbers={
            "room_ms": waited_ms,
            "free_cpu_millicores": free.cpu_millicores,
            "free_memory_bytes": free.memory_bytes,
            "cpu_millicores": asked.cpu_millicores,
            "memory_bytes": asked.memory_bytes,
        },
    )


def _order_reason(state: State, view: View, candidate: Candidate, kept: list[Candidate]) -> Reason:
    """Say why it was this one, and what became of the others."""
    young = sum(one.ready_at_ms > state.now_ms for one in kept)
    coming = len(view.coming) + 1
    out = len(view.serving) + len(view.coming)
    superlative = _SUPERLATIVE[view.policy.policy.placement.release_order]
    return Reason(
        code="ReleaseOrder",
        sentence=(
            f"It is the {superlative} of {len(kept) + 1 - young} that nothing asks for; {coming} of {out} serving are on their way, "
            f"{view.allowed} may be at once."
        ),
        numbers={
            "price_micro_usd_per_hour": candidate.entry.burst.spec.price_micro_usd_per_hour,
            "served_ms": state.now_ms - served_since_ms(candidate.entry),
            "coming_home": coming,
            "allowed_at_once": view.allowed,
            "kept_for_the_limit": len(kept) - young,
            "kept_for_their_time": young,
            "kept_for_demand": len(view.serving) - 1 - len(kept),
        },
    )


def _look_again(state: State, view: View, candidates: list[Candidate]) -> None:
    wakes: list[int] = []
    for candidate in candidates:
        going_at_ms = candidate.entry.going_at_ms
        wakes.append(candidate.ready_at_ms - candidate.recheck_ms if going_at_ms is None else going_at_ms)
    late = [at_ms for at_ms in wakes if at_ms <= state.now_ms]
    ahead = [at_ms for at_ms in wakes if at_ms > state.now_ms]
    if late and view.coming:
        # Somebody waits for a place, which one that hangs gives up in the end; the others say so themselves.
        ahead.append(min(drained_by_ms(entry) for entry in view.coming))
    if ahead:
        state.at(min(ahead), "release", view.policy.policy.key)
