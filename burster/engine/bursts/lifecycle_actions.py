"""Moves bursts along the edges of their life, up to their work, and asks for what each phase needs.

Their beginning is in ``starting``, their end in ``ending``.

Called by the ``observe`` rooms (an outcome came) and ``timers`` (time passed). Every change of phase goes through ``set_phase``.
"""

from typing import Any, Final, Literal

import msgspec

from burster.engine.accounting import budgets
from burster.engine.accounting.costs import real_cost_micro_usd, running_vms, unbooked_since_ms
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.state import BurstEntry, State, check_edge
from burster.model.bursts import Burst, Phase
from burster.model.decisions import Reason
from burster.model.instructions import (
    EmitEvent,
    Instruction,
    LaunchMachine,
    MarkVerified,
    ObserveVms,
    PlacePod,
    WriteStatus,
)
from burster.model.quantities import cost_micro_usd
from burster.model.stimuli import CloudPodSeen
from burster.model.targets import proof_of


#: How long the cloud may take to say that it makes a machine.
_LAUNCH_MS: Final = 120_000
_OBSERVE_AGAIN_MS: Final = 5_000
_OBSERVE_AGAIN_MAX_MS: Final = 60_000
_RETRY_FIRST_MS: Final = 1_000
_RETRY_MAX_MS: Final = 60_000
_RENEW_BEFORE_MAX_MS: Final = 300_000
#: How long an adopted burst whose pod runs may take to be verified, when its own deadline has passed.
_VERIFY_ADOPTED_MS: Final = 300_000
#: For how long ARM's listing of a resource group may not show a VM that is there, nor notice that one has gone. No bound is documented;
#: what is reported of it is some seconds (github.com/Azure/azure-sdk-for-python/issues/8985), and minutes only where a whole
#: subscription is listed (github.com/Azure/azure-rest-api-specs/issues/28600), which nobody does here.
LIST_LAG_MAX_MS: Final = 60_000
#: For how long a VM that outlives its pod is paid for in advance, each time it is seen.
_OUTLIVING_MS: Final = 300_000


def ask(state: State, entry: BurstEntry, instruction: Instruction) -> None:
    """Emit an instruction for a burst and remember that it is under way."""
    entry.under_way[type(instruction).__name__] = instruction
    state.instructions.append(instruction)


def answered(entry: BurstEntry, kind: str) -> None:
    """Note that an instruction has succeeded: it is no longer under way, and its next failure is its first again."""
    entry.under_way.pop(kind, None)
    entry.attempts.pop(kind, None)


def retry_later(state: State, entry: BurstEntry, kind: str, retry_after_ms: int | None) -> None:
    """Have an instruction repeated after a doubling delay; what the other side asked for is honoured."""
    attempts = entry.attempts.get(kind, 0) + 1
    entry.attempts[kind] = attempts
    delay = min(_RETRY_FIRST_MS * 2 ** min(attempts - 1, 10), _RETRY_MAX_MS)
    state.at(state.now_ms + max(delay, retry_after_ms or 0), "retry", f"{kind} {entry.burst.key}")


def hold(state: State, entry: BurstEntry, micro_usd: int) -> None:
    """Book a reservation in every scope."""
    entry.held_micro_usd += micro_usd
    budgets.reserve(state, *where(entry), micro_usd)


def where(entry: BurstEntry) -> tuple[str, str, str]:
    """Return what a burst counts against: its policy, its namespace, its target."""
    if entry.counts_in is None:
        burst = entry.burst
        entry.counts_in = (burst.policy_key, burst.namespace, burst.spec.target)
    return entry.counts_in


def claim(state: State, entry: BurstEntry, micro_usd: int) -> None:
    """Keep this much for a burst's next renewal, instead of what was kept before."""
    change, entry.claimed_micro_usd = micro_usd - entry.claimed_micro_usd, micro_usd
    if change:
        budgets.claim(state, *where(entry), change)


def count(state: State, entry: BurstEntry, step: int) -> None:
    """Count a burst in (1) or out (-1) of every scope, and of its place."""
    spec, scopes = entry.burst.spec, where(entry)
    budgets.count(state, *scopes, provider=spec.provider, bursts=step, vcpus=step * spec.vcpus)
    policy = state.policies.get(scopes[0])
    if policy is not None:
        policy.count_at((spec.target, spec.region, spec.size), step)


def set_phase(
    state: State, entry: BurstEntry, phase: Phase, *, reason: str = "", message: str = "", **changes: Any
) -> None:
    """Take an edge, and have the record say so."""
    check_edge(entry.burst.status.phase, phase, entry.burst.key)
    if phase not in ANSWERING:
        claim(state, entry, 0)
    change_status(state, entry, phase=phase, reason=reason, message=message, **changes)


def change_status(state: State, entry: BurstEntry, **changes: Any) -> None:
    """Change the status and have it written; a record that does not exist yet is not written to."""
    status = msgspec.structs.replace(entry.burst.status, **changes)
    entry.burst = msgspec.structs.replace(entry.burst, status=status)
    if entry.recorded:
        ask(state, entry, WriteStatus(key=f"status/{entry.burst.key}", burst=entry.burst))


