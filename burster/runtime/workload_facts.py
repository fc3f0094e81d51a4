"""Polls the workloads that policies name: when a policy comes or changes, and by the evaluate tick. One request at a time.

Called by the wiring's tap on the bus. What can't be read leaves the old facts as they are. A workload that has not changed is not told
again, so that an idle cluster's ledger does not grow.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from burster.engine.numbers.replica_gates import workload_of
from burster.model.errors import RemoteError
from burster.model.policies import Policy
from burster.model.stimuli import Stimulus, WorkloadGone
from burster.model.triggers import WorkloadRef
from burster.sources.workloads import Reader, Scalers, observe_workload, read_scalers


_log = structlog.get_logger("burster.runtime.workload_facts")

#: More workloads than policies can sensibly scale; what is beyond is not read, and so not scaled.
WORKLOADS_MAX: Final = 1_000
_DEADLINE_S: Final = 30.0


class WorkloadPoller:
    """Which workloads are named, and the one task that reads them."""

    def __init__(self, kube: Reader, post: Callable[[Stimulus], None]) -> None:
        self._kube = kube
        self._post = post
        self._named: dict[str, tuple[str, WorkloadRef]] = {}
        self._told: dict[tuple[str, WorkloadRef], Stimulus] = {}
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
            self._named.pop(policy.key, None)
        elif self._named.get(policy.key) != (policy.namespace, workload):
            self._named[policy.key] = (policy.namespace, workload)
            self.wish()

    def forget(self, key: str) -> None:
        """Read no more for a policy that is gone."""
        self._named.pop(key, None)

    def wish(self) -> None:
        """Read every named workload; asking twice is asking once."""
        if self._named:
            self._wake.set()

    async def run(self) -> None:
        """Read when asked, until cancelled."""
        while True:
            await self._wake.wait()
            self._reading = True
            self._wake.clear()
            try:
                await self._read_all()
            finally:
                self._reading = False

    async def _read_all(self) -> None:
        wanted = sorted({*self._named.values()}, key=lambda item: (item[0], item[1].kind, item[1].name))
        if len(wanted) > WORKLOADS_MAX:
            _log.warning("workloads.too_many", named=len(wanted), read=WORKLOADS_MAX)
        self._told = {item: told for item, told in self._told.items() if item in set(wanted)}
        scalers: dict[str, Scalers | None] = {}
        for namespace, workload in wanted[:WORKLOADS_MAX]:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    if namespace not in scalers:
                        scalers[namespace] = None
                        scalers[namespace] = await read_scalers(self._kube, namespace)
                    known = scalers[namespace]
                    if known is not None:
                        self._tell(
                            (namespace, workload), await observe_workload(self._kube, namespace, workload, known)
                        )
            except (RemoteError, TimeoutError) as error:
                if isinstance(error, RemoteError) and error.kind == "Invalid":
                    gone = WorkloadGone(namespace=namespace, kind=workload.kind, name=workload.name)
                    self._tell((namespace, workload), gone)  # of a kind that has no number: nobody waits for it
                _log.warning(
                    "workload.unread",
                    workload=f"{workload.kind} {namespace}/{workload.name}",
                    message=str(error) or "no answer in time",
                )

    def _tell(self, item: tuple[str, WorkloadRef], fact: Stimulus) -> None:
        if self._told.get(item) != fact:
            self._told[item] = fact
            self._post(fact)
