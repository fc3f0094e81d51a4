"""Strategy Clone by metrics: as many clones of a workload as the number says, besides those that answer pending pods.

Called by ``replicas``. Pods that wait are answered by spare clones first (``queues``); what is still lacking is started for no pod in
particular, through the same gates. What is too many goes the ordinary way (``releases``); a clone that answers a pod is never too many.
"""

from burster.engine.answers import Grant, Refusal
from burster.engine.bursts import storms
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.bursts.starting import Series, start
from burster.engine.numbers import metrics, replica_gates, replica_words
from burster.engine.numbers.proposing import Replicas
from burster.engine.numbers.scaler import Scaler
from burster.engine.releasing.releases import release_surplus, staying
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms
from burster.model.stimuli import WorkloadSeen
from burster.model.triggers import WorkloadRef


def adopted(state: State, entry: PolicyEntry) -> int:
    """Return the number to go on from: the bursts that a predecessor left."""
    return staying(state, entry)


def has_news(entry: PolicyEntry) -> bool:
    """Say whether a policy's bursts are more or fewer than when they were last counted."""
    scaler = entry.scaler
    if scaler is None or entry.policy.placement.strategy in {"Scale", "Signal"}:
        return False
    return scaler.bursts_seen != entry.active


def replicas_of(state: State, entry: PolicyEntry) -> Replicas:
    """Return the numbers to count on from. What answers pods is there whatever was wanted."""
    serving = sum(
        one.burst.status.phase == "Serving" and one.burst.policy_key == entry.policy.key
        for one in state.bursts.values()
    )
    number = 0 if entry.scaler is None else entry.scaler.number
    return Replicas(max(number, _answering(state, entry)), staying(state, entry), serving)


def carry_out(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    """Start what is lacking, let go of what is too many."""
    there = staying(state, entry)
    wanted = max(scaler.number, _answering(state, entry))
    held: Reason | None = None
    granted = there
    if there < wanted:
        release_surplus(state, entry, 0, Reason(code="ReplicasChanged", sentence="More are wanted."))
        started, held = _start(state, entry, scaler, wanted - there)
        granted += started
    else:
        code = scaler.chain[0] if scaler.chain else Reason(code="ReplicasChanged", sentence=f"{wanted} are wanted.")
        reason = Reason(
            code="TooManyClones",
            sentence=f"{there} clones are there and {wanted} are wanted. {code.sentence}",
            numbers={"there": there, "wanted": wanted},
        )
        release_surplus(state, entry, there - wanted, reason)
        granted = wanted
    scaler.granted, scaler.bursts_seen = granted, entry.active
    replica_words.tell(state, entry, scaler, current=there, granted=granted, held=held, subject=_subject(entry))


def _answering(state: State, entry: PolicyEntry) -> int:
    """Return how many bursts of a policy answer a pending pod and stay."""
    return sum(
        bool(one.covers)
        and one.burst.policy_key == entry.policy.key
        and one.burst.status.phase in ANSWERING
        and one.withdraw is None
        for one in state.bursts.values()
    )


def _start(state: State, entry: PolicyEntry, scaler: Scaler, count: int) -> tuple[int, Reason | None]:
    """Start up to so many clones; return how many, and what stopped more."""
    workload = replica_gates.workload_of(entry.policy)
    seen = None if workload is None else _seen(state, entry, workload)
    if workload is None or seen is None:
        what = (
            "The policy names no workload to clone"
            if workload is None
            else f"{workload.kind} {workload.name} is not there"
        )
        return 0, Reason(code="ScaleTargetUnknown", sentence=f"{what}, so its number starts nothing.")
    subject = f"{entry.policy.namespace}/{workload.name}"
    until_ms, failures = state.parked.get(subject, (0, 0))
    if until_ms > state.now_ms:
        return 0, _backing_off(until_ms - state.now_ms, failures)
    for started in range(count):
        hold = storms.workload_hold(state, entry.policy.namespace, workload.kind, workload.name)
        if hold is not None:
            state.at(hold[0], "scaling", entry.policy.key)
            return started, hold[1]
        answer = replica_gates.judge_clone(state, entry, workload, seen)
        if isinstance(answer, Refusal):
            replica_gates.ask_again(state, entry, answer)
            return started, answer.reason
        pod = replica_gates.stand_in_for_clone(entry.policy, workload, seen)
        start(state, pod, Series(state, entry, answer, pod.pod), _told(answer, scaler))
    return count, None


def _told(grant: Grant, scaler: Scaler) -> tuple[Reason, ...]:
    """Return a grant's reasons with the number's in place of a pending pod's."""
    return (*scaler.chain, *(one for one in grant.reasons if one.code != "Pending"))


def _backing_off(for_ms: int, failures: int) -> Reason:
    sentence = f"A clone has failed {failures} times lately; one is tried again in {format_duration_ms(for_ms)}."
    return Reason(code="BackingOff", sentence=sentence, numbers={"failures": failures})


def _subject(entry: PolicyEntry) -> str:
    workload = replica_gates.workload_of(entry.policy)
    return entry.policy.key if workload is None else f"{entry.policy.namespace}/{workload.name}"


def _seen(state: State, entry: PolicyEntry, workload: WorkloadRef) -> WorkloadSeen | None:
    return state.workloads.get(metrics.workload_key(entry.policy.namespace, workload.kind, workload.name))
