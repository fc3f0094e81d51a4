"""How a machine ends: out of its Service first, then the time to finish, then deleted, and gone when the cloud has confirmed it.

Called by ``ending.carry_on`` for bursts of strategy Machine. Asks for the next thing; ends nothing itself. Nothing but the policy's drain
time says how long work that was begun may take, so a machine that has served is given all of it, unless it stops by itself. One that
was never fit to serve, or runs no more, goes at once.
"""

from typing import Final

from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.state import BurstEntry, State
from burster.model.instructions import DeleteMachine, PublishEndpoint
from burster.model.offerings import Vm


TAKEN_AWAY: Final = "SpotEvicted"
STOPPED_ITSELF: Final = "MachineStopped"
WENT_AWAY: Final = "MachineGone"
#: How often a machine is looked at that serves or finishes; a spot machine, which has 30 s' notice, more often.
_WATCH_MS: Final = 60_000
_WATCH_SPOT_MS: Final = 15_000
_DELETE_DEADLINE_MS: Final = 600_000
#: After these nothing is left to be finished, or must not be.
_AT_ONCE: Final = frozenset({TAKEN_AWAY, STOPPED_ITSELF, WENT_AWAY, "VmMismatch"})
_HALTED: Final = frozenset({"deallocated", "deallocating", "stopped", "stopping"})


def is_halted(vm: Vm) -> bool:
    """Say whether a machine that was made runs no more; one whose power state nobody told runs."""
    return vm.power_state in _HALTED


def watch_ms(entry: BurstEntry) -> int:
    """Return how often a machine is looked at."""
    return _WATCH_SPOT_MS if entry.burst.spec.spot else _WATCH_MS


def is_over(state: State, entry: BurstEntry) -> bool:
    """Ask for the next thing that ends a machine, if nothing is under way that must be waited for. Say whether nothing of it is left."""
    if entry.exposed:
        _withdraw(state, entry)
    due_ms = _finished_by_ms(entry)
    if entry.vms_gone:
        return not entry.exposed
    if entry.exposed and state.now_ms < max(due_ms, _withdrawn_by_ms(entry)):
        state.at(max(due_ms, _withdrawn_by_ms(entry)), "observe", entry.burst.key)
    elif state.now_ms < due_ms:
        _look_on(state, entry, due_ms)
    elif not (entry.vms_known or entry.looked):
        # what it cost can be told only by who has seen it
        actions.observe(state, entry)
    else:
        delete(state, entry)
    return False


def delete(state: State, entry: BurstEntry) -> None:
    """Delete the machine and what was made with it."""
    if "DeleteMachine" not in entry.under_way:
        key = f"delete/{entry.burst.key}"
        actions.ask(state, entry, DeleteMachine(key=key, burst=entry.burst, deadline_ms=_DELETE_DEADLINE_MS))


def _withdraw(state: State, entry: BurstEntry) -> None:
    asked = entry.under_way.get("PublishEndpoint")
    if isinstance(asked, PublishEndpoint) and not asked.ready:
        return
    burst = entry.burst
    key = f"endpoint/{burst.key}"
    actions.ask(state, entry, PublishEndpoint(key=key, burst=burst, address=burst.status.address, ready=False))


def _finished_by_ms(entry: BurstEntry) -> int:
    """Return until when a machine may finish what it does."""
    status = entry.burst.status
    finishes = status.phase == "Draining" and status.serving_at_ms is not None and status.reason not in _AT_ONCE
    if not finishes or entry.halted:
        return 0
    return (status.draining_at_ms or 0) + entry.burst.spec.drain_ms


def _withdrawn_by_ms(entry: BurstEntry) -> int:
    """Return until when a deletion waits for the endpoint's end: a cluster that does not answer must not keep a machine alive."""
    return (entry.burst.status.draining_at_ms or 0) + _WATCH_MS


def _look_on(state: State, entry: BurstEntry, due_ms: int) -> None:
    """Look at a machine that finishes its work: it may stop before its time is over."""
    next_ms = entry.asked_at_ms + watch_ms(entry)
    if state.now_ms >= next_ms:
        actions.observe(state, entry)
        next_ms = state.now_ms + watch_ms(entry)
    state.at(min(due_ms, next_ms), "observe", entry.burst.key)
