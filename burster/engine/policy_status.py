"""What each policy's status says, and when it is written: the last thing a step does, after everything is decided.

Called by ``step`` (``explain``), and by the observing half for how a write ended. A status is asked for only where it says something new,
at most once in five seconds per policy, and again with growing pauses where it could not be written. Policies without a uid are in no API
server and have none. It decides nothing: no other room reads what is kept here.
"""

from collections.abc import Iterator
from typing import Final, Literal

from burster.engine import pauses
from burster.engine.numbers import replica_gates
from burster.engine.policy_events import tell_turn
from burster.engine.state import PolicyEntry, State, StatusBook
from burster.model.instructions import PolicyCondition, WritePolicyStatus
from burster.model.policies import Policy
from burster.model.stimuli import InstructionFailed, PolicyRefused, PolicyStatusWritten


ConditionStatus = Literal["True", "False"]
#: type, status, reason, message
_Told = tuple[Literal["Accepted", "Ready", "Active", "Fallback", "Paused"], ConditionStatus, str, str]
APART_MS: Final = 5_000
_UNANSWERED_MS: Final = 60_000
_PAUSE_MAX_MS: Final = 900_000


def explain(state: State) -> None:
    """Ask for the statuses that say something new."""
    books = state.policy_statuses
    for key in [key for key in books if key not in state.policies and key not in state.refused]:
        del books[key]
    for key in sorted({*state.policies, *state.refused} if state.refused else state.policies):
        entry, refused = state.policies.get(key), state.refused.get(key)
        if not (refused.uid if refused is not None else entry.policy.uid if entry is not None else ""):
            continue
        book = books.get(key)
        if book is None:
            book = books[key] = StatusBook()
        facts = _facts(state, entry, refused)
        if facts == book.facts:
            continue
        due_ms = _due_ms(state, book)
        if due_ms > state.now_ms:
            state.at(due_ms, "policy-status", key)
        else:
            _ask(state, key, book, facts)


def written(state: State, stimulus: PolicyStatusWritten) -> None:
    """Note that a status is written."""
    book = state.policy_statuses.get(stimulus.policy)
    if book is not None:
        book.under_way, book.failures = False, 0


def failed(state: State, stimulus: InstructionFailed) -> None:
    """Note that a status could not be written: it is asked for again, as things are by then."""
    book = state.policy_statuses.get(stimulus.subject)
    if book is None:
        return
    pause_ms = min(_PAUSE_MAX_MS, APART_MS << min(book.failures, 8))
    book.under_way, book.failures, book.facts = False, book.failures + 1, ()
    book.again_at_ms = state.now_ms + max(pause_ms, stimulus.retry_after_ms or 0)


def _due_ms(state: State, book: StatusBook) -> int:
    if book.asked_at_ms is None:
        return state.now_ms
    apart_ms = _UNANSWERED_MS if book.under_way else APART_MS
    return max(book.asked_at_ms + apart_ms, book.again_at_ms)


def _facts(state: State, entry: PolicyEntry | None, refused: PolicyRefused | None) -> tuple[object, ...]:
    """Return all that a status is made from; cheap, as every policy is asked in every step."""
    if entry is None:
        return (refused,)
    account = entry.account
    month = account.window("month", state.now_ms, entry.policy.limits.budget.timezone)
    scaler = entry.scaler
    return (
        refused,
        entry.policy.generation,
        entry.policy.paused,
        entry.policy.paused_scale_in,
        entry.policy.paused_scale_out,
        entry.policy.force_activation,
        state.stop,
        _unready(state, entry),
        entry.tripped,
        scaler and (scaler.number, scaler.active, scaler.fallback),
        len(entry.queued),
        entry.active,
        account.outstanding_micro_usd,
        month.settled_micro_usd,
    )


def _ask(state: State, key: str, book: StatusBook, facts: tuple[object, ...]) -> None:
    entry, refused = state.policies.get(key), state.refused.get(key)
    generation = refused.generation if refused is not None else entry.policy.generation if entry is not None else 0
    book.facts, book.asked_at_ms, book.under_way = facts, state.now_ms, True
    before = {kind: status for kind, (status, _) in book.since.items()}
    conditions = tuple(_since(state, book, told) for told in _conditions(state, entry, refused))
    uid = refused.uid if refused is not None else entry.policy.uid if entry is not None else ""
    for condition in conditions:
        tell_turn(state, key, uid, before.get(condition.type), condition)
    written_key = f"policy-status/{key}"
    if entry is None:
        state.instructions.append(
            WritePolicyStatus(key=written_key, policy=key, generation=generation, conditions=conditions)
        )
        return
    account = entry.account
    month = account.window("month", state.now_ms, entry.policy.limits.budget.timezone)
    if month.settled_micro_usd:
        # Next month nothing is spent yet, and nobody may come by to notice.
        state.at(month.end_ms, "policy-status", key)
    state.instructions.append(
        WritePolicyStatus(
            key=written_key,
            policy=key,
            generation=generation,
            conditions=conditions,
            pending=len(entry.queued),
            bursts=entry.active,
            replicas=entry.scaler.number if entry.scaler is not None else None,
            reserved_micro_usd=account.outstanding_micro_usd,
            spent_micro_usd=month.settled_micro_usd,
        )
    )


