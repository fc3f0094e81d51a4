"""Nothing is written by somebody who may not lead any more: every write asks first, and what it creates says who made it.

The check is the last thing before the request, and the request has no longer than the lead does. It reads a clock and asks nobody: what it
can't see is a process that is frozen between the check and the first byte of a request that was about to be sent.
"""

from typing import Any, Final, Protocol

from burster.adaptors.azure_resources import Cloud
from burster.adaptors.cluster_api import PatchKind
from burster.adaptors.manifests import BURST_LABEL
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource, Vm
from burster.model.targets import Target


EPOCH_ANNOTATION: Final = "burster.dev/epoch"
NOT_LEADING: Final = "NotLeading"  #: the code of what was not done for want of the lead


class Authority(Protocol):
    """The right to write, for a while."""

    @property
    def epoch(self) -> int:
        """The number of this lead: higher than any before."""
        ...

    def remaining_ms(self) -> int:
        """How long it may still be used; zero or less: not any more."""
        ...


class _Requests(Protocol):
    """A Kubernetes API whose requests take a deadline; ``clients.kube.Kube`` is one."""

    async def get(self, path: str, params: dict[str, str] | None = None) -> bytes: ...

    async def create(
        self, path: str, body: Any, params: dict[str, str] | None = None, *, deadline_ms: int | None = None
    ) -> bytes: ...

    async def patch(
        self,
        path: str,
        body: Any,
        *,
        kind: PatchKind = "merge",
        params: dict[str, str] | None = None,
        deadline_ms: int | None = None,
    ) -> bytes: ...

    async def delete(
        self, path: str, body: Any = None, params: dict[str, str] | None = None, *, deadline_ms: int | None = None
    ) -> bytes: ...


class FencedApi:
    """A KubeApi that reads freely and writes only while it may."""

    def __init__(self, api: _Requests, authority: Authority, *, longest_ms: int = 10_000) -> None:
        self._api = api
        self._authority = authority
        self._longest_ms = longest_ms

    async def get(self, path: str, params: dict[str, str] | None = None) -> bytes:
        """GET."""
        return await self._api.get(path, params)

    async def create(self, path: str, body: Any, params: dict[str, str] | None = None) -> bytes:
        """POST; Bursts and cloud pods get the epoch."""
        return await self._api.create(path, self._stamped(body), params, deadline_ms=self._allowed_ms("POST", path))

    async def patch(
        self, path: str, body: Any, *, kind: PatchKind = "merge", params: dict[str, str] | None = None
    ) -> bytes:
        """PATCH."""
        deadline_ms = self._allowed_ms("PATCH", path)
        return await self._api.patch(path, body, kind=kind, params=params, deadline_ms=deadline_ms)

    async def delete(self, path: str, body: Any = None, params: dict[str, str] | None = None) -> bytes:
        """DELETE."""
        return await self._api.delete(path, body, params, deadline_ms=self._allowed_ms("DELETE", path))

    def _allowed_ms(self, verb: str, path: str) -> int:
        return min(self._longest_ms, check(self._authority, f"{verb} {path}"))

    def _stamped(self, body: dict[str, Any]) -> dict[str, Any]:
        metadata: dict[str, Any] = body["metadata"]
        labels: dict[str, str] = metadata.get("labels") or {}
        if body.get("kind") != "Burst" and BURST_LABEL not in labels:
            return body
        before: dict[str, str] = metadata.get("annotations") or {}
        annotations = {**before, EPOCH_ANNOTATION: str(self._authority.epoch)}
        return {**body, "metadata": {**metadata, "annotations": annotations}}


class FencedVms:
    """A cloud that is read freely and in which only somebody who may deletes."""

    def __init__(self, cloud: Cloud, authority: Authority) -> None:
        self._cloud = cloud
        self._authority = authority

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        """Return a VM, or None for a confirmed 404."""
        return await self._cloud.get_vm(target, name)

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group."""
        return await self._cloud.list_vms(target)

    async def delete_vm(self, target: Target, name: str) -> None:
        """Delete a VM and return once its 404 is confirmed."""
        check(self._authority, f"deleting VM {name}")
        await self._cloud.delete_vm(target, name)

    async def list_attachments(self, target: Target) -> list[CloudResource]:
        """Return the network interfaces, disks and public addresses of the target's resource group."""
        return await self._cloud.list_attachments(target)

    async def delete_resource(self, target: Target, resource: CloudResource) -> None:
        """Delete it and return once its 404 is confirmed."""
        check(self._authority, f"deleting {resource.name}")
        await self._cloud.delete_resource(target, resource)


def check(authority: Authority, what: str) -> int:
    """Return how many milliseconds there are. Raises RemoteError Unreachable (nothing was done) where there are none."""
    remaining_ms = authority.remaining_ms()
    if remaining_ms <= 0:
        raise RemoteError("Unreachable", f"{what}: not done, this replica does not lead any more", code=NOT_LEADING)
    return remaining_ms
