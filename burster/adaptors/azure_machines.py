"""Confidential machines on Azure behind the port: burster itself asks for them, follows their making, and deletes all that came with them.

A machine's name follows from its burst and its tags say the burst's uid: that is how a successor finds what its predecessor asked for, and
why nobody else's machine is ever touched. While an operation is under way ARM is asked after the operation alone: it can be followed from
any process by the token in the Burst's status.
"""

from collections.abc import Callable
from typing import Final

import structlog

from burster.adaptors.azure_peer_pods import OfferingReader
from burster.adaptors.cluster_api import KubeApi
from burster.adaptors.fence import NOT_LEADING
from burster.adaptors.machine_bodies import machine_body, made_with
from burster.adaptors.machine_cloud import MachineCloud
from burster.adaptors.port import TargetBook
from burster.adaptors.user_data import build_user_data, read_user_data
from burster.clients.arm_errors import classify
from burster.clients.arm_facts import OperationState
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.offerings import CloudFailure, CloudResource, Vm
from burster.model.stimuli import CloudListed, MachineDeleted, MachineLaunched, OfferingsSeen, VmsObserved
from burster.model.tags import LEASE_END_TAG, MACHINE_PREFIX, UID_TAG, read_tag
from burster.model.targets import Target


_log = structlog.get_logger("burster.adaptors.azure_machines")

#: A deletion is begun, and not waited for: it takes a minute, and whoever carries instructions out has others to carry out.
_BEGIN_DELETE_MS: Final = 3_000
_LOOK_AGAIN_MS: Final = 10_000
#: Phases in which a lease may have been renewed since the machine was told.
_LEASED: Final = frozenset({"Attesting", "Serving", "Draining"})
_KNOWN_MAX: Final = 10_000


