"""Where everything that happened waits to be decided about: one bounded queue, coalesced by object.

Sources, the executor and ticks post; the loop takes. A later fact about an object replaces an earlier one that nobody has looked at yet,
so a storm of updates costs one decision. Never blocks a poster, never decides.
"""

import asyncio
from typing import Final

from burster.model import stimuli as s
from burster.model.errors import BursterError
from burster.model.stimuli import Stimulus


#: More distinct objects at once than any cluster has: beyond it, the controller is better restarted than left to grow.
STIMULI_MAX: Final = 200_000

#: The order in which one batch's facts are told to the engine: rules first, then what became of instructions, then the world.
_ORDER: Final[dict[type, int]] = {
    kind: position
    for position, kind in enumerate(
        (
            s.LedgerHealth,
            s.LedgerRestored,
            s.ClusterLimitsSeen,
            s.ClusterStop,
            s.NamespaceSeen,
            s.NamespaceGone,
            s.PolicySeen,
            s.PolicyRefused,
            s.PolicyGone,
            s.TargetSeen,
            s.TargetRefused,
            s.TargetGone,
            s.TargetUnread,
            s.TargetChecked,
            s.OfferingsSeen,
            s.QuotaSeen,
            s.TrusteeHealth,
            s.DrainRequested,
            s.DrainCancelled,
            s.BurstSeen,
            s.BurstGone,
            s.BurstRecorded,
            s.PodPlaced,
            s.MachineLaunched,
            s.CloudPodSeen,
            s.SandboxFailed,
            s.PodDeleted,
            s.CloudPodGone,
            s.PodReturned,
            s.VmsObserved,
            s.EndpointPublished,
            s.MachineDeleted,
            s.StatusWritten,
            s.RecordDeleted,
            s.VmDeleted,
            s.ResourceDeleted,
            s.ScaleSet,
            s.SignalPublished,
            s.PolicyStatusWritten,
            s.TargetStatusWritten,
            s.PolicyReleased,
            s.InstructionFailed,
            s.CapacitySeen,
            s.WorkloadSeen,
            s.WorkloadGone,
            s.MetricRead,
            s.ResourceRead,
            s.MetricFailed,
            s.PodLeft,
            s.PodSeen,
            s.CloudListed,
            s.SourceSynced,
            s.Tick,
        )
    )
}


class BusOverflowError(BursterError):
    """More is waiting than a sane cluster can say at once."""


def object_key(stimulus: Stimulus) -> tuple[str, ...]:  # noqa: C901, PLR0911, PLR0912 - one line per family of facts
    """Return what a stimulus is about; a later one about the same replaces an earlier one."""
    match stimulus:
        case s.PodSeen(pod=pod):
            return ("pod", pod.namespace, pod.name, pod.uid)
        case s.PodLeft():
            return ("pod", stimulus.namespace, stimulus.name, stimulus.uid)
        case s.CloudPodSeen(phase="Succeeded" | "Failed"):
            # How a task ended is not to be forgotten over its pod's going, which follows at once where it is being deleted.
            return ("cloud-pod-ended", stimulus.burst_key, stimulus.pod_uid)
        case s.CloudPodSeen() | s.CloudPodGone():
            return ("cloud-pod", stimulus.burst_key, stimulus.pod_uid)
        case s.BurstSeen(burst=burst):
            return ("burst", burst.key, burst.uid)
        case s.BurstGone():
            return ("burst", stimulus.key, stimulus.uid)
        case s.PolicySeen(policy=policy):
            return ("policy", policy.key)
        case s.PolicyGone() | s.PolicyRefused():
            return ("policy", stimulus.key)
        case s.NamespaceSeen() | s.NamespaceGone():
            return ("namespace", stimulus.name)
        case s.WorkloadSeen() | s.WorkloadGone():
            return ("workload", stimulus.namespace, stimulus.kind, stimulus.name)
        case s.MetricRead() | s.ResourceRead():
            return ("metric", stimulus.policy, stimulus.trigger)
        case s.MetricFailed():
            # A trigger is read once in a while: two answers at once are the same read, told twice, or the later one counts.
            return ("metric", stimulus.policy, stimulus.trigger)
        case s.ScaleSet() | s.SignalPublished() | s.PolicyStatusWritten() | s.PolicyReleased():
            return (type(stimulus).__name__, stimulus.policy)
        case s.TargetSeen(target=target):
            return ("target", target.name)
        case s.TargetGone() | s.TargetRefused():
            return ("target", stimulus.name)
        case s.TargetUnread():
            return ("unread", stimulus.target, stimulus.fact)
        case s.OfferingsSeen() | s.QuotaSeen() | s.CloudListed() | s.TrusteeHealth() | s.TargetStatusWritten():
            return (type(stimulus).__name__, stimulus.target)
        case s.TargetChecked():
            return ("checked", stimulus.target)
        case s.Tick():
            return ("tick", stimulus.kind)
        case s.SourceSynced():
            return ("synced", stimulus.source)
        case s.InstructionFailed():
            return ("failed", stimulus.instruction, stimulus.key)
        case s.SandboxFailed():
            return ("sandbox", stimulus.burst_key, stimulus.pod_uid)
        case s.VmDeleted():
            return ("vm", stimulus.target, stimulus.vm)
        case s.ResourceDeleted():
            return ("resource", stimulus.target, stimulus.resource_id)
        case s.BurstRecorded() | s.PodPlaced() | s.PodDeleted() | s.PodReturned() | s.RecordDeleted() | s.VmsObserved():
            return (type(stimulus).__name__, stimulus.key)
        case s.MachineLaunched() | s.EndpointPublished() | s.MachineDeleted():
            return (type(stimulus).__name__, stimulus.key)
        case s.StatusWritten():
            return ("status", stimulus.key, stimulus.phase)
        case _:
            return (type(stimulus).__name__,)


class Bus:
    """The queue. ``post`` from anywhere on the loop; ``wait`` and ``take`` from the loop's one reader."""

    def __init__(self, *, limit: int = STIMULI_MAX) -> None:
        self._limit = limit
        self._waiting: dict[tuple[str, ...], Stimulus] = {}
        self._filled = asyncio.Event()
        self.posted_total = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def post(self, stimulus: Stimulus) -> None:
        """Add a fact. Raises BusOverflowError when too many distinct ones wait."""
        key = object_key(stimulus)
        # A later fact about the same object takes the place at the end: what was said last is told last.
        self._waiting.pop(key, None)
        if len(self._waiting) >= self._limit:
            raise BusOverflowError(
                f"more than {self._limit} facts wait to be decided about; restarting reads the world anew"
            )
        self._waiting[key] = stimulus
        self.posted_total += 1
        self._filled.set()

    async def wait(self) -> None:
        """Return when something waits."""
        await self._filled.wait()

    def take(self, limit: int) -> list[Stimulus]:
        """Return what waits, at most ``limit``, in an order that does not depend on which socket was read first."""
        if len(self._waiting) <= limit:
            batch, self._waiting = list(self._waiting.items()), {}
        else:
            keys = [key for key, _ in zip(self._waiting, range(limit), strict=False)]
            batch = [(key, self._waiting.pop(key)) for key in keys]
        if not self._waiting:
            self._filled.clear()
        batch.sort(key=lambda item: (_ORDER[type(item[1])], item[0]))
        return [stimulus for _, stimulus in batch]
