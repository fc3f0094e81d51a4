"""The port to a place where bursts run: five questions, the same for every provider. What may be believed of the answers stands here.

``LiveAdaptor`` asks the place that a burst's provider and strategy say. ``tests/contract/clouds`` holds every place to this:

**Idempotent by burst.** ``launch`` done twice, also by two processes one after the other, makes at most one thing: it finds its own
earlier one by a name that the burst determines and by a mark that nobody else's has (the burst's uid). What bears the name and not the
mark is somebody else's: it is never taken over, changed or released. ``release`` done twice, or of what was never there, is done.

**Never more than one VM for each launch that is asked for.** A place asks for nothing on its own. Where another program makes the VMs
(cloud-api-adaptor makes another for each attempt of the kubelet), ``observe`` tells every one of them.

**"Gone" is a word for which somebody vouches.** ``observe`` leaves a VM out only where whoever has the last word on it said that it does
not exist: a 404 from the cloud, a record that was removed after its VM, a pod that the API server does not have. What could not be read
is a RemoteError and never an empty answer. A VM on its way up or down is there.

**No fact is assumed.** What a place can't tell of a VM is empty or None in the ``Vm``, and the engine takes that for a mismatch. What a
place can tell at all is its ``Proof`` (``model.targets``).

**Errors.** RemoteError and nothing else. Its kind says what was done: Conflict, Invalid, NotFound, AlreadyExists, Unauthorized, Quota,
Capacity, Throttled and Unreachable: nothing; Unavailable: nothing yet, ask again; Timeout: nobody knows, ask again, never guess.

**Cancellation-safe.** A call that is cancelled at any moment leaves nothing that a later call for the same burst does not find.
"""

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeleteResource, DeleteVm
from burster.model.stimuli import (
    CloudListed,
    MachineDeleted,
    MachineLaunched,
    OfferingsSeen,
    PodDeleted,
    PodPlaced,
    ResourceDeleted,
    VmDeleted,
    VmsObserved,
)
from burster.model.targets import Proof, Target, proof_of


#: What cloud-api-adaptor makes there is no VM, so nothing can ever be proven of it
_NO_VMS: Final = frozenset({"docker"})


def why_never(target: Target) -> str:
    """Return why nothing may ever run at a target, whatever its policies say; "" where it may."""
    if target.provider.casefold() in _NO_VMS:
        return f"Provider {target.provider} runs pods in containers of the worker and not in confidential VMs: nothing may burst there."
    return ""


class Place(Protocol):
    """One kind of place. Every method raises RemoteError, and means the target as it was last seen."""

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return what the target offers besides its own catalogue. Idempotent; nothing is left out because it can't be had now."""
        ...

    async def launch(self, burst: Burst) -> PodPlaced | MachineLaunched:
        """Have the burst's pod, or machine, made if it is not there yet; return before it is up.

        Conflict: what it was decided for has changed, and nothing is there. Timeout: it may be there; asked again, it is found.
        """
        ...

    async def observe(self, burst: Burst) -> VmsObserved:
        """Return every VM that there is for a burst now, also one of a former attempt, also one that is on its way.

        An answer is never older than its question.
        """
        ...

    async def release(self, burst: Burst, *, grace_ms: int, let_go: bool = False) -> PodDeleted | MachineDeleted:
        """Have it ended, with a grace for its work; return whether it is accepted or done.

        Of a pod: accepted is enough, it is gone when the API server says so. Of a machine: it is done, each 404 confirmed.
        """
        ...

    async def list(self, target: Target) -> CloudListed:
        """Return every VM of burster's kind at a target, whoever's it is, and when it was asked. It may lag; nobody is ended by it."""
        ...


@runtime_checkable
class Sweepable(Protocol):
    """A place at which burster itself may delete what nobody claims. Elsewhere it is reported only."""

    async def delete_vm(self, instruction: DeleteVm) -> VmDeleted:
        """Delete a VM and return once its 404 is confirmed; one that is gone counts as deleted."""
        ...

    async def delete_resource(self, instruction: DeleteResource) -> ResourceDeleted:
        """Delete what nobody claims, if it still is what was listed: read once more right before. Conflict where it is not."""
        ...


class TargetBook:
    """Every target ever seen by this process: a burst must be brought home also where its target was deleted meanwhile."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}

    def put(self, target: Target) -> None:
        """Remember a target as it is now."""
        self._targets[target.name] = target

    def get(self, name: str) -> Target:
        """Return a target. Raises RemoteError Unavailable where it was never seen: it may come yet."""
        target = self._targets.get(name)
        if target is None:
            raise RemoteError("Unavailable", f"there is no BurstTarget {name} to tell where its VMs are")
        return target


class Places:
    """The places of one controller: where pods run, by what their provider can prove, and where machines do."""

    def __init__(
        self, targets: TargetBook, pods: Mapping[Proof, Place], *, machines: Mapping[str, Place] | None = None
    ) -> None:
        """``machines``: by provider."""
        self.targets: Final = targets
        self._pods: Final = dict(pods)
        self._machines: Final = dict(machines or {})

    def of_burst(self, burst: Burst) -> Place:
        """Return who launched a burst, or is to. It is the record that says so: a target may have been written anew since."""
        provider = burst.spec.provider
        if burst.spec.strategy == "Machine":
            machine = self._machines.get(provider)
            if machine is None:
                raise RemoteError(
                    "Invalid", f"burster makes no machines at provider {provider}", code="NoMachinesThere"
                )
            return machine
        return self._of(proof_of(provider), provider)

    def of_target(self, target: Target) -> Place:
        """Return who knows what there is at a target."""
        return self._of(target.proof, target.provider)

    def _of(self, proof: Proof, provider: str) -> Place:
        place = self._pods.get(proof)
        if place is None:
            raise RemoteError("Unavailable", f"burster can't reach what runs at provider {provider} here")
        return place
