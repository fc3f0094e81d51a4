"""Long-running operations: begun by the cloud, asked about by clients, forgotten after a while."""

import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.resources import Attachment, Operation, VmRecord


_NAMESPACE: Final = uuid.UUID("6f0b1d2e-8a35-4c53-9a5e-2f6d6f1a7c11")
_OPERATIONS_MAX: Final = 20_000


class Operations:
    """The operations that are still remembered."""

    def __init__(self, *, now_ms: Callable[[], int], config: Callable[[], ArmConfig], seed: int) -> None:
        self._now_ms = now_ms
        self._config = config
        self._seed = seed
        self._known: OrderedDict[str, Operation] = OrderedDict()
        self._begun: Counter[str] = Counter()

    def begin(self, of: VmRecord | Attachment) -> Operation:
        """Return a new operation on a VM or one of its parts."""
        nth = self._begun[of.key]
        self._begun[of.key] += 1
        operation = Operation(
            id=str(uuid.uuid5(_NAMESPACE, f"{self._seed}/op/{of.key}/{nth}")),
            region=of.region,
            subscription=of.id.split("/")[2],
            provider=of.id.split("/")[6],
            started_at_ms=self._now_ms(),
        )
        self._known[operation.id] = operation
        if len(self._known) > _OPERATIONS_MAX:
            self._known.popitem(last=False)
        return operation

    def find(self, name: str) -> Operation | None:
        """Return an operation, None where it was never begun or ended too long ago."""
        operation = self._known.get(name.casefold())
        if operation is None or operation.ended_at_ms is None:
            return operation
        return operation if self._now_ms() - operation.ended_at_ms <= self._config().operations_kept_ms else None
