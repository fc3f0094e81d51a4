"""How many vCPUs a target's subscription uses and may use: one fact a poll, for the engine's room check.

Called by the runtime at start and by the quota tick. It must never add up or forecast: what burster itself launched
since is the engine's business. On failure it raises RemoteError, and the caller keeps what it knew.
"""

from typing import Protocol

from burster.model.offerings import Quota
from burster.model.stimuli import QuotaSeen
from burster.model.targets import Target


class UsageReader(Protocol):
    """Who knows the usages: burster.clients.arm.Arm."""

    async def usages(self, target: Target) -> list[Quota]:
        """Return the rows of the target's region."""
        ...


async def observe_quota(target: Target, arm: UsageReader) -> QuotaSeen:
    """Return every row there is. Raises RemoteError."""
    return QuotaSeen(target=target.name, rows=tuple(await arm.usages(target)))
