"""Tells what the workloads that policies name are like: by a watch of each, and by a poll of those that no watch vouches for.

Called by the wiring's tap on the bus. A policy that comes or changes, and the evaluate tick, have read who sets numbers (HPAs and
ScaledObjects, a list for each namespace) and, one request at a time, every workload whose watch is not synced, broken, or beyond the bound.
What can't be read leaves the old facts as they are. A workload that has not changed is not told again, so that an idle cluster's ledger
does not grow; for the same reason a change of nothing but its version waits for the tick.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from burster.engine.numbers.replica_gates import workload_of
from burster.model.errors import RemoteError
from burster.model.policies import Policy
from burster.model.stimuli import Stimulus, WorkloadGone, WorkloadSeen
from burster.model.triggers import WorkloadRef
from burster.runtime.workload_watches import WATCHES_MAX, Item, WorkloadWatches
from burster.sources.feed import Feed
from burster.sources.workloads import Reader, Scalers, observe_workload, read_scalers, with_scalers


_log = structlog.get_logger("burster.runtime.workload_facts")

#: More workloads than policies can sensibly scale; what is beyond is not read, and so not scaled.
WORKLOADS_MAX: Final = 1_000
_DEADLINE_S: Final = 30.0


class WorkloadPoller:
    """Which workloads are named, and the one task that reads them and has them followed.

    ``feed`` returns what the watch of a name is to run with; None: all are polled.
    """

    def __init__(
        self,
        kube: Reader,
        post: Callable[[Stimulus], None],
        feed: Callable[[str], Feed] | None = None,
        *,
        watches_max: int = WATCHES_MAX,
    ) -> None:
        self._kube = kube
        self._post = post
        self._named: dict[str, Item] = {}
        self._told: dict[Item, Stimulus] = {}
        self._scalers: dict[str, Scalers] = {}  #: of each namespace, as read last; none where that failed
        self._watches = None if feed is None else WorkloadWatches(feed, self._news, most=watches_max)
        self._wake = asyncio.Event()
        self._reading = False

    @property
    def busy(self) -> bool:
        """Whether something is being read or about to be."""
        return self._reading or self._wake.is_set()

    def policy(self, policy: Policy) -> None:
        """Note which workload a policy names now, and read it."""
        workload = workload_of(policy) if policy.numeric else None
        if workload is None:
            self.forget(policy.key)
        elif self._named.get(policy.key) != (policy.namespace, workload):
            self.forget(policy.key)
            self._named[policy.key] = (policy.namespace, workload)
            self.wish()

    def forget(self, key: str) -> None:
        """Read no more for a policy that is gone."""
        item = self._named.pop(key, None)
        if self._watches is None or item is None or item not in self._watches:
            return
        if item not in self._named.values():
            self._watches.end(item)

    def wish(self) -> None:
        """Read every named workload; asking twice is asking once."""
        if self._named:
            self._wake.set()

    async def run(self) -> None:
        """Follow, and read when asked, until cancelled."""
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    await self._wake.wait()
                    self._reading = True
                    self._wake.clear()
                    try:
                        await self._read_all(group)
                    finally:
                        self._reading = False
            finally:
                if self._watches is not None:
                    self._watches.end_all()

    async def _read_all(self, group: asyncio.TaskGroup) -> None:
        wanted = sorted({*self._named.values()}, key=lambda item: (item[0], item[1].kind, item[1].name))
        if len(wanted) > WORKLOADS_MAX:
            _log.warning("workloads.too_many", named=len(wanted), read=WORKLOADS_MAX)
        self._told = {item: told for item, told in self._told.items() if item in set(wanted)}
        wanted = wanted[:WORKLOADS_MAX]
        if self._watches is not None:
            self._watches.follow(wanted, group)
        namespaces = {namespace for namespace, _ in wanted}
        self._scalers = {name: scalers for name, scalers in self._scalers.items() if name in namespaces}
        asked: set[str] = set()
        for namespace, workload in wanted:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    if namespace not in asked:
                        asked.add(namespace)
                        await self._read_scalers(namespace)
                    if namespace in self._scalers:
                        await self._read(namespace, workload)
            except (RemoteError, TimeoutError) as error:
                if isinstance(error, RemoteError) and error.kind == "Invalid":
                    gone = WorkloadGone(namespace=namespace, kind=workload.kind, name=workload.name)
                    self._tell((namespace, workload), gone)  # of a kind that has no number: nobody waits for it
                _log.warning(
                    "workload.unread",
                    workload=f"{workload.kind} {namespace}/{workload.name}",
                    message=str(error) or "no answer in time",
                )

    async def _read_scalers(self, namespace: str) -> None:
        """Learn who sets numbers in a namespace; while that can't be read, nothing is told of its workloads."""
        try:
            self._scalers[namespace] = await read_scalers(self._kube, namespace)
        except BaseException:
            self._scalers.pop(namespace, None)
            raise

    async def _read(self, namespace: str, workload: WorkloadRef) -> None:
        """Tell what a workload is like: its watch's word where that counts, else what a request says."""
        item = (namespace, workload)
        fact = self._watched(item)
        if fact is None:
            read = await observe_workload(self._kube, namespace, workload, self._scalers[namespace])
            # the watch may have spoken meanwhile: what was read is older, then, or the same
            fact = self._watched(item) or read
        self._tell(item, fact)

    def _watched(self, item: Item) -> WorkloadSeen | WorkloadGone | None:
        known = None if self._watches is None else self._watches.current(item)
        return with_scalers(known, self._scalers[item[0]]) if isinstance(known, WorkloadSeen) else known

    def _news(self, item: Item) -> None:
        """Tell what a watch has found, unless only its version has changed: the next tick tells that."""
        if item[0] not in self._scalers:
            return  # whose number it is, nobody can say yet
        fact, told = self._watched(item), self._told.get(item)
        if (
            isinstance(fact, WorkloadSeen)
            and isinstance(told, WorkloadSeen)
            and replace(fact, version=told.version) == told
        ):
            return
        if fact is not None:
            self._tell(item, fact)

    def _tell(self, item: Item, fact: Stimulus) -> None:
        if self._told.get(item) != fact:
            self._told[item] = fact
            self._post(fact)
