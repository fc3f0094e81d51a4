"""What became of a number that was asked for: set, and whether that is the latest word on it; or not set, and asked for again.

Called by ``replicas`` for each answer to a SetScale. Asks for nothing itself: ``replica_scale`` does, from what is known then.
"""

from typing import Final

from msgspec.structs import replace

from burster.engine.numbers import replica_money
from burster.engine.numbers.metrics import workload_key
from burster.engine.numbers.scaler import ScaleBook
from burster.engine.state import State
from burster.model.decisions import Reason
from burster.model.stimuli import InstructionFailed, ScaleSet, WorkloadSeen


_AGAIN_FIRST_MS: Final = 1_000
_AGAIN_MAX_MS: Final = 300_000
#: After these the number is certainly not what was asked for.
_NOT_DONE: Final = frozenset({"Conflict", "NotFound", "Invalid", "Unauthorized"})


def confirmed(state: State, stimulus: ScaleSet) -> None:
    """The number is what was asked for: so it is known before the watch tells."""
    book = state.scale_books.get(stimulus.policy)
    if book is None:
        return
    if book.asked == stimulus.replicas:
        book.asked = None
    book.failures = 0
    entry = state.policies.get(stimulus.policy)
    if entry is not None and entry.scaler is not None:
        entry.scaler.again_at_ms = 0
    key = _key(book)
    seen = state.workloads.get(key)
    if seen is not None and not _told_since(book, seen, stimulus):
        state.workloads[key] = replace(seen, replicas=stimulus.replicas, version=max(seen.version, stimulus.version))
    state.workloads_changed.add(key)


def _told_since(book: ScaleBook, seen: WorkloadSeen, stimulus: ScaleSet) -> bool:
    """Say whether what the workload itself told is later than an answer: somebody else has set its number meanwhile.

    Without versions, a number that was told while the answer was out is taken for the later one. It may not be: then it is asked for once
    more, or told as it is; the other way round a number would be believed that nobody ever corrects.
    """
    if seen.version and stimulus.version:
        return stimulus.version < seen.version
    return book.asked_from is not None and seen.replicas != book.asked_from


def failed(state: State, stimulus: InstructionFailed) -> None:
    """The number could not be set. Where it is certain that it was not, what was set aside for it is given back whole."""
    book = state.scale_books.get(stimulus.subject)
    if book is None:
        return
    namespace = book.policy.partition("/")[0]
    seen = state.workloads.get(_key(book))
    if stimulus.kind in _NOT_DONE:
        there = 0 if seen is None else max(seen.replicas, seen.status_replicas)
        replica_money.never_came(state, book, there)
    book.asked = None
    book.failures += 1
    pause_ms = min(_AGAIN_FIRST_MS * 2 ** min(book.failures - 1, 10), _AGAIN_MAX_MS)
    book.again_at_ms = state.now_ms + max(pause_ms, stimulus.retry_after_ms or 0)
    entry = state.policies.get(book.policy)
    if entry is not None and entry.scaler is not None:
        entry.scaler.again_at_ms = book.again_at_ms
        reason = Reason(
            code="ScaleNotSet", sentence=f"The number could not be set ({stimulus.kind}): {stimulus.message[:300]}"
        )
        entry.scaler.told = (-1, "")
        state.decide("Scale", reason, policy=book.policy, subject=f"{namespace}/{book.workload.name}")
    state.at(book.again_at_ms, "scaling", book.policy)


def _key(book: ScaleBook) -> str:
    return workload_key(book.policy.partition("/")[0], book.workload.kind, book.workload.name)
