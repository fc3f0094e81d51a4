"""The pure core: step(state, stimuli, now) -> state, instructions, decisions."""

from burster.engine.bursts.lifecycle import ACTIVE, ANSWERING, EDGES
from burster.engine.state import State
from burster.engine.step import REQUIRED_SOURCES, StepResult, initial_state, is_idle, next_due_ms, step, unfinished


__all__ = [
    "ACTIVE",
    "ANSWERING",
    "EDGES",
    "REQUIRED_SOURCES",
    "State",
    "StepResult",
    "initial_state",
    "is_idle",
    "next_due_ms",
    "step",
    "unfinished",
]
