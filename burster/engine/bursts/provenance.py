"""Which records and pods are burster's own, and which only say so.

Labels, annotations, owner references and whole Bursts can be written by anybody who has the right to, and a namespace's users may have
been given it. What nobody can forge is that the decision to burst is in the ledger before the record is written, when the API server says
that the record was made, and that a namespace has one pod of a name at a time. Called by ``observe_bursts``, ``observe_pods`` and
``adoption``. It must never act on what is not burster's: such a record is told of once and left alone.
"""

from typing import Final

from burster.engine.state import State
from burster.model.bursts import Burst
from burster.model.decisions import Reason
from burster.model.stimuli import CloudPodGone, CloudPodSeen, LedgerRestored


#: How far the API server's clock may be ahead of the clock that the ledger was begun by.
SKEW_MS: Final = 300_000


def restore(state: State, stimulus: LedgerRestored) -> None:
    """Take in what the ledger knows was decided."""
    known = state.provenance
    known.since_ms = stimulus.since_ms
    for key in stimulus.decided:
        known.decided.setdefault(key, (state.now_ms, ""))


def decided(state: State, key: str) -> None:
    """Note that a burst was decided: a record of this name may be its."""
    state.provenance.decided[key] = (state.now_ms, "")


def settled(state: State, key: str, uid: str) -> None:
    """Note which record was a burst's: another one of its name is not."""
    state.provenance.decided[key] = (state.now_ms, uid)


def is_foreign(state: State, burst: Burst, created_at_ms: int) -> bool:
    """Say whether somebody else made a record: it is younger than the ledger, and the ledger knows of no such decision."""
    known = state.provenance
    if known.since_ms is None or created_at_ms <= known.since_ms + SKEW_MS:
        return False
    ours = known.decided.get(burst.key)
    return ours is None or ours[1] not in {"", burst.uid}


def is_decided(state: State, burst: Burst) -> bool:
    """Say whether the ledger knows the decision that a record was written for."""
    return burst.key in state.provenance.decided


def report(state: State, burst: Burst) -> None:
    """Tell of a record that nobody decided, once; it counts for nothing and nothing is done about it."""
    foreign = state.provenance.foreign
    if foreign.get(burst.key) == burst.uid:
        return
    foreign[burst.key] = burst.uid
    sentence = (
        f"Burst {burst.key} was not decided by this controller, by what its ledger knows: somebody else made it. "
        "It counts for nothing, and nothing is done about it."
    )
    # under no policy's name: who forges a record chooses what it says
    state.decide("Warn", Reason(code="RecordForeign", sentence=sentence), subject=burst.key, burst=burst.key)


def forget_foreign(state: State, key: str, uid: str) -> None:
    """Forget a foreign record that is gone."""
    if state.provenance.foreign.get(key) == uid:
        del state.provenance.foreign[key]


def forget_old(state: State, kept_ms: int) -> None:
    """Forget decisions of bursts that are gone for longer than the ledger's memory of spend reaches."""
    known = state.provenance
    before_ms = state.now_ms - kept_ms
    known.decided = {key: value for key, value in known.decided.items() if value[0] > before_ms or key in state.bursts}
    if known.since_ms is not None:
        known.since_ms = max(known.since_ms, before_ms)


def is_pod_of(pod: CloudPodSeen | CloudPodGone, burst: Burst) -> bool:
    """Say whether a pod that names a burst is the one that was made for it: by the record's uid, its own, and its name."""
    return (
        burst.spec.strategy != "Machine"  # which has no pod, whoever says so
        and (not burst.uid or not pod.burst_uid or burst.uid == pod.burst_uid)
        and burst.status.pod_uid in {"", pod.pod_uid}
        and pod.name in {"", burst.spec.pod_name}
    )