class AzureMachines:
    """A ``Place`` for strategy Machine."""

    def __init__(
        self,
        cloud: MachineCloud,
        api: KubeApi,
        targets: TargetBook,
        facts: OfferingReader,
        now_ms: Callable[[], int],
        *,
        cluster: str,
    ) -> None:
        """``cluster`` is this cluster's own name, as in machines' tags; ``facts`` reads sizes and prices."""
        self._cloud: Final = cloud
        self._api: Final = api
        self._targets: Final = targets
        self._facts: Final = facts
        self._now_ms: Final = now_ms
        self._cluster: Final = cluster
        #: machines as they were when last read, by burst uid: what is still being made has not changed in a way that counts
        self._known: dict[str, Vm] = {}

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return the region's sizes, those that can't be had among them, with what they cost."""
        return await self._facts.offerings(target)

    async def launch(self, burst: Burst) -> MachineLaunched:
        """Ask for the machine, unless it was asked for before. AlreadyExists, code NameTaken: somebody else's has its name."""
        target = self._targets.get(burst.spec.target)
        lease_end_ms = _lease_end(burst)
        text = await read_user_data(self._api, burst)
        user_data = build_user_data(text, burst, target, lease_end_ms=lease_end_ms)
        body = machine_body(burst, cluster=self._cluster, user_data=user_data, lease_end_ms=lease_end_ms)
        try:
            begun = await self._cloud.begin_vm(target, burst.spec.pod_name, body)
        except RemoteError as error:
            if error.kind != "AlreadyExists":
                raise
            return await self._adopt(target, burst, error)
        self._remember(burst, begun.vm)
        return MachineLaunched(key=burst.key, vm_id=begun.vm.vm_id, operation=begun.token)

    async def _adopt(self, target: Target, burst: Burst, error: RemoteError) -> MachineLaunched:
        found = await self._cloud.get_vm(target, burst.spec.pod_name)
        if found is None or (_is_ours(found, burst) and found.provisioning_state == "Deleting"):
            raise RemoteError(
                "Unavailable", f"a former machine {burst.spec.pod_name} is just going", retry_after_ms=_LOOK_AGAIN_MS
            ) from error
        if not _is_ours(found, burst):
            sentence = f"there is a machine {found.name} in {target.resource_group} that is not this burst's"
            raise RemoteError("AlreadyExists", sentence, code="NameTaken") from error
        self._remember(burst, found)
        return MachineLaunched(key=burst.key, vm_id=found.vm_id, operation=burst.status.operation)

    async def observe(self, burst: Burst) -> VmsObserved:
        """Return the burst's one machine, and why it came to nothing where it did. Where its lease was renewed, it is told."""
        target = self._targets.get(burst.spec.target)
        ended = await self._look(target, burst.status.operation)
        if ended is not None and ended.state == "InProgress" and burst.uid in self._known:
            return VmsObserved(key=burst.key, vms=(self._known[burst.uid],))
        vm = await self._cloud.get_vm(target, burst.spec.pod_name, instance_view=True)
        if vm is None or not _is_ours(vm, burst):
            last = self._known.pop(burst.uid, None)
            gone = () if last is None else (last,)
            return VmsObserved(key=burst.key, vms=(), gone=gone, failure=ended.failure if ended else None)
        self._remember(burst, vm)
        failure = ended.failure if ended is not None and ended.failure is not None else _failure(vm)
        if failure is None and burst.status.phase in _LEASED:
            await self._tell_lease(target, burst, vm)
        return VmsObserved(key=burst.key, vms=(vm,), failure=failure)

    async def _look(self, target: Target, token: str) -> OperationState | None:
        return await self._cloud.follow_operation(target, token) if token else None

    async def _tell_lease(self, target: Target, burst: Burst, vm: Vm) -> None:
        """Move the tag on by which the machine, and the reaper, know when the lease ends."""
        wanted = str(_lease_end(burst))
        if read_tag(vm.tags, LEASE_END_TAG) == wanted:
            return
        others = {name: value for name, value in vm.tags.items() if name.casefold() != LEASE_END_TAG}
        try:
            await self._cloud.tag_vm(target, vm, {**others, LEASE_END_TAG: wanted})
        except RemoteError as error:
            if error.code == NOT_LEADING:
                raise
            # what was seen counts all the same; the next look tells it, and until then the machine ends when it was to
            _log.warning("machine.lease_not_told", machine=vm.name, kind=error.kind, message=error.message)

    async def release(self, burst: Burst, *, grace_ms: int, let_go: bool = False) -> MachineDeleted:
        """Have the machine, its network interface and its disk deleted. Raises Unavailable until each is confirmed gone."""
        _ = (grace_ms, let_go)  # a machine's workload is asked to stop by its own units, when it is shut down
        target = self._targets.get(burst.spec.target)
        name = burst.spec.pod_name
        vm = await self._cloud.get_vm(target, name)
        if vm is not None and _is_ours(vm, burst):
            if vm.provisioning_state != "Deleting":
                await self._begin_deletion(target, name)
            if vm.provisioning_state == "Deleting" or await self._cloud.get_vm(target, name) is not None:
                raise RemoteError("Unavailable", f"machine {name} is being deleted", retry_after_ms=_LOOK_AGAIN_MS)
            vm = None
        elif vm is None:
            await self._check_made(target, burst)
        if vm is None:
            # what a failed creation left behind, or a detach; the names are this burst's own
            for made in made_with(burst, target):
                await self._delete_left_over(target, made)
        self._known.pop(burst.uid, None)
        return MachineDeleted(key=burst.key)

    async def _check_made(self, target: Target, burst: Burst) -> None:
        """Raise Unavailable while a machine that is not to be seen is still being made: ARM shows it a little later than it takes it."""
        try:
            ended = await self._look(target, burst.status.operation)
        except RemoteError as error:
            # where that can't be told, now or ever, the machine's own 404 has to do
            if error.kind in {"Unauthorized", "Invalid"}:
                return
            raise
        if ended is not None and ended.state == "InProgress":
            sentence = f"machine {burst.spec.pod_name} is being made, and not to be seen yet"
            raise RemoteError("Unavailable", sentence, retry_after_ms=_LOOK_AGAIN_MS)

    async def _begin_deletion(self, target: Target, name: str) -> None:
        try:
            await self._cloud.delete_vm(target, name, deadline_ms=_BEGIN_DELETE_MS)
        except RemoteError as error:
            if error.kind != "Timeout":  # accepted, most likely; the next look tells
                raise

    async def _delete_left_over(self, target: Target, made: CloudResource) -> None:
        try:
            await self._cloud.delete_resource(target, made, deadline_ms=_BEGIN_DELETE_MS)
        except RemoteError as error:
            if error.kind == "Timeout":
                raise RemoteError(
                    "Unavailable", f"{made.name} is being deleted", retry_after_ms=_LOOK_AGAIN_MS
                ) from error
            raise

    async def list(self, target: Target) -> CloudListed:
        """Return every machine of burster's in the target's resource group."""
        listed_at_ms = self._now_ms()
        vms = [vm for vm in await self._cloud.list_vms(target) if vm.name.startswith(MACHINE_PREFIX)]
        return CloudListed(
            target=target.name, listed_at_ms=listed_at_ms, vms=tuple(sorted(vms, key=lambda vm: vm.name))
        )

    def _remember(self, burst: Burst, vm: Vm) -> None:
        self._known[burst.uid] = vm
        while len(self._known) > _KNOWN_MAX:
            del self._known[next(iter(self._known))]


def _is_ours(vm: Vm, burst: Burst) -> bool:
    return bool(burst.uid) and read_tag(vm.tags, UID_TAG) == burst.uid


def _lease_end(burst: Burst) -> int:
    return burst.status.lease_until_ms or burst.spec.first_lease_until_ms


def _failure(vm: Vm) -> CloudFailure | None:
    """Return why a machine has failed, where nobody followed the operation to its end, or ARM has forgotten it."""
    if vm.provisioning_state not in {"Failed", "Canceled"}:
        return None
    known = classify(200, vm.failure_code or vm.provisioning_state, vm.failure_message)
    return CloudFailure(
        kind=known.kind,
        code=known.code,
        matter=known.matter,
        message=vm.failure_message or f"machine {vm.name} is {vm.provisioning_state}",
        limit_vcpus=known.limit_vcpus,
    )