def tell(state: State, entry: BurstEntry, reason: str, message: str, *, warning: bool = False) -> None:
    """Write an event on the pod and on the burst, where people look first; on what is not there yet, none."""
    burst, ref = entry.burst, entry.burst.spec.for_pod
    if ref.name:
        state.instructions.append(_event(state, "Pod", burst.namespace, ref.name, ref.uid, reason, message, warning))
    if burst.uid:
        state.instructions.append(
            _event(state, "Burst", burst.namespace, burst.name, burst.uid, reason, message, warning)
        )


def _event(  # noqa: PLR0913, PLR0917 - an event's parts, as Kubernetes names them
    state: State,
    kind: Literal["Pod", "Burst"],
    namespace: str,
    name: str,
    uid: str,
    reason: str,
    message: str,
    warning: bool,  # noqa: FBT001 - the event's type
) -> EmitEvent:
    return EmitEvent(
        key=f"event/{kind}/{namespace}/{name}/{reason}/{state.now_ms}",
        namespace=namespace,
        kind=kind,
        name=name,
        uid=uid,
        severity="Warning" if warning else "Normal",
        reason=reason,
        message=message,
    )


def place(state: State, entry: BurstEntry) -> None:
    """Go on from a written record to the pod, or to the machine."""
    set_phase(state, entry, "Placing")
    if entry.burst.spec.strategy == "Machine":
        launch(state, entry)
    else:
        ask(state, entry, PlacePod(key=f"place/{entry.burst.key}", burst=entry.burst))


def launch(state: State, entry: BurstEntry) -> None:
    """Ask for a machine; asked twice, the cloud finds the first."""
    ask(state, entry, LaunchMachine(key=f"launch/{entry.burst.key}", burst=entry.burst, deadline_ms=_LAUNCH_MS))


def placed(state: State, entry: BurstEntry, pod_uid: str) -> None:
    """Go on from the created pod to waiting for its VM."""
    placed_at_ms = _placed_at_ms(state, entry, pod_uid)
    set_phase(state, entry, "Provisioning", pod_uid=pod_uid, placed_at_ms=placed_at_ms)
    state.at(ready_by_ms(entry), "deadline", entry.burst.key)
    if entry.burst.spec.strategy == "Move":
        # The pending pod was taken for this: it is gone even before the watch says so.
        covered, entry.covers = entry.covers, ""
        state.pods.pop(covered, None)
    watch_lease(state, entry)


def _placed_at_ms(state: State, entry: BurstEntry, pod_uid: str) -> int:
    """Return since when the cloud pod is there: longer than the answer says, where an earlier attempt or a predecessor has made it."""
    pod = entry.pod
    if not entry.maybe_placed or pod is None or pod.pod_uid != pod_uid:
        return state.now_ms
    return made_at_ms(state, entry, pod)


def made_at_ms(state: State, entry: BurstEntry, pod: CloudPodSeen) -> int:
    """Return when a cloud pod was made by the cluster's clock, which may be wrong: after the decision, and not in the future."""
    return min(state.now_ms, max(entry.burst.spec.decided_at_ms, pod.created_at_ms or state.now_ms))


def ready_by_ms(entry: BurstEntry) -> int:
    """Return until when a placed pod must run and its VM be verified.

    A pod that came up while nobody was there did its part in time: whoever adopts it has to look at its VM first. Whether a machine did,
    only that look tells.
    """
    burst = entry.burst
    placed_at_ms = burst.status.placed_at_ms
    due_ms = (burst.spec.decided_at_ms if placed_at_ms is None else placed_at_ms) + burst.spec.ready_deadline_ms
    if entry.adopted_at_ms is None or not (entry.ran or burst.spec.strategy == "Machine"):
        return due_ms
    return max(due_ms, entry.adopted_at_ms + _VERIFY_ADOPTED_MS)


def attest(state: State, entry: BurstEntry) -> None:
    """Go on from the running pod to looking at its VM."""
    set_phase(state, entry, "Attesting")
    observe(state, entry)


def observe(state: State, entry: BurstEntry) -> None:
    """Ask the cloud for this burst's VMs."""
    if "ObserveVms" not in entry.under_way:
        entry.observing_gone, entry.asked_at_ms = entry.pod_gone_at_ms is not None, state.now_ms
        ask(state, entry, ObserveVms(key=f"observe/{entry.burst.key}", burst=entry.burst))


def listed_by_ms(entry: BurstEntry) -> int:
    """Return from when on every VM that an ending burst may have is in the listing, so that an answer of "none" is the last word.

    A pod that has run has had its VM for long, and one that was never placed has none. In between the kubelet may have started a sandbox
    at any moment until the pod was gone. Where only records tell of VMs, one that is being made then is told of when it is there, or never:
    it is given as long as a launch may take. A node has nothing that is not the API server's to tell. A machine is asked for by its
    name, which no listing is needed for.
    """
    spec, placed_at_ms = entry.burst.spec, entry.burst.status.placed_at_ms
    if spec.strategy == "Machine":
        return 0
    if entry.pod_gone_at_ms is None or not (entry.burst.status.pod_uid or entry.maybe_placed):
        return 0
    proof = proof_of(spec.provider)
    if proof == "Node":
        return entry.pod_gone_at_ms
    if proof == "Record" and not entry.ran:
        launched_at_ms = spec.decided_at_ms if placed_at_ms is None else placed_at_ms
        return max(entry.pod_gone_at_ms + LIST_LAG_MAX_MS, launched_at_ms + spec.launch_deadline_ms)
    return entry.pod_gone_at_ms + (0 if entry.ran else LIST_LAG_MAX_MS)


