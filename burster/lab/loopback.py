"""Which bytes are on their way between two ends in this process: the lock-step loop asks before it lets time pass.

Every connected socket of the loop is wrapped in a CountedSocket. Where both ends of a connection live in this process, what one end
sent and the other has not yet read is known exactly: no settling sleeps, and an idle check costs nothing when nothing is owed. Between
such ends a window of our own stands in for the kernel's, so that how much a single send takes never depends on the kernel's mood. A
connection whose other end is elsewhere (a person's kubectl) has no partner, never owes anything and is left to the kernel.

Called by burster.lab.lockstep and burster.lab.readiness only. It must never decide about time itself.
"""

import fcntl
import selectors
import socket
import struct
import termios
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, cast


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


Address = tuple[str, int]
Route = tuple[Address, Address]  #: own address, the other end's

#: bytes under way to one end at most; well below what the kernel holds, so that all of it can always arrive
WINDOW: Final = 32_768
#: how many connections that ended before their other end showed up are remembered
_DEPARTED_MAX: Final = 1_024
_WILDCARDS: Final = ("0.0.0.0", "::")
_INT: Final = struct.Struct("i")
_ZERO: Final = _INT.pack(0)


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
        self.expecting = False  #: connected to an address of ours that has not accepted it yet
        self.sent = 0
        self.received = 0
        self.finished = False  #: will send no more
        self.ended = False  #: has seen the other end's last word
        self.gone = False  #: closed here

    @property
    def internal(self) -> bool:
        """Whether the other end is in this process."""
        return self.partner is not None or self.expecting

    @property
    def owed_bytes(self) -> int:
        """What the other end has sent and this one has not read."""
        return self.partner.sent - self.received if self.partner is not None else 0

    @property
    def owed(self) -> bool:
        """Whether the other end has sent something, or ended, and this end has not read it yet."""
        other = self.partner
        return other is not None and (other.sent > self.received or (other.finished and not self.ended))

    @property
    def room(self) -> int:
        """How many bytes may be sent now; a send to an end that is gone is let through, to fail as it should."""
        other = self.partner
        if other is None:
            return WINDOW - self.sent if self.expecting else WINDOW
        return WINDOW if other.gone else WINDOW - (self.sent - other.received)

    def _owe_partner(self) -> None:
        if self.partner is not None and not self.partner.gone:
            self.wire.owed[self.partner] = None

    def _count_received(self, count: int) -> None:
        if count:
            self.received += count
        else:
            self.ended = True
        if not self.owed:
            self.wire.owed.pop(self, None)

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """Send as much as the window has room for, and count it."""
        if self.internal:
            room = self.room
            if room <= 0:
                raise BlockingIOError
            count = super().send(memoryview(data)[:room], flags)
        else:
            count = super().send(data, flags)
        self.sent += count
        self._owe_partner()
        return count

    def sendmsg(
        self,
        buffers: Iterable["ReadableBuffer"],
        ancdata: Iterable[tuple[int, int, "ReadableBuffer"]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Send as much as one send would take, and count it."""
        if ancdata or address is not None:
            raise OSError("the lock-step loop sends no ancillary data")
        data = bytearray()
        for buffer in buffers:
            data += buffer
            if len(data) >= WINDOW:
                break
        return self.send(data, flags)

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

    ``interest`` is the loop's own table of descriptors and the events it waits for; ``changed`` is told a descriptor whose
    other end turned out to be here, or not to be.
    """

    def __init__(self, interest: dict[int, int], changed: Callable[[int], None]) -> None:
        self.interest: Final = interest
        self.owed: dict[
            CountedSocket, None
        ] = {}  #: ends that something is on its way to (or that do not read at present)
        self.connecting: dict[int, Address] = {}
        self._changed = changed
        self._ends: dict[Route, CountedSocket] = {}
        self._by_fd: dict[int, CountedSocket] = {}
        self._unaccepted: dict[Route, CountedSocket] = {}
        self._departed: dict[Route, None] = {}
        self._listening: dict[int, Address] = {}

    def listen(self, sock: socket.socket) -> None:
        """Learn that ``sock`` accepts connections here."""
        if address := address_of(sock.getsockname()):
            self._listening[sock.fileno()] = address

    def unlisten(self, sock: socket.socket) -> None:
        """Learn that it does so no more: who was not accepted yet is being reset."""
        self._listening.pop(sock.fileno(), None)
        for route, end in list(self._unaccepted.items()):
            if self._listener(route[1]) is None:
                del self._unaccepted[route]
                end.expecting = False
                self._changed(end.fd)

    def _listener(self, address: Address) -> int | None:
        for fd, (host, port) in self._listening.items():
            if port == address[1] and (host == address[0] or host in _WILDCARDS):
                return fd
        return None

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
        self._departed.pop(route, None)
        other = self._ends.get(back)
        if other is None:
            if back not in self._departed and self._listener(route[1]) is not None:
                end.expecting = True
                self._unaccepted[route] = end
            return
        self._unaccepted.pop(back, None)
        end.partner, other.partner, other.expecting = other, end, False
        for side in (end, other):
            if side.owed:
                self.owed[side] = None
        self._changed(other.fd)

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
        """Say whether a descriptor is an end of a connection within this process, or about to be."""
        end = self._by_fd.get(fd)
        return fd in self._listening or fd in self.connecting or (end is not None and end.internal)

    def may_write(self, fd: int) -> bool | None:
        """Say whether there is room to write; None where that is the kernel's business."""
        end = self._by_fd.get(fd)
        return end.room > 0 if end is not None and end.internal else None

    def late(self, ready: Container[int]) -> Literal["", "soon", "sure"]:
        """Say whether something done here is still missing in ``ready``, the descriptors that the kernel calls readable.

        "sure": bytes or an end of connection that nothing but the kernel can keep from arriving. "soon": a handshake, or the rest of
        what was sent, which a full queue could delay. An end that does not read at present (flow control) is owed nothing now: only
        its owner can change that.
        """
        rest = ""
        for end in self.owed:
            if not self.interest.get(end.fd, 0) & selectors.EVENT_READ or not end.owed:
                continue
            if end.fd not in ready:
                return "sure"
            if _arrived_bytes(end.fd) < end.owed_bytes:
                rest = "soon"
        if rest:
            return "soon"
        if self.connecting and any(fd not in ready for fd, to in self.connecting.items() if self._listener(to)):
            return "soon"
        for _, to in self._unaccepted:
            listener = self._listener(to)
            if listener is not None and listener not in ready:
                return "soon"
        return ""

    def is_quiet(self) -> bool:
        """Say whether no handshake is under way and nothing is owed to anybody: the cheap answer before ``late``."""
        return not (self.owed or self.connecting or self._unaccepted)

    def is_connecting(self) -> bool:
        """Say whether a connection is being made or waits to be accepted here."""
        return bool(self.connecting or self._unaccepted)

    def describe(self) -> str:
        """Return what is under way, for an error message."""
        parts = [f"{len(self.connecting)} connecting" if self.connecting else ""]
        parts += [f"{route[0]} -> {route[1]} not accepted" for route in self._unaccepted]
        parts += [f"{end.owed_bytes} bytes to {end.route}" for end in self.owed if end.owed]
        return ", ".join(part for part in parts[:8] if part) or "nothing on the wire"


def _arrived_bytes(fd: int) -> int:
    """Return how many bytes wait in the kernel to be read."""
    return _INT.unpack(fcntl.ioctl(fd, termios.FIONREAD, _ZERO))[0]
