"""Tells a demo's story in beats: each the first time that something happened, in a sentence with its numbers.

Shown each step by the controller's loop; it reads decisions and states, never the lab.
"""

from collections.abc import Callable
from typing import Final

from burster.engine import StepResult
from burster.model.decisions import Decision
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.stimuli import PodLeft, Stimulus


_BUDGET_CODES: Final = frozenset({"PolicyBudget", "TargetBudget"})


class Storyteller:
    """Calls ``on_beat`` with each beat, once, with the lab's time since the start."""

    def __init__(self, start_ms: int, on_beat: Callable[[str], None]) -> None:
        self._start_ms = start_ms
        self._on_beat = on_beat
        self._told: set[str] = set()

    def __call__(self, stimuli: list[Stimulus], result: StepResult, now_ms: int) -> None:
        """Look at one step."""
        for decision in result.decisions:
            self._decision(decision, now_ms)
        if "burst" in self._told and any(isinstance(one, PodLeft) and one.why == "Bound" for one in stimuli):
            self.tell("room", "On-prem frees: a node has taken a waiting pod again.", now_ms)
        for spend in result.spends:
            if spend.micro_usd:
                sentence = (
                    f"Work comes home: no VM is left of {spend.burst}; it cost {format_micro_usd(spend.micro_usd)}."
                )
                self.tell("home", sentence, now_ms)

    def _decision(self, decision: Decision, now_ms: int) -> None:
        reason = decision.reasons[0]
        if decision.subject and decision.verdict in {"Wait", "Burst"}:
            self.tell("full", f"On-prem is full: no node takes {decision.subject}.", now_ms)
        if decision.verdict == "Burst":
            sentence = f"A burst: {decision.subject} goes to {decision.offering}. {reason.sentence}"
            self.tell("burst", sentence, now_ms)
        if reason.code in _BUDGET_CODES:
            self.tell("budget", f"The budget refuses {decision.subject}: {reason.sentence}", now_ms)
        if reason.code in {"PolicyMaxBursts", "TargetMaxBursts"}:
            self.tell("count", f"A limit holds {decision.subject} back: {reason.sentence}", now_ms)

    def tell(self, what: str, sentence: str, now_ms: int) -> None:
        """Tell a beat, the first time only."""
        if what in self._told:
            return
        self._told.add(what)
        self._on_beat(f"{format_duration_ms(now_ms - self._start_ms) or '0s'}: {sentence}")
