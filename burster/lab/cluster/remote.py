"""How a kubelet gets a sandbox from a remote runtime, and what it does when that takes too long or fails.

``RemoteRuntime`` is the port (the kata shim and its hypervisor service stand behind it); ``SandboxLoop`` is the kubelet's side: one
sandbox id an attempt, four minutes for each, an Event for each failure, a pause, and another attempt, for ever.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from burster.lab.cluster.objects import Json, key_of, stable_digest
from burster.lab.cluster.work import Works


class SandboxError(Exception):
    """The runtime refused or failed; the text is what the shim would report."""


class RemoteRuntime(Protocol):
    """Makes and ends sandboxes elsewhere."""

    def handles(self, runtime_class: str) -> bool:
        """Say whether pods of this RuntimeClass are for this runtime."""
        ...

    async def start_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """Return once the sandbox's agent answers. Goes on in the background when the caller gives up. Raises SandboxError."""
        ...

    async def stop_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """End a sandbox, started or not. Raises SandboxError where it isn't known."""
        ...


def sandbox_id(seed: int, uid: str, attempt: int) -> str:
    """Return the id of a pod's sandbox: 64 hex digits, as containerd makes them, but the same in every run."""
    return stable_digest("sandbox", seed, uid, attempt)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a kubelet waits for a sandbox, and then before the next one."""

    seed: int = 0
    deadline_ms: int = 240_000
    backoff_ms: int = 10_000


class SandboxLoop:
    """Attempts until one sandbox is ready or the pod is over."""

    def __init__(
        self,
        remote: RemoteRuntime,
        works: Works,
        pod: Json,
        patience: Patience,
        *,
        on_ready: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._remote = remote
        self._works = works
        self._pod = pod
        self._patience = patience
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._starting: asyncio.Task[Any] | None = None
        self._stopping: asyncio.Task[Any] | None = None
        self.attempt = 0
        self.sandbox_id = ""

    def start(self) -> None:
        """Begin in the background."""
        self._starting = self._works.spawn(self._attempts(), name=f"sandbox of {key_of(self._pod)}")

    async def stop(self) -> None:
        """Give up or end the sandbox; returns when the runtime has done its part. More than one caller may wait."""
        if self._stopping is None:
            self._stopping = self._works.spawn(self._stop(), name=f"stop sandbox of {key_of(self._pod)}")
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._release(self.sandbox_id)

    async def _release(self, sandbox: str) -> None:
        if not sandbox:
            return
        try:
            await self._remote.stop_sandbox(sandbox, self._pod)
        except SandboxError:
            # unknown there, for example after a restart: a kubelet logs that and goes on
            return

    async def _attempts(self) -> None:
        uid: str = self._pod["metadata"]["uid"]
        while True:
            self.attempt += 1
            self.sandbox_id = sandbox = sandbox_id(self._patience.seed, uid, self.attempt)
            try:
                async with asyncio.timeout(self._patience.deadline_ms / 1000):
                    await self._remote.start_sandbox(sandbox, self._pod)
            except TimeoutError:
                reason = "code = DeadlineExceeded desc = context deadline exceeded"
            except SandboxError as error:
                reason = (
                    f'code = Unknown desc = failed to start sandbox "{sandbox}": failed to create containerd task:'
                    f" failed to create shim task: {error}"
                )
            else:
                self._on_ready()
                return
            self._on_failure(f"Failed to create pod sandbox: rpc error: {reason}")
            self._works.spawn(self._release(sandbox), name=f"clean up sandbox of {key_of(self._pod)}")
            # a kubelet comes back to a failed pod after its back-off and up to half of it more
            jitter = random.Random(f"{self._patience.seed}/backoff/{sandbox}").uniform(1.0, 1.5)
            await asyncio.sleep(self._patience.backoff_ms * jitter / 1000)
