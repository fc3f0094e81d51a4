from typing import NamedTuple

from burster.ledger import Ledger
from burster.ledger.replay import replay
from burster.model.decisions import Decision, Reason
from burster.model.stimuli import Tick


class Stepped(NamedTuple):
    state: int
    decisions: list


def count_ticks(state, stimuli, now_ms):
    """An engine that decides from its state and clock alone."""
    state += len(stimuli)
    reason = Reason(code="Counted", sentence=f"{state} ticks.", numbers={"ticks": state})
    return Stepped(state, [Decision(at_ms=now_ms, verdict="Wait", subject="bank/a", reasons=(reason,))])


def record(path, steps, advance=count_ticks):
    with Ledger.open(path) as ledger:
        state = 0
        for at_ms in range(steps):
            stimuli = [Tick(kind="evaluate")] * (at_ms % 3)
            state, decisions = advance(state, stimuli, at_ms)
            ledger.append_step(at_ms, stimuli, decisions)


def test_the_same_engine_decides_the_same_across_restarts(path):
    record(path, 10)
    record(path, 5)
    with Ledger.read(path) as ledger:
        report = replay(ledger, int, count_ticks)
    assert (report.runs, report.steps, report.decisions, report.difference) == (2, 15, 15, None)


def test_the_first_difference_is_reported(path):
    record(path, 10)

    def wavers_at_six(state, stimuli, now_ms):
        stepped = count_ticks(state, stimuli, now_ms)
        return Stepped(stepped.state, []) if now_ms >= 6 else stepped

    with Ledger.read(path) as ledger:
        report = replay(ledger, int, wavers_at_six)
    assert report.difference is not None
    assert (report.difference.step, report.difference.at_ms, report.difference.position) == (7, 6, 0)
    assert "recorded Wait (Counted) for bank/a, replayed nothing" in report.difference.sentence


def test_a_decision_too_many_is_a_difference_too(path):
    record(path, 3)

    def says_it_twice(state, stimuli, now_ms):
        stepped = count_ticks(state, stimuli, now_ms)
        return Stepped(stepped.state, stepped.decisions * 2)

    with Ledger.read(path) as ledger:
        report = replay(ledger, int, says_it_twice)
    assert report.difference is not None
    assert report.difference.recorded is None
    assert report.difference.position == 1
