"""Strategy Scale: the number of a workload in the cluster, set through its /scale, one instruction at a time.

Called by ``replicas``. The workload's own number is the record: a restart goes on from it and buys nothing twice. A number rises only as
far as gates and money allow (``replica_gates``, ``replica_money``), and falls when a lease can't be paid or the policy goes.
"""

from typing import Final

from burster.engine.accounting import budgets
from burster.engine.answers import Refusal
from burster.engine.numbers import originals, proposing, replica_gates, replica_money, replica_words
from burster.engine.numbers.metrics import facts, workload_key
from burster.engine.numbers.proposing import Replicas
from burster.engine.numbers.scaler import ScaleBook, Scaler
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import SetScale
from burster.model.policies import Policy
from burster.model.stimuli import WorkloadSeen
from burster.model.triggers import WorkloadRef


_ANSWERED_BY_MS: Final = 90_000  #: the instruction's deadline, and what the executor may add
#: How many replicas one look starts at most; the next sync goes on.
_STARTS_MAX: Final = 1_000
#: Why a number changes whatever the values are.
_BY_RULE: Final = frozenset({"OutsideBounds", "BelowMinimum"})


def replicas_of(state: State, entry: PolicyEntry) -> Replicas | None:
    """Return the workload's numbers; what was asked for counts as there. None where the workload is not known."""
    workload = replica_gates.workload_of(entry.policy)
    seen = None if workload is None else _seen(state, entry.policy.namespace, workload)
    if seen is None:
        return None
    book = state.scale_books.get(entry.policy.key)
    asked = None if book is None else book.asked
    return Replicas(seen.replicas if asked is None else asked, seen.status_replicas, seen.ready_replicas)


def has_news(state: State, entry: PolicyEntry) -> bool:
    """Say whether the workload of a policy has changed in this step, or may be asked for again."""
    if entry.policy.placement.strategy != "Scale" or entry.scaler is None:
        return False
    workload = replica_gates.workload_of(entry.policy)
    if workload is not None and _key(entry.policy.namespace, workload) in state.workloads_changed:
        return True
    book = state.scale_books.get(entry.policy.key)
    return 0 < entry.scaler.again_at_ms <= state.now_ms or (book is not None and _is_lost(state, book))


