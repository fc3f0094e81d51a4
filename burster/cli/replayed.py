"""The engine's state at the end of a run, made by feeding the ledger's stimuli to the engine once more. Used by `burster why`.

Where a segment of the ledger begins, and after steps that could not be recorded, it goes on from the snapshot there.
"""

from rich.progress import track

from burster.cli.output import console
from burster.engine import State, initial_state, snapshot, step
from burster.ledger import Ledger
from burster.model.errors import InputError


#: From so many steps on, people are shown how far it is.
_LONG = 2_000


def replayed(ledger: Ledger) -> State:
    """Return the state after the last step of the ledger's latest run."""
    state, run = initial_state(), 0
    total = ledger.counts().get("steps", 0)
    steps = track(
        ledger.steps(), "replaying", total, console=console(stderr=True), transient=True, disable=total < _LONG
    )
    for recorded in steps:
        if recorded.before:
            run, state = recorded.run, _resumed(recorded.before, state)
        elif recorded.run != run:
            run, state = recorded.run, initial_state()
        state = (
            _resumed(recorded.after, state) if recorded.after else step(state, recorded.stimuli, recorded.at_ms).state
        )
    return state


def _resumed(data: bytes, otherwise: State) -> State:
    """Return a snapshot's state; where another version of burster wrote it, the one that is known so far."""
    try:
        return snapshot.restore(data)
    except InputError:
        return otherwise
