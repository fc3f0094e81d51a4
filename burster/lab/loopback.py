"""Which bytes are on their way between two ends in this process: the lock-step loop asks before it lets time pass.

Every connected socket of the loop is wrapped in a CountedSocket. Where both ends of a connection live in this process, what one end
sent and the other has not yet read is known exactly, without asking the kernel: no struct offsets, no settling sleeps, and an idle check
costs nothing when nothing is owed. A connection whose other end is elsewhere (a person's kubectl) has no partner and never owes anything.

Called by burster.lab.lockstep only. It must never decide about time itself.
"""

import selectors
import socket
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any, Final, cast


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


Address = tuple[str, int]
Route = tuple[Address, Address]  #: own address, the other end's

#: how many connections that ended before their other end showed up are remembered
_DEPARTED_MAX: Final = 1_024
_WILDCARDS: Final = ("0.0.0.0", "::")


def address_of(name: object) -> Address | None:
    """Return host and port of what getsockname or getpeername said; None for anything but IP."""
    if not isinstance(name, tuple):
        return None
    parts = cast("tuple[object, ...]", name)
    match parts[:2]:
        case (str(host), int(port)):
            return (host, port)
        case _:
            return None


class CountedSocket(socket.socket):
    """A connected stream socket that counts what went out and what came in, and knows its other end if that is here."""

    def __init__(self, sock: socket.socket, wire: "Wire", route: Route | None) -> None:
        """Take over the descriptor of ``sock``, which is of no use any more afterwards."""
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self.settimeout(0.0)
        self.fd: Final = self.fileno()
        self.route: Final = route
        self.wire: Final = wire
        self.partner: CountedSocket | None = None
        self.sent = 0
        self.received = 0
        self.finished = False  #: will send no more
        self.ended = False  #: has seen the other end's last word
        self.gone = False  #: closed here

    @property
    def owed(self) -> bool:
        """Whether the other end has sent something, or ended, and this end has not read it yet."""
        other = self.partner
        return other is not None and (other.sent > self.received or (other.finished and not self.ended))

    def _owe_partner(self) -> None:
        if self.partner is not None and not self.partner.gone:
            self.wire.owed[self.partner] = None

    def _count_sent(self, count: int) -> int:
        self.sent += count
        self._owe_partner()
        return count

    def _count_received(self, count: int) -> None:
        if count:
            self.received += count
        else:
            self.ended = True
        if not self.owed:
            self.wire.owed.pop(self, None)

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """Send, and count it."""
        return self._count_sent(super().send(data, flags))

    def sendmsg(
        self,
        buffers: Iterable["ReadableBuffer"],
        ancdata: Iterable[tuple[int, int, "ReadableBuffer"]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Send, and count it."""
        return self._count_sent(super().sendmsg(buffers, ancdata, flags, address))

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive, and count it; an error ends the connection as much as the end of the data."""
        try:
            data = super().recv(bufsize, flags)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError:
            self._count_received(0)
            raise
        self._count_received(len(data))
        return data

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """Receive, and count it; an error ends the connection as much as the end of the data."""
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError:
            self._count_received(0)
            raise
        self._count_received(count)
        return count

    def shutdown(self, how: int, /) -> None:
        """Shut down, and count the end of what is sent."""
        super().shutdown(how)
        if how != socket.SHUT_RD:
            self.finished = True
            self._owe_partner()

    def close(self) -> None:
        """Close, which the other end will see."""
        if not self.gone:
            self.gone = self.finished = True
            self.wire.forget(self)
            self._owe_partner()
        super().close()


class Wire:
    """All connections of one loop: who is connected to whom, and what is on its way.

    ``interest`` is the loop's own table of descriptors and the events it waits for.
    """

    def __init__(self, interest: dict[int, int]) -> None:
        self.interest: Final = interest
        self.owed: dict[
            CountedSocket, None
        ] = {}  #: ends that something is on its way to (or that do not read at present)
        self.writers: dict[int, None] = {}  #: descriptors that wait until they can write
        self.connecting: dict[int, Address] = {}
        self._ends: dict[Route, CountedSocket] = {}
        self._by_fd: dict[int, CountedSocket] = {}
        self._unaccepted: dict[Route, None] = {}
        self._departed: dict[Route, None] = {}
        self._listening: dict[int, Address] = {}

    def listen(self, sock: socket.socket) -> None:
        """Learn that ``sock`` accepts connections here."""
        if address := address_of(sock.getsockname()):
            self._listening[sock.fileno()] = address

    def unlisten(self, sock: socket.socket) -> None:
        """Learn that it does so no more: who was not accepted yet is being reset."""
        if address := self._listening.pop(sock.fileno(), None):
            for route in [route for route in self._unaccepted if route[1][1] == address[1]]:
                del self._unaccepted[route]

    def is_here(self, address: Address) -> bool:
        """Say whether this process accepts connections at ``address``."""
        return any(
            port == address[1] and (host == address[0] or host in _WILDCARDS) for host, port in self._listening.values()
        )

    def adopt(self, sock: socket.socket) -> CountedSocket:
        """Take over a connected socket and find its other end."""
        route: Route | None = None
        try:
            own, other = address_of(sock.getsockname()), address_of(sock.getpeername())
        except OSError:  # already reset
            own = other = None
        if own and other:
            route = (own, other)
        end = CountedSocket(sock, self, route)
        self._by_fd[end.fd] = end
        if route is not None:
            self._pair(end, route)
        return end

    def _pair(self, end: CountedSocket, route: Route) -> None:
        back = (route[1], route[0])
        self._ends[route] = end
        self._unaccepted.pop(back, None)
        other = self._ends.get(back)
        if other is None:
            if back not in self._departed and self.is_here(route[1]):
                self._unaccepted[route] = None
            return
        end.partner, other.partner = other, end
        for side in (end, other):
            if side.owed:
                self.owed[side] = None

    def forget(self, end: CountedSocket) -> None:
        """Learn that an end is being closed."""
        self.owed.pop(end, None)
        self._by_fd.pop(end.fd, None)
        if end.route is None:
            return
        self._unaccepted.pop(end.route, None)
        if self._ends.get(end.route) is end:
            del self._ends[end.route]
        if end.partner is None:
            self._departed[end.route] = None
            if len(self._departed) > _DEPARTED_MAX:
                del self._departed[next(iter(self._departed))]

    def is_internal(self, fd: int) -> bool:
        """Say whether a descriptor is an end of a connection within this process."""
        end = self._by_fd.get(fd)
        return fd in self._listening or fd in self.connecting or (end is not None and end.partner is not None)

    def is_arriving(self, ready: Container[int]) -> bool:
        """Say whether the kernel still has to make a descriptor ready, beyond those in ``ready``, for what was already done here.

        An end that does not read at present (flow control) is owed nothing now: only its owner can change that.
        """
        for end in self.owed:
            if end.fd not in ready and self.interest.get(end.fd, 0) & selectors.EVENT_READ and end.owed:
                return True
        for fd in self.writers:
            if fd in ready:
                continue
            end = self._by_fd.get(fd)
            other = end.partner if end is not None else None
            if other is None:
                continue
            # the other end has read everything and goes on reading, or is gone: room to write, or the error, is being announced
            if other.gone or (not other.owed and self.interest.get(other.fd, 0) & selectors.EVENT_READ):
                return True
        return False

    def is_connecting(self) -> bool:
        """Say whether a connection is being made or waits to be accepted here."""
        return bool(self.connecting or self._unaccepted)

    def describe(self) -> str:
        """Return what is under way, for an error message."""
        parts = [f"{len(self.connecting)} connecting" if self.connecting else ""]
        parts += [f"{route[0]} -> {route[1]} not accepted" for route in self._unaccepted]
        for end in self.owed:
            if end.owed and end.partner is not None:
                parts.append(f"{end.partner.sent - end.received} bytes to {end.route}")
        return ", ".join(part for part in parts[:8] if part) or "nothing on the wire"
