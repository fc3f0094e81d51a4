"""The dry-run adaptor: decides, records in the ledger, explains, changes nothing.

A record is "written" in memory only, and its pod is never placed: the burst waits in Placing until its pod leaves the queue, so each pod
is decided about once, exactly as live, and the reasons are the same.

Records that are there for real, a live controller's, are not ended, not settled and not removed, not even in memory: what is settled goes
to the ledger, and a live successor would never charge it.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

import structlog

from burster.model import instructions as i
from burster.model.errors import RemoteError
from burster.model.instructions import Instruction
from burster.model.stimuli import (
    BurstRecorded,
    EndpointPublished,
    MachineDeleted,
    PodDeleted,
    PodReturned,
    PolicyReleased,
    PolicyStatusWritten,
    RecordDeleted,
    ScaleSet,
    SignalPublished,
    StatusWritten,
    Stimulus,
    TargetStatusWritten,
    VmsObserved,
)


#: How the uid of a record begins that a dry run has made: it is in no API server, and shows for what it is wherever it is told.
MARK: Final = "dry-run-"
_LOOK_AGAIN_MS: Final = 15_000
_log = structlog.get_logger("burster.adaptors.dry_run")


class DryRunAdaptor:
    """Answers as if everything had been done, and does nothing."""

    def __init__(self, still_pending: Callable[[str, str], bool], still_wanted: Callable[[str], bool]) -> None:
        """``still_pending(key, uid)``: whether a pod still waits; ``still_wanted(key)``: whether a burst is to be placed at all."""
        self._still_pending = still_pending
        self._still_wanted = still_wanted

    async def carry_out(self, instruction: Instruction) -> Stimulus | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind
        """Return the outcome that keeps the engine's account right without touching anything."""
        await asyncio.sleep(0)
        _leave_alone(instruction)
        _log.info("dry_run.would", instruction=type(instruction).__name__, key=instruction.key)
        match instruction:
            case i.RecordBurst(burst=burst):
                return BurstRecorded(key=burst.key, uid=f"{MARK}{hashlib.sha256(burst.key.encode()).hexdigest()[:12]}")
            case i.PlacePod(burst=burst):
                ref = burst.spec.for_pod
                if ref.uid and not self._still_pending(f"{burst.namespace}/{ref.name}", ref.uid):
                    raise RemoteError("Conflict", "the pending pod has left by itself", code="DryRun")
                if not self._still_wanted(burst.key):
                    raise RemoteError("Conflict", "nobody wants it any more", code="DryRun")
                raise RemoteError(
                    "Unavailable", "a dry run places nothing", code="DryRun", retry_after_ms=_LOOK_AGAIN_MS
                )
            case i.LaunchMachine():
                raise RemoteError(
                    "Unavailable", "a dry run makes nothing", code="DryRun", retry_after_ms=_LOOK_AGAIN_MS
                )
            case i.DeleteMachine(burst=burst):
                return MachineDeleted(key=burst.key)
            case i.PublishEndpoint(burst=burst, ready=ready):
                return EndpointPublished(key=burst.key, ready=ready)
            case i.DeletePod(burst=burst):
                return PodDeleted(key=burst.key, gone=True)
            case i.ReturnPod(burst=burst):
                return PodReturned(key=burst.key)
            case i.ObserveVms(burst=burst):
                return VmsObserved(key=burst.key, vms=())
            case i.MarkVerified(burst=burst) | i.WriteStatus(burst=burst):
                return StatusWritten(key=burst.key, phase=burst.status.phase)
            case i.ForgetBurst(burst=burst):
                return RecordDeleted(key=burst.key)
            case i.SetScale(policy=policy, replicas=replicas):
                return ScaleSet(policy=policy, replicas=replicas)
            case i.PublishSignal(policy=policy, replicas=replicas):
                return SignalPublished(policy=policy, replicas=replicas)
            case i.ReleasePolicy(policy=policy):
                return PolicyReleased(policy=policy)
            case i.WritePolicyStatus(policy=policy):
                return PolicyStatusWritten(policy=policy)
            case i.WriteTargetStatus(target=target):
                return TargetStatusWritten(target=target)
            case i.ListCloud() | i.DeleteVm() | i.DeleteResource() | i.EmitEvent():
                return None


def _leave_alone(instruction: Instruction) -> None:
    """Raise RemoteError where an instruction would end, settle or remove a record that is there for real."""
    match instruction:
        case (
            i.DeletePod(burst=burst)
            | i.DeleteMachine(burst=burst)
            | i.PublishEndpoint(burst=burst)
            | i.ReturnPod(burst=burst)
            | i.ObserveVms(burst=burst)
            | i.ForgetBurst(burst=burst)
        ) if burst.uid and not burst.uid.startswith(MARK):
            raise RemoteError(
                "Unavailable", "a dry run leaves what is real alone", code="DryRun", retry_after_ms=_LOOK_AGAIN_MS
            )
        case _:
            return
