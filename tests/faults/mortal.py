"""A controller's process that dies at one chosen boundary between itself and the world.

Every boundary is counted: each write to the API server, each call to ARM, each commit of the ledger. It dies before (nothing has left the
process), during (the request has left, nobody hears the answer; of a commit: the rows are written, the commit is not) or after (it is
done, and nobody has been told).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from burster.lab.site import Connections, Site
from burster.ledger import Ledger
from burster.ledger.sqlite import SqliteBackend
from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.runtime.clock import Clock
from burster.runtime.wiring import Controller, ControllerOptions


T = TypeVar("T")
Moment = Literal["before", "during", "after"]
MOMENTS: Final[tuple[Moment, ...]] = ("before", "during", "after")


class Death(NamedTuple):
    """Where a process is to die: at which of its operations, counted from 0, and when of it."""

    operation: int
    moment: Moment


class Life:
    """One process: what it has done, and where it ends. ``epoch`` counts the processes of a run."""

    def __init__(self, epoch: int, death: Death | None = None) -> None:
        self.epoch = epoch
        self.operations: list[str] = []
        self.died = asyncio.Event()
        self.last_words: list[asyncio.Task[Any]] = []  #: requests that left a process that is no more
        self._death = death

    def remaining_ms(self) -> int:
        """How long it may still act: as long as it lives."""
        return 0 if self.died.is_set() else 10_000

    def doom(self, operations: int, moment: Moment) -> None:
        """Let it die so many operations from now."""
        self._death = Death(len(self.operations) + operations, moment)

    def _moment(self, what: str) -> Moment | None:
        if self.died.is_set():
            raise asyncio.CancelledError
        self.operations.append(what)
        due = self._death is not None and self._death.operation == len(self.operations) - 1
        return self._death.moment if due and self._death else None

    def _die(self) -> None:
        self.died.set()
        raise asyncio.CancelledError

    async def request(self, what: str, send: Callable[[], Awaitable[T]], leave: Callable[[], Awaitable[T]]) -> T:
        """Send a request, if one lives so long; ``leave``: the same request by somebody who outlives the process."""
        match self._moment(what):
            case None:
                return await send()
            case "before":
                self._die()
            case "during":
                self.last_words.append(asyncio.ensure_future(leave()))
                self._die()
            case "after":
                with suppress(RemoteError):  # "no" is an answer too
                    await send()
                self._die()
        raise AssertionError("a dead process goes on")

    @contextmanager
    def commit(self, ledger: Ledger) -> Iterator[None]:
        """Have a commit around which, or in the middle of which, one dies."""
        moment = self._moment("COMMIT ledger")
        backend: Any = ledger._backend
        if moment == "before":
            self._die()
        elif moment == "during":

            def insert(*arguments: Any) -> None:
                SqliteBackend._insert(*arguments)
                self._die()

            backend._insert = insert
        yield
        if moment == "after":
            self._die()


class MortalKube:
    """A Kubernetes API whose writes are boundaries."""

    def __init__(self, life: Life, own: Any, outlives: Any) -> None:
        self._life = life
        self._own = own
        self._outlives = outlives

    def __getattr__(self, name: str) -> Any:
        if name not in {"create", "patch", "delete", "replace"}:
            return getattr(self._own, name)

        async def write(path: str, *arguments: Any, **options: Any) -> bytes:
            if "/events" in path:  # a courtesy: nothing hangs on it
                return await getattr(self._own, name)(path, *arguments, **options)
            return await self._life.request(
                f"{name} {path.rpartition('/v1')[2]}",
                lambda: getattr(self._own, name)(path, *arguments, **options),
                lambda: getattr(self._outlives, name)(path, *arguments, **options),
            )

        return write


class MortalCloud:
    """ARM, whose calls are boundaries."""

    def __init__(self, life: Life, own: Any, outlives: Any) -> None:
        self._life = life
        self._own = own
        self._outlives = outlives

    def __getattr__(self, name: str) -> Any:
        async def call(target: Target, *arguments: Any, **options: Any) -> Any:
            about = [one if isinstance(one, str) else getattr(one, "name", "") for one in arguments]
            if name == "follow_operation":
                about = []  # its token is nothing to know it again by
            return await self._life.request(
                " ".join(["ARM", name, *filter(None, about)]),
                lambda: getattr(self._own, name)(target, *arguments, **options),
                lambda: getattr(self._outlives, name)(target, *arguments, **options),
            )

        return call


class MortalLedger:
    """A ledger whose commits are boundaries."""

    def __init__(self, life: Life, ledger: Ledger) -> None:
        self._life = life
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def append_step(self, *arguments: Any, **options: Any) -> int:
        with self._life.commit(self._ledger):
            return self._ledger.append_step(*arguments, **options)


async def live(
    clock: Clock,
    site: Site,
    place: Path,
    life: Life,
    after_life: Connections,
    until: Callable[[Controller], Awaitable[None]],
    options: ControllerOptions,
) -> None:
    """Run one process until it dies, or else ``until`` is over. Raises what the controller raises."""
    async with site.connections() as own:
        with Ledger.open(place, epoch=life.epoch) as ledger:
            controller = Controller(
                kube=MortalKube(life, own.kube, after_life.kube),  # type: ignore[arg-type]
                cloud=MortalCloud(life, own.arm, after_life.arm),  # type: ignore[arg-type]
                facts=own,
                ledger=MortalLedger(life, ledger),  # type: ignore[arg-type]
                clock=clock,
                options=options,
                authority=life,
                reach=site.guests.reach,
            )
            running = asyncio.create_task(controller.run(), name=f"controller {life.epoch}")
            ends = [asyncio.create_task(life.died.wait()), asyncio.create_task(until(controller))]
            await asyncio.wait({running, *ends}, return_when=asyncio.FIRST_COMPLETED)
            for task in (running, *ends):
                if not task.done():
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
