"""What a workload's number was before its policy first set it: on record before the first write, so that a successor restores it too.

A decision with the verdict Note says it, in the step in which the number is first asked for: the ledger has it before anything is carried
out. It is said again once a day, so that it outlives the segments of the ledger that are removed. Called by ``replica_scale`` alone.
"""

from typing import Final

from burster.engine.numbers.scaler import ScaleBook
from burster.engine.state import State
from burster.model.decisions import Reason
from burster.model.triggers import WorkloadRef


_AGAIN_MS: Final = 86_400_000


def of_predecessor(state: State, policy: str, workload: WorkloadRef) -> int | None:
    """Return what a predecessor has noted of a policy's workload; None where it never set its number, or set another's."""
    one = state.originals.get(policy)
    if one is None or (one.namespace, one.kind, one.name) != (policy.partition("/")[0], workload.kind, workload.name):
        return None
    return one.replicas


def note(state: State, book: ScaleBook) -> None:
    """Put on record what the number was, unless that was done lately: it is about to be set."""
    if book.original is None or (book.noted_at_ms is not None and state.now_ms < book.noted_at_ms + _AGAIN_MS):
        return
    book.noted_at_ms = state.now_ms
    state.at(state.now_ms + _AGAIN_MS, "scaling", book.policy)
    sentence = (
        f"{book.workload.kind} {book.workload.name} had {book.original} replicas before this policy set its number."
    )
    _decide(state, book, Reason(code="OriginalNoted", sentence=sentence, numbers={"original": book.original}))


def keep(state: State, book: ScaleBook) -> None:
    """Say once more what was noted, by this controller or a predecessor, so that it is never too old to be read."""
    if book.noted_at_ms is not None or book.policy in state.originals:
        note(state, book)


def forget(state: State, book: ScaleBook) -> None:
    """Put on record that a workload is as its policy leaves it: whoever scales it next finds what is there then."""
    known = state.originals.pop(book.policy, None)
    if book.noted_at_ms is None and known is None:
        return
    sentence = f"{book.workload.kind} {book.workload.name} is left at {book.leaving} replicas."
    _decide(state, book, Reason(code="OriginalRestored", sentence=sentence))


def _decide(state: State, book: ScaleBook, reason: Reason) -> None:
    subject = f"{book.policy.partition('/')[0]}/{book.workload.name}"
    state.decide("Note", reason, policy=book.policy, subject=subject, kind=book.workload.kind)
