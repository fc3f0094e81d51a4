"""What happened to one pod or one burst, told from the ledger: for `burster why`, `burster status` and reports.

Reads only. Everything here follows from the recorded stimuli, decisions and settlements; nothing is guessed where the record is silent.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from burster.ledger.store import Ledger, RecordedStimulus
from burster.model import stimuli
from burster.model.bursts import Phase
from burster.model.decisions import Decision
from burster.model.pods import Pod, Resources
from burster.model.quantities import format_micro_usd
from burster.model.stimuli import Stimulus


_EVENTS_MAX: Final = 500  #: a burst's life is short; what is longer is a loop, and its beginning tells


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, in words."""

    at_ms: int
    what: str


class BurstStory(msgspec.Struct, frozen=True, kw_only=True):
    """One burst, from its decision to where it is now (or ended)."""

    burst: str
    policy: str
    pod: str  #: the pending pod it was decided for
    offering: str  #: target/region/size
    phase: Phase
    decided_at_ms: int
    vms: tuple[str, ...] = ()
    reserved_micro_usd: int = 0
    settled_micro_usd: int | None = None


def burst_stories(ledger: Ledger, *, burst: str | None = None) -> tuple[BurstStory, ...]:
    """Return every burst that was ever decided (or one of them), in the order of their decisions."""
    phases: dict[str, Phase] = {}
    vms: dict[str, dict[str, None]] = {}
    for recorded in ledger.stimuli(subject=burst, kinds=("StatusWritten", "VmsObserved", "BurstSeen", "RecordDeleted")):
        match recorded.stimulus:
            case stimuli.StatusWritten(key=key, phase=phase) if phase != "Verified":
                phases[key] = msgspec.convert(phase, Phase)
            case stimuli.VmsObserved(key=key, vms=seen, gone=gone):
                vms.setdefault(key, {}).update((vm.name, None) for vm in (*seen, *gone))
            case stimuli.BurstSeen(burst=record):
                phases[record.key] = record.status.phase
                vms.setdefault(record.key, {}).update(dict.fromkeys(record.status.vms))
            case stimuli.RecordDeleted(key=key):
                phases[key] = "Released"
            case _:
                pass
    settled = {spend.burst: spend.micro_usd for spend in ledger.spend()}
    return tuple(
        BurstStory(
            burst=decision.burst,
            policy=decision.policy,
            pod=decision.subject,
            offering=decision.offering,
            phase=phases.get(decision.burst, "Reserved"),
            decided_at_ms=decision.at_ms,
            vms=tuple(vms.get(decision.burst, ())),
            reserved_micro_usd=_number(decision, "reserved_micro_usd"),
            settled_micro_usd=settled.get(decision.burst),
        )
        for decision in ledger.decisions(verdict="Burst", burst=burst)
    )


def life_of_burst(ledger: Ledger, burst: str) -> tuple[Event, ...]:
    """Return what happened to a burst, in order; what is merely said again is left out."""
    events = list(_life(ledger, burst))
    events += [
        Event(at_ms=spend.at_ms, what=f"settled for {format_micro_usd(spend.micro_usd)}")
        for spend in ledger.spend()
        if spend.burst == burst
    ]
    return tuple(sorted(events, key=lambda event: event.at_ms))


def _life(ledger: Ledger, burst: str) -> Iterator[Event]:
    last: dict[str, str] = {}
    count = 0
    for recorded in ledger.stimuli(subject=burst):
        what, kind = _in_words(recorded.stimulus), type(recorded.stimulus).__name__
        if kind == "BurstSeen":
            # the record as it comes back from the API: the same phase that was, or is about to be, written
            kind = "StatusWritten"
        if what and last.get(kind) != what:
            last[kind] = what
            count += 1
            yield Event(at_ms=recorded.at_ms, what=what)
        if count >= _EVENTS_MAX:
            return


def _cloud_pod(seen: stimuli.CloudPodSeen) -> str:
    ready = ", ready" if seen.ready else ""
    leaving = ", stopping" if seen.terminating else ""
    where = f" on {seen.node_name}" if seen.node_name else ""
    return f"the cloud pod is {seen.phase}{ready}{leaving}{where}"