def _since(state: State, book: StatusBook, told: _Told) -> PolicyCondition:
    kind, status, reason, message = told
    before = book.since.get(kind)
    if before is None or before[0] != status:
        before = book.since[kind] = (status, state.now_ms)
    return PolicyCondition(type=kind, status=status, since_ms=before[1], reason=reason, message=message)


def _conditions(state: State, entry: PolicyEntry | None, refused: PolicyRefused | None) -> Iterator[_Told]:
    yield _accepted(entry, refused)
    yield _ready(state, entry, refused)
    yield _active(entry)
    if entry is not None and entry.policy.scaling.fallback is not None:
        yield _fallback(entry)
    yield _paused(state, entry)


def _accepted(entry: PolicyEntry | None, refused: PolicyRefused | None) -> _Told:
    if refused is None:
        return "Accepted", "True", "Valid", "The policy is valid and counts."
    kept = "Nothing starts by it."
    if entry is not None:
        kept = f"Nothing new starts by it; what runs is kept under generation {entry.policy.generation}."
    return "Accepted", "False", "Invalid", f"{refused.message} {kept}"


def _ready(state: State, entry: PolicyEntry | None, refused: PolicyRefused | None) -> _Told:
    if entry is None or refused is not None:
        return "Ready", "False", "Invalid", "Its latest version is not valid."
    unready = _unready(state, entry)
    if unready is not None:
        return "Ready", "False", *unready
    return "Ready", "True", "Ready", "Its rules and its target let it act."


def _unready(state: State, entry: PolicyEntry) -> tuple[str, str] | None:
    """Return why a policy can't act whatever its demand, as reason and message; None where it can."""
    rules = entry.policy
    if rules.key in state.leaving:
        return "PolicyLeaving", "It is being deleted: what it started comes home first."
    if entry.tripped is not None:
        return "BreakerOpen", entry.tripped.sentence
    if not any(name in state.targets for name in rules.placement.targets):
        return "TargetMissing", f"There is no valid BurstTarget {' or '.join(rules.placement.targets)}."
    workload = replica_gates.workload_of(rules) if rules.placement.strategy == "Scale" else None
    seen = None if workload is None else state.workloads.get(f"{rules.namespace}/{workload.kind}/{workload.name}")
    if seen is not None and seen.owner:
        what = f"{seen.owner} sets the number of {seen.kind} {seen.name}: burster does not touch it."
        return "ScaleTargetOwned", f"{what} Remove that, or let the strategy be Signal."
    return None


def _active(entry: PolicyEntry | None) -> _Told:
    if entry is not None and entry.scaler is not None and (entry.scaler.active or entry.scaler.number):
        return "Active", "True", "ReplicasWanted", "Its triggers ask for replicas."
    if entry is not None and entry.policy.force_activation:
        return (
            "Active",
            "True",
            "ForceActivation",
            "It counts as active by its annotation burster.dev/force-activation.",
        )
    if entry is not None and entry.active:
        return "Active", "True", "BurstsRunning", "It has bursts that are not released."
    if entry is not None and entry.queued:
        return "Active", "True", "PodsPending", "Pods wait by it that no burst answers yet."
    return "Active", "False", "NoDemand", "Nothing is asked for by it."


def _fallback(entry: PolicyEntry) -> _Told:
    if entry.scaler is not None and entry.scaler.fallback:
        return "Fallback", "True", "TriggersFail", "A trigger can't be read, and its fallback stands for it."
    return "Fallback", "False", "TriggersAnswer", "No fallback stands for a trigger."


def _paused(state: State, entry: PolicyEntry | None) -> _Told:
    stopped = pauses.cluster_gate(state)
    if stopped is not None:
        return "Paused", "True", stopped.reason.code, stopped.reason.sentence
    if entry is not None and entry.tripped is not None:
        return (
            "Paused",
            "True",
            "BreakerOpen",
            f"{entry.tripped.sentence} Nothing new starts until the policy is edited.",
        )
    if entry is not None and entry.policy.paused:
        return "Paused", "True", "Paused", "It is paused by its annotation: nothing new starts by it."
    if entry is not None and (entry.policy.paused_scale_out or entry.policy.paused_scale_in):
        return _one_way(entry.policy)
    return "Paused", "False", "NotPaused", "It is not paused."


def _one_way(policy: Policy) -> _Told:
    out, inward = "nothing new starts by it", "nothing of it comes home for want of demand"
    if policy.paused_scale_out and policy.paused_scale_in:
        return "Paused", "True", "PausedBothWays", f"By its annotations {out}, and {inward}."
    if policy.paused_scale_out:
        return "Paused", "True", "PausedScaleOut", f"By its annotation burster.dev/paused-scale-out {out}."
    return "Paused", "True", "PausedScaleIn", f"By its annotation burster.dev/paused-scale-in {inward}."
