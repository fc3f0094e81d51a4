"""Policies that are being deleted: what they started comes home in their own order, then the API server may let them go.

A policy is kept by burster's finalizer from its first burst on. Called by ``observe_world`` and ``observe_rules`` (one is being deleted)
and by ``step`` once in each step. What does not serve yet is ended at once; what serves goes by the policy's release order, no more at a
time than its ``disruption_percent``, tasks included: nobody pays for them any more once the policy is gone. Numbers go back as
``replica_scale`` has it. Records that are done with are removed without waiting for their retention. Last of all the finalizer goes.
Where somebody has taken it off by hand, ``policy_gone`` ends everything at once, and nothing is left behind either.
"""

from typing import Final

from burster.engine.answers import Refusal
from burster.engine.bursts import ending
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.entries import Leaving
from burster.engine.numbers import replica_gates, replica_signals
from burster.engine.numbers.metrics import workload_key
from burster.engine.policy_events import tell_policy
from burster.engine.releasing.release_candidates import View, drained_by_ms, rank
from burster.engine.state import BurstEntry, PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import ReleasePolicy
from burster.model.stimuli import InstructionFailed, PolicyReleased


_GOING: Final = Reason(code="PolicyGone", sentence="Its policy is being deleted.")
_AGAIN_FIRST_MS: Final = 1_000
_AGAIN_MAX_MS: Final = 60_000
#: the instruction's deadline, and what the executor may add
_ANSWERED_BY_MS: Final = 90_000


def leaving_gate(state: State, policy: str) -> Refusal | None:
    """Refuse everything new of a policy that is being deleted."""
    if policy not in state.leaving:
        return None
    sentence = "The policy is being deleted: what it started comes home, and nothing new starts."
    return Refusal(verdict="Deny", reason=Reason(code="PolicyLeaving", sentence=sentence), whole_policy=True)


def heard(state: State, key: str, uid: str, *, guarded: bool) -> None:
    """Note that a policy is being deleted."""
    known = state.leaving.get(key)
    if known is not None and known.uid == uid:
        known.guarded = guarded
        return
    state.leaving[key] = Leaving(uid=uid, guarded=guarded)
    entry = state.policies.get(key)
    if entry is not None:
        entry.reopened = True
        replica_signals.withdraw(state, key, entry.scaler)
    out = sum(one.burst.policy_key == key and one.burst.status.phase in ANSWERING for one in state.bursts.values())
    tell_policy(state, key, uid, "PolicyDraining", f"It is being deleted; {out} bursts come home first.")


def serve(state: State) -> None:
    """Go on with every policy that is being deleted."""
    for key in sorted(state.leaving):
        one = state.leaving[key]
        mine = [entry for entry in state.bursts.values() if entry.burst.policy_key == key]
        _bring_home(state, key, [entry for entry in mine if entry.burst.status.phase in ANSWERING], mine)
        for entry in mine:
            # one that failed is asked for again by its own timer
            is_asked = "ForgetBurst" in entry.under_way or "ForgetBurst" in entry.attempts
            if entry.burst.status.phase == "Released" and not is_asked:
                state.at(state.now_ms, "forget", entry.burst.key)
        if not mine and not _scales(state, key, one):
            _let_go(state, key, one)


def _bring_home(state: State, key: str, answering: list[BurstEntry], mine: list[BurstEntry]) -> None:
    policy = state.policies.get(key)
    for entry in answering:
        if policy is None or entry.burst.status.phase != "Serving":
            ending.end(state, entry, "Draining", _GOING)
    if policy is None:
        return
    view = View(policy=policy)
    view.serving = [entry for entry in answering if entry.burst.status.phase == "Serving"]
    view.coming = [entry for entry in mine if _is_coming(state, entry)]
    view.serving.sort(key=lambda entry: (*rank(view, entry), entry.burst.key))
    for entry in view.serving[: max(0, view.allowed - len(view.coming))]:
        ending.end(state, entry, "Draining", _GOING, also=(_order(policy, view),))
        view.coming.append(entry)
    if view.serving and view.coming:
        state.at(min(map(drained_by_ms, view.coming)), "release", key)


def _is_coming(state: State, entry: BurstEntry) -> bool:
    status = entry.burst.status
    return status.phase == "Draining" and status.serving_at_ms is not None and state.now_ms < drained_by_ms(entry)


def _order(policy: PolicyEntry, view: View) -> Reason:
    percent = policy.policy.placement.disruption_percent
    return Reason(
        code="ReleaseOrder",
        sentence=f"{policy.policy.placement.release_order}, and no more than {percent} % of those that serve at once.",
        numbers={"serving": len(view.serving), "coming_home": len(view.coming), "allowed_at_once": view.allowed},
    )


def _scales(state: State, key: str, one: Leaving) -> bool:
    """Say whether a number is still to be brought back. One that somebody else owns by now is theirs: nobody waits for it."""
    book = state.scale_books.get(key)
    if book is None:
        return _may_be_scaled(state, key, one)
    namespace = key.partition("/")[0]
    seen = state.workloads.get(f"{namespace}/{book.workload.kind}/{book.workload.name}")
    if seen is None or not seen.owner:
        return True
    if not one.told_owned:
        one.told_owned = True
        sentence = f"{seen.owner} sets the number of {book.workload.kind} {book.workload.name}: it is left as it is."
        state.decide(
            "Scale",
            Reason(code="ScaleTargetOwned", sentence=sentence),
            policy=key,
            subject=f"{namespace}/{book.workload.name}",
        )
        tell_policy(state, key, one.uid, "ScaleTargetOwned", sentence, warning=True)
    return False


def _may_be_scaled(state: State, key: str, one: Leaving) -> bool:
    """Say whether a predecessor may have scaled a workload that was not read yet."""
    entry = state.policies.get(key)
    if entry is None or one.taken_up or not one.guarded or entry.policy.placement.strategy != "Scale":
        return False
    workload = replica_gates.workload_of(entry.policy)
    if workload is None:
        return False
    return workload_key(entry.policy.namespace, workload.kind, workload.name) not in state.workloads_absent


def _let_go(state: State, key: str, one: Leaving) -> None:
    if not one.guarded or state.now_ms < one.again_at_ms:
        return
    one.again_at_ms = state.now_ms + _ANSWERED_BY_MS
    state.at(one.again_at_ms, "scaling", key)
    state.instructions.append(ReleasePolicy(key=f"release-policy/{key}", policy=key, uid=one.uid))


def released(state: State, stimulus: PolicyReleased) -> None:
    """The finalizer is gone: the API server deletes the policy, and the watch tells."""
    one = state.leaving.get(stimulus.policy)
    if one is not None:
        one.guarded, one.failures = False, 0


def failed(state: State, stimulus: InstructionFailed) -> None:
    """The finalizer could not be taken off: once more after a pause."""
    one = state.leaving.get(stimulus.subject)
    if one is None:
        return
    one.failures += 1
    pause_ms = min(_AGAIN_FIRST_MS * 2 ** min(one.failures - 1, 10), _AGAIN_MAX_MS)
    one.again_at_ms = state.now_ms + max(pause_ms, stimulus.retry_after_ms or 0)
    state.at(one.again_at_ms, "scaling", stimulus.subject)
