"""The engine's state at the end of a run, made by feeding the ledger's stimuli to the engine once more. Used by `burster why`."""

from rich.progress import track

from burster.cli.output import console
from burster.engine import State, initial_state, step
from burster.ledger import Ledger


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
        if recorded.run != run:
            run, state = recorded.run, initial_state()
        state = step(state, recorded.stimuli, recorded.at_ms).state
    return state
