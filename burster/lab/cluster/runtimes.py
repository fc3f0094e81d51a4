"""Several runtimes as one, as containerd has a handler for each RuntimeClass."""

from collections.abc import Sequence
from typing import Final

from burster.lab.cluster.objects import Json
from burster.lab.cluster.remote import RemoteRuntime, SandboxError


class Runtimes:
    """A ``RemoteRuntime`` that passes each pod on to the one that handles its RuntimeClass."""

    def __init__(self, runtimes: Sequence[RemoteRuntime]) -> None:
        self._runtimes: Final = tuple(runtimes)

    def handles(self, runtime_class: str) -> bool:
        """Say whether one of them does."""
        return any(each.handles(runtime_class) for each in self._runtimes)

    async def start_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """Have it started. Raises SandboxError."""
        await self._of(pod).start_sandbox(sandbox_id, pod)

    async def stop_sandbox(self, sandbox_id: str, pod: Json) -> None:
        """Have it ended. Raises SandboxError."""
        await self._of(pod).stop_sandbox(sandbox_id, pod)

    def _of(self, pod: Json) -> RemoteRuntime:
        name: str = pod["spec"].get("runtimeClassName") or ""
        for each in self._runtimes:
            if each.handles(name):
                return each
        raise SandboxError(f'no runtime for "{name}" is configured')
