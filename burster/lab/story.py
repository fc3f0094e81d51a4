"""Tells a demo's story in beats: each the first time that something happened, in a sentence with its numbers.

Shown each step by the controller's loop; it reads decisions and states, never the lab.
"""

from collections.abc import Callable
from typing import Final

from burster.engine import StepResult
from burster.model.decisions import Decision
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.stimuli import BurstRecorded, Stimulus


_LIMITS: Final = frozenset({"budget", "count"})
_BUDGET_CODES: Final = frozenset({"PolicyBudget", "TargetBudget"})


class Storyteller:
    """Calls ``on_beat`` with each beat, once, with the lab's time since the start."""

    def __init__(
        self, start_ms: int, on_beat: Callable[[str], None], reaction_ms: Callable[[], float | None] = lambda: None
    ) -> None:
        """``reaction_ms`` gives the latest reaction in wall time, None before there is one."""
        self._start_ms = start_ms
        self._on_beat = on_beat
        self._reaction_ms = reaction_ms
        self._told: set[str] = set()
        self._burst = ""

    def __call__(self, stimuli: list[Stimulus], result: StepResult, now_ms: int) -> None:
        """Look at one step."""
        for decision in result.decisions:
            self._decision(decision, now_ms)
        if self._burst and any(isinstance(one, BurstRecorded) for one in stimuli):
            reaction = self._reaction_ms()
            took = "" if reaction is None else f" Its record was written {reaction:.0f} ms after it was due."
            self.tell("burst", self._burst + took, now_ms)
        # The turn of the story: limits have spoken, and then nobody waits any more.
        if self._told & _LIMITS and not any(entry.pod.unschedulable for entry in result.state.pods.values()):
            self.tell("room", "On-prem frees: no pod waits for a node any more.", now_ms)
        if "room" in self._told:
            for spend in result.spends:
                if spend.micro_usd:
                    cost = format_micro_usd(spend.micro_usd)
                    self.tell("home", f"Work comes home: no VM is left of {spend.burst}; it cost {cost}.", now_ms)

    def _decision(self, decision: Decision, now_ms: int) -> None:
        reason = decision.reasons[0]
        if decision.subject and decision.verdict in {"Wait", "Burst"}:
            self.tell("full", f"On-prem is full: no node takes {decision.subject}.", now_ms)
        if decision.verdict == "Burst" and not self._burst:
            self._burst = f"A burst: {decision.subject} goes to {decision.offering}. {reason.sentence}"
        if reason.code in _BUDGET_CODES:
            self.tell("budget", f"The budget refuses {decision.subject}: {reason.sentence}", now_ms)
        if reason.code in {"PolicyMaxBursts", "TargetMaxBursts"}:
            self.tell("count", f"A limit holds {decision.subject} back: {reason.sentence}", now_ms)

    def tell(self, what: str, sentence: str, now_ms: int) -> None:
        """Tell a beat, the first time only."""
        if what in self._told:
            return
        self._told.add(what)
        since_ms = (now_ms - self._start_ms) // 1000 * 1000
        self._on_beat(f"{format_duration_ms(since_ms)}: {sentence}")
