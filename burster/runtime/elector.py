"""Who leads: one Lease (coordination.k8s.io/v1), one holder, a hard deadline on everything the holder does.

Only this process's own steady clock counts. A lease is free when it has not changed for as long as its holder promised to renew it, by the
clock of whoever looks; what times it carries, and whether clocks agree, does not matter. A leader must have renewed within a shorter time,
counted from *before* the request; when that passes, its work is cancelled at once, whatever it is doing. ``leaseTransitions`` grows with
every lead: it is the epoch by which ledger and adaptors tell a leader from its successor.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import msgspec
import orjson
import structlog

from burster.model.errors import BursterError, RemoteError
from burster.runtime.clock import Clock


_log = structlog.get_logger("burster.runtime.elector")

T = TypeVar("T")
LEASE: Final = "burster"
#: what a holder may promise at most: a lease that somebody has written by hand must not stop everybody for ever
_PROMISE_MAX_S: Final = 300
#: leaving must not take long
_RELEASE_MS: Final = 2_000


class LeaseTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long a lease holds after its last renewal, when a leader that could not renew stops, how often it renews.

    Each must be well below the one before it: the first difference is what a request may still be under way for.
    """

    duration_ms: int = 15_000
    renew_deadline_ms: int = 10_000
    retry_ms: int = 2_000


class LeadershipLostError(BursterError):
    """The lease could not be renewed in time, or is somebody else's: the work was cancelled."""


class Leases(Protocol):
    """The requests an elector makes; ``clients.kube.Kube`` is one."""

    async def get(self, path: str, params: None = None, *, deadline_ms: int | None = None) -> bytes:
        """GET."""
        ...

    async def create(self, path: str, body: Any, params: None = None, *, deadline_ms: int | None = None) -> bytes:
        """POST."""
        ...

    async def replace(self, path: str, body: Any, params: None = None, *, deadline_ms: int | None = None) -> bytes:
        """PUT, guarded by the body's resourceVersion."""
        ...


class Leadership:
    """What a leader has: an epoch, and the moment until which it may act."""

    def __init__(self, epoch: int, clock: Clock, until_s: float) -> None:
        self.epoch = epoch
        self.until_s = until_s  #: on the clock's steady time
        self._clock = clock
        self._given_up = False

    def remaining_ms(self) -> int:
        """How long it may still act; zero or less: not any more."""
        return 0 if self._given_up else int((self.until_s - self._clock.monotonic()) * 1000)

    def give_up(self) -> None:
        """Make it end now."""
        self._given_up = True


class _Seen(msgspec.Struct, frozen=True):
    """A Lease as it was last seen, and since when it has not changed."""

    body: dict[str, Any]
    spec: dict[str, Any]
    since_s: float


