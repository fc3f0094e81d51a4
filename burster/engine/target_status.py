"""What each target's status says, and the events on it: the last thing a step does, after everything is decided.

Called by ``step`` (``explain``), and by the observing half for how a write ended. When one is written is ``statuses``' business. Targets
without a uid are in no API server and have none. It decides nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from burster.engine import statuses
from burster.engine.offers import consequences, quotas
from burster.engine.offers.offer_index import is_list_price, price_of
from burster.engine.offers.offerings import prices_too_old
from burster.engine.state import State, StatusBook, TargetEntry
from burster.engine.statuses import Say
from burster.model.instructions import Condition, EmitEvent, WriteTargetStatus
from burster.model.stimuli import (
    NOT_CHECKED_YET,
    InstructionFailed,
    TargetFact,
    TargetProblem,
    TargetRefused,
    TargetStatusWritten,
)


#: Condition -> (event when it turns true, event when it turns false); only what turns false is told of a target that is new here
_TURNS: Final = {
    "Accepted": ("TargetAccepted", "TargetRefused"),
    "Reachable": ("TargetReachable", "TargetUnreachable"),
    "Ready": ("TargetReady", "TargetNotReady"),
}
#: Why a target is not ready that another event says already, or that passes by itself
_TOLD_OTHERWISE: Final = frozenset({"Invalid", "ProviderNotSupported", "NotReadYet", NOT_CHECKED_YET})
_UNREAD: Final[dict[TargetFact, str]] = {
    "offerings": "OfferingsUnread",
    "prices": "PricesUnread",
    "quota": "QuotaUnread",
}
_MESSAGE_MAX: Final = 1_000


def explain(state: State) -> None:
    """Ask for the statuses that say something new."""
    books = state.target_statuses
    statuses.forget_gone(books, state.targets, state.refused_targets)
    for name in sorted({*state.targets, *state.refused_targets}):
        entry, refused = state.targets.get(name), state.refused_targets.get(name)
        if not (refused.uid if refused is not None else entry.target.uid if entry is not None else ""):
            continue
        book = statuses.book_of(books, name)
        facts = _facts(state, entry, refused)
        if facts == book.facts:
            continue
        due_ms = statuses.due_ms(state, book)
        if due_ms > state.now_ms:
            state.at(due_ms, "status", name)
        else:
            statuses.ask(state, book, facts)
            state.instructions.append(_status(state, name, book, entry, refused))


def written(state: State, stimulus: TargetStatusWritten) -> None:
    """Note that a status is written."""
    statuses.written(state.target_statuses.get(stimulus.target))


def failed(state: State, stimulus: InstructionFailed) -> None:
    """Note that a status could not be written."""
    statuses.failed(state, state.target_statuses.get(stimulus.subject), stimulus)


def _facts(state: State, entry: TargetEntry | None, refused: TargetRefused | None) -> tuple[object, ...]:
    """Return all that a status is made from; cheap, as every target is asked in every step."""
    if entry is None:
        return (refused,)
    target, account = entry.target, entry.account
    month = account.window("month", state.now_ms, target.limits.budget.timezone)
    return (
        target.generation,
        entry.offerings,
        entry.read,
        tuple(sorted(entry.unread.items())),
        entry.prices_as_of,
        prices_too_old(state, entry),
        entry.quotas_read_ms is None,
        entry.tripped,
        consequences.stopped(state, entry),
        entry.problems,
        entry.draining,
        state.trustees_down.get(target.name),
        entry.active,
        entry.vcpus,
        account.outstanding_micro_usd,
        month.settled_micro_usd,
    )


def _status(
    state: State, name: str, book: StatusBook, entry: TargetEntry | None, refused: TargetRefused | None
) -> WriteTargetStatus:
    before = {kind: status for kind, (status, _) in book.since.items()}
    conditions = tuple(statuses.condition(state, book, say) for say in _conditions(state, entry, refused))
    uid = refused.uid if refused is not None else entry.target.uid if entry is not None else ""
    for condition in conditions:
        _tell_turn(state, name, uid, before.get(condition.type), condition)
    key = f"target-status/{name}"
    if entry is None:
        generation = 0 if refused is None else refused.generation
        return WriteTargetStatus(key=key, target=name, generation=generation, conditions=conditions)
    account = entry.account
    month = account.window("month", state.now_ms, entry.target.limits.budget.timezone)
    if month.settled_micro_usd:
        # Next month nothing is spent yet, and nobody may come by to notice.
        state.at(month.end_ms, "status", name)
    return WriteTargetStatus(
        key=key,
        target=name,
        generation=entry.target.generation,
        conditions=conditions,
        offerings=_usable(state, entry),
        bursts=entry.active,
        vcpus=entry.vcpus,
        reserved_micro_usd=account.outstanding_micro_usd,
        spent_micro_usd=month.settled_micro_usd,
    )


def _usable(state: State, entry: TargetEntry) -> int:
    """Count the sizes that may be used and whose price is known and not too old; one that may be spot as well is one."""
    target, too_old = entry.target, prices_too_old(state, entry)
    return len(
        {
            one.size.casefold()
            for one in entry.offerings
            if not one.restricted
            and one.tee in target.tees
            and price_of(target, one) is not None
            and not (too_old and is_list_price(target, one))
        }
    )


def _conditions(state: State, entry: TargetEntry | None, refused: TargetRefused | None) -> Iterator[Say]:
    if entry is None or refused is not None:
        why = "It is not valid." if refused is None else refused.message
        code = "Invalid" if refused is None else refused.code
        yield "Accepted", "False", code, f"{why} Nothing new starts there, and no lease there is renewed."
        yield "Ready", "False", code, why
        return
    yield "Accepted", "True", "Valid", "The target is valid and counts."
    yield readiness(state, entry)
    yield _reachable(entry)


def readiness(state: State, entry: TargetEntry) -> Say:
    """Say whether bursts may go to a valid target, and if not, the first thing that is in their way."""
    name, trustee = entry.target.name, state.trustees_down.get(entry.target.name)
    if entry.tripped is not None:
        sentence = f"{entry.tripped.sentence} Nothing new starts there until the target is edited."
        return "Ready", "False", "BreakerOpen", sentence
    if entry.draining:
        return "Ready", "False", "TargetEvacuated", f"{name} is being evacuated."
    stop = consequences.stopped(state, entry)
    if stop is not None:
        return "Ready", "False", stop[1].code, stop[1].sentence
    blocking = [problem for problem in entry.problems if problem.blocks]
    if blocking:
        return "Ready", "False", blocking[0].code, _problems_told(blocking)
    return _usable_ready(state, entry, trustee)


def _usable_ready(state: State, entry: TargetEntry, trustee: str | None) -> Say:
    """Say whether a target that nothing blocks has what a burst needs."""
    if trustee is not None:
        return "Ready", "False", "TrusteeDown", f"Its Trustee does not answer: {trustee}"
    if quotas.is_unknown(entry):
        return "Ready", "False", "QuotaUnknown", "Its vCPU quota could not be read yet, and whenQuotaUnknown is Refuse."
    if not _usable(state, entry):
        if prices_too_old(state, entry):
            said = f"Its price list{_dated(entry)} is older than it may be, so nobody knows what its sizes cost now."
            return "Ready", "False", "PricesTooOld", said
        if entry.offerings or entry.read:
            return "Ready", "False", "NoOfferings", "None of its sizes may be used here, or none has a price."
        return "Ready", "False", "NotReadYet", "What it offers was not read yet."
    worth = f" Worth a look: {_problems_told(entry.problems)}" if entry.problems else ""
    return "Ready", "True", "Ready", f"Bursts may go there, as far as its limits have room.{worth}"


def _problems_told(problems: Sequence[TargetProblem]) -> str:
    """Return the first problem with its cure, and the names of the others."""
    first, *others = problems
    more = f" Also: {', '.join(problem.code for problem in others)}." if others else ""
    return f"{first.sentence} {first.cure}".rstrip() + more


def _reachable(entry: TargetEntry) -> Say:
    if entry.unread:
        fact = min(entry.unread)
        said = " ".join(f"Its {one} can't be read: {entry.unread[one]}" for one in sorted(entry.unread))
        aged = f" Its prices are{_dated(entry)}." if entry.prices_as_of else ""
        return "Reachable", "False", _UNREAD[fact], f"{said} What was read before counts on.{aged}"
    if not entry.read:
        return "Reachable", "Unknown", "NotReadYet", "Nobody has heard of its cloud yet."
    aged = f" Its prices are{_dated(entry)}." if entry.prices_as_of else ""
    return "Reachable", "True", "CloudAnswers", f"Its sizes, prices and quota were read.{aged}"


def _dated(entry: TargetEntry) -> str:
    return f" of {entry.prices_as_of}" if entry.prices_as_of else ""


def _tell_turn(state: State, name: str, uid: str, before: str | None, now: Condition) -> None:
    """Write that a condition has turned; ``before`` is its former status, None for a target that is seen for the first time."""
    if now.status in {before, "Unknown"} or (now.status == "True" and before != "False"):
        return
    if now.type == "Ready" and now.reason in _TOLD_OTHERWISE:
        return
    turned = _TURNS[now.type][now.status != "True"]
    state.instructions.append(
        EmitEvent(
            key=f"event/BurstTarget/{name}/{now.type}/{state.now_ms}",
            namespace="",
            kind="BurstTarget",
            name=name,
            uid=uid,
            severity="Normal" if now.status == "True" else "Warning",
            reason="BreakerOpened" if now.reason == "BreakerOpen" else turned,
            message=now.message[:_MESSAGE_MAX],
        )
    )