def follow(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    """Go on from a number that somebody else has set, as the HPA would; the next sync may bring it back by its rules."""
    workload = replica_gates.workload_of(entry.policy)
    if entry.policy.placement.strategy != "Scale" or workload is None:
        return
    seen = _seen(state, entry.policy.namespace, workload)
    book = state.scale_books.get(entry.policy.key)
    if seen is None or seen.replicas == scaler.observed:
        return
    if book is not None and book.last_asked == seen.replicas:
        book.last_asked = None  # the echo of what was asked for; whoever sets that number later is somebody else
    elif book is None or book.asked is None:
        scaler.number = scaler.granted = seen.replicas
    else:
        return  # which of the two came later is known when what was asked for is answered
    scaler.observed = seen.replicas


def take_stock(state: State) -> None:
    """Count the replicas that are there, whoever has started them, before anybody is granted anything: they leave less room for others."""
    for key in sorted(state.policies):
        entry = state.policies[key]
        workload = replica_gates.workload_of(entry.policy) if entry.policy.placement.strategy == "Scale" else None
        seen = None if workload is None else _seen(state, entry.policy.namespace, workload)
        book = state.scale_books.get(key)
        if key in state.leaving and not _left_by_predecessor(state, key, book, seen):
            continue
        if workload is None or seen is None:
            continue
        if book.workload == workload if book is not None else not _rival(state, entry.policy, workload):
            _book(state, entry, workload, seen)


def _left_by_predecessor(state: State, key: str, book: ScaleBook | None, seen: WorkloadSeen | None) -> bool:
    """Say whether a policy that is being deleted has a workload, scaled by a predecessor, that nobody has taken up yet."""
    one = state.leaving[key]
    if one.taken_up or (book is None and seen is None):
        return False
    one.taken_up = True
    return book is None and (one.guarded or key in state.originals)


def carry_out(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    """Bring the workload's number to what is wanted, as far as that is allowed."""
    rules = entry.policy
    workload = replica_gates.workload_of(rules)
    seen = None if workload is None else _seen(state, rules.namespace, workload)
    if workload is None or seen is None:
        _hold_back(state, entry, scaler, 0, _unknown(workload))
        return
    other = state.scale_books.get(rules.key)
    if other is not None and other.workload != workload:
        _bring_home(state, other)  # the policy scales another one now; the former one first
        return
    if other is not None and _is_lost(state, other):
        other.asked = None  # nobody has heard of it: the workload says what became of it
    if other is None and (rival := _rival(state, rules, workload)):
        _hold_back(state, entry, scaler, seen.replicas, _owned(workload, f"Policy {rival}"))
        return
    book = _book(state, entry, workload, seen)
    if book.asked is not None or state.now_ms < scaler.again_at_ms:
        return
    scaler.again_at_ms = 0
    current, wanted, held = seen.replicas, scaler.number, None
    if wanted > 0 and (coming_home := _coming_home(state, book)) is not None:
        wanted, held = 0, coming_home
    if seen.owner:
        _hold_back(state, entry, scaler, current, _owned(workload, seen.owner))
        return
    if held is None and (unknown := _unless_known(state, entry, scaler, book, current)) is not None:
        granted, held = scaler.number, unknown
    elif wanted > current - replica_money.leaving(book):
        granted, held = _grow(state, entry, book, seen, wanted)
        granted = min(max(current - replica_money.leaving(book), granted), wanted)
    else:
        granted = wanted
    _set(state, entry, scaler, book, granted=granted, held=held)


def _unless_known(state: State, entry: PolicyEntry, scaler: Scaler, book: ScaleBook, current: int) -> Reason | None:
    """Return why a number stays that is wanted otherwise: by values that are lost since nothing is bought nor given up any more.

    That may be long after they were read: an answer was out, or the number could not be set at once. What can't be paid goes all the same,
    and the policy's own bounds hold.
    """
    scaling = entry.policy.scaling
    fallback = scaling.fallback
    if entry.policy.force_activation and current < scaler.number <= max(1, scaling.min_replicas):
        return None  # a person has asked for it
    if scaler.number == current or (fallback is not None and not fallback.replicas):
        return None
    if (scaler.chain and scaler.chain[0].code in _BY_RULE) or not _is_unknown(state, entry):
        return None
    paid = current - replica_money.leaving(book)
    if paid <= scaler.number < current:
        return None
    scaler.number = min(current, max(paid, scaler.number))
    sentence = (
        f"No value is known any more, so nothing is bought and nothing is given up: the number stays {scaler.number}."
    )
    return Reason(code="MetricsMissing", sentence=sentence, numbers={"current": current})


def _is_unknown(state: State, entry: PolicyEntry) -> bool:
    replicas = replicas_of(state, entry)
    if replicas is None:
        return True
    weighed = proposing.weigh(entry.policy, facts(state, entry), replicas)
    return all(one.value_milli is None for one in weighed.metrics)


def _set(
    state: State, entry: PolicyEntry, scaler: Scaler, book: ScaleBook, *, granted: int, held: Reason | None
) -> None:
    seen = _seen(state, entry.policy.namespace, book.workload)
    current = book.asked if book.asked is not None else seen.replicas if seen is not None else 0
    scaler.granted = granted
    if granted != current and book.asked is None and not (seen is not None and seen.owner):
        originals.note(state, book)
    replica_words.tell(
        state, entry, scaler, current=current, granted=granted, held=held, subject=_name(entry, book.workload)
    )
    if granted != current and book.asked is None:
        _ask(state, book, granted)


def _ask(state: State, book: ScaleBook, replicas: int, *, restores: bool = False) -> None:
    seen = _seen(state, book.policy.partition("/")[0], book.workload)
    if seen is not None and seen.owner:
        return  # whatever the reason: a number that an HPA or KEDA owns is never touched
    book.asked, book.last_asked, book.asked_at_ms = replicas, replicas, state.now_ms
    book.asked_from = None if seen is None else seen.replicas
    state.instructions.append(
        SetScale(
            key=f"scale/{book.policy}", policy=book.policy, workload=book.workload, replicas=replicas, restores=restores
        )
    )
    state.at(state.now_ms + _ANSWERED_BY_MS, "scaling", book.policy)


def _is_lost(state: State, book: ScaleBook) -> bool:
    """Say whether an instruction is under way that nobody has heard of for too long."""
    return book.asked is not None and state.now_ms >= book.asked_at_ms + _ANSWERED_BY_MS


def _grow(
    state: State, entry: PolicyEntry, book: ScaleBook, seen: WorkloadSeen, wanted: int
) -> tuple[int, Reason | None]:
    """Find money for as many replicas as are wanted; return how many there are and what stopped more."""
    for _ in range(_STARTS_MAX):
        paid = replica_money.staying(book)
        if paid >= wanted:
            return wanted, None
        kept = replica_money.keep_leaving(state, book)
        if kept is not None:
            return paid, kept
        if replica_money.staying(book) > paid:
            continue
        answer = replica_gates.judge_scaled(state, entry, book.workload, seen, at=book.target if book.leases else "")
        if isinstance(answer, Refusal):
            replica_gates.ask_again(state, entry, answer)
            return paid, answer.reason
        replica_money.open_lease(state, book, answer)
    return replica_money.staying(book), None


def _hold_back(state: State, entry: PolicyEntry, scaler: Scaler, current: int, reason: Reason) -> None:
    workload = replica_gates.workload_of(entry.policy)
    scaler.granted = current
    replica_words.tell(
        state, entry, scaler, current=current, granted=current, held=reason, subject=_name(entry, workload)
    )


def _name(entry: PolicyEntry, workload: WorkloadRef | None) -> str:
    return entry.policy.key if workload is None else f"{entry.policy.namespace}/{workload.name}"


def _unknown(workload: WorkloadRef | None) -> Reason:
    if workload is None:
        sentence = "The policy names no workload whose number it could set: give it a scaleTargetRef."
    else:
        sentence = f"{workload.kind} {workload.name} is not there, or was not seen yet."
    return Reason(code="ScaleTargetUnknown", sentence=sentence)


def _rival(state: State, rules: Policy, workload: WorkloadRef) -> str:
    """Return which other policy scales a workload already, or is about to leave it; two would set its number in turns, for ever."""
    begun = (
        book.policy
        for book in state.scale_books.values()
        if book.workload == workload and book.policy.partition("/")[0] == rules.namespace
    )
    return min(begun, default="")


def _owned(workload: WorkloadRef, owner: str) -> Reason:
    sentence = f"{owner} sets the number of {workload.kind} {workload.name}: remove it, or let the strategy be Signal."
    return Reason(code="ScaleTargetOwned", sentence=sentence)


def _coming_home(state: State, book: ScaleBook) -> Reason | None:
    """Return why everything of this workload is to go, whatever the triggers say."""
    if state.draining:
        return Reason(code="ComingHome", sentence="Somebody asked for everything to come home.")
    target = state.targets.get(book.target)
    if target is not None and target.draining:
        return Reason(code="TargetEvacuated", sentence=f"{book.target} is being evacuated.")
    if not book.target:
        return None
    namespace = book.policy.partition("/")[0]
    for scope in budgets.scopes_of(state, book.policy, namespace, book.target):
        if scope.drained is not None and state.now_ms < scope.drained_until_ms:
            return scope.drained
    return None


def _book(state: State, entry: PolicyEntry, workload: WorkloadRef, seen: WorkloadSeen) -> ScaleBook:
    """Return a policy's book, opened at the first sight of its workload, with what its rules say now."""
    rules = entry.policy
    book = state.scale_books.get(rules.key)
    if book is None:
        original = originals.of_predecessor(state, rules.key, workload)
        if original is None and rules.key not in state.leaving:
            original = seen.replicas
        book = state.scale_books[rules.key] = ScaleBook(policy=rules.key, workload=workload, original=original)
    book.leaving = None
    book.minimum, book.restore = rules.scaling.min_replicas, rules.scaling.restore_to_original
    book.lease_ms, book.drain_ms = rules.placement.lease_ms, replica_gates.drain_of(rules)
    _match(state, entry, book, seen)
    return book


def _match(state: State, entry: PolicyEntry | None, book: ScaleBook, seen: WorkloadSeen | None) -> None:
    """Let each replica that is there, or may be, have its lease, and settle those that are gone."""
    there = 0 if seen is None else max(seen.replicas, seen.status_replicas)
    there = max(there, book.asked or 0)
    if seen is not None and entry is not None:
        replica_money.take_over(state, entry, book, seen, there)
    replica_money.settle_gone(state, book, there)


def look_after(state: State) -> None:
    """Renew leases in time; bring home what belongs to a policy that is gone."""
    for key in sorted(state.scale_books):
        book = state.scale_books[key]
        entry = state.policies.get(key)
        if entry is None or key in state.leaving or entry.policy.placement.strategy != "Scale":
            _bring_home(state, book)
            continue
        originals.keep(state, book)
        reason = replica_money.renew(state, book)
        if reason is not None and entry.scaler is not None:
            kept = replica_money.staying(book)
            if kept < entry.scaler.number:
                entry.scaler.number, entry.scaler.chain = kept, (reason,)
            _set(state, entry, entry.scaler, book, granted=min(_current(state, book), kept), held=reason)


def _current(state: State, book: ScaleBook) -> int:
    seen = _seen(state, book.policy.partition("/")[0], book.workload)
    return book.asked if book.asked is not None else 0 if seen is None else seen.replicas


def _bring_home(state: State, book: ScaleBook) -> None:
    """Leave a workload as it is to be without its policy: as it was found, or without what the policy had added."""
    seen = _seen(state, book.policy.partition("/")[0], book.workload)
    _match(state, None, book, seen)
    if seen is None:
        replica_money.close(state, book)
        del state.scale_books[book.policy]
        return
    if book.leaving is None:
        book.leaving = min(seen.replicas, book.minimum)
        if book.restore:  # of what nobody has noted nobody knows that it was ever set
            book.leaving = seen.replicas if book.original is None else book.original
        if book.leaving != seen.replicas:
            sentence = f"Its policy is gone: from {seen.replicas} to {book.leaving} replicas."
            reason = Reason(code="PolicyGone", sentence=sentence)
            state.decide(
                "Scale", reason, policy=book.policy, subject=f"{book.policy.partition('/')[0]}/{book.workload.name}"
            )
    if seen.replicas == book.leaving and book.asked is None:
        if seen.status_replicas <= book.leaving:
            replica_money.close(state, book)
            originals.forget(state, book)
            del state.scale_books[book.policy]
    elif not seen.owner and state.now_ms >= book.again_at_ms and (book.asked is None or _is_lost(state, book)):
        _ask(state, book, book.leaving, restores=True)


def _key(namespace: str, workload: WorkloadRef) -> str:
    return workload_key(namespace, workload.kind, workload.name)


def _seen(state: State, namespace: str, workload: WorkloadRef) -> WorkloadSeen | None:
    return state.workloads.get(_key(namespace, workload))
