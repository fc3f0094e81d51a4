"""What falls due: ages, deadlines, cool-downs, leases, retries. Every handler checks that its reason still holds."""

import heapq
from collections.abc import Callable
from typing import Final

from burster.engine import demand
from burster.engine.accounting import overspend, renewals
from burster.engine.bursts import ending, machine_ends, machine_failures, machines, nodes_full
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import ForgetBurst, MarkVerified, PlacePod, RecordBurst
from burster.model.quantities import format_duration_ms


def fire_due(state: State) -> None:
    """Fire every timer that is due at ``state.now_ms``, in the order of their due times."""
    while state.timers and state.timers[0][0] <= state.now_ms:
        due, _, kind, key = heapq.heappop(state.timers)
        state.timer_keys.discard((due, kind, key))
        _HANDLERS[kind](state, key)


def _age(state: State, key: str) -> None:
    entry = state.pods.get(key)
    if entry is not None:
        demand.admit(state, entry)


def _reopen(state: State, key: str) -> None:
    policy = state.policies.get(key)
    if policy is not None:
        policy.reopened = True


def _deadline(state: State, key: str) -> None:
    entry = state.bursts.get(key)
    if entry is None or entry.burst.status.phase not in {"Provisioning", "Attesting"}:
        return
    due_ms = actions.ready_by_ms(entry)
    if state.now_ms < due_ms:
        state.at(due_ms, "deadline", key)
        return
    allowed = format_duration_ms(entry.burst.spec.ready_deadline_ms)
    reason = Reason(code="NotReadyInTime", sentence=f"It was not verified and ready within {allowed}.")
    ending.fail_launch(state, entry, reason, slow=True)


def _room(state: State, key: str) -> None:
    entry = state.bursts.get(key)
    if entry is not None and entry.pod is not None:
        nodes_full.look(state, entry, entry.pod)


def _observe(state: State, key: str) -> None:
    entry = state.bursts.get(key)
    if entry is None:
        return
    phase = entry.burst.status.phase
    if phase == "Serving" and entry.burst.spec.strategy == "Machine":
        # each answer has the next look asked for: an older wish, from before the latest look, would begin a second series of them
        if state.now_ms >= entry.asked_at_ms + machine_ends.watch_ms(entry):
            actions.observe(state, entry)
    elif phase in {"Provisioning", "Attesting", "Releasing"}:
        actions.observe(state, entry)
    else:
        ending.carry_on(state, entry)


def _retry(state: State, key: str) -> None:
    kind, _, burst_key = key.partition(" ")
    entry = state.bursts.get(burst_key)
    if entry is None or kind in entry.under_way:
        return
    again = _AGAIN.get(kind)
    if again is not None:
        again(state, entry)


def _record_again(state: State, entry: BurstEntry) -> None:
    if not entry.recorded:
        actions.ask(state, entry, RecordBurst(key=f"record/{entry.burst.key}", burst=entry.burst))


def _place_again(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase == "Placing":
        actions.ask(state, entry, PlacePod(key=f"place/{entry.burst.key}", burst=entry.burst))


def _publish_again(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase in {"Attesting", "Serving"}:
        machines.publish(state, entry)
    else:
        ending.carry_on(state, entry)


def _delete_again(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase == "Releasing":
        machine_ends.delete(state, entry)
    else:
        ending.carry_on(state, entry)


def _end_again(state: State, entry: BurstEntry) -> None:
    ending.let_go(state, entry)
    ending.carry_on(state, entry)


def _observe_again(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase == "Serving":
        actions.observe(state, entry)
    else:
        _observe(state, entry.burst.key)


def _status_again(state: State, entry: BurstEntry) -> None:
    actions.change_status(state, entry)  # as it is now: what failed to be written may be old


def _verify_again(state: State, entry: BurstEntry) -> None:
    if entry.burst.status.phase == "Serving":
        actions.ask(state, entry, MarkVerified(key=f"verify/{entry.burst.key}", burst=entry.burst))


def _forget_again(state: State, entry: BurstEntry) -> None:
    _forget(state, entry.burst.key)


_AGAIN: Final[dict[str, Callable[[State, BurstEntry], None]]] = {
    "RecordBurst": _record_again,
    "PlacePod": _place_again,
    "LaunchMachine": machine_failures.launch_again,
    "DeleteMachine": _delete_again,
    "PublishEndpoint": _publish_again,
    "DeletePod": _end_again,
    "ReturnPod": _end_again,
    "ObserveVms": _observe_again,
    "WriteStatus": _status_again,
    "MarkVerified": _verify_again,
    "ForgetBurst": _forget_again,
}


def _release(state: State, key: str) -> None:
    state.releases_open.add(key)


def _forget(state: State, key: str) -> None:
    entry = state.bursts.get(key)
    if entry is None or entry.burst.status.phase != "Released":
        return
    if not entry.recorded:
        state.forget(key)
    elif "ForgetBurst" not in entry.under_way:
        actions.ask(state, entry, ForgetBurst(key=f"forget/{key}", burst=entry.burst))


def _scaling(_state: State, _key: str) -> None:
    """Wake: every number is looked at in the step, and knows itself what is due."""


def _status(_state: State, _key: str) -> None:
    """Wake: at the end of the step every status is looked at."""


_HANDLERS: Final[dict[str, Callable[[State, str], None]]] = {
    "age": _age,
    "reopen": _reopen,
    "deadline": _deadline,
    "observe": _observe,
    "room": _room,
    "retry": _retry,
    "release": _release,
    "lease": renewals.look,
    "budget": overspend.look,
    "forget": _forget,
    "scaling": _scaling,
    "status": _status,
}
