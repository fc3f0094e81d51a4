"""Machines that a predecessor asked for, gone on with from the phase that their record says. Called by ``adoption``.

The record has their name, so nothing is searched for: what was under way is asked for again, and finds what was made.
"""

from burster.engine.bursts import ending
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts.lifecycle import ANSWERING, ENDING
from burster.engine.bursts.machine_ends import delete
from burster.engine.state import BurstEntry, State


def resume(state: State, entry: BurstEntry) -> None:
    """Go on with a machine found at start."""
    burst = entry.burst
    phase, machine = burst.status.phase, burst.spec.machine
    reachable = machine is not None and bool(machine.service)
    if phase == "Reserved":
        actions.place(state, entry)
    elif phase == "Placing":
        actions.launch(state, entry)
    elif phase == "Releasing":
        entry.pod_gone_at_ms = state.now_ms
        delete(state, entry)
    elif phase in ENDING:
        entry.unwatched = False  # its predecessor saw to its end, and wrote down what it had seen run
        # whether its endpoint was taken down, the record does not say
        entry.exposed = reachable and bool(burst.status.address)
        ending.carry_on(state, entry)
    elif phase in ANSWERING:
        entry.exposed = reachable and phase != "Provisioning"
        state.at(max(state.now_ms, actions.ready_by_ms(entry)), "deadline", burst.key)
        actions.watch_lease(state, entry)
        actions.observe(state, entry)
