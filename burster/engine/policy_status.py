"""What each policy's status says: the last thing a step does, after everything is decided.

Called by ``step`` (``explain``), and by the observing half for how a write ended. When one is written is ``statuses``' business. Policies
without a uid are in no API server and have none. It decides nothing.
"""

from collections.abc import Iterator

from burster.engine import pauses, statuses
from burster.engine.numbers import replica_gates
from burster.engine.policy_events import tell_turn
from burster.engine.state import PolicyEntry, State, StatusBook
from burster.engine.statuses import Say
from burster.model.instructions import WritePolicyStatus
from burster.model.policies import Policy
from burster.model.stimuli import InstructionFailed, PolicyRefused, PolicyStatusWritten


def explain(state: State) -> None:
    """Ask for the statuses that say something new."""
    books = state.policy_statuses
    statuses.forget_gone(books, state.policies, state.refused)
    for key in sorted({*state.policies, *state.refused} if state.refused else state.policies):
        entry, refused = state.policies.get(key), state.refused.get(key)
        if not (refused.uid if refused is not None else entry.policy.uid if entry is not None else ""):
            continue
        book = statuses.book_of(books, key)
        facts = _facts(state, entry, refused)
        if facts == book.facts:
            continue
        due_ms = statuses.due_ms(state, book)
        if due_ms > state.now_ms:
            state.at(due_ms, "status", key)
        else:
            _ask(state, key, book, facts)


def written(state: State, stimulus: PolicyStatusWritten) -> None:
    """Note that a status is written."""
    statuses.written(state.policy_statuses.get(stimulus.policy))


def failed(state: State, stimulus: InstructionFailed) -> None:
    """Note that a status could not be written."""
    statuses.failed(state, state.policy_statuses.get(stimulus.subject), stimulus)


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
    statuses.ask(state, book, facts)
    before = {kind: status for kind, (status, _) in book.since.items()}
    conditions = tuple(statuses.condition(state, book, say) for say in _conditions(state, entry, refused))
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
        state.at(month.end_ms, "status", key)
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


def _conditions(state: State, entry: PolicyEntry | None, refused: PolicyRefused | None) -> Iterator[Say]:
    yield _accepted(entry, refused)
    yield _ready(state, entry, refused)
    yield _active(entry)
    if entry is not None and entry.policy.scaling.fallback is not None:
        yield _fallback(entry)
    yield _paused(state, entry)


def _accepted(entry: PolicyEntry | None, refused: PolicyRefused | None) -> Say:
    if refused is None:
        return "Accepted", "True", "Valid", "The policy is valid and counts."
    kept = "Nothing starts by it."
    if entry is not None:
        kept = f"Nothing new starts by it; what runs is kept under generation {entry.policy.generation}."
    return "Accepted", "False", refused.code, f"{refused.message} {kept}"


def _ready(state: State, entry: PolicyEntry | None, refused: PolicyRefused | None) -> Say:
    if entry is None or refused is not None:
        if refused is not None and refused.code != "Invalid":
            return "Ready", "False", refused.code, refused.message
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


def _active(entry: PolicyEntry | None) -> Say:
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


def _fallback(entry: PolicyEntry) -> Say:
    if entry.scaler is not None and entry.scaler.fallback:
        return "Fallback", "True", "TriggersFail", "A trigger can't be read, and its fallback stands for it."
    return "Fallback", "False", "TriggersAnswer", "No fallback stands for a trigger."


def _paused(state: State, entry: PolicyEntry | None) -> Say:
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


def _one_way(policy: Policy) -> Say:
    out, inward = "nothing new starts by it", "nothing of it comes home for want of demand"
    if policy.paused_scale_out and policy.paused_scale_in:
        return "Paused", "True", "PausedBothWays", f"By its annotations {out}, and {inward}."
    if policy.paused_scale_out:
        return "Paused", "True", "PausedScaleOut", f"By its annotation burster.dev/paused-scale-out {out}."
    return "Paused", "True", "PausedScaleIn", f"By its annotation burster.dev/paused-scale-in {inward}."
