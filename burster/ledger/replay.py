"""Replay: the recorded stimuli once more through the engine, step by step, and whether it decides the same.

`burster history --verify` and tests use it. It changes nothing: a difference is reported, never repaired.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Protocol, TypeVar

import msgspec

from burster.ledger.store import Ledger
from burster.model.decisions import Decision
from burster.model.errors import InputError
from burster.model.stimuli import Stimulus


S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Stepped(Protocol[S_co]):
    """As much of the engine's StepResult as replay looks at."""

    @property
    def state(self) -> S_co:
        """The state after the step."""
        ...

    @property
    def decisions(self) -> Sequence[Decision]:
        """What was decided in it."""
        ...


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first decision that came out otherwise; None on a side that had no more."""

    step: int
    at_ms: int
    position: int
    recorded: Decision | None
    replayed: Decision | None

    @property
    def sentence(self) -> str:
        """The difference in a sentence."""
        return (
            f"step {self.step} decided otherwise at decision {self.position + 1}: "
            f"recorded {_brief(self.recorded)}, replayed {_brief(self.replayed)}"
        )


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far replay came; ``difference`` None: every decision came out the same.

    ``skipped`` steps could not be compared: before them something is missing (a segment was removed, steps could not be recorded) and
    there is no snapshot that this engine can read.
    """

    runs: int
    steps: int
    decisions: int
    difference: Difference | None = None
    skipped: int = 0


def replay(
    ledger: Ledger,
    start: Callable[[], S],
    advance: Callable[[S, Sequence[Stimulus], int], Stepped[S]],
    resume: Callable[[bytes], S] | None = None,
) -> ReplayReport:
    """Feed every recorded step to ``advance``, from ``start`` anew at each run, and compare the decisions.

    ``resume`` makes a state of a snapshot: where a segment begins with one, and after steps that could not be recorded, it goes on from
    there. It raises InputError for a snapshot of another version.
    """
    run: int | None = None
    steps = decisions = runs = skipped = 0
    state: S | None = None
    for recorded in ledger.steps():
        if recorded.before:
            # It goes on with the run that the segment before had; what that was decides nothing here.
            state = _resumed(resume, recorded.before, state)
            runs += run != recorded.run
            run = recorded.run
        elif recorded.run != run:
            run, runs, state = recorded.run, runs + 1, start()
        if recorded.after or state is None:
            skipped += 1
            state = _resumed(resume, recorded.after, None) if recorded.after else None
            continue
        result = advance(state, recorded.stimuli, recorded.at_ms)
        state = result.state
        steps += 1
        for position, (was, now) in enumerate(zip_longest(recorded.decisions, result.decisions)):
            if was != now:
                difference = Difference(
                    step=recorded.step, at_ms=recorded.at_ms, position=position, recorded=was, replayed=now
                )
                return ReplayReport(runs=runs, steps=steps, decisions=decisions, difference=difference, skipped=skipped)
            decisions += 1
    return ReplayReport(runs=runs, steps=steps, decisions=decisions, skipped=skipped)


def _resumed(resume: Callable[[bytes], S] | None, snapshot: bytes, otherwise: S | None) -> S | None:
    if resume is None:
        return otherwise
    try:
        return resume(snapshot)
    except InputError:
        return otherwise


def _brief(decision: Decision | None) -> str:
    if decision is None:
        return "nothing"
    code = decision.reasons[0].code if decision.reasons else "no reason"
    return f"{decision.verdict} ({code}) for {decision.subject or decision.policy}"