class Elector:
    """One candidate. ``identity`` must be this process's alone."""

    def __init__(
        self,
        leases: Leases,
        clock: Clock,
        *,
        namespace: str,
        identity: str,
        times: LeaseTimes | None = None,
        chance: random.Random,
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._times = times or LeaseTimes()
        self._chance = chance
        self._seen: _Seen | None = None
        self._identity = identity
        self.floor = 0  #: an epoch that has been used, whatever the Lease says: it may have been deleted and made anew
        self.holder = ""  #: who leads, as far as is known
        self.trouble = "the Lease has not been read yet"  #: why the Lease can't be read or written, in a sentence; empty while all is well

    async def lead(self, work: Callable[[Leadership], Awaitable[T]]) -> T:
        """Stand by until the Lease is ours, do the work, let the Lease go.

        Raises what the work raises, and LeadershipLostError: then the work has been cancelled, and has ended.
        """
        leadership = await self._acquire()
        _log.info("leading", epoch=leadership.epoch, identity=self._identity)
        working = asyncio.ensure_future(work(leadership))
        try:
            await self._keep(leadership, working)
            return await working
        finally:
            # Nothing is written from here on; then whatever still runs is waited for, and only then another may lead.
            still_ours = leadership.remaining_ms() > 0
            leadership.give_up()
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await working
            if still_ours:
                await self._release()
            self.holder = ""

    async def _keep(self, leadership: Leadership, working: "asyncio.Future[Any]") -> None:
        """Renew until the work has ended. Raises LeadershipLostError."""
        renewing = asyncio.create_task(self._renew(leadership), name="lease")
        try:
            while not working.done():
                left_s = leadership.until_s - self._clock.monotonic()
                if left_s <= 0:
                    break
                await asyncio.wait({working, renewing}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if renewing.done():
                    break
        finally:
            renewing.cancel()
            (why,) = await asyncio.gather(renewing, return_exceptions=True)
        if working.done():
            return
        leadership.give_up()
        error = why if isinstance(why, Exception) else self._not_renewed()
        _log.error("leadership.lost", epoch=leadership.epoch, why=str(error))
        raise error

    def _not_renewed(self) -> LeadershipLostError:
        because = f": {self.trouble}" if self.trouble else ""
        return LeadershipLostError(
            f"the lease was not renewed within {self._times.renew_deadline_ms / 1000:g}s{because}"
        )

    async def _acquire(self) -> Leadership:
        """Return once the Lease is ours."""
        while True:
            begun_s = self._clock.monotonic()
            try:
                await self._look()
                if self._is_free():
                    begun_s = self._clock.monotonic()
                    epoch = await self._take()
                    self.trouble = ""
                    return Leadership(epoch, self._clock, begun_s + self._times.renew_deadline_ms / 1000)
                self.trouble = ""
            except RemoteError as error:
                if error.kind not in {"Conflict", "AlreadyExists"}:
                    self._troubled(error)
            # Twice as often as a leader renews: whoever lets the Lease go is followed within a second.
            await self._clock.sleep(self._times.retry_ms / 1000 * self._chance.uniform(0.25, 0.5))

    async def _look(self) -> None:
        try:
            found: dict[str, Any] = orjson.loads(
                await self._leases.get(f"{self._path}/{LEASE}", deadline_ms=self._once_ms)
            )
        except RemoteError as error:
            if error.kind != "NotFound":
                raise
            self._seen, self.holder = None, ""
            return
        spec: dict[str, Any] = found.get("spec") or {}
        since_s = self._clock.monotonic()
        if self._seen is not None and self._seen.spec == spec:
            since_s = self._seen.since_s
        self._seen = _Seen(found, spec, since_s)
        self.holder = str(spec.get("holderIdentity") or "")

    def _is_free(self) -> bool:
        if self._seen is None or self.holder in {"", self._identity}:
            # our own name: a request of ours whose answer was lost
            return True
        promised = self._seen.spec.get("leaseDurationSeconds")
        seconds = min(promised, _PROMISE_MAX_S) if isinstance(promised, int) and promised > 0 else 0
        return self._clock.monotonic() - self._seen.since_s >= max(seconds, self._times.duration_ms / 1000)

    async def _take(self) -> int:
        """Write the Lease as ours, guarded by its resourceVersion; return the new epoch."""
        before = self._seen.spec.get("leaseTransitions") if self._seen is not None else 0
        epoch = max(before if isinstance(before, int) else 0, self.floor) + 1
        now = self._now()
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, self._times.duration_ms // 1000),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": epoch,
        }
        await self._write(spec)
        self.floor = epoch
        return epoch

    async def _write(self, spec: dict[str, Any], deadline_ms: int | None = None) -> None:
        deadline_ms = deadline_ms or self._once_ms
        if self._seen is None:
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}, "spec": spec}
            answer = await self._leases.create(self._path, body, deadline_ms=deadline_ms)
        else:
            body = {**self._seen.body, "spec": {**self._seen.spec, **spec}}
            answer = await self._leases.replace(f"{self._path}/{LEASE}", body, deadline_ms=deadline_ms)
        written: dict[str, Any] = orjson.loads(answer)
        self._seen = _Seen(written, written.get("spec") or {}, self._clock.monotonic())
        self.holder = str(self._seen.spec.get("holderIdentity") or "")

    async def _renew(self, leadership: Leadership) -> None:
        """Renew for ever. Raises LeadershipLostError once the Lease is known to be somebody else's, or is not ours in time."""
        pause_s = self._times.retry_ms / 1000
        next_s = self._clock.monotonic() + pause_s
        while True:
            await self._clock.sleep(max(0.0, next_s - self._clock.monotonic()))
            begun_s = self._clock.monotonic()
            left_ms = leadership.remaining_ms()
            if left_ms <= 0:
                raise self._not_renewed()  # who has slept too long writes nothing
            # counted from the beginning: an attempt that took long is followed by the next at once
            next_s = begun_s + pause_s
            try:
                await self._write({"renewTime": self._now()}, min(self._once_ms, left_ms))
            except RemoteError as error:
                if error.kind == "NotFound":
                    raise LeadershipLostError("somebody has deleted the Lease") from error
                if error.kind != "Conflict":
                    self._troubled(error)
                elif await self._is_still_ours(leadership):
                    next_s = begun_s
                continue
            self.trouble = ""
            if leadership.remaining_ms() > 0:  # what has ended does not come back
                leadership.until_s = begun_s + self._times.renew_deadline_ms / 1000

    async def _is_still_ours(self, leadership: Leadership) -> bool:
        """Read the Lease that was changed under us: by a request of ours whose answer was lost, an annotation, or a successor.

        Returns False where it can't be read. Raises LeadershipLostError where it is not ours.
        """
        try:
            await self._look()
        except RemoteError as error:
            self._troubled(error)
            return False
        ours = self._seen is not None and self._seen.spec.get("leaseTransitions") == leadership.epoch
        if not ours or self.holder != self._identity:
            raise LeadershipLostError(f"the Lease is {self.holder or 'nobody'}'s now")
        return True

    async def _release(self) -> None:
        """Let the Lease go, so that nobody has to wait for its end; where that fails it ends by itself."""
        try:
            await self._write({"holderIdentity": "", "renewTime": self._now()}, _RELEASE_MS)
            _log.info("lease.released")
        except RemoteError as error:
            _log.warning("lease.not_released", message=str(error))

    @property
    def _once_ms(self) -> int:
        """How long one request may take: two fit into the time in which the lease must be renewed."""
        return self._times.renew_deadline_ms // 2

    def _now(self) -> str:
        """Return the time for people to read; nobody decides by it."""
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _troubled(self, error: RemoteError) -> None:
        if self.trouble != str(error):
            _log.warning("lease.trouble", message=str(error))
        self.trouble = str(error)
