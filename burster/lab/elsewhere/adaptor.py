"""The second cloud-api-adaptor: sandboxes of pods under its own RuntimeClass as machines of the small cloud.

The kubelets call it as they call the first one. It keeps CAA's word: the record is written when the machine is there, and goes after it;
a machine that was being made when its sandbox was given up is deleted when it is there; what could not be deleted, peerpod-ctrl goes after.
"""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import section
from burster.lab.caa.body import vm_name
from burster.lab.caa.config import HYPERVISOR, CaaConfig
from burster.lab.caa.peerpods import record_vm, release_record
from burster.lab.cluster.objects import Json
from burster.lab.cluster.remote import SandboxError
from burster.lab.cluster.work import Ground
from burster.lab.elsewhere.cloud import SmallCloud, SmallCloudError, SmallCloudOptions


RUNTIME_CLASS: Final = "kata-remote-sovereign"
PROVIDER: Final = "sovereign"
_MACHINE_TYPE: Final = f"{HYPERVISOR}machine_type"


class ElsewhereOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The second provider, and how fast its guests' agents answer."""

    cloud: SmallCloudOptions
    agent_ready_ms: int = 5_000
    #: what its records say that it is; another word than the target's is a mistake that must be found
    provider: str = PROVIDER


class SecondAdaptor:
    """A ``RemoteRuntime``."""

    def __init__(self, ground: Ground, cloud: SmallCloud, options: ElsewhereOptions) -> None:
        self._store: Final = ground.store
        self._works: Final = ground.works
        self._cloud: Final = cloud
        self._options: Final = options
        self._starts: dict[str, asyncio.Task[Any]] = {}
        self._owned: dict[str, tuple[str, str]] = {}  #: sandbox -> machine's id and record's name
        self._given_up: set[str] = set()

    def handles(self, runtime_class: str) -> bool:
        """Say whether pods of this RuntimeClass are its own."""
        return runtime_class == RUNTIME_CLASS

    async def start_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """Return once the machine's agent answers. Goes on when the kubelet gives up. Raises SandboxError."""
        task = self._works.spawn(self._start(sandbox_id, pod), name=f"StartVM elsewhere {sandbox_id[:8]}")
        self._starts[sandbox_id] = task
        task.add_done_callback(lambda _: self._starts.pop(sandbox_id, None))
        problem = await asyncio.shield(task)
        if problem:
            raise SandboxError(f"remote hypervisor call failed: rpc error: code = Unknown desc = {problem}")

    async def stop_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """Delete the machine, then let go of its record."""
        if sandbox_id in self._starts:
            self._given_up.add(sandbox_id)  # what is being made is deleted as soon as it is there
            return
        await self._end(sandbox_id, pod)

    async def _start(self, sandbox_id: str, pod: Json) -> str:
        """Return why it failed, empty for success."""
        size: str = section(pod["metadata"], "annotations").get(_MACHINE_TYPE, "")
        try:
            machine = await self._cloud.create(vm_name(pod["metadata"]["name"], sandbox_id), size)
        except SmallCloudError as error:
            return f"creating an instance : {error}"
        record = ""
        with contextlib.suppress(ApiError):
            record = record_vm(self._store, pod, sandbox_id, machine, provider=self._options.provider)
        self._owned[sandbox_id] = (machine, record)
        if sandbox_id not in self._given_up:
            await asyncio.sleep(self._options.agent_ready_ms / 1_000)
        if sandbox_id in self._given_up:
            self._given_up.discard(sandbox_id)
            await self._end(sandbox_id, pod)
            return f"sandbox {sandbox_id} was stopped"
        return ""

    async def _end(self, sandbox_id: str, pod: Json) -> None:
        machine, record = self._owned.pop(sandbox_id, ("", ""))
        if not machine:
            return
        await self._cloud.delete(machine)
        if record:
            with contextlib.suppress(ApiError):  # gone already: the pod's end took it
                release_record(self._store, pod["metadata"]["namespace"], record)


class Deleting:
    """The small cloud as peerpod-ctrl deletes there."""

    def __init__(self, cloud: SmallCloud) -> None:
        self._cloud: Final = cloud

    async def delete(self, config: CaaConfig, instance_id: str) -> None:
        """Return when a machine is gone."""
        del config
        await self._cloud.delete(instance_id)
