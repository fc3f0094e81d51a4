"""What it means for a burst that its machine could not be asked for, or not be deleted. Called by ``failures`` and ``timers``.

It never guesses: what may have been done is deleted by its name, which finds nothing where nothing was made.
"""

from typing import Final

from burster.engine.bursts import ending, resting
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.offers import consequences
from burster.engine.offers.cooling import matter_of
from burster.engine.state import BurstEntry, State
from burster.model.decisions import Reason
from burster.model.errors import RemoteKind
from burster.model.offerings import CloudFailure
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import InstructionFailed


#: Answers after which nothing was made.
_NOTHING_MADE: Final[frozenset[RemoteKind]] = frozenset({"Throttled", "Unreachable", "NotFound", "Conflict", "Expired"})
#: What a dry run says of what it leaves alone.
_DRY_RUN: Final = "DryRun"
_TAKEN: Final = "NameTaken"
#: After so many deletions in a row that did not succeed somebody is told.
_FAILURES_TOLD: Final = 3


def not_launched(state: State, entry: BurstEntry, stimulus: InstructionFailed, reason: Reason) -> None:
    """Decide what a launch that failed means: once more, elsewhere, or never."""
    if entry.burst.status.phase != "Placing":
        return
    failure = CloudFailure(
        kind=stimulus.kind,
        code=stimulus.code,
        matter=matter_of(stimulus.kind, stimulus.code, stimulus.matter),
        message=stimulus.message,
        limit_vcpus=stimulus.limit_vcpus,
    )
    consequence, _ = consequences.consequence_of(failure)
    if stimulus.kind == "AlreadyExists":
        _name_taken(state, entry, stimulus)
    elif consequence == "Wait":
        entry.maybe_placed = entry.maybe_placed or stimulus.kind not in _NOTHING_MADE
        if entry.withdraw is not None:
            ending.fail_unplaced(state, entry, entry.withdraw)
        elif stimulus.code != _DRY_RUN and _is_overdue(state, entry):
            _give_up(state, entry, stimulus)
        else:
            actions.retry_later(state, entry, "LaunchMachine", stimulus.retry_after_ms)
    else:
        outcome = consequences.follow(state, entry, failure)
        ending.fail_unplaced(state, entry, entry.withdraw or reason, also=(outcome.next,))
        if outcome.blames_workload:
            ending.launch_failed(state, entry, reason)
        elif outcome.consequence == "Stop":
            resting.park(state, entry)


def launch_again(state: State, entry: BurstEntry) -> None:
    """Ask once more, unless nobody wants it any more."""
    if entry.burst.status.phase != "Placing":
        return
    if entry.withdraw is not None:
        ending.fail_unplaced(state, entry, entry.withdraw)
    else:
        actions.launch(state, entry)


def not_deleted(state: State, entry: BurstEntry, stimulus: InstructionFailed) -> None:
    """Have the deletion asked for again: until then the machine is paid for; say so where that goes on."""
    actions.retry_later(state, entry, "DeleteMachine", stimulus.retry_after_ms)
    actions.cover_running(state, entry)
    if entry.attempts["DeleteMachine"] != _FAILURES_TOLD or stimulus.code == _DRY_RUN:
        return
    burst = entry.burst
    sentence = (
        f"Machine {burst.spec.pod_name} could not be deleted {_FAILURES_TOLD} times, and is paid for until it is: "
        f"{stimulus.message[:300]}"
    )
    reason = Reason(code="DeletionFails", sentence=sentence)
    state.decide("Warn", reason, policy=burst.policy_key, subject=burst.spec.pod_name, burst=burst.key)
    actions.tell(state, entry, reason.code, sentence, warning=True)


def _name_taken(state: State, entry: BurstEntry, stimulus: InstructionFailed) -> None:
    """Something of its name is there and is not this burst's: it is left alone."""
    sentence = f"{entry.burst.spec.pod_name} is somebody else's: {stimulus.message[:300]}"
    entry.maybe_placed = False
    reason = Reason(code=_TAKEN, sentence=sentence)
    ending.fail_unplaced(state, entry, reason)
    ending.launch_failed(state, entry, reason, blame_workload=False)


def _is_overdue(state: State, entry: BurstEntry) -> bool:
    """Say whether a launch has been tried for as long as it may take; after a restart the time begins anew."""
    spec = entry.burst.spec
    return state.now_ms >= max(spec.decided_at_ms, state.learned.since_ms or 0) + spec.launch_deadline_ms


def _give_up(state: State, entry: BurstEntry, stimulus: InstructionFailed) -> None:
    allowed = format_duration_ms(entry.burst.spec.launch_deadline_ms)
    reason = Reason(
        code="NotPlacedInTime",
        sentence=f"Its machine could not be asked for within {allowed}; the last answer was {stimulus.kind}: {stimulus.message[:300]}",
    )
    ending.fail_unplaced(state, entry, reason)
    ending.launch_failed(state, entry, reason, blame_workload=False)
