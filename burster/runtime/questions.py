"""Who answers `burster why`, `history` and `spend` for a running controller.

The ledger is read on a thread, by a reader of its own, so that no question holds the loop up; the engine's state is looked at on the
loop's own thread, between two steps. What was settled while the ledger was being read is added from the steps themselves: each answer is
exact for one moment, and agrees with the ledger to the micro-USD.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

import msgspec

from burster.engine import State, StepResult
from burster.engine.why import why_pod, why_policy
from burster.ledger import Ledger, LedgerPlace
from burster.model.errors import InputError
from burster.model.stimuli import Spend, Stimulus
from burster.runtime import answering
from burster.runtime.clock import Clock
from burster.surfaces.answers import (
    HISTORY_MAX,
    BusyError,
    HistoryAnswer,
    HistoryQuery,
    NotReadyError,
    StandingByError,
    SubjectAnswer,
    WhyAnswer,
)
from burster.surfaces.spending import SpendQuery, SpendReport, check_query, spend_report
from burster.surfaces.view import StatusView


#: who waits for an answer at most, the one that is being answered included
WAITING_MAX: Final = 8
NAME_MAX: Final = 600

T = TypeVar("T")


class Leading(Protocol):
    """A controller, as far as it is asked here."""

    @property
    def state(self) -> State:
        """The engine's state, to be looked at only."""
        ...

    @property
    def unwritten(self) -> tuple[Spend, ...]:
        """What is settled and could not be written to the ledger yet."""
        ...


class Desk:
    """Answers for whoever leads in this process. Shown every step, as a listener of the controller's."""

    def __init__(
        self,
        leading: Callable[[], Leading | None],
        view: Callable[[], StatusView],
        place: LedgerPlace,
        clock: Clock,
    ) -> None:
        self._leading = leading
        self._view = view
        self._place = place
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._late: list[list[Spend]] = []  #: one list for each question about money that is under way

    def __call__(self, _stimuli: list[Stimulus], result: StepResult, _now_ms: int) -> None:
        """Note what a step has settled."""
        for late in self._late:
            late.extend(result.spends)

    async def status(self) -> StatusView:
        """Return how everything stands."""
        self._leader()
        return self._view()

    async def why(self, name: str) -> WhyAnswer:
        """Return what is known of NAME or NAMESPACE/NAME."""
        if not name or len(name) > NAME_MAX:
            raise InputError(f"ask for NAME or NAMESPACE/NAME, of {NAME_MAX} characters at most")
        state = self._ready_leader().state
        live = (*state.pods, *state.policies, *state.bursts)
        policies = tuple(state.policies)
        answer = await self._read(lambda ledger: answering.why_answer(ledger, name, live=live, policies=policies))
        state = self._leader().state
        policy, subject = answer.policy, answer.subject
        key = policy.about if policy is not None else subject.about if subject is not None else name
        now = why_pod(state, key)
        if now is not None:
            subject = msgspec.structs.replace(subject or SubjectAnswer(about=key), now=now)
        if policy is not None:
            policy = msgspec.structs.replace(policy, chain=why_policy(state, key))
        return WhyAnswer(policy=policy, subject=subject)

    async def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return decisions."""
        if not 1 <= query.limit <= HISTORY_MAX:
            raise InputError(f"the limit must be from 1 to {HISTORY_MAX}")
        live = tuple(self._leader().state.policies)
        return await self._read(lambda ledger: answering.history_answer(ledger, query, live_policies=live))

    async def spend(self, query: SpendQuery) -> SpendReport:
        """Return what bursting costs."""
        check_query(query)
        leader = self._ready_leader()
        with self._late_spends() as late:
            unwritten = leader.unwritten
            written = await self._read(lambda ledger: ledger.spend())
            if self._leader() is not leader:
                raise BusyError("the lead has changed while the ledger was read: ask again")
            # from here to the snapshot nothing is awaited: no step comes between
            state, now_ms = leader.state, self._clock.now_ms()
            settled = answering.settled_once(written, unwritten, late)
            still_open = answering.open_money(state)
            if query.policy:
                names = (*state.policies, *(one.policy for one in settled), *(one.policy for one in still_open))
                key = answering.resolve(query.policy, names, what="was spent by policy", where="here")
                query = msgspec.structs.replace(query, policy=key)
        zone_of = answering.zones_of(state)
        view = self._view()
        # adding up hundreds of thousands of settlements takes a while, too
        return await asyncio.to_thread(
            spend_report,
            settled,
            still_open,
            query,
            now_ms=now_ms,
            source="the controller",
            zone_of=zone_of,
            dry_run=view.dry_run,
        )

    def _leader(self) -> Leading:
        leader = self._leading()
        if leader is None:
            view = self._view()
            who = f"{view.led_by} leads" if view.led_by else "nobody leads yet"
            raise StandingByError(f"this replica stands by: {who}", view.led_by)
        return leader

    def _ready_leader(self) -> Leading:
        """Return the leader where it knows what runs: the ledger alone would be half of an answer."""
        leader = self._leader()
        if not leader.state.ready:
            because = self._view().not_ready_because or "it is starting"
            raise NotReadyError(f"the controller does not know everything yet: {because}")
        return leader

    @contextmanager
    def _late_spends(self) -> Generator[list[Spend]]:
        late: list[Spend] = []
        self._late.append(late)
        try:
            yield late
        finally:
            self._late = [one for one in self._late if one is not late]

    async def _read(self, ask: Callable[[Ledger], T]) -> T:
        """Ask the ledger on a thread, one question at a time."""
        if self._waiting >= WAITING_MAX:
            raise BusyError(f"{WAITING_MAX} questions are waiting for an answer: ask again in a while")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._ask, ask)
        finally:
            self._waiting -= 1

    def _ask(self, ask: Callable[[Ledger], T]) -> T:
        place = self._place
        with Ledger.read(place.path) if place.address is None else Ledger.read_from(place.address) as ledger:
            return ask(ledger)