def observe_again(state: State, entry: BurstEntry) -> None:
    """Have the cloud asked again, less and less often."""
    entry.observations += 1
    delay = min(_OBSERVE_AGAIN_MS * 2 ** min(entry.observations // 6, 5), _OBSERVE_AGAIN_MAX_MS)
    state.at(state.now_ms + delay, "observe", entry.burst.key)


def serve(state: State, entry: BurstEntry, reason: Reason) -> None:
    """Go on from the verified VM to work."""
    set_phase(state, entry, "Serving", serving_at_ms=state.now_ms)
    entry.observations = 0
    if entry.burst.spec.strategy == "Clone":
        ask(state, entry, MarkVerified(key=f"verify/{entry.burst.key}", burst=entry.burst))
    tell(state, entry, "BurstServing", reason.sentence)
    if not entry.covers and entry.burst.spec.strategy == "Clone":
        keep_spare(state, entry)


def keep_spare(state: State, entry: BurstEntry) -> None:
    """Keep a clone that nothing asks for, in case demand comes back; ``releases`` says for how long."""
    if entry.surplus_since_ms is None:
        entry.surplus_since_ms = state.now_ms
    entry.going_at_ms, entry.passed_over = None, False
    state.spares.add(entry.burst.key)
    state.releases_open.add(entry.burst.policy_key)


def renew_before_ms(burst: Burst) -> int:
    """Return how long before its end a lease is renewed."""
    return min(burst.spec.lease_ms // 10, _RENEW_BEFORE_MAX_MS)


def watch_lease(state: State, entry: BurstEntry) -> None:
    """Have the lease looked at in time: first to claim the renewal's money, then to renew it."""
    due_ms = entry.burst.status.lease_until_ms - renew_before_ms(entry.burst)
    state.at(due_ms - renew_before_ms(entry.burst) if state.now_ms < due_ms else due_ms, "lease", entry.burst.key)


def cover_running(state: State, entry: BurstEntry) -> None:
    """Raise the reservation to what is certain to be spent: so far, and by every VM there is until the lease and the drain are over.

    A second VM (the kubelet has tried again), one that outlives its pod or one that can't be deleted spends money that nobody had set
    aside. It can't be refused any more, so it is taken at once from what others could have been granted.
    """
    undeletable = "DeleteMachine" in entry.attempts
    unseen = undeletable and not entry.vms_known  # what it costs is counted from its placing
    if entry.burst.status.phase == "Released" or not (
        unseen or any(end_ms is None for _, end_ms in entry.vms.values())
    ):
        return
    spec = entry.burst.spec
    until_ms = state.now_ms + _OUTLIVING_MS
    if entry.pod_gone_at_ms is None and not undeletable:
        until_ms = entry.burst.status.lease_until_ms + spec.drain_ms
    ahead = running_vms(entry) * cost_micro_usd(spec.price_micro_usd_per_hour, max(0, until_ms - state.now_ms))
    missing = real_cost_micro_usd(state, entry) - entry.booked_micro_usd + ahead - entry.held_micro_usd
    if missing > 0:
        hold(state, entry, missing)
        change_status(state, entry, reserved_micro_usd=entry.held_micro_usd)


def book_spent(state: State, entry: BurstEntry) -> None:
    """Settle what a running burst has cost so far, for the time in which it was spent: it is reserved no more."""
    spent = real_cost_micro_usd(state, entry) - entry.booked_micro_usd
    if not entry.vms or spent <= 0:
        return
    part = min(spent, entry.held_micro_usd)
    entry.held_micro_usd -= part
    since_ms = unbooked_since_ms(entry)
    entry.booked_micro_usd += spent
    entry.booked_until_ms = state.now_ms
    budgets.release(state, *where(entry), part)
    budgets.settle(state, *where(entry), spent, state.now_ms, since_ms)


def book_again(state: State, entry: BurstEntry) -> None:
    """Book what a predecessor had booked of a burst that it adopts: leases were renewed, so a part of its cost is reserved no more."""
    spec, status = entry.burst.spec, entry.burst.status
    if status.lease_until_ms > spec.first_lease_until_ms:
        book_spent(state, entry)
        cover_running(state, entry)


def settle(state: State, entry: BurstEntry) -> int:
    """Settle what is not booked yet of what a burst has cost, at its end; return the whole."""
    cost = max(real_cost_micro_usd(state, entry), entry.booked_micro_usd)
    budgets.settle(state, *where(entry), cost - entry.booked_micro_usd, state.now_ms, unbooked_since_ms(entry))
    entry.booked_micro_usd, entry.booked_until_ms = cost, state.now_ms
    return cost
