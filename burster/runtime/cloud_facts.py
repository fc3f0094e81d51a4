"""Polls what targets offer and may use: when a target appears or changes, and by ticks. One request at a time; failures are repeated.

Called by the wiring's tap on the bus. What can't be read leaves the old facts as they are: the engine keeps deciding on what it knows.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Literal, Protocol

import structlog

from burster.model.errors import RemoteError, RemoteKind
from burster.model.stimuli import OfferingsSeen, QuotaSeen, Stimulus, TargetFact, TargetUnread
from burster.model.targets import Target
from burster.runtime.agenda import Agenda
from burster.runtime.clock import Clock


_log = structlog.get_logger("burster.runtime.cloud_facts")

Fact = Literal["offerings", "quota"]
#: What one reading tells of
_IN: Final[dict[Fact, frozenset[TargetFact]]] = {
    "offerings": frozenset({"offerings", "prices"}),
    "quota": frozenset({"quota"}),
}
_MESSAGE_MAX: Final = 500
_RETRY_S: Final = 30.0
#: Sizes without today's prices are looked at again this soon: the whole list of sizes comes with them.
_PRICES_RETRY_S: Final = 300.0
_DEADLINE_S: Final = 120.0


class CloudFacts(Protocol):
    """Reads one target's facts; each raises RemoteError."""

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return OfferingsSeen."""
        ...

    async def quota(self, target: Target) -> QuotaSeen:
        """Return QuotaSeen."""
        ...


class FactsPoller:
    """A set of wishes and the one task that grants them."""

    def __init__(self, facts: CloudFacts, post: Callable[[Stimulus], None], clock: Clock) -> None:
        self._facts = facts
        self._post = post
        self._targets: dict[str, Target] = {}
        # of one target the quota first
        self._wishes = Agenda[tuple[Fact, str]](clock, lambda wish: (wish[1], wish[0] != "quota"))
        self._unread: dict[tuple[str, TargetFact], TargetUnread] = {}  #: what was told to have failed, and has since

    @property
    def busy(self) -> bool:
        """Whether something is being read or about to be; what failed and waits for its next try does not count."""
        return self._wishes.busy

    def target(self, target: Target) -> None:
        """Note a target as it is now, and read everything about it if it is new or changed."""
        if self._targets.get(target.name) != target:
            self._targets[target.name] = target
            # the quota first: what may be had is not to be known before it is known how much of it
            self.wish("quota", target.name)
            self.wish("offerings", target.name)

    def forget(self, name: str) -> None:
        """Stop polling a target that is gone."""
        self._targets.pop(name, None)
        self._unread = {key: told for key, told in self._unread.items() if key[0] != name}

    def wish_all(self, fact: Fact) -> None:
        """Read one kind of fact for every target."""
        for name in self._targets:
            self.wish(fact, name)

    def wish(self, fact: Fact, name: str, *, after_s: float = 0.0) -> None:
        """Ask for a fact; asking twice is asking once."""
        self._wishes.wish((fact, name), after_s=after_s)

    async def run(self) -> None:
        """Grant wishes until cancelled."""
        await self._wishes.run(self._grant)

    async def _grant(self, wish: tuple[Fact, str]) -> None:
        fact, name = wish
        target = self._targets.get(name)
        if target is None:
            return
        read = self._facts.offerings if fact == "offerings" else self._facts.quota
        try:
            async with asyncio.timeout(_DEADLINE_S):
                seen = await read(target)
                self._post(seen)
                self._unread = {
                    key: told for key, told in self._unread.items() if key[0] != name or key[1] not in _IN[fact]
                }
                if isinstance(seen, OfferingsSeen) and seen.prices_problem:
                    _log.warning("cloud_facts.prices", target=name, message=seen.prices_problem)
                    self.wish(fact, name, after_s=_PRICES_RETRY_S)
        except (RemoteError, TimeoutError) as error:
            message = str(error) or "no answer in time"
            _log.warning("cloud_facts.failed", fact=fact, target=name, message=message)
            kind: RemoteKind = error.kind if isinstance(error, RemoteError) else "Timeout"
            self._tell(TargetUnread(target=name, fact=fact, message=message[:_MESSAGE_MAX], kind=kind))
            self.wish(fact, name, after_s=_RETRY_S)

    def _tell(self, unread: TargetUnread) -> None:
        """Say that something could not be read, and not again while the same is wrong."""
        if self._unread.get((unread.target, unread.fact)) != unread:
            self._unread[unread.target, unread.fact] = unread
            self._post(unread)
