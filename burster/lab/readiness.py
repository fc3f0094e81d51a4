"""The system's selector, made complete and orderly for the lock-step loop.

What was sent within this process before a poll is part of that poll's answer, and the answer's order is the order of registration: neither
depends on when the kernel got round to it. Used by burster.lab.lockstep only; it must never decide about time itself.
"""

import selectors
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from burster.lab.loopback import Wire
from burster.model.errors import BursterError


if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


Events = list[tuple[selectors.SelectorKey, int]]

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
#: how long (real) something may be under way before that is an error of the lab and not of the machine's load
STALL_S: Final = 30.0
#: how long (real) a turn of the loop waits for what could also be held up by a full queue
_SOON_S: Final = 0.1


class LockstepError(BursterError):
    """The virtual world can't go on: nothing is scheduled, something never arrives, or it ran longer than allowed."""


class Patience:
    """The limit (real) on waiting for what the kernel must deliver by itself."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._since = time.monotonic()

    def is_over(self, limit_s: float) -> bool:
        """Say whether it has lasted longer than that."""
        return time.monotonic() - self._since > limit_s

    def check(self) -> None:
        """Raise LockstepError when it is exhausted."""
        if self.is_over(STALL_S):
            raise LockstepError(f"after {STALL_S:g} real seconds still under way: {self._wire.describe()}")


class CompleteSelector(selectors.BaseSelector):
    """A selector that asks the loop before it reports that nothing happens.

    Whether an end may write to another one in this process is decided by the window of burster.lab.loopback: the kernel isn't asked.
    """

    def __init__(self) -> None:
        self._inner: Final = selectors.DefaultSelector()
        self._keys: Final[dict[int, selectors.SelectorKey]] = {}
        self._order: Final[dict[int, int]] = {}
        self._writers: Final[dict[int, None]] = {}
        self._registered = 0
        self._interest: Final[dict[int, int]] = {}
        self.wire: Final = Wire(self._interest, self._apply)
        #: set by the loop: what to do when nothing is ready, and when something came from outside while nothing here was under way
        self.idle: Callable[[float | None], Events] = lambda _: []
        self.outside: Callable[[float | None], None] = lambda _: None

    def _apply(self, fd: int) -> None:
        """Bring the kernel's view of a descriptor up to date."""
        key = self._keys.get(fd)
        wanted = key.events if key is not None else 0
        if wanted & WRITE:
            self._writers[fd] = None
            if self.wire.may_write(fd) is not None:
                wanted &= ~WRITE
        else:
            self._writers.pop(fd, None)
        present = self._inner.get_map().get(fd)
        if not wanted:
            if present is not None:
                self._inner.unregister(fd)
        elif present is None:
            self._inner.register(fd, wanted)
        elif present.events != wanted:
            self._inner.modify(fd, wanted)

    def register(self, fileobj: "FileDescriptorLike", events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a descriptor; the order of these calls is the order of events."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd in self._keys:
            raise KeyError(f"{fd} is already registered")
        self._registered += 1
        self._order[fd] = self._registered
        return self._set(fd, selectors.SelectorKey(fileobj, fd, events, data))

    def modify(self, fileobj: "FileDescriptorLike", events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch for something else."""
        key = self.get_key(fileobj)
        return self._set(key.fd, selectors.SelectorKey(fileobj, key.fd, events, data))

    def _set(self, fd: int, key: selectors.SelectorKey) -> selectors.SelectorKey:
        self._keys[fd] = key
        self._interest[fd] = key.events
        self._apply(fd)
        return key

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """Watch no more."""
        key = self.get_key(fileobj)
        for table in (self._keys, self._interest, self._order):
            del table[key.fd]
        self._apply(key.fd)
        return key

    def get_key(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """Return what is registered for a descriptor; KeyError where nothing is."""
        return self._keys[fileobj if isinstance(fileobj, int) else fileobj.fileno()]

    def get_map(self) -> "Mapping[FileDescriptorLike, selectors.SelectorKey]":
        """Return everything registered."""
        return {key.fileobj: key for key in self._keys.values()}

    def close(self) -> None:
        """Let go of everything."""
        self._inner.close()
        self._keys.clear()

    def poll(self, timeout: float | None) -> Events:
        """Return what is ready within ``timeout`` real seconds, complete and in an order that doesn't depend on the kernel.

        Complete: what was sent here before is awaited, so that it always arrives in the same turn of the loop.
        """
        ready: dict[int, int] = {}
        for fd in self._writers:
            if self.wire.may_write(fd):
                ready[fd] = WRITE
        seen = self._inner.select(0 if ready else timeout)
        if not self.wire.is_quiet():
            seen = self._completed(seen)
        for key, events in seen:
            ready[key.fd] = ready.get(key.fd, 0) | events
        order = self._order
        fds = sorted(ready, key=lambda fd: order[fd]) if len(ready) > 1 else ready
        return [(self._keys[fd], ready[fd] & self._interest[fd]) for fd in fds]

    def _completed(self, seen: Events) -> Events:
        patience = Patience(self.wire)
        while late := self.wire.late({key.fd for key, _ in seen}):
            if late == "soon" and patience.is_over(_SOON_S):
                break
            patience.check()
            seen = self._inner.select(0)
        return seen

    def select(self, timeout: float | None = None) -> Events:
        """Return what is ready; where nothing is, what the loop makes of that."""
        events = self.poll(0)
        if timeout is not None and timeout <= 0:
            return events
        if events:
            if not any(self.wire.is_internal(key.fd) for key, _ in events):
                self.outside(timeout)
            return events
        return self.idle(timeout)