def _vms(observed: stimuli.VmsObserved) -> str:
    told = "; ".join(f"VM {vm.name} ({vm.size}) is {vm.provisioning_state}" for vm in observed.vms)
    return told or "the cloud confirms that no VM is there"


def _failure(failed: stimuli.SandboxFailed | stimuli.InstructionFailed) -> str:
    what = (
        f"the sandbox could not be started ({failed.count} so far)"
        if isinstance(failed, stimuli.SandboxFailed)
        else f"{failed.instruction} failed"
    )
    return f"{what}: {failed.code or failed.kind}: {failed.message}"


#: what a stimulus about a burst says, in words; kinds that are not here say nothing of its life
_WORDS: Final[dict[type[Any], Callable[[Any], str]]] = {
    stimuli.BurstRecorded: lambda _: "the Burst is recorded",
    stimuli.PodPlaced: lambda _: "the cloud pod is placed",
    stimuli.CloudPodSeen: _cloud_pod,
    stimuli.CloudPodGone: lambda _: "the cloud pod is gone",
    stimuli.VmsObserved: _vms,
    stimuli.StatusWritten: lambda written: (
        "the pod's readiness gate is set" if written.phase == "Verified" else f"phase {written.phase}"
    ),
    stimuli.PodDeleted: lambda deleted: (
        "the cloud pod was gone already" if deleted.gone else "the cloud pod is asked to stop"
    ),
    stimuli.PodReturned: lambda _: "the moved pod is pending on-prem again",
    stimuli.SandboxFailed: _failure,
    stimuli.InstructionFailed: _failure,
    stimuli.BurstSeen: lambda seen: f"phase {seen.burst.status.phase}",
    stimuli.BurstGone: lambda _: "the record is removed",
    stimuli.RecordDeleted: lambda _: "the record is removed",
}


def _in_words(stimulus: Stimulus) -> str:
    write = _WORDS.get(type(stimulus))
    return write(stimulus) if write else ""


def pod_events(ledger: Ledger, pod: str) -> tuple[Event, ...]:
    """Return when a pod was seen pending and how that ended."""
    events: list[Event] = []
    for recorded in ledger.stimuli(subject=pod, kinds=("PodSeen", "PodLeft")):
        what = _pod_in_words(recorded)
        if what and (not events or events[-1].what != what):
            events.append(Event(at_ms=recorded.at_ms, what=what))
    return tuple(events[:_EVENTS_MAX])


def _pod_in_words(recorded: RecordedStimulus) -> str:
    match recorded.stimulus:
        case stimuli.PodSeen(pod=pod):
            return f"no node takes it: {pod.message}" if pod.unschedulable else "seen, and not waiting for a node"
        case stimuli.PodLeft(why="Bound"):
            return "an on-prem node has taken it"
        case stimuli.PodLeft():
            return "it is gone from the cluster's queue"
        case _:
            return ""


def pending_at_end(ledger: Ledger) -> tuple[Pod, ...]:
    """Return the pods that no node had taken when the ledger ends, those that wait longest first."""
    pods: dict[str, Pod] = {}
    for recorded in ledger.stimuli(kinds=("PodSeen", "PodLeft")):
        match recorded.stimulus:
            case stimuli.PodSeen(pod=pod):
                pods[pod.uid] = pod
            case stimuli.PodLeft(uid=uid):
                pods.pop(uid, None)
            case _:
                pass
    waiting = [pod for pod in pods.values() if pod.unschedulable]
    return tuple(sorted(waiting, key=lambda pod: (pod.unschedulable_since_ms or 0, pod.key)))


def capacity_at_end(ledger: Ledger) -> tuple[int, Resources, Resources]:
    """Return the on-prem nodes' number, what is asked of them and what they have, as last seen."""
    last = stimuli.CapacitySeen(nodes=0, allocatable=Resources(), requested=Resources())
    for recorded in ledger.stimuli(kinds=("CapacitySeen",)):
        if isinstance(recorded.stimulus, stimuli.CapacitySeen):
            last = recorded.stimulus
    return last.nodes, last.requested, last.allocatable


def _number(decision: Decision, name: str) -> int:
    return next((reason.numbers[name] for reason in decision.reasons if name in reason.numbers), 0)
