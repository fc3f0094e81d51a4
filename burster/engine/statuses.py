"""When a status is written, whosever it is: only where it says something new, and not too often.

At most once in five seconds for each object, and again with growing pauses where it could not be written. Since when a condition holds is
kept here; what a predecessor's status said of that is taken over, so that a restart turns nothing. Called by ``policy_status``,
``target_status`` and the observing half. It decides nothing: no other room reads what is kept here.
"""

from collections.abc import Mapping
from typing import Final

from burster.engine.entries import StatusBook
from burster.engine.state import State
from burster.model.instructions import Condition, ConditionStatus, ConditionType
from burster.model.stimuli import InstructionFailed, Told


#: type, status, reason, message
Say = tuple[ConditionType, ConditionStatus, str, str]
APART_MS: Final = 5_000
_UNANSWERED_MS: Final = 60_000
_PAUSE_MAX_MS: Final = 900_000


def remember(state: State, books: dict[str, StatusBook], key: str, told: Told) -> None:
    """Take over what an object's status says at first sight: no later than now, as anybody may have written it."""
    if told and key not in books:
        since = {kind: (status, min(at_ms, state.now_ms)) for kind, (status, at_ms) in told.items()}
        books[key] = StatusBook(since=since)


def forget_gone(books: dict[str, StatusBook], *known: Mapping[str, object]) -> None:
    """Forget the statuses of objects that are gone."""
    for key in [key for key in books if not any(key in one for one in known)]:
        del books[key]


def book_of(books: dict[str, StatusBook], key: str) -> StatusBook:
    """Return an object's book, opened where there is none yet."""
    book = books.get(key)
    if book is None:
        book = books[key] = StatusBook()
    return book


def due_ms(state: State, book: StatusBook) -> int:
    """Return from when on a status may be asked for."""
    if book.asked_at_ms is None:
        return state.now_ms
    apart_ms = _UNANSWERED_MS if book.under_way else APART_MS
    return max(book.asked_at_ms + apart_ms, book.again_at_ms)


def ask(state: State, book: StatusBook, facts: tuple[object, ...]) -> None:
    """Note that a status is asked for now, and what it was made from."""
    book.facts, book.asked_at_ms, book.under_way = facts, state.now_ms, True


def condition(state: State, book: StatusBook, say: Say) -> Condition:
    """Return a condition with the moment since which it holds."""
    kind, status, reason, message = say
    before = book.since.get(kind)
    if before is None or before[0] != status:
        before = book.since[kind] = (status, state.now_ms)
    return Condition(type=kind, status=status, since_ms=before[1], reason=reason, message=message)


def written(book: StatusBook | None) -> None:
    """Note that a status is written."""
    if book is not None:
        book.under_way, book.failures = False, 0


def failed(state: State, book: StatusBook | None, stimulus: InstructionFailed) -> None:
    """Note that a status could not be written: it is asked for again, as things are by then."""
    if book is None:
        return
    pause_ms = min(_PAUSE_MAX_MS, APART_MS << min(book.failures, 8))
    book.under_way, book.failures, book.facts = False, book.failures + 1, ()
    book.again_at_ms = state.now_ms + max(pause_ms, stimulus.retry_after_ms or 0)
