"""Strategy Machine: as many machines as the number says. Called by ``replicas``.

Pending pods are counted like any other value and stay what they are: a machine answers none of them. Each machine passes the gates that a
pod would pass, asked for one that stands in for what the policy says a machine needs.
"""

from burster.engine.answers import Refusal
from burster.engine.bursts import storms
from burster.engine.bursts.starting import Series, start
from burster.engine.numbers import replica_gates, replica_words
from burster.engine.numbers.scaler import Scaler
from burster.engine.releasing.releases import release_surplus, staying
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.quantities import format_duration_ms


def carry_out(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    """Start what is lacking, let go of what is too many."""
    there, wanted = staying(state, entry), scaler.number
    held: Reason | None = None
    granted = wanted
    if there < wanted:
        release_surplus(state, entry, 0, Reason(code="ReplicasChanged", sentence="More are wanted."))
        started, held = _start(state, entry, scaler, wanted - there)
        granted = there + started
    else:
        code = scaler.chain[0] if scaler.chain else Reason(code="ReplicasChanged", sentence=f"{wanted} are wanted.")
        reason = Reason(
            code="TooManyMachines",
            sentence=f"{there} machines are there and {wanted} are wanted. {code.sentence}",
            numbers={"there": there, "wanted": wanted},
        )
        release_surplus(state, entry, there - wanted, reason)
    scaler.granted, scaler.bursts_seen = granted, entry.active
    subject = replica_gates.machine_subject(entry.policy)
    replica_words.tell(state, entry, scaler, current=there, granted=granted, held=held, subject=subject)


def _start(state: State, entry: PolicyEntry, scaler: Scaler, count: int) -> tuple[int, Reason | None]:
    """Start up to so many machines; return how many, and what stopped more."""
    subject = replica_gates.machine_subject(entry.policy)
    until_ms, failures = state.parked.get(subject, (0, 0))
    if until_ms > state.now_ms:
        state.at(until_ms, "scaling", entry.policy.key)
        return 0, _backing_off(until_ms - state.now_ms, failures)
    for started in range(count):
        pod = replica_gates.stand_in_for_machine(entry.policy)
        owner = pod.pod.workload
        hold = None if owner is None else storms.workload_hold(state, pod.pod.namespace, owner.kind, owner.name)
        if hold is not None:
            state.at(hold[0], "scaling", entry.policy.key)
            return started, hold[1]
        answer = replica_gates.judge_machine(state, entry, pod)
        if isinstance(answer, Refusal):
            replica_gates.ask_again(state, entry, answer)
            return started, answer.reason
        reasons = (*scaler.chain, *(one for one in answer.reasons if one.code != "Pending"))
        start(state, pod, Series(state, entry, answer, pod.pod), reasons)
    return count, None


def _backing_off(for_ms: int, failures: int) -> Reason:
    sentence = (
        f"A machine has failed or stopped {failures} times lately; one is tried again in {format_duration_ms(for_ms)}."
    )
    return Reason(code="BackingOff", sentence=sentence, numbers={"failures": failures})
