"""How long a pod rests whose burst has failed, before it is tried again. Called by ``ending`` and ``outcomes``; ends nothing itself."""

from typing import Final

from burster.engine.bursts import storms
from burster.engine.state import BurstEntry, State


_REST_MS: Final = 5_000


def park(state: State, entry: BurstEntry, at_least_ms: int = 0) -> None:
    """Let a pod whose burst failed rest before it is tried again: 5 min, doubling to 30; three quiet hours forgive all."""
    key = entry.burst.subject  # of a burst that a number asked for, its workload rests
    until, failures = state.parked.get(key, (0, 0))
    failures = 1 if until + storms.FORGOTTEN_MS < state.now_ms else failures + 1
    state.parked[key] = (state.now_ms + storms.rest_ms(failures, at_least_ms), failures)


def rest(state: State, entry: BurstEntry) -> None:
    """Let a pod wait a moment that is not as it was decided on: the watch will soon say how it is."""
    key = entry.burst.subject
    until, failures = state.parked.get(key, (0, 0))
    state.parked[key] = (max(until, state.now_ms + _REST_MS), failures)


def forgiven(state: State) -> dict[str, tuple[int, int]]:
    """Return who still rests or may still be told of former failures."""
    return {
        key: (until, failures)
        for key, (until, failures) in state.parked.items()
        if until + (storms.FORGOTTEN_MS if failures else 0) >= state.now_ms
    }
