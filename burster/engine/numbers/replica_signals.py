"""Strategy Signal: the number is published, and KEDA scales by it. burster places nothing and reserves nothing.

Called by ``replicas``. The number is all the same no larger than limits and budgets would bear now, and is none where no target may take
such a pod: what KEDA starts runs in the same clouds. What is published already stays where others take the room that is left: it runs. It
is not published before every trigger has had a value once: after a restart nobody knows what was published before, and a guess could give
something up.

What it may do in a moment is KEDA's to slow down, once. KEDA's HPA takes the number as an average for a target of 1, so it proposes just
that number, and holds it to its own behavior: five minutes of stabilization on the way down where the ScaledObject says nothing else.
Doing the same here first would hold each replica for twice as long. So without a behavior of its own a policy publishes what its triggers
propose now, up and down; with one, that comes first and KEDA's after it. The way to zero is KEDA's too: ``active`` is what the triggers
say now, and KEDA's cooldownPeriod runs from when it ends, while the number itself stays until the policy's own cooldown has passed, so
that nobody who reads the number alone (a prometheus trigger on ``burster_wanted_replicas``) goes to zero sooner than the policy says.
Such a reader waits for both cooldowns: one of the two is best 0 there.
"""

from typing import Final

from burster.engine.accounting import budgets
from burster.engine.answers import Refusal
from burster.engine.numbers import replica_gates, replica_words
from burster.engine.numbers.metrics import workload_key
from burster.engine.numbers.proposing import Replicas
from burster.engine.numbers.scaler import Scaler
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.instructions import PublishSignal
from burster.model.stimuli import InstructionFailed, SignalPublished, WorkloadSeen


_AGAIN_FIRST_MS: Final = 1_000
_AGAIN_MAX_MS: Final = 300_000
_NO_LIMIT: Final = 1 << 62


def adopted(state: State, entry: PolicyEntry) -> int:
    """Return the number to go on from: the workload's own, where it is known."""
    seen = _seen(state, entry)
    return 0 if seen is None else seen.replicas


def replicas_of(state: State, entry: PolicyEntry) -> Replicas:
    """Return the numbers to count on from: what is wanted counts as there, unless the workload says how much of it is."""
    number = 0 if entry.scaler is None else entry.scaler.number
    seen = _seen(state, entry)
    if seen is None:
        return Replicas(number, number, number)
    return Replicas(number, seen.status_replicas, seen.ready_replicas)


def carry_out(state: State, entry: PolicyEntry, scaler: Scaler) -> None:
    """Publish the number as far as it is allowed, where it has changed."""
    if not scaler.known:
        return
    granted, held = _allowed(state, entry, scaler.number)
    active = scaler.active and granted > 0
    before = scaler.granted if scaler.published is not None else 0
    replica_words.tell(state, entry, scaler, current=before, granted=granted, held=held, subject=_subject(entry))
    scaler.granted = granted
    if scaler.published == (granted, active) or state.now_ms < scaler.again_at_ms:
        return
    scaler.published = (granted, active)
    key = entry.policy.key
    state.instructions.append(PublishSignal(key=f"signal/{key}", policy=key, replicas=granted, active=active))


def withdraw(state: State, policy_key: str, scaler: Scaler | None) -> None:
    """Take the number of a policy down that is gone or signals no more: nobody would keep it up to date."""
    if scaler is None or scaler.strategy != "Signal" or scaler.published is None:
        return
    scaler.published = None
    state.instructions.append(
        PublishSignal(key=f"signal/{policy_key}", policy=policy_key, replicas=0, active=False, withdrawn=True)
    )


def _allowed(state: State, entry: PolicyEntry, wanted: int) -> tuple[int, Reason | None]:
    if wanted == 0:
        return 0, None
    workload = replica_gates.workload_of(entry.policy)
    if workload is None:
        sentence = "The policy names no workload that its number is for: give it a scaleTargetRef."
        return 0, Reason(code="ScaleTargetUnknown", sentence=sentence)
    answer = replica_gates.judge_scaled(state, entry, workload, _seen(state, entry))
    if isinstance(answer, Refusal):
        replica_gates.ask_again(state, entry, answer)
        return (
            min(wanted, _there(state, entry)) if replica_gates.leaves_what_runs(answer.reason) else 0
        ), answer.reason
    return replica_gates.most_allowed(state, entry, answer, wanted, there=_there(state, entry))


def _there(state: State, entry: PolicyEntry) -> int:
    """Return how many replicas of the number are up already: others may take what room there is for more, and nothing of these."""
    scaler, rules = entry.scaler, entry.policy
    most = [
        min((one.limits.max_bursts for one in scopes if one.limits.max_bursts is not None), default=_NO_LIMIT)
        for scopes in (budgets.scopes_of(state, rules.key, rules.namespace, name) for name in rules.placement.targets)
    ]
    return 0 if scaler is None else min(scaler.granted, max(most, default=0))


def confirmed(state: State, stimulus: SignalPublished) -> None:
    """The number is up."""
    entry = state.policies.get(stimulus.policy)
    if entry is not None and entry.scaler is not None:
        entry.scaler.failures, entry.scaler.again_at_ms = 0, 0


def failed(state: State, stimulus: InstructionFailed) -> None:
    """Publish again, as it is by then."""
    entry = state.policies.get(stimulus.subject)
    if entry is None or entry.scaler is None:
        return
    scaler = entry.scaler
    scaler.failures += 1
    pause_ms = min(_AGAIN_FIRST_MS * 2 ** min(scaler.failures - 1, 10), _AGAIN_MAX_MS)
    scaler.published, scaler.again_at_ms = None, state.now_ms + max(pause_ms, stimulus.retry_after_ms or 0)
    scaler.poll_due_ms = min(scaler.poll_due_ms, scaler.again_at_ms)
    state.at(scaler.again_at_ms, "scaling", entry.policy.key)


def _subject(entry: PolicyEntry) -> str:
    workload = replica_gates.workload_of(entry.policy)
    return entry.policy.key if workload is None else f"{entry.policy.namespace}/{workload.name}"


def _seen(state: State, entry: PolicyEntry) -> WorkloadSeen | None:
    workload = replica_gates.workload_of(entry.policy)
    if workload is None:
        return None
    return state.workloads.get(workload_key(entry.policy.namespace, workload.kind, workload.name))
