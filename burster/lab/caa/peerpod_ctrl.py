"""The stand-in for peerpod-ctrl: deletes the VMs that CAA itself forgot.

A PeerPod record that is being deleted with its finalizer still on has a VM nobody has deleted; a record older than another one of the
same pod has a VM from an earlier sandbox. It knows nothing of VMs without a record: those leak. Each is for one provider's records.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import items
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.caa.azure import AzureError
from burster.lab.caa.config import CaaConfig
from burster.lab.caa.peerpods import AZURE, FINALIZER, RESOURCE, release_record
from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json, controller_of, is_terminating, key_of, split_key
from burster.lab.cluster.work import DirtyKeys, Works


RETRY_S: Final = 5.0
RETRY_MAX_S: Final = 300.0


class Vms(Protocol):
    """Where a provider's VMs are deleted; ``azure.Azure`` is one."""

    async def delete(self, config: CaaConfig, instance_id: str) -> None:
        """Return when a VM is gone. Raises AzureError."""
        ...


class PeerPodController:
    """See the module."""

    def __init__(
        self, store: ObjectApi, works: Works, azure: Vms, config: Callable[[], CaaConfig], *, provider: str = AZURE
    ) -> None:
        self._provider = provider
        self._store = store
        self._works = works
        self._azure = azure
        self._config = config
        self._dirty = DirtyKeys(works, self._sync)
        self._newest: dict[str, tuple[int, str]] = {}  #: pod uid -> revision and key of its newest record
        self._deleting: set[str] = set()
        self._unsubscribe: Callable[[], None] | None = None
        self.deleted = 0

    def start(self) -> None:
        """Read what exists and follow it."""
        self._unsubscribe = self._store.subscribe(RESOURCE, self._on_record)
        for record in self._store.list(RESOURCE):
            self._dirty.add(key_of(record))

    def stop(self) -> None:
        """Hear nothing any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _on_record(self, event: StoreEvent) -> None:
        if event.type != "DELETED":
            if event.type == "ADDED":
                self._older_go(event.object, event.revision)
            self._dirty.add(key_of(event.object))
            return
        owner = controller_of(event.object)
        if owner is not None and self._newest.get(owner["uid"], (0, ""))[1] == key_of(event.object):
            del self._newest[owner["uid"]]

    def _older_go(self, record: Json, revision: int) -> None:
        """A pod has one VM: the record of an earlier one is deleted, and its VM with it."""
        owner = controller_of(record)
        if owner is None:
            return
        former = self._newest.get(owner["uid"])
        self._newest[owner["uid"]] = (revision, key_of(record))
        if former is not None:
            self._works.soon(lambda: self._delete_record(former[1]))

    def _delete_record(self, key: str) -> None:
        try:
            self._store.delete(RESOURCE, *split_key(key))
        except ApiError:
            return

    def _sync(self, key: str) -> None:
        record = self._store.get(RESOURCE, *split_key(key))
        if record["spec"].get("cloudProvider") != self._provider:
            return
        held = FINALIZER in items(record["metadata"], "finalizers")
        if is_terminating(record) and held and key not in self._deleting:
            self._deleting.add(key)
            self._works.spawn(self._delete_vm(key, record["spec"]["instanceID"]), name=f"peerpod-ctrl {key}")

    async def _delete_vm(self, key: str, instance_id: str) -> None:
        delay = RETRY_S
        try:
            while True:
                try:
                    await self._azure.delete(self._config(), instance_id)
                    break
                except AzureError:
                    await asyncio.sleep(delay)
                    delay = min(RETRY_MAX_S, delay * 2)
            self.deleted += 1
            try:
                release_record(self._store, *split_key(key))
            except ApiError:
                return  # CAA was quicker
        finally:
            self._deleting.discard(key)
