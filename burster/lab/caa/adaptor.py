"""The stand-in for cloud-api-adaptor: sandboxes of peer pods as Azure VMs.

The kubelets call ``start_sandbox`` and ``stop_sandbox`` (the shim and its hypervisor service are only their error texts). StartVM goes
on in the background when the kubelet gives up; state is in memory; a failed or slow creation is never cleaned up. All of that is the
real one's, and ``CaaFaults`` switches its rarer failures on.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from burster.lab.apiserver.errors import ApiError
from burster.lab.caa.azure import Azure, AzureError
from burster.lab.caa.body import UserDataError, user_data, vm_body, vm_name
from burster.lab.caa.capacity import advertise, withdraw, worker_nodes
from burster.lab.caa.config import CaaConfig, CaaFaults, CaaTimings, hits
from burster.lab.caa.initdata import InitdataError, decode_initdata, effective_initdata
from burster.lab.caa.peerpods import record_vm, release_record
from burster.lab.caa.presence import Presence
from burster.lab.caa.request import annotation_problem, image_of, initdata_of, wanted_size
from burster.lab.caa.sandbox import Sandbox
from burster.lab.caa.sizes import Size, SizeError, choose_size, known_sizes
from burster.lab.cluster.objects import Json, stable_digest
from burster.lab.cluster.remote import SandboxError
from burster.lab.cluster.work import Ground


LOG_KEPT: Final = 500
RUNTIME_CLASS: Final = "kata-remote"


class Adaptor:
    """CAA on all worker nodes. ``log`` is what it would print; ``sandboxes`` what it remembers."""

    def __init__(  # noqa: PLR0913 - its surroundings, each by name
        self,
        ground: Ground,
        azure: Azure,
        *,
        read_config: Callable[[], CaaConfig],
        on_lost: Callable[[str], None],
        timings: CaaTimings | None = None,
        faults: CaaFaults | None = None,
        presence: Presence | None = None,
    ) -> None:
        self._store = ground.store
        self._now_ms = ground.now_ms
        self._works = ground.works
        self._seed = ground.seed
        self._azure = azure
        self._read_config = read_config
        self._on_lost = on_lost
        self._timings = timings or CaaTimings()
        self._faults = faults or CaaFaults()
        self._config: CaaConfig | None = None
        self._sizes: tuple[Size, ...] = ()
        self._presence = presence or Presence(ground.store, ground.now_ms, seed=ground.seed)
        self._up: dict[str, str] = {}  #: node -> uid of the CAA pod there
        self._lives = 0
        self._starts: dict[str, asyncio.Task[Any]] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.log: deque[str] = deque(maxlen=LOG_KEPT)
        self.vms_made = 0
        self.starts_failed = 0

    @property
    def config(self) -> CaaConfig:
        """What it was started with."""
        if self._config is None:
            self._config = self._read_config()
        return self._config

    @property
    def _global_initdata(self) -> str:
        return self._faults.global_initdata or self.config.initdata

    # --- CAA's own life ---

    async def start(self) -> None:
        """Read the ConfigMap and the region's sizes, then advertise slots on every worker node.

        Where ARM doesn't answer, it comes up later, as a crashing pod would. Raises ConfigError.
        """
        self._presence.install()
        if await self._load():
            self._come_up_everywhere()
        else:
            self._works.spawn(self._come_up_later(), name="start CAA")
        if self._faults.restart_after_ms is not None:
            self._works.later(self._faults.restart_after_ms, self._restart_everywhere)

    def stop(self) -> None:
        """Take the slots back, as the last thing a CAA does."""
        for node in list(self._up):
            self._go_down(node)

    async def restart(self, node: str) -> None:
        """Restart CAA on a node: what it was starting is forgotten, and its sandboxes too unless they are kept."""
        if node not in self._up:
            return
        self._go_down(node)
        mine = [sandbox for sandbox in self.sandboxes.values() if sandbox.node == node]
        for sandbox in mine:
            task = self._starts.pop(sandbox.id, None)
            if task is not None:
                task.cancel()
            if sandbox.starting or self._faults.restart_loses_sandboxes:
                del self.sandboxes[sandbox.id]
        await self._load_later()
        self._come_up(node)
        if self._faults.restart_loses_sandboxes:
            for sandbox in mine:
                if not sandbox.starting:
                    self._on_lost(sandbox.pod["metadata"]["uid"])

    def _restart_everywhere(self) -> None:
        for node in list(self._up):
            self._works.spawn(self.restart(node), name=f"restart CAA on {node}")

    async def _come_up_later(self) -> None:
        await self._load_later()
        self._come_up_everywhere()

    async def _load_later(self) -> None:
        """Crash and start until ARM answers."""
        while True:
            await asyncio.sleep(self._timings.restart_ms / 1000)
            if await self._load():
                return

    def _come_up_everywhere(self) -> None:
        for node in worker_nodes(self._store):
            self._come_up(node)

    async def _load(self) -> bool:
        """Read configuration and sizes anew; False where CAA exits: global initdata is broken, or ARM doesn't tell the sizes."""
        self._config = self._read_config()
        try:
            if self._global_initdata:
                decode_initdata(self._global_initdata)
            region = await self._azure.sizes(self._config)
        except (AzureError, InitdataError) as error:
            self._say(f"creating a provider: {error}")
            return False
        self._sizes = known_sizes(region, self._config.sizes, self._config.default_size)
        return True

    def _come_up(self, node: str) -> None:
        self._lives += 1
        self._up[node] = stable_digest("caa", self._seed, node, self._lives)[:32]
        advertise(self._store, node, owner=self._up[node], limit=self.config.limit_per_node)
        self._presence.come_up(node)

    def _go_down(self, node: str) -> None:
        withdraw(self._store, node, owner=self._up.pop(node))
        self._presence.go_down(node)

    # --- what the shim calls ---

    def handles(self, runtime_class: str) -> bool:
        """Say whether pods of this RuntimeClass are peer pods."""
        return runtime_class == RUNTIME_CLASS

    async def start_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """CreateVM and StartVM. Raises SandboxError."""
        node = pod["spec"]["nodeName"]
        problem = annotation_problem(pod)
        if problem:
            raise SandboxError(problem)
        if node not in self._up:
            raise SandboxError(
                "remote hypervisor call failed: dial unix /run/peerpod/hypervisor.sock: connection refused"
            )
        if sandbox_id in self.sandboxes:
            raise SandboxError(_call_failed(f"adding sandbox: sandbox {sandbox_id} already exists"))
        initdata = effective_initdata(initdata_of(pod), self._global_initdata)
        try:
            if initdata:
                decode_initdata(initdata)
        except InitdataError as error:
            raise SandboxError(_call_failed(str(error))) from error
        self.sandboxes[sandbox_id] = sandbox = Sandbox(id=sandbox_id, pod=pod, node=node)
        # its own task: the shim's call has its own context, which the kubelet's patience doesn't end
        task = self._works.spawn(self._start_vm(sandbox, initdata), name=f"StartVM {sandbox_id[:8]}")
        self._starts[sandbox_id] = task
        task.add_done_callback(lambda _: self._starts.pop(sandbox_id, None))
        try:
            error = await asyncio.shield(task)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            # both at once is the lab's end, not CAA's: who waits here is meant as well
            if task.cancelled() and not (waiting is not None and waiting.cancelling()):
                raise SandboxError("remote hypervisor call failed: ttrpc: closed") from None
            raise
        if error:
            raise SandboxError(_call_failed(error))

    async def stop_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """StopVM: delete the VM and wait; a failure is only logged, and the sandbox is forgotten either way. Raises SandboxError."""
        sandbox = self.sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.node not in self._up:
            raise SandboxError(_call_failed(f"stopping VM: sandbox {sandbox_id} does not exist"))
        meta = pod["metadata"]
        if sandbox.starting and self._faults.leak_abandoned:
            # nobody tells CAA that the sandbox was given up; what it is making stays
            self._say(f"sandbox {sandbox_id} abandoned while starting")
            del self.sandboxes[sandbox_id]
            return
        problem = "beginning VM deletion: context deadline exceeded"
        if not hits(self._faults.swallow_delete, meta["namespace"], meta["name"]):
            problem = await self._delete(sandbox)
        if problem:
            self._say(f"Error deleting an instance {sandbox.instance_id}: {problem}")
        self.sandboxes.pop(sandbox_id, None)

    # --- StartVM ---

    async def _start_vm(self, sandbox: Sandbox, initdata: str) -> str:
        """Return why it failed, empty for success: nobody may be waiting any more, so there is nobody to raise to."""
        try:
            async with asyncio.timeout(self._timings.start_vm_timeout_ms / 1000):
                problem = await self._make_vm(sandbox, initdata)
        except TimeoutError:
            problem = "context deadline exceeded"
        if problem:
            self.starts_failed += 1
            self._say(f"error starting instance: {problem}")
            if self.sandboxes.get(sandbox.id) is sandbox and sandbox.starting:
                # the shim gives the sandbox up by StopVM, which finds no VM name and forgets it
                del self.sandboxes[sandbox.id]
        sandbox.starting = False
        return problem

    async def _make_vm(self, sandbox: Sandbox, initdata: str) -> str:
        config, meta = self.config, sandbox.pod["metadata"]
        try:
            size = choose_size(wanted_size(sandbox.pod), self._sizes, config.sizes, config.default_size)
            sandbox.vm = vm_name(meta["name"], sandbox.id)
            body = vm_body(
                config,
                name=sandbox.vm,
                size=size,
                image=image_of(sandbox.pod) or config.image,
                data=user_data(meta["namespace"], meta["name"], sandbox.vm, initdata),
                disable_cvm=config.disable_cvm or self._faults.disable_cvm,
            )
            instance_id = await self._azure.create(config, sandbox.vm, body)
        except (SizeError, UserDataError) as error:
            return f"creating an instance : {error}"
        except AzureError as error:
            # whatever ARM has made by now stays: this is how the real one leaks failed VMs
            return f"creating an instance : Creating instance (<nil>): {error}"
        self.vms_made += 1
        if self._struck(self._faults.crash_before_record, sandbox):
            self._works.spawn(self.restart(sandbox.node), name=f"CAA crashed on {sandbox.node}")
            return "ttrpc: closed"
        sandbox.instance_id = instance_id
        problem = await self._own(sandbox)
        if problem and not (self._faults.leak_abandoned and sandbox.id not in self.sandboxes):
            await self._clean_up(sandbox)
        return problem

    async def _own(self, sandbox: Sandbox) -> str:
        """Take possession of a VM that ARM has made: its address, its record, its agent. Return what went wrong."""
        try:
            await self._azure.address(self.config, sandbox.vm)
        except AzureError as error:
            return f"getting IPs for the instance : {error}"
        try:
            sandbox.record = record_vm(self._store, sandbox.pod, sandbox.id, sandbox.instance_id)
        except ApiError as error:
            self._say(f"failed to create PeerPod: {error.message}")
        if sandbox.id not in self.sandboxes:
            return f"setting instance: sandbox {sandbox.id} does not exist"
        ready_ms = self._timings.agent_ready_ms
        if self._struck(self._faults.slow_vm, sandbox):
            ready_ms += self._faults.slow_vm_ms
        if ready_ms > self.config.proxy_timeout_ms:
            await asyncio.sleep(self.config.proxy_timeout_ms / 1000)
            return "failed to establish agent proxy connection: context deadline exceeded"
        await asyncio.sleep(ready_ms / 1000)
        if sandbox.id not in self.sandboxes:
            return f"sandbox {sandbox.id} was stopped"
        return ""

    def _struck(self, pattern: str, sandbox: Sandbox) -> bool:
        """Say whether a first-sandbox fault is for this one."""
        meta = sandbox.pod["metadata"]
        first = stable_digest("sandbox", self._seed, meta["uid"], 1)
        return sandbox.id == first and hits(pattern, meta["namespace"], meta["name"])

    async def _clean_up(self, sandbox: Sandbox) -> None:
        problem = await self._delete(sandbox)
        if problem:
            self._say(f"cleaning up {sandbox.vm}: {problem}")

    async def _delete(self, sandbox: Sandbox) -> str:
        """Delete the VM, wait, and release its record; return what went wrong."""
        try:
            async with asyncio.timeout(self._timings.delete_timeout_ms / 1000):
                await self._azure.delete(self.config, sandbox.instance_id)
        except AzureError as error:
            return str(error)
        except TimeoutError:
            return "context deadline exceeded"
        if sandbox.record:
            with contextlib.suppress(ApiError):  # gone already: the pod's end took it
                release_record(self._store, sandbox.pod["metadata"]["namespace"], sandbox.record)
        return ""

    def _say(self, text: str) -> None:
        self.log.append(f"{self._now_ms()} {text}")


def _call_failed(text: str) -> str:
    return f"remote hypervisor call failed: rpc error: code = Unknown desc = {text}"
